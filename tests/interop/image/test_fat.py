"""Our EFI partition as mtools reads it."""

from __future__ import annotations

from pathlib import Path

import pytest

from ironic_httpboot.blob import Blob, Content, Zeros, literal
from ironic_httpboot.image import fat
from kit.images import write_sparse
from kit.judges import files_below, judge

CLUSTER = 2048
LARGEST_CLUSTER = 32 * 1024


def volume(folder: Path, files: dict[str, Content]) -> Path:
    path = folder / "efi.img"
    write_sparse(Blob.of(fat.volume(files)), path)
    return path


def extracted(image: Path) -> dict[str, bytes]:
    target = image.with_name("extracted")
    target.mkdir()
    judge("mcopy", "-s", "-n", "-i", image, "::*", target)
    return {path.upper(): data for path, data in files_below(target).items()}


def kind(image: Path) -> str:
    """The type that the volume says it has, which mtools reports beside its geometry."""
    (line,) = [line for line in judge("minfo", "-i", image, "::").decode().splitlines() if line.startswith("disk type")]
    return line.split('"')[1].strip()


@pytest.mark.parametrize(
    "size_bytes", [1, CLUSTER - 1, CLUSTER, CLUSTER + 1, 1000 * CLUSTER, 1001 * CLUSTER, 40_000_000]
)
def test_files_of_any_size_are_copied_out_byte_for_byte(size_bytes: int, tmp_path: Path) -> None:
    data = bytes(n % 251 for n in range(10_000)) * (size_bytes // 10_000) + b"e" * (size_bytes % 10_000)
    files = {"EFI/BOOT/BOOTX64.EFI": data, "EFI/BOOT/GRUBX64.EFI": b"grub" * 1000, "EMPTY": b""}
    image = volume(tmp_path, {path: literal(content) for path, content in files.items()})
    assert kind(image) == "FAT12"
    assert extracted(image) == files


@pytest.mark.parametrize(("clusters", "expected"), [(4068, "FAT12"), (4069, "FAT16"), (4085, "FAT16"), (4101, "FAT16")])
def test_a_large_volume_is_read_as_the_type_that_it_says(clusters: int, expected: str, tmp_path: Path) -> None:
    # With its folders and the second file the volume has just so many clusters.
    size_bytes = (clusters - 4) * LARGEST_CLUSTER
    content = (*literal(b"begin"), Zeros(size_bytes - 5), *literal(b"end"))
    image = volume(tmp_path, {"EFI/BOOT/BOOTX64.EFI": content, "EFI/LAST": literal(b"last")})
    assert kind(image) == expected
    assert judge("mtype", "-i", image, "::/EFI/LAST") == b"last"
    data = judge("mtype", "-i", image, "::/EFI/BOOT/BOOTX64.EFI")
    assert (len(data), data[:5], data[-3:]) == (size_bytes + 3, b"begin", b"end")
    assert not data[5:-3].strip(b"\0")


def test_a_directory_over_several_clusters_is_listed_whole(tmp_path: Path) -> None:
    files = {f"EFI/F{number}.X": str(number).encode() for number in range(300)}
    image = volume(tmp_path, {path: literal(content) for path, content in files.items()})
    listed = judge("mdir", "-/", "-b", "-i", image, "::").decode().split()
    assert set(listed) == {"::/EFI/", *(f"::/{path}" for path in files)}
    assert extracted(image) == files


def test_an_empty_volume_is_one(tmp_path: Path) -> None:
    assert b"No files" in judge("mdir", "-i", volume(tmp_path, {}), "::")
