"""The EFI partition: every file is found under its 8.3 name, and no reader can doubt the volume's type."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ironic_httpboot.blob import Blob, Content, Zeros, length_of, literal
from ironic_httpboot.errors import BadRecipe
from ironic_httpboot.image import fat
from kit.images import fat_files, joined

LARGEST_CLUSTER = 32 * 1024


def clusters_of(volume: Content) -> tuple[int, str]:
    """How many clusters a volume has, and what it says of its type."""
    sector = Blob.of(volume).read_at(0, 512)
    bytes_per, per_cluster, reserved, copies, entries, few, _, table = struct.unpack_from("<HBHBHHBH", sector, 11)
    (many,) = struct.unpack_from("<I", sector, 32)
    data_sectors = (few or many) - reserved - copies * table - entries * 32 // bytes_per
    assert (few or many) * bytes_per == length_of(volume)
    return data_sectors // per_cluster, sector[54:62].decode().strip()


def test_files_lie_where_they_were_put() -> None:
    files = {"EFI/BOOT/BOOTX64.EFI": b"shim" * 1000, "EFI/BOOT/GRUBX64.EFI": b"grub" * 3000, "empty": b""}
    volume = joined(fat.volume({path: literal(data) for path, data in files.items()}))
    assert fat_files(volume) == {path.upper(): data for path, data in files.items()}


def test_a_name_may_be_given_in_any_case() -> None:
    volume = fat.volume({"efi/boot/a.efi": literal(b"1"), "EFI/Boot/b.efi": literal(b"2")})
    assert fat_files(joined(volume)) == {"EFI/BOOT/A.EFI": b"1", "EFI/BOOT/B.EFI": b"2"}


def test_equal_files_make_equal_volumes() -> None:
    one, two = {"A": literal(b"1"), "B": literal(b"2")}, {"B": literal(b"2"), "A": literal(b"1")}
    assert fat.volume(one) == fat.volume(two)


@pytest.mark.parametrize(
    "name",
    ["123456789", "a.html", ".efi", "a.b.c", "a b", "a+b", "a,b", "", ".", "..", "ü", "straße.efi", "ﬁle", "ſ", "a\0"],
)
def test_a_name_that_is_not_8_3_is_refused_by_name(name: str) -> None:
    with pytest.raises(BadRecipe) as caught:
        fat.volume({f"EFI/{name}": literal(b"x")})
    assert caught.value.message == f"EFI partition: {name!r} in {f'EFI/{name}'!r} is no 8.3 name"


def test_a_name_that_is_used_twice_is_refused() -> None:
    with pytest.raises(BadRecipe, match=r"^EFI partition: 'efi/a.EFI' is given twice$"):
        fat.volume({"EFI/A.efi": literal(b"1"), "efi/a.EFI": literal(b"2")})


def test_a_file_below_a_file_is_refused() -> None:
    with pytest.raises(BadRecipe, match=r"^EFI partition: 'efi/b' lies below 'efi', which is a file$"):
        fat.volume({"EFI": literal(b"1"), "efi/b": literal(b"2")})


def test_the_root_holds_63_entries_and_no_more() -> None:
    files = {f"F{number}": literal(b"x") for number in range(64)}
    with pytest.raises(BadRecipe, match=r"^EFI partition: 64 entries in its root, more than 63$"):
        fat.volume(files)
    del files["F0"]
    assert len(fat_files(joined(fat.volume(files)))) == 63


def test_a_directory_may_be_larger_than_a_cluster() -> None:
    files = {f"EFI/F{number}": literal(str(number).encode()) for number in range(200)}
    assert len(fat_files(joined(fat.volume(files)))) == 200


@pytest.mark.parametrize("size_bytes", [0, 1, 2047, 2048, 2049, 2_048_000 - 2048, 2_048_000, 2_048_001, 3_000_000])
def test_a_file_at_a_clusters_border_is_read_whole(size_bytes: int) -> None:
    data = bytes(n % 251 for n in range(1000)) * (size_bytes // 1000) + b"e" * (size_bytes % 1000)
    files = fat_files(joined(fat.volume({"A/B.EFI": literal(data), "A/C": literal(b"behind")})))
    assert files == {"A/B.EFI": data, "A/C": b"behind"}


@pytest.mark.parametrize("clusters", [4067, 4068, 4069, 4084, 4085, 4086, 4100, 4101, 4102, 65_507, 65_508])
def test_no_volume_comes_near_the_sizes_at_which_readers_disagree_on_its_type(clusters: int) -> None:
    found, kind = clusters_of(fat.volume({"A": (Zeros(clusters * LARGEST_CLUSTER),)}))
    assert found >= clusters
    assert kind == ("FAT12" if found < 4085 else "FAT16")
    assert abs(found - 4085) >= 16
    assert found <= 65_524 - 16


def test_a_volume_that_is_too_large_is_refused_with_both_numbers() -> None:
    size_bytes = 65_508 * LARGEST_CLUSTER
    assert fat.volume({"A": (Zeros(size_bytes),)})
    with pytest.raises(BadRecipe, match=f"^EFI partition: {size_bytes + 1} bytes, more than the {size_bytes} of"):
        fat.volume({"A": (Zeros(size_bytes + 1),)})


_names = st.builds(
    lambda stem, extension: stem + (f".{extension}" if extension else ""),
    st.text("ABZabz019_-~$", min_size=1, max_size=8),
    st.text("EFIefi0", max_size=3),
)


@settings(deadline=None)
@given(
    st.dictionaries(st.lists(_names, min_size=1, max_size=4).map("/".join), st.binary(max_size=5000), max_size=12),
)
def test_any_files_are_read_back_or_their_names_refused(files: dict[str, bytes]) -> None:
    folded = [path.upper() for path in files]
    beside = len(set(folded)) == len(folded) and not any(
        other.startswith(f"{path}/") for path in folded for other in folded
    )
    try:
        volume = fat.volume({path: literal(data) for path, data in files.items()})
    except BadRecipe:
        assert not beside
        return
    assert beside
    assert fat_files(joined(volume)) == {path.upper(): data for path, data in files.items()}
