"""Frames are what the kernel and others make of the same datagrams."""

from __future__ import annotations

from ipaddress import IPv4Address

from hypothesis import given
from hypothesis import strategies as st

from ironic_httpboot.demo import frame
from ironic_httpboot.demo.frame import Datagram

# RFC 1071's sum over this header is 0xb861 (the well-known example of 192.168.0.1 → 192.168.0.199).
_HEADER = bytes.fromhex("4500 0073 0000 4000 4011 b861 c0a8 0001 c0a8 00c7")


def test_the_checksum_of_a_known_header_is_right() -> None:
    assert frame._checksum(_HEADER[:10] + b"\0\0" + _HEADER[12:]) == 0xB861
    assert frame._checksum(_HEADER) == 0


@given(st.binary(max_size=1400), st.integers(0, 65535), st.integers(0, 65535))
def test_what_goes_into_a_frame_comes_out_of_it(data: bytes, source: int, target: int) -> None:
    sent = Datagram(
        mac=frame.EVERYBODY,
        source=IPv4Address("10.0.2.9"),
        source_port=source,
        target=IPv4Address("255.255.255.255"),
        target_port=target,
        data=data,
    )
    sender = bytes.fromhex("525400687079")
    found = frame.decode(frame.encode(sent, sender))
    assert found is not None
    assert (found.mac, found.source, found.data) == (sender, sent.source, data)
    assert (found.source_port, found.target_port, found.target) == (source, target, sent.target)


@given(st.binary(max_size=100))
def test_anything_else_is_nothing(data: bytes) -> None:
    assert frame.decode(data) is None or data[12:15] == bytes.fromhex("080045")
