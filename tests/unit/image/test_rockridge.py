"""Rock Ridge: names of any length keep every byte, in the record or behind it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ironic_httpboot.image import rockridge


def entries(area: bytes) -> list[tuple[bytes, bytes]]:
    """Signature and body of each entry."""
    found = []
    while area:
        assert area[3] == 1
        found.append((area[:2], area[4 : area[2]]))
        area = area[area[2] :]
    return found


def test_numbers_stand_in_both_orders() -> None:
    assert rockridge.both_u32(0x01020304) == bytes([4, 3, 2, 1, 1, 2, 3, 4])
    assert rockridge.both_u16(0x0102) == bytes([2, 1, 1, 2])


def test_the_root_announces_rock_ridge() -> None:
    (sharing, body), (reference, text) = entries(rockridge.ANNOUNCEMENT)
    assert (sharing, body) == (b"SP", b"\xbe\xef\0")
    assert (reference, text) == (b"ER", b"\x0a\0\0\x01RRIP_1991A")


def test_a_file_belongs_to_root_and_nobody_writes_it() -> None:
    ((kind, body),) = entries(rockridge.attributes(rockridge.FILE_MODE, 1))
    assert kind == b"PX"
    assert body == b"".join(rockridge.both_u32(value) for value in (0o100444, 1, 0, 0))


@given(st.binary(min_size=1, max_size=255))
def test_a_name_keeps_every_byte(name: bytes) -> None:
    found = entries(rockridge.name_entries(name))
    assert b"".join(body[1:] for _, body in found) == name
    assert [body[0] for _, body in found] == [1] * (len(found) - 1) + [0], "all but the last say that more follows"


@pytest.mark.parametrize("length", [1, 160, 163, 164, 165, 250, 251, 255])
def test_a_name_that_does_not_fit_goes_behind_the_record_and_leaves_room_to_say_so(length: int) -> None:
    room = 205
    area, excess = rockridge.system_use(rockridge.FILE_MODE, 1, b"n" * length, room)
    assert bool(excess) == (length > 164)
    if excess:
        area += rockridge.continuation(20, 100, len(excess))
    assert len(area) <= room
    assert b"".join(body[1:] for kind, body in entries(area + excess) if kind == b"NM") == b"n" * length


def test_a_continuation_says_where() -> None:
    ((kind, body),) = entries(rockridge.continuation(20, 100, 9))
    assert kind == b"CE"
    assert body == b"".join(rockridge.both_u32(value) for value in (20, 100, 9))
