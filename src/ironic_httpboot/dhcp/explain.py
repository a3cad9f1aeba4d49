"""From a capture to an explanation: what each machine asked, who offered what, what firmware makes of it and why.

Knows how questions and offers belong together. Refuses to know how it is shown.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from ipaddress import IPv4Address

from ironic_httpboot.dhcp import firmware, message4, message6
from ironic_httpboot.dhcp.capture import Datagram
from ironic_httpboot.dhcp.iana import (
    CLIENT_PORT4,
    CLIENT_PORT6,
    HTTP_CLIENT,
    SERVER_PORT4,
    SERVER_PORT6,
    Kind4,
    Kind6,
    Option4,
    Option6,
)
from ironic_httpboot.dhcp.message4 import Message4
from ironic_httpboot.dhcp.message6 import Message6, Relay6
from ironic_httpboot.errors import MalformedMessage

_DEEPEST_RELAY = 8
_PORTS4 = {SERVER_PORT4, CLIENT_PORT4}
_PORTS6 = {SERVER_PORT6, CLIENT_PORT6}


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One boot attempt of one machine.

    machine: MAC, or DUID as hex. family: 4 or 6. asked: the vendor class. accepted: the server that it then asked for
    the lease, as its REQUEST says, or None. unanswered_releases: how often it gave its DHCPv6 lease back to no answer.
    """

    machine: str
    family: int
    asked: str
    at: float
    choice: firmware.Choice
    accepted: str | None
    unanswered_releases: int = 0


@dataclass(slots=True)
class Gaps:
    """What a capture lacks. clipped: DHCP messages without their end. cut: why it could not be read on, or empty."""

    clipped: int = 0
    cut: str = ""


@dataclass(slots=True)
class _Open:
    machine: str
    family: int
    asked: str
    at: float
    broadcast: bool = False
    offers: dict[bytes, firmware.Offer] = field(default_factory=dict)
    accepted: str | None = None
    releases: dict[int, int] = field(default_factory=dict)


@dataclass(slots=True)
class _Attempts:
    """Those of a capture by machine and transaction. latest: of each DUID, whose later messages name no transaction."""

    by_key: dict[tuple[int, bytes, int], _Open] = field(default_factory=dict)
    latest: dict[bytes, _Open] = field(default_factory=dict)


def whole(datagrams: Iterable[Datagram], gaps: Gaps) -> Iterator[Datagram]:
    """The datagrams whose end was captured. The others are counted; where a file is cut, what came before counts.

    Raises MalformedMessage where nothing can be read at all.
    """
    is_readable = False
    try:
        for datagram in datagrams:
            is_readable = True
            if not datagram.clipped:
                yield datagram
            elif {datagram.source_port, datagram.destination_port} & (_PORTS4 | _PORTS6):
                gaps.clipped += 1
    except MalformedMessage as error:
        if not is_readable:
            raise
        gaps.cut = error.message


def explain(datagrams: Iterable[Datagram]) -> tuple[Attempt, ...]:
    """The attempts at HTTP boot in a capture, in the order in which they began. What is no DHCP is passed over."""
    attempts = _Attempts()
    for datagram in datagrams:
        ports = {datagram.source_port, datagram.destination_port}
        try:
            if ports & _PORTS4:
                _take4(datagram, attempts.by_key)
            elif ports & _PORTS6:
                _take6(datagram, attempts)
        except MalformedMessage:
            continue
    return tuple(
        Attempt(
            machine=each.machine,
            family=each.family,
            asked=each.asked,
            at=each.at,
            choice=firmware.choose(tuple(each.offers.values())),
            accepted=each.accepted,
            unanswered_releases=sum(max(count, 0) for count in each.releases.values()),
        )
        for each in attempts.by_key.values()
    )


def _take4(datagram: Datagram, attempts: dict[tuple[int, bytes, int], _Open]) -> None:
    message = message4.decode(datagram.payload)
    key = (4, message.hardware_address, message.xid)
    vendor = message.by_code.get(Option4.VENDOR_CLASS, b"")
    if message.kind == Kind4.DISCOVER and vendor.startswith(HTTP_CLIENT):
        mac = message.hardware_address.hex(":")
        asked = vendor.decode("latin-1")
        attempts.setdefault(key, _Open(mac, 4, asked, datagram.at, broadcast=message.broadcast))
    elif key in attempts and message.kind == Kind4.REQUEST:
        server = message.by_code.get(Option4.SERVER_ID, b"")
        attempts[key].accepted = str(IPv4Address(server)) if len(server) == 4 else None
    elif key in attempts and message.kind == Kind4.OFFER and isinstance(datagram.destination, IPv4Address):
        offer = firmware.assess4(
            message,
            server=_server4(message, datagram),
            size_bytes=len(datagram.payload),
            destination=datagram.destination,
            broadcast=attempts[key].broadcast,
        )
        # The same offer may reach the machine in one way after it was sent in another, which does not reach it.
        reaches = b"" if offer.flaw is firmware.Rule.UNICAST else b"reaches"
        attempts[key].offers.setdefault(reaches + _without_time(message), offer)


def _server4(message: Message4, datagram: Datagram) -> str:
    server = message.by_code.get(Option4.SERVER_ID, b"")
    return str(IPv4Address(server)) if len(server) == 4 else str(datagram.source)


def _without_time(message: Message4) -> bytes:
    """An offer that is sent again differs in what it counts."""
    options = b"".join(bytes((code, *data)) for code, data in message.options if code not in _COUNTED)
    return bytes(message.yiaddr.packed) + message.file + options


_COUNTED = (Option4.LEASE_SECONDS, Option4.RENEWAL_SECONDS, Option4.REBINDING_SECONDS)


def _take6(datagram: Datagram, attempts: _Attempts) -> None:
    message = _unwrapped(datagram.payload)
    duid = message.get(Option6.CLIENT_ID) or b""
    key = (6, duid, message.transaction)
    vendor = message.get(Option6.VENDOR_CLASS) or b""
    if message.kind == Kind6.SOLICIT and HTTP_CLIENT in vendor:
        asked = message6.decode_vendor_class(vendor).classes[0].decode("latin-1")
        if key not in attempts.by_key:
            attempts.by_key[key] = attempts.latest[duid] = _Open(duid.hex(), 6, asked, datagram.at)
    elif message.kind in (Kind6.REQUEST, Kind6.RELEASE, Kind6.REPLY):
        # Each has a transaction of its own; it belongs to the machine's last attempt.
        if duid in attempts.latest:
            _go_on(attempts.latest[duid], message)
    elif message.kind == Kind6.ADVERTISE and key in attempts.by_key:
        server = (message.get(Option6.SERVER_ID) or b"").hex()
        offer = firmware.assess6(message, server=server, size_bytes=len(datagram.payload))
        attempts.by_key[key].offers.setdefault(server.encode() + datagram.payload, offer)


def _go_on(attempt: _Open, message: Message6) -> None:
    """Take what follows a machine's choice."""
    if message.kind == Kind6.REQUEST and HTTP_CLIENT in (message.get(Option6.VENDOR_CLASS) or b""):
        attempt.accepted = (message.get(Option6.SERVER_ID) or b"").hex()
    elif message.kind == Kind6.RELEASE:
        attempt.releases[message.transaction] = attempt.releases.get(message.transaction, 0) + 1
    elif message.kind == Kind6.REPLY and message.transaction in attempt.releases:
        attempt.releases[message.transaction] -= 1


def _unwrapped(data: bytes) -> Message6:
    """The message of the machine or the server, out of those of relays."""
    for _ in range(_DEEPEST_RELAY + 1):
        message = message6.decode(data)
        if not isinstance(message, Relay6):
            return message
        data = message.relayed or b""
    raise MalformedMessage(f"DHCPv6 message: more than {_DEEPEST_RELAY} relays")
