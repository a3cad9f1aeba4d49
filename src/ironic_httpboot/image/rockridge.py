"""Rock Ridge: the POSIX names and modes beside ISO 9660's own, in each directory record's system use area.

Knows SUSP 1.12 and RRIP 1.09 (IEEE P1281, P1282). Refuses to know where records lie, except for the block of the
continuation area, which it is told.
"""

from __future__ import annotations

import struct

DIRECTORY_MODE = 0o040555
FILE_MODE = 0o100444

_LARGEST_NAME_PIECE = 250
_NAME_CONTINUES = 0x01
_CONTINUATION_BYTES = 28


def both_u32(value: int) -> bytes:
    """A number in ISO 9660's both-byte order (ECMA-119 §7.3.3)."""
    return struct.pack("<I", value) + struct.pack(">I", value)


def both_u16(value: int) -> bytes:
    """A number in ISO 9660's both-byte order (ECMA-119 §7.2.3)."""
    return struct.pack("<H", value) + struct.pack(">H", value)


ANNOUNCEMENT = b"SP" + bytes([7, 1, 0xBE, 0xEF, 0]) + b"ER" + bytes([18, 1, 10, 0, 0, 1]) + b"RRIP_1991A"
"""The beginning of the root's own record: SP and ER say that Rock Ridge names follow."""


def attributes(mode: int, links: int) -> bytes:
    """The PX entry: mode, links, and root as owner."""
    return b"PX" + bytes([36, 1]) + both_u32(mode) + both_u32(links) + both_u32(0) + both_u32(0)


def name_entries(name: bytes) -> bytes:
    """The NM entries of a name, in pieces where it is too long for one."""
    pieces = [name[start : start + _LARGEST_NAME_PIECE] for start in range(0, len(name), _LARGEST_NAME_PIECE)]
    return b"".join(
        b"NM" + bytes([5 + len(piece), 1, _NAME_CONTINUES if index < len(pieces) - 1 else 0]) + piece
        for index, piece in enumerate(pieces)
    )


def system_use(mode: int, links: int, name: bytes, room: int) -> tuple[bytes, bytes]:
    """What goes into a record, and what must go into a continuation area because it does not fit into `room` bytes.

    Where the second part is not empty, the record's part is `_CONTINUATION_BYTES` short: append `continuation` to it.
    """
    fixed, names = attributes(mode, links), name_entries(name)
    if len(fixed) + len(names) <= room:
        return fixed + names, b""
    return fixed, names


def continuation(block: int, offset: int, length: int) -> bytes:
    """The CE entry that points to a continuation area."""
    return b"CE" + bytes([_CONTINUATION_BYTES, 1]) + both_u32(block) + both_u32(offset) + both_u32(length)
