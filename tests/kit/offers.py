"""Offers as a test wants them, right and wrong, turn by turn: what a machine is told at its first question, its second…

Knows how an offer of either family is made, and how the machine's choice is confirmed. Refuses to know sockets.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

from ironic_httpboot.dhcp import message4, message6
from ironic_httpboot.dhcp.iana import Kind4, Kind6, Option4, Option6
from ironic_httpboot.dhcp.message4 import Message4
from ironic_httpboot.dhcp.message6 import IaAddress, IaNa, Message6, Option

_BROADCAST = IPv4Address("255.255.255.255")
_NOWHERE = IPv4Address("0.0.0.0")
_HTTP_CLASS = message6.http_client_class(b"HTTPClient")


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer4:
    """server: as whom it is made. address: None for a proxy's. unicast: sent to the address that it offers."""

    server: str
    address: str | None = None
    url: str = ""
    http_client: bool = True
    dns: str = ""
    unicast: bool = False

    def message(self, asked: Message4, kind: Kind4) -> tuple[Message4, IPv4Address]:
        """The answer to a message, and where to."""
        address = IPv4Address(self.address) if self.address else _NOWHERE
        options: dict[int, bytes] = {Option4.KIND: bytes([kind]), Option4.SERVER_ID: IPv4Address(self.server).packed}
        if self.address:
            options[Option4.LEASE_SECONDS] = (3600).to_bytes(4)
            options[Option4.SUBNET_MASK] = bytes([255, 255, 255, 0])
        if self.dns:
            options[Option4.DNS_SERVERS] = IPv4Address(self.dns).packed
        if self.http_client:
            options[Option4.VENDOR_CLASS] = b"HTTPClient"
        if self.url:
            options[Option4.BOOT_FILE] = self.url.encode() + b"\0"
        plain = Message4(op=2, xid=asked.xid, flags=asked.flags, yiaddr=address, chaddr=asked.chaddr)
        return message4.with_options(plain, options), address if self.unicast else _BROADCAST


class Turns4:
    """What each machine is offered: by MAC, for each DISCOVER in turn; none where the turns have ended.

    asked: how often each has.
    """

    def __init__(self, turns: Mapping[str, Sequence[Sequence[Offer4]]]) -> None:
        self._turns = turns
        self.asked: Counter[str] = Counter()

    def __call__(self, message: Message4) -> list[tuple[Message4, IPv4Address]]:
        """The answers to a message; a REQUEST is granted by the server that it names."""
        mac = message.hardware_address.hex(":")
        turns = self._turns.get(mac, ())
        if message.kind == Kind4.DISCOVER:
            self.asked[mac] += 1
            turn = self.asked[mac] - 1
            return [each.message(message, Kind4.OFFER) for each in (turns[turn] if turn < len(turns) else ())]
        server = message.by_code.get(Option4.SERVER_ID, b"")
        chosen = [each for turn in turns for each in turn if IPv4Address(each.server).packed == server]
        return [each.message(message, Kind4.ACK) for each in chosen]


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer6:
    """server: the last byte of its DUID. vendor_class: option 16 as it is sent, or none."""

    server: int
    address: str
    url: str = ""
    vendor_class: bytes | None = _HTTP_CLASS
    dns: str = ""
    preferred: int = 3600
    valid: int = 3600

    @property
    def duid(self) -> bytes:
        """As whom it is made."""
        return bytes.fromhex("00030001525400000000")[:-1] + bytes([self.server])

    def message(self, asked: Message6, kind: Kind6) -> Message6:
        """The answer to a message."""
        lent = IaAddress(address=IPv6Address(self.address), preferred=self.preferred, valid=self.valid)
        inside = (Option(Option6.IA_ADDRESS, message6.encode_address(lent)),)
        iaid = message6.decode_ia(asked.get(Option6.IA_NA) or b"").iaid
        options = [
            Option(Option6.CLIENT_ID, asked.get(Option6.CLIENT_ID) or b""),
            Option(Option6.SERVER_ID, self.duid),
            Option(Option6.IA_NA, message6.encode_ia(IaNa(iaid=iaid, t1=1800, t2=2880, options=inside))),
        ]
        if self.url:
            options.append(Option(Option6.BOOT_URL, self.url.encode()))
        if self.vendor_class is not None:
            options.append(Option(Option6.VENDOR_CLASS, self.vendor_class))
        if self.dns:
            options.append(Option(Option6.DNS_SERVERS, IPv6Address(self.dns).packed))
        return Message6(kind=kind, transaction=asked.transaction, options=tuple(options))


class Turns6:
    """The same over DHCPv6. heard: every kind of message that each machine has sent, in order.

    A RELEASE is answered from the one with this number on: a machine that gets no answer sends it again.
    """

    def __init__(
        self,
        turns: Mapping[str, Sequence[Sequence[Offer6]]],
        *,
        answered_release: int = 1,
        on_release: Callable[[int], None] = lambda number: None,
    ) -> None:
        self._turns = turns
        self._answered_release = answered_release
        self._on_release = on_release
        self.heard: dict[str, list[int]] = {mac: [] for mac in turns}

    def count(self, mac: str, kind: Kind6) -> int:
        """How many messages of a kind a machine has sent."""
        return self.heard.get(mac, []).count(kind)

    def __call__(self, message: Message6, mac: str) -> list[Message6]:
        """The answers to a message."""
        self.heard.setdefault(mac, []).append(message.kind)
        turns = self._turns.get(mac, ())
        if message.kind == Kind6.SOLICIT:
            turn = self.count(mac, Kind6.SOLICIT) - 1
            return [each.message(message, Kind6.ADVERTISE) for each in (turns[turn] if turn < len(turns) else ())]
        server = message.get(Option6.SERVER_ID)
        chosen = [each for turn in turns for each in turn if each.duid == server]
        if message.kind == Kind6.REQUEST:
            return [each.message(message, Kind6.REPLY) for each in chosen]
        if message.kind == Kind6.RELEASE:
            number = self.count(mac, Kind6.RELEASE)
            self._on_release(number)
            if number >= self._answered_release:
                return [_released(message)]
        return []


def _released(asked: Message6) -> Message6:
    options = [option for option in asked.options if option.code in (Option6.CLIENT_ID, Option6.SERVER_ID)]
    return Message6(kind=Kind6.REPLY, transaction=asked.transaction, options=(*options, message6.status(0)))
