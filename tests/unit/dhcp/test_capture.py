"""Captures: every frame form and both file formats give the same datagram, and what is cut short is refused."""

from __future__ import annotations

import struct
from ipaddress import IPv4Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ironic_httpboot.dhcp import capture
from ironic_httpboot.errors import MalformedMessage

UDP = struct.pack(">HHHH", 67, 68, 8 + 5, 0) + b"hello"
IP4 = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 33, 0, 0, 64, 17, 0, bytes([192, 0, 2, 1]), bytes([255] * 4)) + UDP
IP6 = struct.pack(">IHBB16s16s", 0x60000000, 13, 17, 64, bytes(15) + b"\1", bytes(15) + b"\2") + UDP
IP6_EXTENDED = struct.pack(">IHBB16s16s", 0x60000000, 21, 0, 64, bytes(15) + b"\1", bytes(15) + b"\2")
IP6_EXTENDED += bytes([17, 0]) + bytes(6) + UDP
MACS = bytes(12)
FRAMES = [
    (1, MACS + b"\x08\0" + IP4, None),
    (1, MACS + b"\x81\0\0\x05\x08\0" + IP4, 5),
    (1, MACS + b"\x88\xa8\0\x05\x81\0\0\x07\x08\0" + IP4 + b"padding", 7),
    (1, MACS + b"\x86\xdd" + IP6, None),
    (1, MACS + b"\x86\xdd" + IP6_EXTENDED, None),
    (101, IP4, None),
    (101, IP6, None),
    (113, bytes(14) + b"\x08\0" + IP4, None),
    (276, b"\x08\0" + bytes(18) + IP4, None),
]


def pcap(link: int, *frames: bytes, order: str = "<", magic: int = 0xA1B2C3D4) -> bytes:
    data = struct.pack(f"{order}IHHIIII", magic, 2, 4, 0, 0, 65535, link)
    for frame in frames:
        data += struct.pack(f"{order}IIII", 1, 500, len(frame), len(frame)) + frame
    return data


def block(kind: int, body: bytes, order: str = "<") -> bytes:
    padded = body.ljust(-(-len(body) // 4) * 4, b"\0")
    size = 12 + len(padded)
    return struct.pack(f"{order}II", kind, size) + padded + struct.pack(f"{order}I", size)


def pcapng(link: int, *frames: bytes, order: str = "<", options: bytes = b"") -> bytes:
    data = block(0x0A0D0D0A, struct.pack(f"{order}IHHq", 0x1A2B3C4D, 1, 0, -1), order)
    data += block(1, struct.pack(f"{order}HHI", link, 0, 0) + options, order)
    for frame in frames:
        data += block(6, struct.pack(f"{order}IIIII", 0, 0, 1_000_500, len(frame), len(frame)) + frame, order)
    return data


@pytest.mark.parametrize(("link", "frame", "vlan"), FRAMES)
@pytest.mark.parametrize("write", [pcap, pcapng])
@pytest.mark.parametrize("order", ["<", ">"])
def test_every_form_of_frame_gives_its_datagram(
    link: int, frame: bytes, vlan: int | None, write: object, order: str
) -> None:
    assert callable(write)
    (found,) = capture.read(write(link, frame, order=order))
    assert (found.payload, found.source_port, found.destination_port, found.vlan) == (b"hello", 67, 68, vlan)
    assert found.at == pytest.approx(1.0005)


def test_nanoseconds_are_read_in_both_formats() -> None:
    (found,) = capture.read(pcap(101, IP4, magic=0xA1B23C4D))
    assert found.at == pytest.approx(1 + 5e-7)
    (found,) = capture.read(pcapng(101, IP4, options=struct.pack("<HHB3x", 9, 1, 9)))
    assert found.at == pytest.approx(1_000_500 / 1e9)
    assert found.destination == IPv4Address("255.255.255.255")


def test_what_is_no_udp_is_passed_over() -> None:
    tcp = IP4[:9] + b"\x06" + IP4[10:]
    fragment = IP4[:6] + b"\0\x10" + IP4[8:]
    arp = MACS + b"\x08\x06" + bytes(28)
    assert list(capture.read(pcap(101, tcp, fragment, IP4[:15]))) == []
    assert list(capture.read(pcap(1, arp, b""))) == []


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (b"", "capture: begins with nothing, which is neither pcap nor pcapng"),
        (b"GIF8", "capture: begins with 47494638, which is neither pcap nor pcapng"),
        (pcap(1)[:20], "capture: file header at offset 20 is cut short: the file has 20 bytes"),
        (pcap(101, IP4)[:30], "capture: packet header at offset 24 is cut short: the file has 30 bytes"),
        (pcap(101, IP4)[:-1], "capture: packet at offset 40 is cut short: 33 bytes, and the file has 72"),
        (pcap(9, IP4), "capture: link type 9 is none of Ethernet, Linux cooked and raw IP"),
        (pcapng(101, IP4)[:-4], "capture: block at offset 48 is cut short: 68 bytes, and the file has 112"),
    ],
)
def test_a_file_that_is_none_or_is_cut_short_is_refused(data: bytes, complaint: str) -> None:
    with pytest.raises(MalformedMessage) as caught:
        list(capture.read(data))
    assert caught.value.message == complaint


_starts = st.sampled_from([pcap(1, MACS + b"\x08\0" + IP4), pcapng(1, MACS + b"\x86\xdd" + IP6_EXTENDED)])


@given(start=_starts, at=st.integers(0, 200), junk=st.binary(max_size=40))
def test_any_bytes_are_read_or_refused(start: bytes, at: int, junk: bytes) -> None:
    try:
        list(capture.read(start[:at] + junk + start[at + len(junk) :]))
    except MalformedMessage as error:
        assert error.message.startswith("capture: ")
