"""The ISO: every name and byte is found again, and what ISO 9660 cannot hold is refused by path."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ironic_httpboot.blob import Blob, Content, Zeros, length_of, literal
from ironic_httpboot.errors import BadRecipe
from ironic_httpboot.image import iso
from kit.images import iso_files, iso_records, joined
from kit.recipes import NAMES, agree, paths

BOOT = "boot/grub/efi.img"
SECTOR = iso.SECTOR_BYTES


def image(files: dict[str, bytes | Content], label: str = "HTTPBOOT") -> Content:
    contents = {path: literal(data) if isinstance(data, bytes) else data for path, data in files.items()}
    return iso.image({BOOT: literal(b"efi" * 1000), **contents}, boot=BOOT, label=label)


def check(files: dict[str, bytes | Content]) -> None:
    """See that an image of files holds just these, byte for byte."""
    data = joined(image(files))
    assert len(data) % SECTOR == 0
    assert iso_files(data) == {BOOT: b"efi" * 1000, **files}


def test_files_keep_their_names_and_bytes() -> None:
    check({"boot/vmlinuz": b"kernel", "README.txt": b"", "a/b/c/d": b"deep", ".disk/info": b"x\n", "Ünïcode/語": b"u"})


def test_equal_files_make_equal_images() -> None:
    one, two = {"a": literal(b"1"), "b": literal(b"2")}, {"b": literal(b"2"), "a": literal(b"1")}
    assert iso.image(one, boot="a", label="X") == iso.image(two, boot="a", label="X")


@pytest.mark.parametrize("name", ["n" * length for length in (1, 150, 163, 164, 165, 166, 200, 250, 251, 255)])
def test_a_name_of_any_length_is_kept(name: str) -> None:
    check({name: b"file", f"folder/{name}": b"below", f"{name[:-1]}d/file": b"in a folder"})


@pytest.mark.parametrize("count", [0, 1, 10, 11, 12, 13, 14, 20, 30, 100, 700])
def test_a_directory_may_take_many_sectors(count: int) -> None:
    check({f"many/file-{number:04}.bin": str(number).encode() for number in range(count)})


@pytest.mark.parametrize("length", [200, 250, 251, 255])
@pytest.mark.parametrize("count", [6, 7, 8, 9, 50])
def test_long_names_fill_continuation_areas_of_many_sectors(count: int, length: int) -> None:
    check({f"many/{number:02}{'n' * (length - 2)}": str(number).encode() for number in range(count)})


def test_names_that_are_one_after_folding_to_8_3_stay_apart() -> None:
    names = [
        "config.cfg",
        "CONFIG.CFG",
        "Config.cfg",
        "config-a.cfg",
        "config_a.cfg",
        "config.cfgx",
        "configuration.cfg",
    ]
    check(
        {name: name.encode() for name in [*names, "config", "Config/file", "CONFIG/file", ".config", "_.con", "é", "è"]}
    )


def test_hundreds_of_names_that_fold_to_one_stay_apart_and_are_numbered() -> None:
    files: dict[str, bytes | Content] = {f"configuration-{number}.cfg": b"x" for number in range(1200)}
    check(files)
    identifiers = [record.identifier for record in iso_records(joined(image(files)))]
    assert {len(identifier) for identifier in identifiers if identifier.endswith(b".CFG;1")} == {14}


def test_eight_levels_are_taken_and_a_ninth_is_refused() -> None:
    check({"1/2/3/4/5/6/7/file": b"x"})
    with pytest.raises(BadRecipe, match=r"^image file '1/2/3/4/5/6/7/8/file': 9 levels deep, more than 8$"):
        image({"1/2/3/4/5/6/7/8/file": b"x"})


@pytest.mark.parametrize(
    ("path", "complaint"),
    [
        ("", "'' cannot be a name"),
        ("/a", "'' cannot be a name"),
        ("a//b", "'' cannot be a name"),
        ("a/", "'' cannot be a name"),
        ("a/./b", "'.' cannot be a name"),
        ("../b", "'..' cannot be a name"),
        ("a\0b", "'a\\x00b' cannot be a name"),
        ("a\udcff", "is not UTF-8"),
        ("é" * 128, "a name of 256 bytes, more than 255"),
        ("boot", "lies below 'boot', which is a file"),
        ("boot/grub/efi.img/x", "lies below 'efi.img', which is a file"),
    ],
)
def test_a_path_that_cannot_be_is_refused(path: str, complaint: str) -> None:
    with pytest.raises(BadRecipe) as caught:
        image({path: b"x"})
    assert caught.value.message.startswith("image file ")
    assert caught.value.message.endswith(f": {complaint}")


@pytest.mark.parametrize("label", ["", "x" * 33, "lower", "A B", "A-B", "Ä"])
def test_a_label_that_iso_9660_does_not_allow_is_refused(label: str) -> None:
    with pytest.raises(BadRecipe) as caught:
        image({}, label=label)
    assert caught.value.message == f"volume label {label!r}: takes 1 to 32 of A–Z, 0–9 and _"


def test_a_label_is_written_as_given() -> None:
    label = "A" * 31 + "_"
    assert joined(image({}, label=label))[16 * SECTOR + 40 : 16 * SECTOR + 72] == label.encode()


def test_firmware_finds_the_efi_partition_through_el_torito() -> None:
    data = joined(image({}))
    record, catalog = data[17 * SECTOR : 18 * SECTOR], data[19 * SECTOR : 20 * SECTOR]
    assert record.startswith(b"\0CD001\x01EL TORITO SPECIFICATION\0")
    assert struct.unpack_from("<I", record, 71) == (19,)
    assert (catalog[0], catalog[1], catalog[30:32]) == (1, 0xEF, b"\x55\xaa")
    assert sum(struct.unpack_from("<16H", catalog)) % 0x10000 == 0
    indicator, media, _, _, _, count, sector = struct.unpack_from("<BBHBBHI", catalog, 32)
    assert (indicator, media, count) == (0x88, 0, 6)
    assert data[sector * SECTOR :].startswith(b"efi")


def test_a_partition_whose_size_el_torito_cannot_say_reaches_to_the_end() -> None:
    largest = 0xFFFF * 512
    for size_bytes, count in ((largest, 0xFFFF), (largest + 1, 0)):
        content = iso.image({"efi.img": (Zeros(size_bytes),)}, boot="efi.img", label="X")
        assert struct.unpack_from("<H", Blob.of(content).read_at(19 * SECTOR, 64), 38) == (count,)


@pytest.mark.parametrize(
    ("size_bytes", "extents"),
    [
        (0xFFFF_F800, [0xFFFF_F800]),
        (0xFFFF_F801, [0xFFFF_F800, 1]),
        (0x1_0000_0000, [0xFFFF_F800, 0x800]),
        (0x2_8000_0000, [0xFFFF_F800, 0xFFFF_F800, 0x8000_1000]),
    ],
)
def test_a_file_of_4_gib_is_one_file_in_several_extents(size_bytes: int, extents: list[int]) -> None:
    content = image({"large": (Zeros(size_bytes - 3), *literal(b"end")), "small": b"behind"})
    blob = Blob.of(content)
    records = iso_records(blob.read_at(0, 30 * SECTOR))
    large = [record for record in records if record.name == "large"]
    assert [record.size_bytes for record in large] == extents
    assert [record.flags for record in large] == [0x80] * (len(extents) - 1) + [0]
    ends = [record.sector + record.size_bytes // SECTOR for record in large[:-1]]
    assert [record.sector for record in large[1:]] == ends
    assert blob.read_at(large[0].sector * SECTOR + size_bytes - 3, 3) == b"end"
    (small,) = [record for record in records if record.name == "small"]
    assert blob.read_at(small.sector * SECTOR, 6) == b"behind"


def test_an_image_that_is_larger_than_its_numbers_is_refused() -> None:
    with pytest.raises(BadRecipe, match=r"sectors of 2048 bytes, more than the 4294967295 of an ISO$"):
        image({f"{number}": (Zeros(1 << 42),) for number in range(2)})


def test_more_directories_than_the_path_table_can_number_are_refused() -> None:
    with pytest.raises(BadRecipe, match=r"^image: 65536 directories or more, and an ISO takes 65535$"):
        iso.image({**{f"{number}/x": () for number in range(65535)}, "x": ()}, boot="x", label="X")


@settings(deadline=None, max_examples=40)
@given(st.lists(paths(levels=8, names=NAMES), max_size=30).map(agree), st.data())
def test_any_files_are_found_again(names: list[str], data: st.DataObject) -> None:
    sizes = st.sampled_from([0, 1, 2047, 2048, 2049, 5000])
    check({name: bytes([number % 256]) * data.draw(sizes) for number, name in enumerate(names)})


@settings(deadline=None, max_examples=20)
@given(names=st.sets(NAMES, min_size=1, max_size=60))
def test_any_names_stay_apart_in_one_directory(names: set[str]) -> None:
    content = image({f"many/{name}": name.encode() for name in names})
    assert iso_files(joined(content)) == {BOOT: b"efi" * 1000, **{f"many/{name}": name.encode() for name in names}}
    assert length_of(content) % SECTOR == 0
