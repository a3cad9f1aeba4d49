"""The DHCP server: UDP sockets around `decide4` and `decide6`. The only module that opens them.

Knows interfaces, readiness, and the order of things: leases are written down before the answers that promise them
leave. Refuses to know what is answered and why. A socket is drained in a loop when it is ready, which costs less than
asyncio's datagram endpoint.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from typing import TypeAlias

from ironic_httpboot.dhcp import identity, interfaces, message4, message6
from ironic_httpboot.dhcp.client import identify4
from ironic_httpboot.dhcp.decide4 import Reply4, decide4
from ironic_httpboot.dhcp.decide6 import Arrival6, Reply6, decide6
from ironic_httpboot.dhcp.iana import (
    ALL_RELAYS_AND_SERVERS,
    ALL_SERVERS,
    LONGEST_CLIENT_ID4,
    LONGEST_DUID,
    SERVER_PORT4,
    SERVER_PORT6,
    Option6,
)
from ironic_httpboot.dhcp.interfaces import Interface, look_up
from ironic_httpboot.dhcp.leasefile import LeaseFile
from ironic_httpboot.dhcp.leases import MOST_LEASES, Leases
from ironic_httpboot.dhcp.limits import MOST_CLIENTS, Limiter
from ironic_httpboot.dhcp.policy import Address, Ignore, Mode, Policy
from ironic_httpboot.dhcp.report import Reporter
from ironic_httpboot.errors import HostError, HttpBootError, MalformedMessage
from ironic_httpboot.events import Sink
from ironic_httpboot.model import not_for_machines

_LOG = logging.getLogger(__name__)

_BATCH = 128
"""Messages that are read before anything else gets its turn."""
_RECEIVE_BYTES = 1 << 20
"""What the kernel holds while we are busy: some 1,000 messages. Its default (208 KiB) loses a burst of 300."""
_SO_RCVBUFFORCE = 33
"""socket(7); Python has no name for it."""
_LARGEST_MESSAGE = 65_535
_LOOK_SECONDS = 1.0
"""How long an interface is taken to have the addresses that it had: looking costs as much as some four answers."""

_Answerer: TypeAlias = "Callable[[bytes, str, float], Answer | None]"
"""What leaves for a message, the address that it came from, and the time."""
Answer: TypeAlias = tuple[bytes, tuple[str, int] | tuple[str, int, int, int], Reply4 | Reply6]


@lru_cache(maxsize=4096)
def _address6(text: str) -> IPv6Address:
    """Most messages come through a few relays; and inet_pton reads at a tenth of what ipaddress takes."""
    return IPv6Address(socket.inet_pton(socket.AF_INET6, text.partition("%")[0]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How to serve. lease_file: must be given in server mode. families: 4, 6 or both.

    most_leases, most_clients: so many addresses of a family, and clients that have asked, are remembered at once.
    """

    interfaces: Sequence[str]
    policy: Policy
    families: Sequence[int] = (4, 6)
    lease_file: Path | None = None
    most_leases: int = MOST_LEASES
    most_clients: int = MOST_CLIENTS


def own_addresses() -> frozenset[Address]:
    """All addresses of this host, whichever interface they are on."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        return interfaces.own_addresses(probe.fileno())


class DhcpServer:
    """Answers on several interfaces, for both families."""

    def __init__(self, settings: Settings, on_event: Sink | None = None) -> None:
        """on_event: hears of every question and answer; without it none is described, which saves time."""
        self._settings = settings
        self._policy = settings.policy
        self._leases4, self._leases6 = (Leases(version, most=settings.most_leases) for version in (4, 6))
        self._file = LeaseFile(settings.lease_file, (self._leases4, self._leases6)) if settings.lease_file else None
        self._limiter = Limiter(most=settings.most_clients)
        self._reporter = Reporter(on_event) if on_event else None
        self._opened: dict[str, _Opened] = {}
        self._seen: dict[str, tuple[Interface, float]] = {}
        self._link_only: frozenset[int] = frozenset()
        self._duid = b""
        self._own: frozenset[Address] = frozenset()
        self.listening: list[str] = []

    async def start(self) -> None:
        """Read the leases, and listen. Raises HostError, naming interface and port."""
        if self._file is not None:
            self._file.open()
        self._own = own_addresses()
        self._link_only = _without_relays(self._policy)
        self._configure()
        try:
            for name in self._settings.interfaces:
                self._opened[name] = self._open(name, _Opened())
        except HttpBootError:
            await self.stop()
            raise
        self.listening = [
            f"{name} (IPv{version})" for name, opened in self._opened.items() for version in opened.sockets
        ]
        if not self.listening:
            raise HostError(
                f"DHCP on {', '.join(self._settings.interfaces)}: looked for addresses → none",
                hint="give the interface an address first",
            )

    async def stop(self) -> None:
        """Close everything. Fine to call twice."""
        for opened in self._opened.values():
            opened.close()
        self._opened.clear()
        if self._file is not None:
            self._file.close()

    def reload(self, policy: Policy) -> None:
        """Answer by another policy from now on. Leases stay."""
        self._policy = policy
        self._configure()
        for version in self._link_only - _without_relays(policy):
            _LOG.warning("relays over IPv%d are heard after a restart: at the start there was no [[subnet]]", version)

    def look_after(self) -> None:
        """Open what was not there before: an interface that was made anew, as a bridge is at its restart, or that has
        got its first address of a family. Call it now and then.

        The old sockets of what is gone hear nothing. What is amiss is said once.
        """
        for name, before in self._opened.items():
            index = _index_of(name)
            if before.index not in (0, index):
                before.close()
                _LOG.warning("interface %s: is gone: nobody is answered there until it is back", name)
                self._opened[name] = before = _Opened()
            if index and len(before.sockets) < len(set(self._settings.families)):
                self._open_more(name, before)

    def _open_more(self, name: str, before: _Opened) -> None:
        try:
            opened = self._open(name, before)
        except HostError as error:
            if not before.trouble:
                _LOG.error("%s", error)
                self._opened[name] = replace(before, trouble=True)
            return
        if opened.sockets.keys() == before.sockets.keys():
            return  # its addresses are not there yet
        if before.index:
            more = " and ".join(f"IPv{version}" for version in opened.sockets if version not in before.sockets)
            _LOG.warning("interface %s: has got an address, and is answered over %s too", name, more)
        else:
            _LOG.warning("interface %s: is back, and answered again", name)
        self._opened[name] = opened

    def hand_to(self, user: int, group: int) -> None:
        """Let a user go on with the lease file, before this process becomes that user's."""
        if self._file is not None:
            self._file.hand_to(user, group)

    def hindrance(self) -> str | None:
        """Why the lease file can only be made short at a restart, for the user that this process now is."""
        return self._file.hindrance() if self._file is not None else None

    def _configure(self) -> None:
        for table in (self._leases4, self._leases6):
            subnets = [each for each in self._policy.subnets if each.network.version == table.version]
            ranges = [(int(first), int(last)) for each in subnets for first, last in each.ranges]
            table.configure(ranges, map(int, self._policy.machines.reserved(table.version)))
        self._withhold()

    def _withhold(self) -> None:
        """Have nobody get an address of this host, or one that no machine of a network may have."""
        for table in (self._leases4, self._leases6):
            subnets = (each for each in self._policy.subnets if each.network.version == table.version)
            theirs = (address for each in subnets for _, address in not_for_machines(each.network, each.router))
            table.withhold({int(each) for each in (*self._own, *theirs) if each.version == table.version})

    def _open(self, name: str, before: _Opened) -> _Opened:
        """Listen on an interface as before, and for each family in which it has addresses. Raises HostError."""
        seen, _ = self._seen.get(name) or (None, 0)
        interface = self._look_up(name, seen)
        if not self._duid:
            self._duid = self._identity(interface)
        if not before.index:
            self._seen[name] = interface, time.monotonic()
        there = {4: interface.address4 is not None, 6: interface.has_ipv6}
        more: dict[int, socket.socket] = {}
        try:
            for version in (4, 6):
                if there[version] and version in self._settings.families and version not in before.sockets:
                    more[version] = one = _bound(version, interface, link_only=version in self._link_only)
                    asyncio.get_running_loop().add_reader(one, _Line(self, one, name, version).ready)
        except HostError:
            _Opened(sockets=more).close()
            raise
        sockets = before.sockets | more
        return _Opened(index=interface.index, sockets=sockets)

    def _look_up(self, name: str, before: Interface | None) -> Interface:
        """An interface as it is now; of its IPv6 addresses one of a network that is served, else that which it had."""
        had = before.address6 if before is not None else None

        def rank(address: IPv6Address) -> tuple[bool, bool]:
            return self._policy.subnet_of(address) is None, address != had

        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            return look_up(name, probe.fileno(), rank)

    def answerer(self, name: str, version: int) -> _Answerer | None:
        """How a family's questions are answered on an interface by the address that it has now; None without one."""
        interface, seen = self._seen[name]
        if time.monotonic() - seen >= _LOOK_SECONDS:
            interface = self._look_again(name, interface)
        if version == 4:
            return partial(self.answer4, name, interface.address4) if interface.address4 is not None else None
        return partial(self.answer6, interface, interface.address6 or IPv6Address(0)) if interface.has_ipv6 else None

    def _look_again(self, name: str, before: Interface) -> Interface:
        """What has become of an interface, and of this host's addresses. What has changed is said."""
        try:
            found = self._look_up(name, before)
        except HostError:
            found = replace(before, address4=None, address6=None, has_ipv6=False)  # it is gone: see look_after
        self._seen[name] = found, time.monotonic()
        own = own_addresses()
        if own != self._own:
            self._own = own
            self._withhold()
        for version, was, now in ((4, before.address4, found.address4), (6, before.address6, found.address6)):
            if was != now and version in self._settings.families:
                became = f"is {now} now" if now is not None else "is gone"
                _LOG.warning("interface %s: its IPv%d address %s; it was %s", name, version, became, was or "none")
        return found

    def _identity(self, interface: Interface) -> bytes:
        """Our DUID: the one that the lease file keeps, or else one that this host derives."""
        place = self._settings.lease_file.resolve() if self._settings.lease_file else ""
        mac = interface.mac or interface.name.encode()[:6].ljust(6, b"\0")
        derived = identity.derive(" ".join((*sorted(self._settings.interfaces), str(place))), mac)
        return self._file.identity(derived) if self._file is not None else derived

    def answer4(self, interface: str, server: IPv4Address, data: bytes, _: str, now: float) -> Answer | None:
        """What leaves for one DHCPv4 message; from whom its datagram came does not matter."""
        try:
            message = message4.decode(data)
        except MalformedMessage as error:
            _LOG.info("ignored on %s: %s", interface, error.message)
            return None
        # Who shows nothing of itself shares one bucket with its like, and is not answered.
        if not self._limiter.allows(message.hardware_address or identify4(message).key[:LONGEST_CLIENT_ID4], now):
            return None
        reply = decide4(message, server, self._policy, self._leases4, now)
        if self._reporter is not None:
            self._reporter.heard4(message, interface, reply, now)
        if isinstance(reply, Ignore):
            return None
        return message4.encode(reply.message), (socket.inet_ntoa(reply.address.packed), reply.port), reply

    def answer6(self, interface: Interface, server: IPv6Address, data: bytes, peer: str, now: float) -> Answer | None:
        """What leaves for one DHCPv6 message."""
        try:
            message = message6.decode(data)
            arrival = Arrival6(peer=_address6(peer), server=server, duid=self._duid)
        except MalformedMessage as error:
            _LOG.info("ignored on %s: %s", interface.name, error.message)
            return None
        if not self._limiter.allows(_limited_by(message), now):
            return None
        reply = decide6(message, arrival, self._policy, self._leases6, now)
        if self._reporter is not None:
            self._reporter.heard6(message, interface.name, arrival, reply, now)
        if isinstance(reply, Ignore):
            return None
        text = socket.inet_ntop(socket.AF_INET6, reply.address.packed)
        return message6.encode(reply.message), (text, reply.port, 0, interface.index), reply

    def send(self, one: socket.socket, answers: list[Answer]) -> None:
        """Write down what the answers promise, and let them go."""
        try:
            if self._file is not None:
                self._file.save()
        except HostError as error:
            _LOG.error("%s; %d answers do not leave", error, len(answers))
            return
        for data, address, _ in answers:
            try:
                one.sendto(data, address)
            except OSError as error:
                _LOG.warning("answer to %s → %s", address[0], error.strerror)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Opened:
    """An interface on which we listen. index: the kernel's number for it; 0 while it is gone. sockets: by family.

    trouble: whether it was said that it cannot be opened.
    """

    index: int = 0
    sockets: dict[int, socket.socket] = field(default_factory=dict)
    trouble: bool = False

    def close(self) -> None:
        """Listen no more."""
        for one in self.sockets.values():
            asyncio.get_running_loop().remove_reader(one)
            one.close()


def _index_of(name: str) -> int:
    try:
        return socket.if_nametoindex(name)
    except OSError:
        return 0


def _without_relays(policy: Policy) -> frozenset[int]:
    """The families in which nothing that is sent to this host alone is to be heard: a proxy's that expects no relay.

    Of two programs on one host such a message reaches one: RENEW is for the DHCP server beside which a proxy runs.
    """
    relayed = {each.network.version for each in policy.subnets}
    return frozenset((4, 6)) - relayed if policy.mode is Mode.PROXY else frozenset()


def _bound(version: int, interface: Interface, *, link_only: bool) -> socket.socket:
    """A socket that hears a family's questions on one interface. Raises HostError.

    link_only: those alone that are sent to all on the link.
    """
    port = SERVER_PORT4 if version == 4 else SERVER_PORT6
    one = socket.socket(socket.AF_INET if version == 4 else socket.AF_INET6, socket.SOCK_DGRAM)
    try:
        one.setblocking(False)
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        _widen(one)
        one.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, interface.name.encode())
        if version == 4:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        else:
            one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            for group in (ALL_RELAYS_AND_SERVERS, ALL_SERVERS):
                member = socket.inet_pton(socket.AF_INET6, group) + interface.index.to_bytes(4, sys.byteorder)
                one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, member)
        everybody = "255.255.255.255" if version == 4 else f"{ALL_RELAYS_AND_SERVERS}%{interface.name}"
        one.bind((everybody if link_only else "", port))
    except OSError as error:
        one.close()
        hint = None
        if error.errno in (errno.EACCES, errno.EPERM):
            hint = "DHCP's ports are for root, or with the capability CAP_NET_BIND_SERVICE"
        raise HostError(f"UDP port {port} on {interface.name}: opened → {error.strerror}", hint=hint) from error
    return one


def _widen(one: socket.socket) -> None:
    """Have the kernel hold more for us; more than net.core.rmem_max only where we are root."""
    try:
        one.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _RECEIVE_BYTES)
    except PermissionError:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BYTES)


def _limited_by(message: message6.AnyMessage6) -> bytes:
    """What tells a client from others before its message is looked into: its own bytes, relays' where relayed."""
    if isinstance(message, message6.Message6):
        return (message.get(Option6.CLIENT_ID) or b"")[:LONGEST_DUID]
    relayed = message.relayed or b""
    return message.peer_address.packed + relayed[4:64]


class _Line:
    """One interface's socket of one family."""

    def __init__(self, server: DhcpServer, one: socket.socket, interface: str, version: int) -> None:
        self._server = server
        self._socket = one
        self._interface = interface
        self._version = version

    def ready(self) -> None:
        """Answer what is there, and what comes meanwhile: asking the socket again is cheaper than the loop's next turn.

        The first message is answered before a second one is looked for, since mostly there is none.
        """
        most, left = 1, _BATCH
        while left > 0 and (found := _drain(self._socket, most)):
            self._answer_all(found)
            left -= len(found)
            most = left

    def _answer_all(self, found: list[tuple[bytes, str]]) -> None:
        act = self._server.answerer(self._interface, self._version)
        if act is None:
            return
        answers = []
        now = time.time()
        for data, peer in found:
            try:
                answer = act(data, peer, now)
            except Exception:
                _LOG.exception("on %s: a message is not answered because of a bug", self._interface)
                continue
            if answer is not None:
                answers.append(answer)
        if answers:
            self._server.send(self._socket, answers)


def _drain(one: socket.socket, most: int) -> list[tuple[bytes, str]]:
    """The messages that wait, with their senders' addresses."""
    found: list[tuple[bytes, str]] = []
    while len(found) < most:
        try:
            data, peer = one.recvfrom(_LARGEST_MESSAGE)
        except BlockingIOError:
            break
        except OSError as error:
            _LOG.warning("receive → %s", error.strerror)
            break
        found.append((data, peer[0]))
    return found
