"""One DHCPv6 message in, one answer out, or the reason why there is none.

Knows the server's side of RFC 8415, what firmware makes of an ADVERTISE, and chains of relays. Refuses to know sockets
and clocks. The destination is a value too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv6Address
from typing import Final

from ironic_httpboot.dhcp import message6
from ironic_httpboot.dhcp.client import Client, Wants, identify6
from ironic_httpboot.dhcp.iana import (
    CLIENT_PORT6,
    HOP_LIMIT6,
    HTTP_CLIENT,
    LONGEST_DUID,
    SERVER_PORT6,
    Kind6,
    Option6,
    Status6,
)
from ironic_httpboot.dhcp.leases import Leases
from ironic_httpboot.dhcp.message6 import AnyMessage6, IaNa, Message6, Option, Relay6
from ironic_httpboot.dhcp.policy import Ignore, Machine, Mode, Policy, Subnet
from ironic_httpboot.errors import MalformedMessage

UNSPECIFIED = IPv6Address(0)
_PREFERRED_SHARE = 0.625
_RENEW_SHARE, _REBIND_SHARE = 0.5, 0.8
"""Of the preferred lifetime (RFC 8415 §21.4)."""
_FOR_ONE_SERVER = frozenset((Kind6.REQUEST, Kind6.RENEW, Kind6.RELEASE, Kind6.DECLINE))
_FOR_ANY_SERVER = frozenset((Kind6.SOLICIT, Kind6.CONFIRM, Kind6.REBIND))
_MOST_ASSOCIATIONS = 16
"""A message may name more; a machine has one for each interface that it configures."""
_IAID_BYTES = 4
_NOT_GIVEN: dict[int, bytes] = {
    Option6.IA_PD: bytes(8) + message6.encode_options((message6.status(Status6.NO_PREFIXES, "none is given here"),)),
    Option6.IA_TA: message6.encode_options((message6.status(Status6.NO_ADDRESSES, "none is given here"),)),
}
"""Associations of kinds that we do not serve, as their answer goes on behind the IAID: IA_PD with its two times."""


@dataclass(slots=True, kw_only=True)
class Arrival6:
    """Where a message came in. server: our address there, of the network's own if there is one. duid: ours."""

    peer: Final[IPv6Address]
    server: Final[IPv6Address]
    duid: Final[bytes]


@dataclass(slots=True, kw_only=True)
class Reply6:
    """An answer. kind and client: for logs. url_sent: whether it tells what to boot. numbers: addresses."""

    address: Final[IPv6Address]
    port: Final[int]
    message: Final[AnyMessage6]
    kind: Final[Kind6]
    client: Final[Client]
    machine: Final[Machine | None]
    url_sent: Final[bool]
    numbers: Final[tuple[int, ...]]

    @property
    def leased(self) -> tuple[IPv6Address, ...]:
        """The addresses that it offers, or leases."""
        return tuple(map(IPv6Address, self.numbers))


@dataclass(slots=True)
class _Question:
    """A message with everything that was found out about it. url: what the client is to boot."""

    message: Final[Message6]
    client: Final[Client]
    machine: Final[Machine | None]
    url: Final[str | None]
    subnet: Final[Subnet | None]
    arrival: Final[Arrival6]
    policy: Final[Policy]
    leases: Final[Leases]
    now: Final[float]

    @property
    def kind(self) -> int:
        return self.message.kind

    @property
    def ranges(self) -> tuple[tuple[int, int], ...]:
        return self.subnet.numbers if self.subnet else ()

    @property
    def own(self) -> int | None:
        if self.machine is None or self.subnet is None:
            return None
        return next((int(each) for each in self.machine.addresses if self.subnet.holds(each)), None)

    def key(self, ia: IaNa) -> bytes:
        """What an association's lease is kept under, on each network another."""
        return self._system + ia.iaid.to_bytes(_IAID_BYTES)

    @property
    def _system(self) -> bytes:
        """What the keys of one system's leases on this network begin with."""
        return self.subnet.key + self.client.duid if self.subnet else self.client.duid

    def favoured(self, associations: Sequence[IaNa]) -> IaNa | None:
        """Which one gets the address that is reserved for the machine: that which has it, else the first."""
        if self.own is None:
            return None
        having = (ia for ia in associations if self.leases.remembered(self.key(ia)) == self.own)
        return next(having, associations[0] if associations else None)

    def takes_over(self, ia: IaNa) -> bool:
        """Whether another party has the machine's reserved address, and leaves it to this association.

        Firmware, iPXE and the system of one machine have a DUID each and run one after the other on one card, often
        without a RELEASE. What runs at once shares nothing: two cards, and two associations of one DUID, of which
        firmware has two on one card (OVMF 2022.11, tests/golden/dhcp/loaders6.txt).
        """
        holder = self.leases.holder(self.own, self.now) if self.own is not None else None
        if holder is None or self.machine is None or holder[:-_IAID_BYTES] == self._system:
            return False
        if not self.machine.mac or not self.client.mac or self.client.mac_of_duid:
            return True  # which card asks cannot be seen
        return self.client.mac == self.machine.mac


@dataclass(slots=True)
class _Answer:
    """A message to a client, yet without a way to it."""

    kind: Final[Kind6]
    options: Final[tuple[Option, ...]]
    numbers: Final[tuple[int, ...]] = ()


def decide6(message: AnyMessage6, arrival: Arrival6, policy: Policy, leases: Leases, now: float) -> Reply6 | Ignore:
    """Answer one message, a client's or a relay's; see decide4 for leases."""
    try:
        inner, relays = _unwrap(message)
        peer = relays[-1].peer_address if relays else arrival.peer
        client = identify6(inner, relays, peer)
        link = _link(relays) if relays else None
        subnet = policy.subnet_of(link or arrival.server)
        if link is not None and subnet is None:
            return Ignore(f"the relay's link {link} is on none of our networks")
        if why := _unacceptable(inner, arrival.duid):
            return Ignore(why)
        machine = policy.machines.find(client)
        if machine is None and not policy.unknown:
            return Ignore('the machine is not known, and dhcp.unknown is "ignore"')
        boot = policy.boot_for(machine)
        url = boot.url_for(client, arrival.server) if boot is not None else None
        question = _Question(inner, client, machine, url, subnet, arrival, policy, leases, now)
        answer = _proxy(question) if policy.mode is Mode.PROXY else _serve(question)
    except MalformedMessage as error:
        return Ignore(error.message)
    if isinstance(answer, Ignore):
        return answer
    return Reply6(
        address=arrival.peer,
        port=SERVER_PORT6 if relays else CLIENT_PORT6,
        message=_wrap(Message6(kind=answer.kind, transaction=inner.transaction, options=answer.options), relays),
        kind=answer.kind,
        client=client,
        machine=machine,
        url_sent=url is not None and any(option.code == Option6.BOOT_URL for option in answer.options),
        numbers=answer.numbers,
    )


def _unwrap(message: AnyMessage6) -> tuple[Message6, list[Relay6]]:
    """The client's message and the relays that passed it on, the outermost first. Raises MalformedMessage."""
    relays: list[Relay6] = []
    while isinstance(message, Relay6):
        if message.kind != Kind6.RELAY_FORWARD:
            raise MalformedMessage("it is a server's answer to a relay, not a question")
        if message.hop_count > HOP_LIMIT6 or len(relays) > HOP_LIMIT6:
            raise MalformedMessage(f"more than {HOP_LIMIT6} relays passed it on: a loop")
        relays.append(message)
        if message.relayed is None:
            raise MalformedMessage("a relay passed on nothing")
        message = message6.decode(message.relayed)
    return message, relays


def _link(relays: Sequence[Relay6]) -> IPv6Address | None:
    """Where the client is, by the relay next to it that says so (RFC 8415 §13.1)."""
    return next((each.link_address for each in reversed(relays) if each.link_address != UNSPECIFIED), None)


def _wrap(message: AnyMessage6, relays: Sequence[Relay6]) -> AnyMessage6:
    """The way back: each relay gets its own addresses, and the interface that it named (RFC 8415 §19.3)."""
    for relay in reversed(relays):
        interface = relay.get(Option6.INTERFACE_ID)
        named = (Option(Option6.INTERFACE_ID, interface),) if interface is not None else ()
        message = Relay6(
            kind=Kind6.RELAY_REPLY,
            hop_count=relay.hop_count,
            link_address=relay.link_address,
            peer_address=relay.peer_address,
            options=(*named, Option(Option6.RELAY_MESSAGE, message6.encode(message))),
        )
    return message


def _unacceptable(message: Message6, duid: bytes) -> str | None:
    """Why a server must not look at a message further (RFC 8415 §11.1, §16)."""
    client = message.get(Option6.CLIENT_ID) or b""
    if len(client) > LONGEST_DUID:
        return f"its DUID has {len(client)} bytes, more than {LONGEST_DUID}"
    server = message.get(Option6.SERVER_ID)
    if message.kind in _FOR_ONE_SERVER:
        if server is None:
            return "it names no server"
        if server != duid:
            return "it is for another server"
    elif message.kind in _FOR_ANY_SERVER:
        if server is not None:
            return "it names a server, which it must not"
    elif message.kind == Kind6.INFORMATION_REQUEST:
        if server is not None and server != duid:
            return "it is for another server"
        if any(option.code in (Option6.IA_NA, Option6.IA_TA, Option6.IA_PD) for option in message.options):
            return "it asks for information and for addresses, which it must not"
        return None
    else:
        return f"message type {message.kind} is nothing that a server answers"
    return None if client else "it names no client"


def _proxy(question: _Question) -> _Answer | Ignore:
    """An ADVERTISE without addresses: firmware then takes the address from another server (EDK2, 2026-08)."""
    if question.client.wants not in (Wants.URL, Wants.SCRIPT):
        return Ignore("a proxy answers HTTPClient and iPXE only")
    if question.kind not in (Kind6.SOLICIT, Kind6.INFORMATION_REQUEST):
        return Ignore(f"a proxy answers SOLICIT and INFORMATION_REQUEST, not {Kind6(question.kind).name}")
    if question.url is None:
        return Ignore("nothing that IPv6 reaches is configured for it to boot")
    kind = Kind6.ADVERTISE if question.kind == Kind6.SOLICIT else Kind6.REPLY
    return _Answer(kind, (*_identities(question), *_boot_options(question)))


def _serve(question: _Question) -> _Answer | Ignore:
    if question.subnet is None and question.kind != Kind6.INFORMATION_REQUEST:
        return Ignore(f"no network is configured that holds {question.arrival.server}")
    associations = _associations(question.message)
    match question.kind:
        case Kind6.SOLICIT:
            # Who asks for more than addresses is to see first that we have no more: another server may have.
            rapid = question.message.get(Option6.RAPID_COMMIT) is not None and not _not_given(question.message)
            return _give(question, associations, bound=rapid, rapid=rapid)
        case Kind6.REQUEST:
            return _give(question, associations, bound=True)
        case Kind6.RENEW | Kind6.REBIND:
            return _extend(question, associations)
        case Kind6.CONFIRM:
            return _confirm(question, associations)
        case Kind6.RELEASE | Kind6.DECLINE:
            return _take_back(question, associations)
        case _:
            return _Answer(Kind6.REPLY, (*_identities(question), *_network_options(question), *_boot_options(question)))


def _associations(message: Message6) -> list[IaNa]:
    return [message6.decode_ia(data) for data in message.all(Option6.IA_NA)[:_MOST_ASSOCIATIONS]]


def _give(question: _Question, associations: list[IaNa], *, bound: bool, rapid: bool = False) -> _Answer:
    """Addresses for each association: offered, or leased at once."""
    options: list[Option] = []
    leased: list[int] = []
    favoured = question.favoured(associations)
    for ia in associations:
        asked = ia.numbers
        if question.kind == Kind6.REQUEST and not _on_link(question, asked):
            # RFC 8415 §18.3.2.
            options.append(_ia(ia, message6.status(Status6.NOT_ON_LINK, "an address is of another network")))
            continue
        key, wanted = question.key(ia), asked[0] if asked else None
        own = question.own if ia is favoured else None
        found = _found(question, ia, key, wanted=wanted, own=own)
        if found is None:
            options.append(_ia(ia, message6.status(Status6.NO_ADDRESSES, "no address is free")))
            continue
        if bound:
            question.leases.bind(key, found, question.now, _valid_seconds(question))
        leased.append(found)
        options.append(_ia_with(question, ia, found))
    options += _not_given(question.message)
    if rapid:
        options.append(Option(Option6.RAPID_COMMIT, b""))
    kind = Kind6.REPLY if bound else Kind6.ADVERTISE
    return _Answer(kind, _whole(question, options), tuple(leased))


def _found(question: _Question, ia: IaNa, key: bytes, *, wanted: int | None, own: int | None) -> int | None:
    """An address for an association. own: the machine's reserved one, where it is for this association."""
    if own is not None and question.takes_over(ia):
        return question.leases.hand_over(own, key, question.now)
    return question.leases.offer(key, question.ranges, question.now, wanted=wanted, own=own)


def _not_given(message: Message6) -> list[Option]:
    """The prefixes and temporary addresses that are asked for, with the word that there is none (RFC 8415 §18.3.2)."""
    if message.get(Option6.IA_PD) is None and message.get(Option6.IA_TA) is None:
        return []
    asked = [each for each in message.options if each.code in _NOT_GIVEN and len(each.data) >= _IAID_BYTES]
    return [Option(code, data[:_IAID_BYTES] + _NOT_GIVEN[code]) for code, data in asked[:_MOST_ASSOCIATIONS]]


def _extend(question: _Question, associations: list[IaNa]) -> _Answer | Ignore:
    """RENEW and REBIND. What is not known here another server may have given, which a REBIND is for as well."""
    options: list[Option] = []
    leased: list[int] = []
    favoured = question.favoured(associations)
    for ia in associations:
        held = _held(question, ia, favoured=ia is favoured)
        if held is None:
            if question.kind == Kind6.REBIND:
                continue
            options.append(_ia(ia, message6.status(Status6.NO_BINDING, "nothing is known of this lease")))
            continue
        question.leases.bind(question.key(ia), held, question.now, _valid_seconds(question))
        leased.append(held)
        gone = [each for each in ia.numbers if each != held]
        options.append(_ia_with(question, ia, held, gone))
    if not options:
        return Ignore("nothing is known of its leases")
    return _Answer(Kind6.REPLY, _whole(question, options), tuple(leased))


def _held(question: _Question, ia: IaNa, *, favoured: bool) -> int | None:
    """The address that an association may keep: the one that it has here, or the machine's reserved one."""
    key, own = question.key(ia), question.own
    if own is not None and favoured and own in ia.numbers:
        return own if question.takes_over(ia) or question.leases.available(own, key, question.now) else None
    held = question.leases.remembered(key)
    if held is None or not question.leases.available(held, key, question.now) or not _ours(question, held):
        return None
    return held


def _confirm(question: _Question, associations: list[IaNa]) -> _Answer | Ignore:
    asked = [each for ia in associations for each in ia.numbers]
    if not asked:
        return Ignore("it asks about no address")
    here = _on_link(question, asked)
    status = message6.status(Status6.SUCCESS if here else Status6.NOT_ON_LINK)
    return _Answer(Kind6.REPLY, (*_identities(question), status))


def _take_back(question: _Question, associations: list[IaNa]) -> _Answer:
    """RELEASE and DECLINE. Unanswered, firmware waits 45 s and more after its download (OVMF 2022.11)."""
    leases = question.leases
    act = leases.release if question.kind == Kind6.RELEASE else leases.decline
    options: list[Option] = []
    for ia in associations:
        had = [act(question.key(ia), each, question.now) for each in ia.numbers]
        if not any(had):
            options.append(_ia(ia, message6.status(Status6.NO_BINDING, "nothing is known of this lease")))
    return _Answer(Kind6.REPLY, (*_identities(question), message6.status(Status6.SUCCESS), *options))


def _whole(question: _Question, options: list[Option]) -> tuple[Option, ...]:
    return (*_identities(question), *options, *_network_options(question), *_boot_options(question))


def _identities(question: _Question) -> tuple[Option, ...]:
    server = _server(question.arrival.duid)
    client = question.message.get(Option6.CLIENT_ID)
    return (server,) if client is None else (Option(Option6.CLIENT_ID, client), server)


@lru_cache(maxsize=16)
def _server(duid: bytes) -> Option:
    return Option(Option6.SERVER_ID, duid)


def _network_options(question: _Question) -> tuple[Option, ...]:
    return _dns(question.subnet) if question.subnet is not None else ()


@lru_cache(maxsize=4096)
def _dns(subnet: Subnet) -> tuple[Option, ...]:
    servers = [each for each in subnet.dns if isinstance(each, IPv6Address)]
    return (Option(Option6.DNS_SERVERS, b"".join(each.packed for each in servers)),) if servers else ()


def _boot_options(question: _Question) -> tuple[Option, ...]:
    """The URL, and the vendor class without which firmware drops the answer (OVMF 2022.11)."""
    if question.url is None:
        return ()
    options = [Option(Option6.BOOT_URL, question.url.encode("ascii"))]
    if question.client.vendor_class.startswith(HTTP_CLIENT):
        options.append(Option(Option6.VENDOR_CLASS, message6.http_client_class(HTTP_CLIENT)))
    return tuple(options)


def _on_link(question: _Question, asked: Sequence[int]) -> bool:
    """Whether all addresses are of the client's network."""
    if question.subnet is None:
        return False
    first, last = question.subnet.span
    return all(first <= each <= last for each in asked)


def _ours(question: _Question, address: int) -> bool:
    return address == question.own or any(first <= address <= last for first, last in question.ranges)


def _ia(ia: IaNa, *inside: Option) -> Option:
    return message6.ia_option(ia.iaid, 0, 0, inside)


def _ia_with(question: _Question, ia: IaNa, address: int, gone: Sequence[int] = ()) -> Option:
    """An association with its address. gone: addresses that the client is to stop using. Preferred ≤ valid always."""
    more = [message6.address_option(each, 0, 0) for each in gone] if gone else ()
    return message6.ia_with_address(ia.iaid, _times(_valid_seconds(question)), address, more)


@lru_cache(maxsize=256)
def _times(valid: int) -> tuple[int, int, int, int]:
    """An association's t1 and t2, and its address's preferred and valid lifetime."""
    preferred = int(valid * _PREFERRED_SHARE)
    return int(preferred * _RENEW_SHARE), int(preferred * _REBIND_SHARE), preferred, valid


def _valid_seconds(question: _Question) -> int:
    return question.subnet.lease_seconds if question.subnet else 0
