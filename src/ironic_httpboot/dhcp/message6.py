"""DHCPv6 messages, of clients, servers and relays: bytes ⇄ values.

Knows the layout of RFC 8415 and the insides of the options that a boot needs (RFC 5970, RFC 6939). Refuses to know who
asks and what to answer. A message inside a relay's stays bytes until it is asked for, so that a chain of relays costs
no more than its length.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from ipaddress import IPv6Address
from typing import Final, NamedTuple, TypeAlias

from ironic_httpboot.dhcp.iana import INTEL_ENTERPRISE, Kind6, Option6
from ironic_httpboot.errors import MalformedMessage

_RELAY_HEADER = struct.Struct(">BB16s16s")
_OPTION_HEADER = struct.Struct(">HH")
_IA_HEADER = struct.Struct(">III")
_ADDRESS_HEADER = struct.Struct(">16sII")
_IA_WITH_ADDRESS = struct.Struct(">IIIHH16sII")
_RELAY_KINDS = (Kind6.RELAY_FORWARD, Kind6.RELAY_REPLY)


class Option(NamedTuple):
    """One option as it stands on the wire."""

    code: int
    data: bytes


_option: Callable[[tuple[int, bytes]], Option] = partial(tuple.__new__, Option)
"""An option from a pair, at a third of the price of naming its parts: a server reads a hundred thousand a second."""


@dataclass(slots=True, kw_only=True)
class Message6:
    """A message between client and server. transaction: 24 bits. Its fields are Final for the reason of Message4's."""

    kind: Final[int]
    transaction: Final[int]
    options: Final[tuple[Option, ...]] = ()
    _firsts: Mapping[int, bytes] | None = field(default=None, init=False, repr=False, compare=False)

    def get(self, code: int) -> bytes | None:
        """The data of the first option with a code."""
        if self._firsts is None:
            self._firsts = dict(reversed(self.options))
        return self._firsts.get(code)

    def all(self, code: int) -> tuple[bytes, ...]:
        """The data of every option with a code, in order."""
        return tuple([data for each, data in self.options if each == code])


@dataclass(slots=True, kw_only=True)
class Relay6:
    """A message between relays and servers. kind: RELAY_FORWARD or RELAY_REPLY."""

    kind: Final[int]
    hop_count: Final[int]
    link_address: Final[IPv6Address]
    peer_address: Final[IPv6Address]
    options: Final[tuple[Option, ...]] = ()

    def get(self, code: int) -> bytes | None:
        """The data of the first option with a code."""
        return next((data for each, data in self.options if each == code), None)

    @property
    def relayed(self) -> bytes | None:
        """The message that it carries, for `decode`."""
        return self.get(Option6.RELAY_MESSAGE)


AnyMessage6: TypeAlias = Message6 | Relay6


@dataclass(slots=True, kw_only=True)
class IaNa:
    """An identity association, option 3. t1, t2: seconds until RENEW and REBIND, 0 for the client to choose."""

    iaid: Final[int]
    t1: Final[int] = 0
    t2: Final[int] = 0
    options: Final[tuple[Option, ...]] = ()

    @property
    def numbers(self) -> list[int]:
        """The addresses in it and nothing else, as numbers. Raises MalformedMessage."""
        return [_number(data) for code, data in self.options if code == Option6.IA_ADDRESS]

    @property
    def addresses(self) -> tuple[IaAddress, ...]:
        """The addresses in it. Raises MalformedMessage."""
        return tuple([decode_address(data) for code, data in self.options if code == Option6.IA_ADDRESS])


@dataclass(slots=True, kw_only=True)
class IaAddress:
    """An address, option 5. Seconds."""

    address: Final[IPv6Address]
    preferred: Final[int]
    valid: Final[int]
    options: Final[tuple[Option, ...]] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class VendorClass:
    """Option 16: an enterprise number and what it says of the client."""

    enterprise: int
    classes: tuple[bytes, ...]


def decode(data: bytes) -> AnyMessage6:
    """Read one DHCPv6 message, or a relay's.

    data: the UDP payload. Raises MalformedMessage, naming option and offset; any other exception is a bug.
    Source: RFC 8415 §8, §9.
    """
    if len(data) < 4:
        raise MalformedMessage(f"DHCPv6 message: {len(data)} bytes, less than the 4 of a header")
    kind = data[0]
    if kind not in _RELAY_KINDS:
        options = decode_options(data, 4)
        return Message6(kind=kind, transaction=int.from_bytes(data[1:4]), options=options)
    if len(data) < _RELAY_HEADER.size:
        raise MalformedMessage(
            f"DHCPv6 relay message: {len(data)} bytes, less than the {_RELAY_HEADER.size} of a header"
        )
    kind, hop_count, link, peer = _RELAY_HEADER.unpack_from(data)
    return Relay6(
        kind=kind,
        hop_count=hop_count,
        link_address=IPv6Address(link),
        peer_address=IPv6Address(peer),
        options=decode_options(data, _RELAY_HEADER.size),
    )


def encode(message: AnyMessage6) -> bytes:
    """Write one message; of what `decode` returned, the same bytes."""
    if isinstance(message, Message6):
        header = bytes((message.kind,)) + message.transaction.to_bytes(3)
    else:
        link, peer = message.link_address.packed, message.peer_address.packed
        header = _RELAY_HEADER.pack(message.kind, message.hop_count, link, peer)
    return header + encode_options(message.options)


def decode_options(data: bytes, at: int = 0) -> tuple[Option, ...]:
    """The options from an offset on. Raises MalformedMessage."""
    found: list[Option] = []
    size, header = len(data), _OPTION_HEADER.unpack_from
    while at < size:
        if at + 4 > size:
            raise MalformedMessage(f"DHCPv6 option at offset {at}: its header runs over the end at {size}")
        code, length = header(data, at)
        end = at + 4 + length
        if end > size:
            raise MalformedMessage(f"DHCPv6 option {code} at offset {at}: runs over the end at {size}")
        found.append(_option((code, data[at + 4 : end])))
        at = end
    return tuple(found)


def encode_options(options: Iterable[Option]) -> bytes:
    """Options as bytes."""
    header = _OPTION_HEADER.pack
    return b"".join([header(code, len(data)) + data for code, data in options])


def decode_ia(data: bytes) -> IaNa:
    """Read the data of option 3. Raises MalformedMessage."""
    if len(data) < _IA_HEADER.size:
        raise MalformedMessage(f"DHCPv6 option 3: {len(data)} bytes, less than {_IA_HEADER.size}")
    iaid, t1, t2 = _IA_HEADER.unpack_from(data)
    options = decode_options(data, _IA_HEADER.size) if len(data) > _IA_HEADER.size else ()
    return IaNa(iaid=iaid, t1=t1, t2=t2, options=options)


def encode_ia(ia: IaNa) -> bytes:
    """The data of option 3."""
    return ia_option(ia.iaid, ia.t1, ia.t2, ia.options).data


def ia_option(iaid: int, t1: int, t2: int, options: Iterable[Option]) -> Option:
    """Option 3, without an IaNa in between."""
    return _option((Option6.IA_NA, _IA_HEADER.pack(iaid, t1, t2) + encode_options(options)))


def ia_with_address(iaid: int, times: tuple[int, int, int, int], address: int, more: Iterable[Option] = ()) -> Option:
    """Option 3 with an address in it, in one go: most answers have one. times: t1, t2, preferred and valid."""
    t1, t2, preferred, valid = times
    code, size = Option6.IA_ADDRESS, _ADDRESS_HEADER.size
    packed = _IA_WITH_ADDRESS.pack(iaid, t1, t2, code, size, address.to_bytes(16), preferred, valid)
    return _option((Option6.IA_NA, packed + encode_options(more) if more else packed))


def address_option(address: int, preferred: int, valid: int) -> Option:
    """Option 5, with nothing inside."""
    return _option((Option6.IA_ADDRESS, _ADDRESS_HEADER.pack(address.to_bytes(16), preferred, valid)))


def decode_address(data: bytes) -> IaAddress:
    """Read the data of option 5. Raises MalformedMessage."""
    options = _inside_address(data)
    address, preferred, valid = _ADDRESS_HEADER.unpack_from(data)
    return IaAddress(address=IPv6Address(address), preferred=preferred, valid=valid, options=options)


def _number(data: bytes) -> int:
    _inside_address(data)
    return int.from_bytes(data[:16])


def _inside_address(data: bytes) -> tuple[Option, ...]:
    if len(data) < _ADDRESS_HEADER.size:
        raise MalformedMessage(f"DHCPv6 option 5: {len(data)} bytes, less than {_ADDRESS_HEADER.size}")
    return decode_options(data, _ADDRESS_HEADER.size) if len(data) > _ADDRESS_HEADER.size else ()


def encode_address(address: IaAddress) -> bytes:
    """The data of option 5."""
    packed = _ADDRESS_HEADER.pack(address.address.packed, address.preferred, address.valid)
    return packed + encode_options(address.options) if address.options else packed


def decode_vendor_class(data: bytes) -> VendorClass:
    """Read the data of option 16. Raises MalformedMessage."""
    if len(data) < 4:
        raise MalformedMessage(f"DHCPv6 option 16: {len(data)} bytes, less than the 4 of an enterprise number")
    return VendorClass(enterprise=int.from_bytes(data[:4]), classes=decode_classes(data[4:]))


def encode_vendor_class(given: VendorClass) -> bytes:
    """The data of option 16."""
    return given.enterprise.to_bytes(4) + encode_classes(given.classes)


def http_client_class(name: bytes) -> bytes:
    """Option 16 as UEFI firmware looks for it: bytes 6 to 15 must be the name (EDK2 HttpBootDxe, 2026-08)."""
    return encode_vendor_class(VendorClass(enterprise=INTEL_ENTERPRISE, classes=(name,)))


def decode_classes(data: bytes) -> tuple[bytes, ...]:
    """Length (16 bits) and bytes, repeated: options 15, 60 and the rest of 16. Raises MalformedMessage."""
    found = []
    at = 0
    while at < len(data):
        end = at + 2 + int.from_bytes(data[at : at + 2])
        if at + 2 > len(data) or end > len(data):
            raise MalformedMessage(f"DHCPv6 class data: the item at offset {at} runs over the end at {len(data)}")
        found.append(data[at + 2 : end])
        at = end
    return tuple(found)


def encode_classes(classes: Iterable[bytes]) -> bytes:
    """Bytes, each with its length before it."""
    return b"".join(len(each).to_bytes(2) + each for each in classes)


def numbers(data: bytes) -> tuple[int, ...]:
    """16-bit numbers: options 6 and 61. Raises MalformedMessage."""
    if len(data) % 2:
        raise MalformedMessage(f"DHCPv6 option: {len(data)} bytes are no list of 16-bit numbers")
    return struct.unpack(f">{len(data) // 2}H", data)


def addresses(data: bytes) -> tuple[IPv6Address, ...]:
    """A list of addresses: option 23. Raises MalformedMessage."""
    if not data or len(data) % 16:
        raise MalformedMessage(f"DHCPv6 option: {len(data)} bytes are no list of addresses")
    return tuple(IPv6Address(data[at : at + 16]) for at in range(0, len(data), 16))


def status(code: int, text: str = "") -> Option:
    """A status, option 13."""
    return Option(Option6.STATUS, code.to_bytes(2) + text.encode())


def decode_status(data: bytes) -> tuple[int, str]:
    """Read the data of option 13. Raises MalformedMessage."""
    if len(data) < 2:
        raise MalformedMessage(f"DHCPv6 option 13: {len(data)} bytes, less than the 2 of a code")
    return int.from_bytes(data[:2]), data[2:].decode("utf-8", "replace")


def link_layer_address(data: bytes) -> bytes:
    """Option 79: hardware type and address (RFC 6939 §4). Returns the address. Raises MalformedMessage."""
    if len(data) < 3:
        raise MalformedMessage(f"DHCPv6 option 79: {len(data)} bytes hold no address")
    return data[2:]
