"""Unified kernel images: the stub as it was, and behind it the sections that it reads."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ironic_httpboot.blob import Content, Literal, SourceFile, Zeros, examine, length_of, literal
from ironic_httpboot.errors import BadRecipe, MalformedMessage
from ironic_httpboot.image import loaders, pe, uki
from kit import efi
from kit.images import joined

COFF_AT = 0x80
OPTIONAL_AT = COFF_AT + 24
KERNEL = b"kernel" * 100


class Stub:
    """A stub in a file, changed at will."""

    def __init__(self, folder: Path, image: bytes | None = None) -> None:
        self.image = bytearray(image or efi.program(body=b"stub"))
        self._path = folder / "linuxx64.efi.stub"

    def put(self, at: int, layout: str, *values: object) -> Stub:
        struct.pack_into(layout, self.image, at, *values)
        return self

    @property
    def file(self) -> SourceFile:
        self._path.write_bytes(self.image)
        return examine(self._path)

    def unified(self, *, cmdline: str = "quiet", kernel: bytes = KERNEL, initrds: tuple[Content, ...] = ()) -> Content:
        file = self.file
        return uki.unified(file, loaders.head_of(file), cmdline=cmdline, kernel=literal(kernel), initrds=initrds)


@pytest.fixture
def stub(tmp_path: Path) -> Stub:
    return Stub(tmp_path)


def sections(image: bytes) -> dict[str, bytes]:
    """What each section holds, after a look at whether they keep off each other."""
    program = pe.decode(image[: pe.HEADER_BYTES])
    raw_end = memory_end = program.header_size
    assert program.sections_at + pe.SECTION_BYTES * len(program.sections) <= program.header_size
    for section in program.sections:
        assert section.raw_offset >= raw_end
        assert section.virtual_address >= memory_end
        assert section.raw_offset % program.file_alignment == 0
        assert section.virtual_address % program.section_alignment == 0
        raw_end = section.raw_offset + section.raw_size
        memory_end = section.virtual_address + section.virtual_size
    assert raw_end == len(image)
    assert memory_end <= program.image_size
    return {each.name: image[each.raw_offset :][: each.virtual_size] for each in program.sections}


def test_kernel_ramdisks_and_command_line_become_sections(stub: Stub) -> None:
    image = joined(stub.unified(cmdline='name="a b" \\ \'', initrds=(literal(b"first"), (), literal(b"second"))))
    found = sections(image)
    assert list(found) == [".text", ".osrel", ".cmdline", ".initrd", ".linux"], "the kernel comes last"
    assert found[".text"] == b"stub"
    assert found[".cmdline"] == b'name="a b" \\ \''
    assert found[".initrd"] == b"first\0\0\0second\0\0", "each ramdisk begins at a multiple of 4"
    assert found[".linux"] == KERNEL
    assert b"ID=httpboot\n" in found[".osrel"]


def test_what_is_not_given_makes_no_section(stub: Stub) -> None:
    assert list(sections(joined(stub.unified(cmdline="", initrds=((),))))) == [".text", ".osrel", ".linux"]


def test_the_stubs_own_bytes_stay_as_they_are(stub: Stub) -> None:
    image = joined(stub.unified())
    assert image[0x400:0x600] == stub.image[0x400:]
    assert image[:COFF_AT] == stub.image[:COFF_AT]


def test_headers_that_are_longer_than_what_is_read_of_them_are_kept(tmp_path: Path) -> None:
    plain = efi.program(body=b"stub")
    stub = Stub(tmp_path, plain[:0x400] + b"h" * 0x1C00 + plain[0x400:])
    stub.put(OPTIONAL_AT + 240 + 12, "<III", 0x2000, 0x200, 0x2000)  # .text in memory, its size and place in the file
    stub.put(OPTIONAL_AT + 56, "<II", 0x2200, 0x2000)
    image = joined(stub.unified())
    assert sections(image)[".text"] == b"stub"
    assert image[0x400:0x2200] == stub.image[0x400:]


def test_a_stubs_own_signature_is_left_behind(stub: Stub) -> None:
    signature_at = len(stub.image)
    stub.image += b"signature" * 8
    stub.put(OPTIONAL_AT + 144, "<II", signature_at, 72)
    image = joined(stub.unified())
    assert not pe.decode(image[: pe.HEADER_BYTES]).signed
    assert b"signature" not in image
    assert sections(image)[".linux"] == KERNEL


def test_sections_keep_to_an_alignment_that_is_coarser_than_a_page(stub: Stub) -> None:
    stub.put(OPTIONAL_AT + 32, "<I", 0x10000)
    stub.put(OPTIONAL_AT + 56, "<I", 0x20000)
    program = pe.decode(joined(stub.unified())[: pe.HEADER_BYTES])
    assert {section.virtual_address % 0x10000 for section in program.sections[1:]} == {0}


@pytest.mark.parametrize("limit", ["first section", "size of headers"])
def test_a_stub_without_room_for_more_sections_is_refused_with_both_numbers(limit: str, stub: Stub) -> None:
    end = OPTIONAL_AT + 240 + 40 * 4
    if limit == "first section":
        stub.put(OPTIONAL_AT + 240 + 20, "<I", end - 1)
    else:
        stub.put(OPTIONAL_AT + 60, "<I", end - 1)
    with pytest.raises(BadRecipe) as caught:
        stub.unified()
    assert caught.value.message == (
        f"{stub.file.path}: has no room in its headers for 3 more sections: "
        f"they would end at {end}, and what follows begins at {end - 1}"
    )


def test_a_stub_that_is_cut_short_is_refused_with_both_numbers(stub: Stub) -> None:
    del stub.image[0x500:]
    with pytest.raises(BadRecipe, match=r"linuxx64.efi.stub: is cut short: 1280 bytes, but its sections end at 1536$"):
        stub.unified()


@pytest.mark.parametrize(("at", "layout"), [(COFF_AT + 6, "<H"), (OPTIONAL_AT + 36, "<I")])
def test_a_stub_without_sections_or_alignment_is_refused(at: int, layout: str, stub: Stub) -> None:
    stub.put(at, layout, 0)
    with pytest.raises(BadRecipe, match=r"linuxx64.efi.stub: has no sections to which more could be added$"):
        stub.unified()


def test_an_image_over_2_gib_is_refused_with_both_numbers(stub: Stub) -> None:
    with pytest.raises(
        BadRecipe, match=r"^unified kernel image: 2147504128 bytes in memory, more than the 2147479552 of"
    ):
        stub.unified(initrds=((Zeros(0x8000_0000),),))


def test_ramdisks_are_not_copied(stub: Stub) -> None:
    content = stub.unified(initrds=((Zeros(1 << 30),),))
    assert length_of(content) > 1 << 30
    assert sum(extent.length for extent in content if isinstance(extent, Literal)) < 0x1000


@settings(deadline=None)
@given(
    cmdline=st.text(st.characters(max_codepoint=0x7E, min_codepoint=0x20)),
    kernel=st.binary(min_size=1, max_size=3000),
    initrds=st.lists(st.binary(max_size=2000), max_size=4),
)
def test_any_parts_are_found_again(
    cmdline: str, kernel: bytes, initrds: list[bytes], tmp_path_factory: pytest.TempPathFactory
) -> None:
    stub = Stub(tmp_path_factory.getbasetemp())
    contents = tuple(literal(each) for each in initrds)
    found = sections(joined(stub.unified(cmdline=cmdline, kernel=kernel, initrds=contents)))
    assert found.get(".cmdline", b"") == cmdline.encode()
    assert found[".linux"] == kernel
    assert found.get(".initrd", b"") == b"".join(each + bytes(-len(each) % 4) for each in initrds)


@settings(deadline=None)
@given(at=st.integers(COFF_AT + 4, 0x200), damage=st.binary(min_size=1, max_size=8))
def test_a_damaged_stub_is_taken_or_refused(at: int, damage: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    stub = Stub(tmp_path_factory.getbasetemp())
    stub.image[at : at + len(damage)] = damage
    try:
        stub.unified()
    except (BadRecipe, MalformedMessage):
        return
