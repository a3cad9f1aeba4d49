"""EFI programs' headers: what is no EFI program is told apart, and no bytes are too odd to be refused in order."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ironic_httpboot.errors import MalformedMessage
from ironic_httpboot.image import pe
from ironic_httpboot.model import Arch
from kit import efi

OPTIONAL_AT = 0x80 + 24
CERTIFICATE_AT = OPTIONAL_AT + 144


def changed(at: int, layout: str, *values: object) -> bytes:
    image = bytearray(efi.program())
    struct.pack_into(layout, image, at, *values)
    return bytes(image)


@pytest.mark.parametrize("arch", Arch)
def test_a_program_is_read(arch: Arch) -> None:
    program = pe.decode(efi.program(arch, b"body"))
    assert program.machine == arch.pe_machine
    assert not program.signed
    (section,) = program.sections
    assert (section.name, section.virtual_size, section.raw_offset, section.raw_size) == (".text", 4, 0x400, 0x200)


def test_a_section_is_written_as_it_is_read() -> None:
    image = efi.program()
    program = pe.decode(image)
    (section,) = program.sections
    assert image[program.sections_at :][: pe.SECTION_BYTES] == section.encode()


@pytest.mark.parametrize("size_bytes", [0, 1])
def test_a_signature_is_seen(size_bytes: int) -> None:
    assert pe.decode(changed(CERTIFICATE_AT, "<II", 0x600, size_bytes)).signed == bool(size_bytes)


def test_an_entry_beyond_the_directories_is_no_signature() -> None:
    few = bytearray(changed(CERTIFICATE_AT, "<II", 0x600, 8))
    struct.pack_into("<I", few, OPTIONAL_AT + 108, 4)
    assert not pe.decode(bytes(few)).signed
    short = bytearray(changed(CERTIFICATE_AT, "<II", 0x600, 8))
    struct.pack_into("<H", short, 0x80 + 20, 112)
    struct.pack_into("<H", short, 0x80 + 6, 0)
    assert not pe.decode(bytes(short)).signed


@pytest.mark.parametrize(
    ("image", "complaint"),
    [
        (b"", "no EFI program: the file does not begin with MZ"),
        (b"\x1f\x8b\x08", "no EFI program: the file does not begin with MZ"),
        (b"#!/bin/sh\n", "no EFI program: the file does not begin with MZ"),
        (b"\x7fELF", "no EFI program: the file does not begin with MZ"),
        (b"MZ", "EFI program: PE header offset at offset 60 lies beyond 2 bytes"),
        (changed(0x3C, "<I", 0xFFFF_FFFF), "EFI program: COFF header at offset 4294967295 lies beyond 1536 bytes"),
        (changed(0x80, "<4s", b"NE\0\0"), "no EFI program: no PE signature at offset 128"),
        (efi.program(magic=0x10B), "no 64-bit EFI program: magic 0x10b at offset 152"),
        (efi.program(subsystem=3), "no EFI application: subsystem 3 at offset 220"),
        (changed(0x80 + 6, "<H", 65535), "EFI program: section table at offset 1512 lies beyond 1536 bytes"),
        (efi.program()[:0x84], "EFI program: COFF header at offset 128 lies beyond 132 bytes"),
        (efi.program()[:OPTIONAL_AT], "EFI program: optional header at offset 152 lies beyond 152 bytes"),
        (efi.program()[: OPTIONAL_AT + 60], "EFI program: sizes at offset 208 lies beyond 212 bytes"),
    ],
)
def test_what_is_no_efi_program_is_refused_with_field_and_offset(image: bytes, complaint: str) -> None:
    with pytest.raises(MalformedMessage) as caught:
        pe.decode(image)
    assert caught.value.message == complaint


@given(st.binary(max_size=4096))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    for head in (data, b"MZ" + data, efi.program()[:OPTIONAL_AT] + data):
        try:
            pe.decode(head)
        except MalformedMessage:
            continue


@given(st.integers(0, 0x5FF), st.binary(min_size=1, max_size=8))
def test_a_damaged_program_is_read_or_refused(at: int, damage: bytes) -> None:
    image = efi.program()
    try:
        program = pe.decode(image[:at] + damage + image[at + len(damage) :])
    except MalformedMessage:
        return
    assert program.sections_at > 0
