"""Our ISO as xorriso, isoinfo, isovfy and bsdtar read it."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ironic_httpboot.blob import Blob, SourceFile, literal, whole
from ironic_httpboot.image import compose as composer
from ironic_httpboot.image import iso
from ironic_httpboot.image.compose import compose
from ironic_httpboot.model import AppendedFile, Arch, BootRecipe, Chain, Container
from kit.images import fat_files, write_sparse
from kit.judges import files_below, judge, osirrox
from kit.recipes import ONE_LINE_NAMES, Pantry, recipes

SECTOR = iso.SECTOR_BYTES
EFI_PARTITION = "boot/grub/efi.img"
NAMES = (
    "lower/Mixed Case.txt",
    "Config.cfg",
    "config.cfg",
    "config-a.cfg",
    "config_a.cfg",
    "n" * 255,
    "語" * 85,
    "Ünïcode/語/é.txt",
    "a/b/c/d/e/f/g/h",
    "..hidden/...",
    *(f"many/{number:03}-file.bin" for number in range(150)),
    *(f"long/{number:02}{'x' * 250}" for number in range(20)),
)
"""Paths that are hard on an ISO, and that isoinfo can be asked for."""


@pytest.fixture(scope="module")
def pantry(tmp_path_factory: pytest.TempPathFactory) -> Pantry:
    return Pantry.stock(tmp_path_factory.mktemp("pantry"))


@pytest.fixture(scope="module")
def recipe(pantry: Pantry) -> BootRecipe:
    sizes = list(pantry.files.values())
    return BootRecipe(
        kernel=pantry.kernels[Arch.X64],
        initrds=(pantry.files[70_000],),
        appended=(AppendedFile(path="etc/nonce", data=b"42"),),
        files=tuple((name, sizes[number % len(sizes)]) for number, name in enumerate(NAMES)),
        label="HARD_ONE_1",
    )


@pytest.fixture(scope="module")
def image(recipe: BootRecipe, pantry: Pantry, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("image") / "x.iso"
    composer.write(compose(recipe, [pantry.root]), path)
    return path


def expected(recipe: BootRecipe) -> dict[str, bytes]:
    """The files in an image whose bytes a recipe names."""
    files = {path: source.read_bytes() for path, source in recipe.files}
    if recipe.chain is not Chain.UKI:
        files["boot/vmlinuz"] = recipe.kernel.read_bytes()
        files |= {f"boot/initrd-{number}.img": path.read_bytes() for number, path in enumerate(recipe.initrds)}
    return files


def made_by_us(recipe: BootRecipe) -> set[str]:
    """The files in an image that the recipe does not name."""
    if recipe.chain is Chain.UKI:
        return {EFI_PARTITION}
    ours = {EFI_PARTITION, "boot/grub/grub.cfg", ".disk/info"}
    return ours | ({f"boot/initrd-{len(recipe.initrds)}.img"} if recipe.appended else set())


def isoinfo(image: Path, folder: Path) -> dict[str, bytes]:
    listed = judge("isoinfo", "-R", "-f", "-i", image).decode().splitlines()
    folders = {str(Path(path).parent) for path in listed}
    return {path[1:]: judge("isoinfo", "-R", "-i", image, "-x", path) for path in listed if path not in folders}


def bsdtar(image: Path, folder: Path) -> dict[str, bytes]:
    judge("bsdtar", "-xf", image, "-C", folder)
    judge("chmod", "-R", "u+w", folder)
    return files_below(folder)


@pytest.mark.parametrize("read", [osirrox, isoinfo, bsdtar])
def test_every_file_is_extracted_byte_for_byte_under_its_name(
    read: Callable[[Path, Path], dict[str, bytes]], image: Path, recipe: BootRecipe, tmp_path: Path
) -> None:
    found = read(image, tmp_path)
    assert {path: found.get(path) for path in expected(recipe)} == expected(recipe)
    assert found.keys() - expected(recipe).keys() == made_by_us(recipe)


def test_firmware_finds_the_efi_partition_through_el_torito(image: Path) -> None:
    report = judge("xorriso", "-indev", image, "-report_el_torito", "plain").decode()
    entry = re.search(r"^El Torito boot img : +1 +(\S+) +(\S+) +(\S+) +\S+ +\S+ +(\d+) +(\d+)$", report, re.MULTILINE)
    assert entry
    assert entry.group(1, 2, 3) == ("UEFI", "y", "none")
    assert re.search(rf"^El Torito img path : +1 +/{EFI_PARTITION}$", report, re.MULTILINE)
    count, sector = int(entry[4]), int(entry[5])
    partition = image.read_bytes()[sector * SECTOR :][: count * 512]
    assert fat_files(partition).keys() == {"EFI/BOOT/BOOTX64.EFI", "EFI/BOOT/GRUBX64.EFI"}


def test_label_size_and_rock_ridge_are_seen(image: Path) -> None:
    report = judge("isoinfo", "-d", "-i", image).decode()
    assert "Volume id: HARD_ONE_1\n" in report
    assert f"Volume size is: {image.stat().st_size // SECTOR}\n" in report
    assert "Rock Ridge signatures version 1 found" in report
    assert "El Torito VD version 1 found" in report


def test_isovfy_finds_no_errors(image: Path) -> None:
    assert judge("isovfy", image).decode().endswith("No errors found\n")


def test_files_are_everyones_to_read_and_nobodys_to_write(image: Path) -> None:
    listing = judge("bsdtar", "-tvf", image).decode()
    assert {line[:10] for line in listing.splitlines()} == {"dr-xr-xr-x", "-r--r--r--"}


def test_a_file_over_4_gib_has_its_size_and_its_end(tmp_path: Path) -> None:
    size_bytes = 4_500_000_000
    source = tmp_path / "large"
    with source.open("wb") as stream:
        stream.truncate(size_bytes)
        for at, data in ((0, b"begin"), (0xFFFF_F800 - 3, b"across"), (size_bytes - 3, b"end")):
            stream.seek(at)
            stream.write(data)
    found = source.stat()
    # Not examined: reading 4 GiB for a checksum that nobody looks at would take a minute.
    large = SourceFile(path=source, size_bytes=size_bytes, mtime_ns=found.st_mtime_ns, inode=found.st_ino, sha256="")
    files = {"folder/large.bin": whole(large), "efi.img": literal(b"efi"), "zzz": literal(b"behind")}
    blob = Blob.of(iso.image(files, boot="efi.img", label="LARGE"))
    image = tmp_path / "large.iso"
    write_sparse(blob, image)

    listing = judge("xorriso", "-indev", image, "-find", "/", "-type", "f", "-exec", "report_lba").decode()
    extents = re.findall(r"^File data lba: +\d+ , +(\d+) , +(\d+) , +4500000000 , '/folder/large.bin'$", listing, re.M)
    (first, blocks), (second, more) = ((int(sector), int(count)) for sector, count in extents)
    assert (second, blocks + more) == (first + blocks, -(-size_bytes // SECTOR))
    listing = judge("isoinfo", "-R", "-l", "-i", image).decode()
    assert sum(int(line.split()[4]) for line in listing.splitlines() if "large.bin" in line) == size_bytes
    assert re.search(r" 4500000000 .* folder/large\.bin$", judge("bsdtar", "-tvf", image).decode(), re.M)
    assert judge("isoinfo", "-R", "-i", image, "-x", "/zzz") == b"behind"
    with image.open("rb") as stream:
        for at, data in ((0, b"begin"), (0xFFFF_F800 - 3, b"across"), (size_bytes - 3, b"end")):
            assert blob.read_at(first * SECTOR + at, len(data)) == data
            stream.seek(first * SECTOR + at)
            assert stream.read(len(data)) == data


def test_more_files_than_16_bits_can_number_are_listed(tmp_path: Path) -> None:
    names = {f"many/file-{number}.bin" for number in range(66_000)} | {f"folders/{number}/x" for number in range(1000)}
    files = {**dict.fromkeys(names, ()), "efi.img": literal(b"efi")}
    image = tmp_path / "many.iso"
    write_sparse(Blob.of(iso.image(files, boot="efi.img", label="MANY")), image)
    for listing in (judge("isoinfo", "-R", "-f", "-i", image), judge("bsdtar", "-tf", image)):
        assert files.keys() <= {line.removeprefix("/") for line in listing.decode().splitlines()}


@settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_any_recipe_composes_to_an_image_that_xorriso_extracts(
    data: st.DataObject, pantry: Pantry, tmp_path_factory: pytest.TempPathFactory
) -> None:
    wanted = data.draw(recipes(pantry).map(lambda recipe: replace(recipe, container=Container.ISO)))
    folder = tmp_path_factory.mktemp("any")
    composer.write(compose(wanted, [pantry.root]), folder / "x.iso")
    found = osirrox(folder / "x.iso", folder / "extracted")
    assert {path: found.get(path) for path in expected(wanted)} == expected(wanted)
    assert found.keys() - expected(wanted).keys() == made_by_us(wanted)
    shutil.rmtree(folder)


@settings(deadline=None, max_examples=10, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_any_recipe_composes_to_an_image_that_isoinfo_extracts(
    data: st.DataObject, pantry: Pantry, tmp_path_factory: pytest.TempPathFactory
) -> None:
    wanted = data.draw(recipes(pantry, ONE_LINE_NAMES).map(lambda recipe: replace(recipe, container=Container.ISO)))
    folder = tmp_path_factory.mktemp("any")
    composer.write(compose(wanted, [pantry.root]), folder / "x.iso")
    found = isoinfo(folder / "x.iso", folder)
    assert {path: found.get(path) for path in expected(wanted)} == expected(wanted)
    shutil.rmtree(folder)
