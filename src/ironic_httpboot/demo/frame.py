"""UDP in Ethernet frames: the few bytes around a DHCP message where there is no kernel to do it.

Knows Ethernet II, IPv4 without options, and UDP. Refuses to know what is inside and where frames come from.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from ipaddress import IPv4Address

_ETHERNET = struct.Struct(">6s6sH")
_IP = struct.Struct(">BBHHHBBH4s4s")
_UDP = struct.Struct(">HHHH")
_IPV4_TYPE, _UDP_PROTOCOL, _VERSION_AND_LENGTH = 0x0800, 17, 0x45
_TTL = 64
EVERYBODY = b"\xff" * 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Datagram:
    """A UDP datagram and who it goes to. mac: of the sender, or of the receiver where it is sent."""

    mac: bytes
    source: IPv4Address
    source_port: int
    target: IPv4Address
    target_port: int
    data: bytes


def decode(frame: bytes) -> Datagram | None:
    """The datagram in a frame, or None where there is something else. Fragments are something else."""
    if len(frame) < _ETHERNET.size + _IP.size + _UDP.size:
        return None
    _, sender, kind = _ETHERNET.unpack_from(frame)
    first, _, _, _, fragment, _, protocol, _, source, target = _IP.unpack_from(frame, _ETHERNET.size)
    plain = kind == _IPV4_TYPE and first == _VERSION_AND_LENGTH and protocol == _UDP_PROTOCOL
    if not plain or fragment & 0x3FFF:
        return None
    at = _ETHERNET.size + _IP.size
    source_port, target_port, length, _ = _UDP.unpack_from(frame, at)
    return Datagram(
        mac=sender,
        source=IPv4Address(source),
        source_port=source_port,
        target=IPv4Address(target),
        target_port=target_port,
        data=frame[at + _UDP.size : at + max(length, _UDP.size)],
    )


def encode(datagram: Datagram, sender: bytes) -> bytes:
    """A frame from a sender's hardware address. UDP's checksum is left out, as IPv4 allows (RFC 768)."""
    udp = _UDP.pack(datagram.source_port, datagram.target_port, _UDP.size + len(datagram.data), 0) + datagram.data
    header = _ip_header(datagram, _IP.size + len(udp), 0)
    header = _ip_header(datagram, _IP.size + len(udp), _checksum(header))
    return _ETHERNET.pack(datagram.mac, sender, _IPV4_TYPE) + header + udp


def _ip_header(datagram: Datagram, length: int, checksum: int) -> bytes:
    source, target = datagram.source.packed, datagram.target.packed
    return _IP.pack(_VERSION_AND_LENGTH, 0, length, 0, 0, _TTL, _UDP_PROTOCOL, checksum, source, target)


def _checksum(header: bytes) -> int:
    """RFC 1071."""
    total: int = sum(struct.unpack(f">{len(header) // 2}H", header))
    total = (total & 0xFFFF) + (total >> 16)
    return ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF
