"""Who asks, and what for: a DHCP message of either family → one value.

Knows the options by which a machine can be told from others, and how firmware, iPXE and everyone else name themselves.
Refuses to know what they get. Of an option whose inside is malformed nothing is learnt: that is no reason to leave a
machine without an address.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from ipaddress import IPv6Address
from typing import Final, TypeVar

from ironic_httpboot.dhcp import message4, message6
from ironic_httpboot.dhcp.iana import (
    HTTP_CLIENT,
    IPXE_USER_CLASS,
    LONGEST_CLIENT_ID4,
    LONGEST_DUID,
    PXE_CLIENT,
    ArchType,
    DuidKind,
    Option4,
    Option6,
)
from ironic_httpboot.dhcp.message4 import Message4
from ironic_httpboot.dhcp.message6 import Message6, Relay6
from ironic_httpboot.errors import MalformedMessage

_MAC_BYTES = 6
_LINK_LOCAL_HIGH = 0xFE80_0000_0000_0000
_T = TypeVar("_T")


class Wants(Enum):
    """What a client is after."""

    URL = "a URL"
    SCRIPT = "an iPXE script"
    PXE = "a PXE loader"
    ADDRESS = "an address"


@dataclass(slots=True, kw_only=True)
class Client:
    """One machine as its message shows it.

    key: what its lease is kept under. mac: 6 bytes, or b"". uuids: one, or both readings where the byte order is not
    certain. architecture: as sent, or None. mac_of_duid: the MAC is only what the DUID was once made of, which may be
    another interface of the same machine.
    """

    key: Final[bytes]
    mac: Final[bytes] = b""
    mac_of_duid: Final[bool] = False
    duid: Final[bytes] = b""
    uuids: Final[tuple[uuid.UUID, ...]] = ()
    architecture: Final[int | None] = None
    vendor_class: Final[bytes] = b""
    user_classes: Final[tuple[bytes, ...]] = ()

    @property
    def wants(self) -> Wants:
        """By user class and vendor class, in this order: iPXE asks as PXEClient too (iPXE 2019)."""
        if IPXE_USER_CLASS in self.user_classes:
            return Wants.SCRIPT
        if self.vendor_class.startswith(HTTP_CLIENT):
            return Wants.URL
        return Wants.PXE if self.vendor_class.startswith(PXE_CLIENT) else Wants.ADDRESS

    @property
    def label(self) -> str:
        """As logs name it."""
        return self.mac.hex(":") if self.mac else (self.duid[:LONGEST_DUID] or self.key[:LONGEST_CLIENT_ID4]).hex()

    @property
    def arch_label(self) -> str | None:
        """The architecture as configuration names it, or None where it is unknown or was not said."""
        return arch_label(self.architecture)


def arch_label(number: int | None) -> str | None:
    """The name of an architecture type, or None where it has none."""
    return _ARCH_LABELS.get(number) if number is not None else None


_ARCH_LABELS: dict[int, str] = {kind.value: kind.label for kind in ArchType}


def identify4(message: Message4) -> Client:
    """Read who sent a DHCPv4 message.

    The key is its client identifier, else its hardware address (RFC 2131 §4.2), else the machine's UUID, which PXE
    firmware has for both (RFC 4578 §2.3); b"" where it shows none of them.
    """
    options = message.by_code
    hardware = message.hardware_address
    identifier = options.get(Option4.CLIENT_ID)
    kinds = _attempt(message4.arch_types, options.get(Option4.ARCHITECTURE))
    machine = _attempt(message4.machine_uuid, options.get(Option4.MACHINE_ID))
    classes = options.get(Option4.USER_CLASS)
    if not identifier:
        identifier = bytes((message.htype,)) + hardware if hardware else options[Option4.MACHINE_ID] if machine else b""
    return Client(
        key=identifier,
        mac=hardware if len(hardware) == _MAC_BYTES else b"",
        uuids=(machine,) if machine else (),
        architecture=kinds[0] if kinds else None,
        vendor_class=options.get(Option4.VENDOR_CLASS, b""),
        user_classes=message4.user_classes(classes) if classes else (),
    )


def identify6(message: Message6, relays: Sequence[Relay6], peer: IPv6Address) -> Client:
    """Read who sent a DHCPv6 message.

    relays: the outermost first. peer: the client's own address. Its MAC is told by the relay next to it (RFC 6939),
    else by its link-local address where that was made from it (RFC 4291, appendix A), else by its DUID, which may be
    that of another interface of the same machine.
    """
    duid = message.get(Option6.CLIENT_ID) or b""
    told = _attempt(message6.link_layer_address, relays[-1].get(Option6.LINK_LAYER_ADDRESS)) if relays else None
    own = told if told and len(told) == _MAC_BYTES else _mac_of_address(peer)
    kinds = _attempt(message6.numbers, message.get(Option6.ARCHITECTURE))
    vendor = _attempt(message6.decode_vendor_class, message.get(Option6.VENDOR_CLASS))
    classes = message.get(Option6.USER_CLASS)
    return Client(
        key=duid,
        mac=own or _mac_of_duid(duid),
        mac_of_duid=not own,
        duid=duid,
        uuids=_uuids_of_duid(duid),
        architecture=kinds[0] if kinds else None,
        vendor_class=vendor.classes[0] if vendor and vendor.classes else b"",
        user_classes=(_attempt(message6.decode_classes, classes) or ()) if classes else (),
    )


def _attempt(read: Callable[[bytes], _T], data: bytes | None) -> _T | None:
    if data is None:
        return None
    try:
        return read(data)
    except MalformedMessage:
        return None


def _mac_of_address(address: IPv6Address) -> bytes:
    number = int(address)
    if number >> 64 != _LINK_LOCAL_HIGH or (number >> 24) & 0xFFFF != 0xFFFE:
        return b""
    packed = address.packed
    return bytes((packed[8] ^ 2,)) + packed[9:11] + packed[13:]


def _mac_of_duid(duid: bytes) -> bytes:
    kind = int.from_bytes(duid[:2])
    if kind == DuidKind.LINK_LAYER and len(duid) == 4 + _MAC_BYTES:
        return duid[4:]
    if kind == DuidKind.LINK_LAYER_TIME and len(duid) == 8 + _MAC_BYTES:
        return duid[8:]
    return b""


def _uuids_of_duid(duid: bytes) -> tuple[uuid.UUID, ...]:
    """RFC 6355 wants network byte order; EDK2 sends the UUID as SMBIOS has it (Dhcp6Dxe, OVMF 2022.11)."""
    if len(duid) != 18 or int.from_bytes(duid[:2]) != DuidKind.UUID:
        return ()
    return uuid.UUID(bytes_le=duid[2:]), uuid.UUID(bytes=duid[2:])
