"""Boot entries: the bytes that firmware reads."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ironic_httpboot.emulator import uefi
from ironic_httpboot.errors import MalformedMessage


def test_a_uri_node_is_followed_by_the_end_of_the_path() -> None:
    path = uefi.uri_path("http://h/x.iso")
    assert path == bytes([3, 24, 4 + 14, 0]) + b"http://h/x.iso" + bytes([0x7F, 0xFF, 4, 0])


def test_an_empty_uri_asks_dhcp_for_the_url() -> None:
    assert uefi.uri_path("") == bytes([3, 24, 4, 0, 0x7F, 0xFF, 4, 0])


def test_the_longest_uri_that_is_taken_fits_into_an_entry_and_a_longer_one_is_named() -> None:
    longest = "http://h/".ljust(uefi.LONGEST_URI_BYTES, "a")
    assert uefi.decode_option(uefi.boot_option(1, "HTTP", uefi.uri_path(longest))).uri == longest
    with pytest.raises(MalformedMessage, match="a URI of 7169 bytes, more than the 7168"):
        uefi.uri_path(longest + "a")


def test_an_entry_is_active_and_carries_its_description_in_utf_16() -> None:
    variable = uefi.boot_option(0x12, "HTTP", uefi.uri_path("http://h/x.iso"))
    assert variable.name == "Boot0012"
    assert variable.guid == uefi.GLOBAL_VARIABLE
    assert variable.attributes == 7
    attributes, path_bytes = struct.unpack_from("<IH", variable.data)
    assert attributes == 1
    assert variable.data[6:16] == b"H\0T\0T\0P\0\0\0"
    assert variable.data[16:] == uefi.uri_path("http://h/x.iso")
    assert path_bytes == len(uefi.uri_path("http://h/x.iso"))


@given(st.integers(0, 0xFFFF), st.text(max_size=40).filter(lambda s: "\0" not in s and s.isascii()), st.text("abc:/.0"))
def test_an_entry_reads_back_as_it_was_written(number: int, description: str, uri: str) -> None:
    option = uefi.decode_option(uefi.boot_option(number, description, uefi.uri_path(uri)))
    assert (option.number, option.description, option.uri) == (number, description, uri)


@given(st.binary(max_size=200))
def test_any_bytes_are_an_entry_or_malformed(data: bytes) -> None:
    variable = uefi.Variable(name="Boot0000", guid=uefi.GLOBAL_VARIABLE, attributes=7, data=data)
    try:
        uefi.decode_option(variable)
    except MalformedMessage as error:
        assert "Boot0000" in error.message or "device path" in error.message


def test_boot_next_names_the_entry() -> None:
    assert uefi.boot_next(0xABCD).data == b"\xcd\xab"


def test_a_free_number_is_taken_far_from_the_firmwares_own() -> None:
    taken = [uefi.boot_option(number, "x", uefi.uri_path("")) for number in (0, 1, 0x0900, 0x0902)]
    assert uefi.free_number([]) == 0x0900
    assert uefi.free_number(taken) == 0x0901


@pytest.mark.parametrize(
    ("name", "guid", "expected"),
    [
        ("Boot0001", uefi.GLOBAL_VARIABLE, True),
        ("BootABCD", uefi.GLOBAL_VARIABLE, True),
        ("BootNext", uefi.GLOBAL_VARIABLE, False),
        ("Boot000g", uefi.GLOBAL_VARIABLE, False),
        ("Boot0001", "00000000-0000-0000-0000-000000000000", False),
    ],
)
def test_boot_options_are_told_from_their_neighbours(name: str, guid: str, expected: bool) -> None:
    assert uefi.is_boot_option(uefi.Variable(name=name, guid=guid, attributes=7, data=b"")) is expected
