"""What is built into a GRUB image: its modules, its configuration, its prefix.

Knows the area that grub-mkimage puts into the section "mods" (GRUB include/grub/kernel.h, 2.06) and as much of ELF as
names a module. Refuses to know paths and what the modules are good for.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from ironic_httpboot.errors import MalformedMessage

SECTION = "mods"
"""The section of the EFI program that holds the area."""

_AREA = struct.Struct("<4s4xQQ")
_AREA_MAGIC = b"mimg"
_MODULE = struct.Struct("<II")
_ELF, _CONFIG, _PREFIX = 0, 2, 3
_ELF64_SECTION_BYTES = 64
_MODULE_NAME = b".modname"


@dataclass(frozen=True, slots=True, kw_only=True)
class Core:
    """What grub-mkimage put together.

    modules: their names, in order. configuration: run at the start, or None; its text stands at configuration_at in
    the area and has room for configuration_bytes. prefix: where GRUB looks for the rest of itself.
    """

    modules: tuple[str, ...]
    configuration: str | None
    configuration_at: int
    configuration_bytes: int
    prefix: str


def decode(area: bytes) -> Core:
    """Read the area. Raises MalformedMessage, naming field and offset."""
    try:
        magic, at, end = _AREA.unpack_from(area)
    except struct.error as error:
        raise MalformedMessage(f"GRUB modules: {len(area)} bytes, fewer than their header") from error
    if magic != _AREA_MAGIC:
        raise MalformedMessage(f"GRUB modules: begin with {magic!r}, not {_AREA_MAGIC!r}")
    if end > len(area):
        raise MalformedMessage(f"GRUB modules: end at {end}, the section at {len(area)}")
    names: list[str] = []
    configuration: bytes | None = None
    configuration_at = 0
    prefix = b""
    for kind, start, data in _parts(area, at, end):
        if kind == _ELF:
            names.append(_module_name(data, start))
        elif kind == _CONFIG:
            configuration, configuration_at = data, start
        elif kind == _PREFIX:
            prefix = data
    return Core(
        modules=tuple(names),
        configuration=None if configuration is None else _text(configuration),
        configuration_at=configuration_at,
        configuration_bytes=len(configuration or b""),
        prefix=_text(prefix),
    )


def _parts(area: bytes, at: int, end: int) -> Iterator[tuple[int, int, bytes]]:
    """Kind, place and bytes of each part."""
    while at < end:
        try:
            kind, size = _MODULE.unpack_from(area, at)
        except struct.error as error:
            raise MalformedMessage(f"GRUB modules: part at offset {at} is cut short") from error
        if size < _MODULE.size or at + size > end:
            raise MalformedMessage(f"GRUB modules: part of {size} bytes at offset {at} of {end}")
        yield kind, at + _MODULE.size, area[at + _MODULE.size : at + size]
        at += size


def _module_name(elf: bytes, at: int) -> str:
    """What the section .modname of a module says."""
    try:
        if elf[:5] != b"\x7fELF\x02":
            raise MalformedMessage(f"GRUB module at offset {at}: is no 64-bit ELF file")
        (table_at,) = struct.unpack_from("<Q", elf, 40)
        count, names_index = struct.unpack_from("<HH", elf, 60)
        sections = [_elf_section(elf, table_at + _ELF64_SECTION_BYTES * index) for index in range(count)]
        _, names_at, names_bytes = sections[names_index]
        names = elf[names_at : names_at + names_bytes]
        for name_at, start, size in sections:
            if names[name_at:].split(b"\0", 1)[0] == _MODULE_NAME:
                return _text(elf[start : start + size])
    except (struct.error, IndexError) as error:
        raise MalformedMessage(f"GRUB module at offset {at}: its section table is cut short") from error
    raise MalformedMessage(f"GRUB module at offset {at}: has no name")


def _elf_section(elf: bytes, at: int) -> tuple[int, int, int]:
    """Place of its name in the name table, offset and size."""
    name_at, _, _, _, start, size = struct.unpack_from("<IIQQQQ", elf, at)
    return name_at, start, size


def _text(data: bytes) -> str:
    return data.split(b"\0", 1)[0].decode("utf-8", "replace")
