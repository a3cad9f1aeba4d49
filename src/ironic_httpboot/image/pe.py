"""PE/COFF headers, as far as a boot needs them: which machine a program is for, and its sections.

Knows the format (Microsoft PE format, "PE32+"). Refuses to know paths, and anything beyond the first 4 KiB of a file.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

from ironic_httpboot.errors import MalformedMessage

HEADER_BYTES = 4096
"""As many bytes as `decode` wants to see, or the whole file where it is shorter."""

_PE32_PLUS = 0x20B
_EFI_APPLICATION = 10
_SECTION = struct.Struct("<8sIIIIIIHHI")
SECTION_BYTES = _SECTION.size
"""What one section takes in the section table."""

_COFF_BYTES = 24
_CERTIFICATE_TABLE = 4
_DIRECTORIES_AT = 112


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A section: where it lies in memory and in the file."""

    name: str
    virtual_size: int
    virtual_address: int
    raw_size: int
    raw_offset: int
    characteristics: int

    def encode(self) -> bytes:
        """The 40 bytes of the section table."""
        return _SECTION.pack(
            self.name.encode("ascii"),
            self.virtual_size,
            self.virtual_address,
            self.raw_size,
            self.raw_offset,
            0,
            0,
            0,
            0,
            self.characteristics,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """An EFI application's headers. Offsets are from the start of the file, sizes in bytes.

    certificates_at: where the certificate table's entry stands; only where signed.
    """

    machine: int
    section_alignment: int
    file_alignment: int
    image_size: int
    header_size: int
    coff_at: int
    optional_at: int
    sections_at: int
    certificates_at: int
    sections: tuple[Section, ...]
    signed: bool


def decode(head: bytes) -> Program:
    """Read the headers of an EFI application.

    head: the first HEADER_BYTES of the file. Raises MalformedMessage, naming field and offset.
    """
    if head[:2] != b"MZ":
        raise MalformedMessage("no EFI program: the file does not begin with MZ")
    (coff_at,) = _unpack("<I", head, 0x3C, "PE header offset")
    (signature, machine, count, _, _, _, optional_bytes, _) = _unpack("<4sHHIIIHH", head, coff_at, "COFF header")
    if signature != b"PE\0\0":
        raise MalformedMessage(f"no EFI program: no PE signature at offset {coff_at}")
    optional_at = coff_at + _COFF_BYTES
    (magic,) = _unpack("<H", head, optional_at, "optional header")
    if magic != _PE32_PLUS:
        raise MalformedMessage(f"no 64-bit EFI program: magic {magic:#x} at offset {optional_at}")
    section_alignment, file_alignment = _unpack("<II", head, optional_at + 32, "alignments")
    image_size, header_size, _, subsystem = _unpack("<IIIH", head, optional_at + 56, "sizes")
    if subsystem != _EFI_APPLICATION:
        raise MalformedMessage(f"no EFI application: subsystem {subsystem} at offset {optional_at + 68}")
    (directories,) = _unpack("<I", head, optional_at + _DIRECTORIES_AT - 4, "directory count")
    sections_at = optional_at + optional_bytes
    certificates_at = optional_at + _DIRECTORIES_AT + 8 * _CERTIFICATE_TABLE
    signed = False
    if directories > _CERTIFICATE_TABLE and certificates_at + 8 <= sections_at:
        signed = _unpack("<II", head, certificates_at, "certificate table")[1] > 0
    return Program(
        machine=machine,
        section_alignment=section_alignment,
        file_alignment=file_alignment,
        image_size=image_size,
        header_size=header_size,
        coff_at=coff_at,
        optional_at=optional_at,
        sections_at=sections_at,
        certificates_at=certificates_at,
        sections=tuple(_section(head, sections_at + SECTION_BYTES * index) for index in range(count)),
        signed=signed,
    )


def _section(head: bytes, at: int) -> Section:
    name, virtual_size, virtual_address, raw_size, raw_offset, *_, characteristics = _unpack(
        _SECTION.format, head, at, "section table"
    )
    return Section(
        name=name.rstrip(b"\0").decode("ascii", "replace"),
        virtual_size=virtual_size,
        virtual_address=virtual_address,
        raw_size=raw_size,
        raw_offset=raw_offset,
        characteristics=characteristics,
    )


def _unpack(layout: str, head: bytes, at: int, what: str) -> tuple[Any, ...]:
    try:
        return struct.unpack_from(layout, head, at)
    except struct.error as error:
        raise MalformedMessage(f"EFI program: {what} at offset {at} lies beyond {len(head)} bytes") from error
