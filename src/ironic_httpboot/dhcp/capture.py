"""Captures of a network: pcap and pcapng files → UDP datagrams.

Knows both file formats (draft-ietf-opsawg-pcap, -pcapng), Ethernet with VLAN tags, Linux cooked frames and raw IP.
Refuses to know DHCP. Fragments and what is no UDP are passed over.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address, IPv6Address

from ironic_httpboot.errors import MalformedMessage

_PCAP_MAGICS = {b"\xd4\xc3\xb2\xa1": ("<", 1e6), b"\xa1\xb2\xc3\xd4": (">", 1e6)}
_PCAP_MAGICS |= {b"\x4d\x3c\xb2\xa1": ("<", 1e9), b"\xa1\xb2\x3c\x4d": (">", 1e9)}
_SECTION, _INTERFACE, _SIMPLE, _ENHANCED = 0x0A0D0D0A, 1, 3, 6
_BYTE_ORDER = {b"\x4d\x3c\x2b\x1a": "<", b"\x1a\x2b\x3c\x4d": ">"}
_ETHERNET, _RAW, _COOKED, _COOKED2 = 1, 101, 113, 276
_IPV4, _IPV6, _VLANS = 0x0800, 0x86DD, (0x8100, 0x88A8, 0x9100)
_UDP, _EXTENSIONS = 17, (0, 43, 60)


@dataclass(frozen=True, slots=True, kw_only=True)
class Datagram:
    """One UDP datagram. at: seconds since the epoch. vlan: the innermost tag, or None. clipped: without its end."""

    at: float
    source: IPv4Address | IPv6Address
    source_port: int
    destination: IPv4Address | IPv6Address
    destination_port: int
    payload: bytes
    vlan: int | None = None
    clipped: bool = False


def read(data: bytes) -> Iterator[Datagram]:
    """The datagrams of a capture file, in order. Raises MalformedMessage where it is none, or is cut short."""
    if data[:4] in _PCAP_MAGICS:
        frames = _pcap(data)
    elif data[:4] == _SECTION.to_bytes(4):
        frames = _pcapng(data)
    else:
        raise MalformedMessage(f"capture: begins with {data[:4].hex() or 'nothing'}, which is neither pcap nor pcapng")
    for at, link, frame in frames:
        datagram = _datagram(at, link, frame)
        if datagram is not None:
            yield datagram


def _unpack(form: str, data: bytes, at: int, what: str) -> tuple[int, ...]:
    try:
        return struct.unpack_from(form, data, at)
    except struct.error:
        raise MalformedMessage(f"capture: {what} at offset {at} is cut short: the file has {len(data)} bytes") from None


def _slice(data: bytes, at: int, size: int, what: str) -> bytes:
    if at + size > len(data):
        raise MalformedMessage(
            f"capture: {what} at offset {at} is cut short: {size} bytes, and the file has {len(data)}"
        )
    return data[at : at + size]


def _pcap(data: bytes) -> Iterator[tuple[float, int, bytes]]:
    order, units = _PCAP_MAGICS[data[:4]]
    (link,) = _unpack(f"{order}I", data, 20, "file header")
    at = 24
    while at < len(data):
        seconds, fraction, size, _ = _unpack(f"{order}IIII", data, at, "packet header")
        yield seconds + fraction / units, link & 0xFFFF, _slice(data, at + 16, size, "packet")
        at += 16 + size


def _pcapng(data: bytes) -> Iterator[tuple[float, int, bytes]]:
    at, order = 0, "<"
    interfaces: list[tuple[int, float]] = []
    while at < len(data):
        if data[at : at + 4] == _SECTION.to_bytes(4):
            magic = data[at + 8 : at + 12]
            if magic not in _BYTE_ORDER:
                raise MalformedMessage(f"capture: section at offset {at} has byte order {magic.hex() or 'none'}")
            order, interfaces = _BYTE_ORDER[magic], []
        kind, size = _unpack(f"{order}II", data, at, "block")
        if size < 12 or size % 4:
            raise MalformedMessage(f"capture: block of {size} bytes at offset {at}")
        block = _slice(data, at, size, "block")[8:-4]
        if kind == _INTERFACE:
            (link,) = _unpack(f"{order}H", block, 0, "interface")
            interfaces.append((link, _units(block[8:], order)))
        elif kind in (_ENHANCED, _SIMPLE):
            yield _packet(kind, block, order, interfaces)
        at += size


def _packet(kind: int, block: bytes, order: str, interfaces: list[tuple[int, float]]) -> tuple[float, int, bytes]:
    if kind == _SIMPLE:
        (size,) = _unpack(f"{order}I", block, 0, "packet")
        number, high, low, start = 0, 0, 0, 4
        size = min(size, len(block) - 4)
    else:
        number, high, low, size, _ = _unpack(f"{order}IIIII", block, 0, "packet")
        start = 20
    if number >= len(interfaces):
        raise MalformedMessage(f"capture: packet of interface {number}, and {len(interfaces)} are described")
    link, units = interfaces[number]
    return ((high << 32) | low) / units, link, _slice(block, start, size, "packet")


def _units(options: bytes, order: str) -> float:
    """Ticks of a second: option if_tsresol, or microseconds."""
    at = 0
    while at + 4 <= len(options):
        code, size = struct.unpack_from(f"{order}HH", options, at)
        if code == 9 and size == 1 and at + 4 < len(options):
            value = options[at + 4]
            return float(2 ** (value & 0x7F)) if value & 0x80 else 10.0**value
        at += 4 + -(-size // 4) * 4
    return 1e6


def _datagram(at: float, link: int, frame: bytes) -> Datagram | None:
    try:
        kind, start, vlan = _network(link, frame)
        if kind == _IPV4:
            return _from_ipv4(at, frame[start:], vlan)
        if kind == _IPV6:
            return _from_ipv6(at, frame[start:], vlan)
    except (struct.error, IndexError, AddressValueError):
        pass  # a frame of which only the beginning was captured
    return None


def _network(link: int, frame: bytes) -> tuple[int, int, int | None]:
    """Protocol, where its packet begins, VLAN."""
    vlan = None
    if link == _RAW:
        return (_IPV4 if frame[0] >> 4 == 4 else _IPV6), 0, None
    if link == _COOKED2:
        return struct.unpack_from(">H", frame, 0)[0], 20, None
    at = {_ETHERNET: 12, _COOKED: 14}.get(link)
    if at is None:
        raise MalformedMessage(f"capture: link type {link} is none of Ethernet, Linux cooked and raw IP")
    (kind,) = struct.unpack_from(">H", frame, at)
    while kind in _VLANS:
        tag, kind = struct.unpack_from(">HH", frame, at + 2)
        vlan, at = tag & 0xFFF, at + 4
    return kind, at + 2, vlan


def _from_ipv4(at: float, packet: bytes, vlan: int | None) -> Datagram | None:
    start = (packet[0] & 0xF) * 4
    fragment = int.from_bytes(packet[6:8]) & 0x3FFF
    if packet[9] != _UDP or fragment:
        return None
    source, destination = IPv4Address(packet[12:16]), IPv4Address(packet[16:20])
    return _from_udp(at, packet[start:], source, destination, vlan)


def _from_ipv6(at: float, packet: bytes, vlan: int | None) -> Datagram | None:
    following, start = packet[6], 40
    while following in _EXTENSIONS:
        following, start = packet[start], start + 8 + packet[start + 1] * 8
    if following != _UDP:
        return None
    source, destination = IPv6Address(packet[8:24]), IPv6Address(packet[24:40])
    return _from_udp(at, packet[start:], source, destination, vlan)


def _from_udp(
    at: float,
    segment: bytes,
    source: IPv4Address | IPv6Address,
    destination: IPv4Address | IPv6Address,
    vlan: int | None,
) -> Datagram | None:
    source_port, destination_port, size = struct.unpack_from(">HHH", segment)
    payload = segment[8 : max(size, 8)]
    return Datagram(
        at=at,
        source=source,
        source_port=source_port,
        destination=destination,
        destination_port=destination_port,
        payload=payload,
        vlan=vlan,
        clipped=len(segment) < size,
    )
