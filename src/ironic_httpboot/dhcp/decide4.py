"""One DHCPv4 message in, one answer out, or the reason why there is none.

Knows the server's side of RFC 2131, what firmware makes of an offer, and relays (RFC 3046). Refuses to know sockets and
clocks. The destination is a value too, so that a capture replays through the whole decision.

Answers to machines without an address are broadcast, whether they ask for it or not: UEFI firmware hears no unicast to
an address that it does not have yet (OVMF 2022.11), and clients that ask for unicast (dhclient, udhcpc) read raw frames
and hear a broadcast as well. So no raw socket is needed.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address
from typing import Final

from ironic_httpboot.dhcp.client import Client, Wants, identify4
from ironic_httpboot.dhcp.iana import (
    BROADCAST_FLAG,
    CLIENT_PORT4,
    HOP_LIMIT4,
    HTTP_CLIENT,
    LONGEST_CLIENT_ID4,
    PXE_CLIENT,
    SERVER_PORT4,
    Kind4,
    Op,
    Option4,
    RelaySuboption,
)
from ironic_httpboot.dhcp.leases import RESERVED, Leases
from ironic_httpboot.dhcp.message4 import (
    UNSPECIFIED,
    Message4,
    decode_options,
    encode_options,
    fitted,
    pack_addresses,
    suboptions,
    with_options,
)
from ironic_httpboot.dhcp.policy import Boot, Ignore, Machine, Mode, Policy, Subnet
from ironic_httpboot.errors import MalformedMessage

BROADCAST = IPv4Address("255.255.255.255")
_RENEWAL_SHARE, _REBINDING_SHARE = 0.5, 0.875
"""RFC 2131 §4.4.5."""
_ASKED_FROM_AN_ADDRESS = (Kind4.REQUEST, Kind4.RELEASE, Kind4.INFORM)
_SERVER_ID = bytes((Option4.SERVER_ID, 4))
_KINDS = {kind: bytes((Option4.KIND, 1, kind)) for kind in Kind4}


@dataclass(slots=True, kw_only=True)
class Reply4:
    """An answer. kind and client: for logs. url_sent: whether it tells what to boot."""

    address: Final[IPv4Address]
    port: Final[int]
    message: Final[Message4]
    kind: Final[Kind4]
    client: Final[Client]
    machine: Final[Machine | None]
    url_sent: Final[bool]


@dataclass(slots=True)
class _Question:
    """A message with everything that was found out about it.

    relayed: whether a relay passed it on. server: our address where it arrived. identifier: what the client is to know
    us by, option 54. key: what the client's lease is kept under: it may have one on each network, and asking on one
    costs it none.
    """

    message: Final[Message4]
    client: Final[Client]
    machine: Final[Machine | None]
    boot: Final[Boot | None]
    subnet: Final[Subnet | None]
    key: Final[bytes]
    relayed: Final[bool]
    server: Final[IPv4Address]
    identifier: Final[IPv4Address]
    policy: Final[Policy]
    leases: Final[Leases]
    now: Final[float]

    @property
    def own(self) -> int | None:
        """The address that is reserved for this machine here, as a number."""
        if self.machine is None or self.subnet is None:
            return None
        return next((int(each) for each in self.machine.addresses if self.subnet.holds(each)), None)

    @property
    def ranges(self) -> tuple[tuple[int, int], ...]:
        return self.subnet.numbers if self.subnet else ()

    def may_have(self, address: int) -> bool:
        """Whether the address is one of ours to give to this machine."""
        return address == self.own or self.leases.leasable(address, self.ranges)

    def key_of(self, address: int) -> bytes:
        """What a lease of an address is kept under.

        A reserved one is the machine's, whatever its firmware and its system call themselves; but not that of another
        card of the same machine.
        """
        if address != self.own or self.subnet is None or self.machine is None:
            return self.key
        if not self.client.mac or self.client.mac != self.machine.mac or self.leases.remembered(self.key) == address:
            return self.key
        return self.subnet.key + RESERVED + self.client.mac


def decide4(message: Message4, server: IPv4Address, policy: Policy, leases: Leases, now: float) -> Reply4 | Ignore:
    """Answer one message.

    server: our address where it arrived. now: seconds since the epoch. Leases change where a client takes, extends or
    gives back an address; what must be written down before the answer leaves stands in `leases.changes`.
    """
    if message.op != Op.REQUEST:
        return Ignore("it is an answer, not a question")
    if message.kind is None:
        return Ignore("it is BOOTP: has no option 53")
    if message.hops > HOP_LIMIT4:
        return Ignore(f"{message.hops} relays passed it on, more than {HOP_LIMIT4}: a loop")
    client = identify4(message)
    if len(client.key) <= 1:
        return Ignore("it names no hardware address, no client identifier and no UUID")
    if len(client.key) > LONGEST_CLIENT_ID4:
        return Ignore(f"its client identifier has {len(client.key)} bytes, more than {LONGEST_CLIENT_ID4}")
    relayed = message.giaddr != UNSPECIFIED
    try:
        told = _relay_suboptions(message) if relayed else {}
    except MalformedMessage as error:
        return Ignore(f"option 82: {error.message}")
    subnet = _subnet(message, told.get(RelaySuboption.LINK_SELECTION), server, policy, relayed=relayed)
    if relayed and subnet is None:
        return Ignore(f"relay {message.giaddr} is on none of our networks")
    # RFC 5107 §4: a relay has its own address named in option 54. We are where we are: URLs say so.
    override = told.get(RelaySuboption.SERVER_ID_OVERRIDE)
    identifier = IPv4Address(override) if override is not None and len(override) == 4 else server
    machine = policy.machines.find(client)
    if machine is None and not policy.unknown:
        return Ignore('the machine is not known, and dhcp.unknown is "ignore"')
    boot = policy.boot_for(machine)
    key = subnet.key + client.key if subnet is not None else client.key
    question = _Question(message, client, machine, boot, subnet, key, relayed, server, identifier, policy, leases, now)
    return _proxy(question) if policy.mode is Mode.PROXY else _serve(question)


def _subnet(
    message: Message4, selected: bytes | None, server: IPv4Address, policy: Policy, *, relayed: bool
) -> Subnet | None:
    """The network that the client is on (RFC 3527 before giaddr). selected: what a relay says.

    Who has an address renews it and gives it back past the relay, whichever network that was on (RFC 2131 §4.3.2).
    """
    if relayed:
        return policy.subnet_of(IPv4Address(selected) if selected and len(selected) == 4 else message.giaddr)
    if message.kind in _ASKED_FROM_AN_ADDRESS and message.ciaddr != UNSPECIFIED:
        return policy.subnet_of(message.ciaddr) or policy.subnet_of(server)
    return policy.subnet_of(server)


def _relay_suboptions(message: Message4) -> dict[int, bytes]:
    """What a relay says in option 82, which counts for nothing without a relay, since any client can write it."""
    data = message.by_code.get(Option4.RELAY_AGENT)
    return dict(reversed(suboptions(data))) if data else {}


def _proxy(question: _Question) -> Reply4 | Ignore:
    client = question.client
    if client.wants not in (Wants.URL, Wants.SCRIPT):
        return Ignore(f"a proxy answers HTTPClient and iPXE only: {_vendor_class(client)}")
    kind = question.message.kind
    if kind not in (Kind4.DISCOVER, Kind4.INFORM):
        return Ignore(f"a proxy answers DISCOVER and INFORM, not {_name(kind)}")
    if question.boot is None or question.boot.url_for(client, question.server) is None:
        return Ignore(_no_url(question))
    return _answer(question, Kind4.OFFER if kind == Kind4.DISCOVER else Kind4.ACK, UNSPECIFIED)


def _serve(question: _Question) -> Reply4 | Ignore:
    match question.message.kind:
        case Kind4.DISCOVER:
            return _discover(question)
        case Kind4.REQUEST:
            return _request(question)
        case Kind4.INFORM if question.message.ciaddr != UNSPECIFIED:
            if question.subnet is None or not question.subnet.holds(question.message.ciaddr):
                return Ignore(f"{question.message.ciaddr} is an address of none of our networks here")
            return _answer(question, Kind4.ACK, UNSPECIFIED)
        case Kind4.RELEASE:
            if _for_another(question):
                return Ignore("it is for another server")
            ciaddr = int(question.message.ciaddr)
            had = question.leases.release(question.key_of(ciaddr), ciaddr, question.now)
            return Ignore(f"{question.message.ciaddr} is given back" if had else "it gives back what it does not have")
        case Kind4.DECLINE:
            return _decline(question)
        case kind:
            return Ignore(f"{_name(kind)} is nothing that a server answers")


def _discover(question: _Question) -> Reply4 | Ignore:
    if question.subnet is None:
        return Ignore(f"no network is configured that holds {question.server}")
    leases, own, now = question.leases, question.own, question.now
    found = leases.offer(question.key_of(own), (), now, own=own) if own is not None else None
    if found is None:
        found = leases.offer(question.key, question.ranges, now, wanted=_wanted(question.message))
    if found is None:
        return Ignore(f"no address of {question.subnet.network} is free")
    return _answer(question, Kind4.OFFER, IPv4Address(found))


def _request(question: _Question) -> Reply4 | Ignore:
    message, leases = question.message, question.leases
    chosen = message.by_code.get(Option4.SERVER_ID)
    wanted = _wanted(message)
    if _for_another(question):
        _take_offers_back(question)
        return Ignore("it took another server's offer")
    if chosen is not None and wanted is None:
        return Ignore("it took an offer without saying which address")
    number = wanted if wanted is not None else int(message.ciaddr)
    if number == 0:
        return Ignore("it asks for no address")
    address = IPv4Address(number)
    if question.subnet is None:
        return Ignore(f"no network is configured that holds {question.server}")
    key = question.key_of(number)
    if chosen is None and question.subnet.holds(address) and leases.remembered(key) != number:
        # RFC 2131 §4.3.2: what another server may have leased is not for us to deny; only a client that starts again
        # with another address than we know it to have is wrong for certain.
        if wanted is None or leases.held(question.key, question.now) is None:
            return Ignore(f"nothing is known of its lease of {address}")
        return _refuse(question, f"{address} is not what it has")
    if not question.may_have(number):
        return _refuse(question, f"{address} is not to be had here")
    if not leases.available(number, key, question.now):
        return _refuse(question, f"{address} is not free")
    leases.bind(key, number, question.now, _lease_seconds(question))
    return _answer(question, Kind4.ACK, address)


def _take_offers_back(question: _Question) -> None:
    """What was offered is free for others. Leases stay."""
    leases = question.leases
    for key in {question.key, question.key_of(question.own or 0)}:
        offered = leases.remembered(key)
        if offered is not None and leases.held(key, question.now) is None:
            leases.release(key, offered, question.now)


def _decline(question: _Question) -> Ignore:
    if _for_another(question):
        return Ignore("it is for another server")
    wanted = _wanted(question.message)
    if wanted is None or not question.leases.decline(question.key_of(wanted), wanted, question.now):
        return Ignore("it declines what it was not given")
    return Ignore(f"{IPv4Address(wanted)} is in use by another machine: nobody gets it for a while")


def _refuse(question: _Question, why: str) -> Reply4:
    """NAK: by broadcast, so that also a machine hears it that has the wrong address (RFC 2131 §4.3.2)."""
    message, relayed = question.message, question.relayed
    options: dict[int, bytes] = {
        Option4.KIND: bytes((Kind4.NAK,)),
        Option4.SERVER_ID: question.identifier.packed,
        Option4.MESSAGE: why.encode(),
        **_echoed(message),
    }
    answer = with_options(
        Message4(
            op=Op.REPLY,
            xid=message.xid,
            htype=message.htype,
            hlen=message.hlen,
            flags=message.flags | BROADCAST_FLAG if relayed else message.flags,
            giaddr=message.giaddr,
            chaddr=message.chaddr,
        ),
        options,
    )
    return Reply4(
        address=message.giaddr if relayed else BROADCAST,
        port=SERVER_PORT4 if relayed else CLIENT_PORT4,
        message=answer,
        kind=Kind4.NAK,
        client=question.client,
        machine=question.machine,
        url_sent=False,
    )


def _answer(question: _Question, kind: Kind4, yiaddr: IPv4Address) -> Reply4:
    """OFFER or ACK. Option 82 comes last (RFC 3046 §2.2)."""
    message, subnet = question.message, question.subnet
    told = [_KINDS[kind], _SERVER_ID, question.identifier.packed]
    if subnet is not None and question.policy.mode is Mode.SERVER:
        told.append(_network_options(subnet, leased=yiaddr != UNSPECIFIED))
    url = question.boot.url_for(question.client, question.server) if question.boot else None
    if url is not None:
        told.append(_boot_options(question.client, url, message.by_code.get(Option4.MACHINE_ID)))
    if echoed := _echoed(message):
        told.append(encode_options(echoed))
    options = b"".join(told)
    largest = message.by_code.get(Option4.LARGEST_MESSAGE, b"")
    # The client counts IP and UDP header as well (RFC 2132 §9.10).
    room = max(int.from_bytes(largest) - 28 if len(largest) == 2 else 0, 548)
    area = fitted(options, room)
    answer = Message4(
        op=Op.REPLY,
        xid=message.xid,
        htype=message.htype,
        hlen=message.hlen,
        flags=message.flags,
        ciaddr=message.ciaddr if kind is Kind4.ACK else UNSPECIFIED,
        yiaddr=yiaddr,
        siaddr=question.server if url is not None else UNSPECIFIED,
        giaddr=message.giaddr,
        chaddr=message.chaddr,
        area=area or b"",
    )
    address, port = _destination(question, kind, yiaddr)
    return Reply4(
        address=address,
        port=port,
        message=answer if area is not None else with_options(answer, decode_options(options), room),
        kind=kind,
        client=question.client,
        machine=question.machine,
        url_sent=url is not None,
    )


@lru_cache(maxsize=4096)
def _network_options(subnet: Subnet, *, leased: bool) -> bytes:
    """What everybody on a network is told, encoded: the same for each of them."""
    options: dict[int, bytes] = {}
    if leased:
        seconds = subnet.lease_seconds
        options[Option4.LEASE_SECONDS] = seconds.to_bytes(4)
        options[Option4.RENEWAL_SECONDS] = int(seconds * _RENEWAL_SHARE).to_bytes(4)
        options[Option4.REBINDING_SECONDS] = int(seconds * _REBINDING_SHARE).to_bytes(4)
    options[Option4.SUBNET_MASK] = IPv4Address(int(subnet.network.netmask)).packed
    if subnet.router is not None:
        options[Option4.ROUTERS] = subnet.router.packed
    servers = [each for each in subnet.dns if isinstance(each, IPv4Address)]
    if servers:
        options[Option4.DNS_SERVERS] = pack_addresses(servers)
    if subnet.domain:
        options[Option4.DOMAIN_NAME] = subnet.domain.encode("ascii")
    return encode_options(options)


def _boot_options(client: Client, url: str, machine_id: bytes | None) -> bytes:
    """Option 60 by which firmware knows that the offer is meant for it, and the URL with a NUL at its end."""
    options: dict[int, bytes] = {}
    if client.vendor_class.startswith(HTTP_CLIENT):
        options[Option4.VENDOR_CLASS] = HTTP_CLIENT
    elif client.vendor_class.startswith(PXE_CLIENT):
        options[Option4.VENDOR_CLASS] = PXE_CLIENT
    options[Option4.BOOT_FILE] = url.encode("ascii") + b"\0"
    if machine_id is not None:
        options[Option4.MACHINE_ID] = machine_id
    return encode_options(options)


def _echoed(message: Message4) -> dict[int, bytes]:
    """What goes back as it came: the client identifier (RFC 6842) and the relay's information (RFC 3046 §2.2)."""
    codes = (Option4.CLIENT_ID, Option4.RELAY_AGENT)
    return {code: message.by_code[code] for code in codes if code in message.by_code}


def _destination(question: _Question, kind: Kind4, yiaddr: IPv4Address) -> tuple[IPv4Address, int]:
    """ciaddr counts only where it is the client's: in an INFORM, or when it is what we acknowledge (RFC 2131 §4.1).

    And only where a [[subnet]] holds it: anyone can write it, and nothing is to be sent to others on a stranger's word.
    A proxy that knows no networks broadcasts, which its client hears too, and no one beyond the link.
    """
    if question.relayed:
        return question.message.giaddr, SERVER_PORT4
    ciaddr = question.message.ciaddr
    if kind is Kind4.ACK and ciaddr != UNSPECIFIED and yiaddr in (UNSPECIFIED, ciaddr):
        subnet = question.subnet
        return ciaddr if subnet is not None and subnet.holds(ciaddr) else BROADCAST, CLIENT_PORT4
    return BROADCAST, CLIENT_PORT4


def _for_another(question: _Question) -> bool:
    """Whether it names another server than us."""
    chosen = question.message.by_code.get(Option4.SERVER_ID)
    return chosen is not None and chosen != question.identifier.packed


def _wanted(message: Message4) -> int | None:
    data = message.by_code.get(Option4.REQUESTED_ADDRESS, b"")
    return int.from_bytes(data) if len(data) == 4 else None


def _lease_seconds(question: _Question) -> int:
    return question.subnet.lease_seconds if question.subnet else 0


def _no_url(question: _Question) -> str:
    if question.boot is None:
        return "nothing is configured for it to boot"
    if question.client.wants is Wants.SCRIPT:
        return "no script is configured for iPXE"
    return f"no URL that IPv4 reaches is configured for {question.client.arch_label or question.client.architecture}"


def _vendor_class(client: Client) -> str:
    return f'option 60 is "{printable(client.vendor_class)}"' if client.vendor_class else "it has no option 60"


def printable(data: bytes) -> str:
    """Bytes from the network, for a log."""
    return "".join(chr(byte) if 0x20 <= byte < 0x7F else "." for byte in data[:80])


def _name(kind: int | None) -> str:
    return _KIND_NAMES.get(kind or 0, f"message type {kind}")


_KIND_NAMES = {kind.value: kind.name for kind in Kind4}
