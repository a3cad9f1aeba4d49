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
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from typing import TypeAlias

from ironic_httpboot.dhcp import identity, message4, message6
from ironic_httpboot.dhcp.decide4 import Reply4, decide4
from ironic_httpboot.dhcp.decide6 import Arrival6, Reply6, decide6
from ironic_httpboot.dhcp.iana import ALL_RELAYS_AND_SERVERS, SERVER_PORT4, SERVER_PORT6, Option6
from ironic_httpboot.dhcp.interfaces import Interface, look_up
from ironic_httpboot.dhcp.leasefile import LeaseFile
from ironic_httpboot.dhcp.leases import Leases
from ironic_httpboot.dhcp.limits import Limiter
from ironic_httpboot.dhcp.policy import Ignore, Policy
from ironic_httpboot.dhcp.report import Reporter
from ironic_httpboot.errors import HostError, HttpBootError, MalformedMessage
from ironic_httpboot.events import Sink

_LOG = logging.getLogger(__name__)

_BATCH = 128
"""Messages that are read before anything else gets its turn."""
_RECEIVE_BYTES = 1 << 20
"""What the kernel holds while we are busy: some 1,000 messages. Its default (208 KiB) loses a burst of 300."""
_SO_RCVBUFFORCE = 33
"""socket(7); Python has no name for it."""
_LARGEST_MESSAGE = 65_535

_address6 = lru_cache(maxsize=4096)(IPv6Address)
_text = lru_cache(maxsize=4096)(str)
"""Reading and writing an IPv6 address costs more than deciding about it; most messages come from a few relays, or the
four of an exchange from one machine."""

Answer: TypeAlias = tuple[bytes, tuple[str, int] | tuple[str, int, int, int], Reply4 | Reply6]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How to serve. lease_file: must be given in server mode. families: 4, 6 or both."""

    interfaces: Sequence[str]
    policy: Policy
    families: Sequence[int] = (4, 6)
    lease_file: Path | None = None


class DhcpServer:
    """Answers on several interfaces, for both families."""

    def __init__(self, settings: Settings, on_event: Sink | None = None) -> None:
        """on_event: hears of every question and answer; without it none is described, which saves time."""
        self._settings = settings
        self._policy = settings.policy
        self._leases4, self._leases6 = Leases(4), Leases(6)
        self._file = LeaseFile(settings.lease_file, (self._leases4, self._leases6)) if settings.lease_file else None
        self._limiter = Limiter()
        self._reporter = Reporter(on_event) if on_event else None
        self._sockets: list[socket.socket] = []
        self._duid = b""
        self.listening: list[str] = []

    async def start(self) -> None:
        """Read the leases, and listen. Raises HostError, naming interface and port."""
        if self._file is not None:
            self._file.open()
        self._configure()
        loop = asyncio.get_running_loop()
        try:
            for name in self._settings.interfaces:
                for one, ready in self._open(name):
                    loop.add_reader(one, ready)
        except HttpBootError:
            await self.stop()
            raise
        if not self._sockets:
            raise HostError(
                f"DHCP on {', '.join(self._settings.interfaces)}: looked for addresses → none",
                hint="give the interface an address first",
            )

    async def stop(self) -> None:
        """Close everything. Fine to call twice."""
        for one in self._sockets:
            asyncio.get_running_loop().remove_reader(one)
            one.close()
        self._sockets.clear()
        if self._file is not None:
            self._file.close()

    def reload(self, policy: Policy) -> None:
        """Answer by another policy from now on. Leases stay."""
        self._policy = policy
        self._configure()

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

    def _open(self, name: str) -> list[tuple[socket.socket, Callable[[], None]]]:
        opened: list[tuple[socket.socket, Callable[[], None]]] = []
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            interface = look_up(name, probe.fileno())
        if not self._duid:
            self._duid = self._identity(interface)
        if 4 in self._settings.families and interface.address4 is not None:
            one = self._bound(socket.AF_INET, interface, SERVER_PORT4)
            answer4 = partial(self.answer4, interface.name, interface.address4)
            opened.append((one, _Line(self, one, interface.name, answer4).ready))
        if 6 in self._settings.families and interface.has_ipv6:
            one = self._bound(socket.AF_INET6, interface, SERVER_PORT6)
            address = interface.address6 or IPv6Address(0)
            opened.append((one, _Line(self, one, interface.name, partial(self.answer6, interface, address)).ready))
        return opened

    def _identity(self, interface: Interface) -> bytes:
        """Our DUID: the one that the lease file keeps, or else one that this host derives."""
        place = self._settings.lease_file.resolve() if self._settings.lease_file else ""
        mac = interface.mac or interface.name.encode()[:6].ljust(6, b"\0")
        derived = identity.derive(" ".join((*sorted(self._settings.interfaces), str(place))), mac)
        return self._file.identity(derived) if self._file is not None else derived

    def _bound(self, family: socket.AddressFamily, interface: Interface, port: int) -> socket.socket:
        one = socket.socket(family, socket.SOCK_DGRAM)
        self._sockets.append(one)
        try:
            one.setblocking(False)
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            _widen(one)
            one.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, interface.name.encode())
            if family == socket.AF_INET:
                one.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
            else:
                one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                group = socket.inet_pton(socket.AF_INET6, ALL_RELAYS_AND_SERVERS)
                member = group + interface.index.to_bytes(4, "little")
                one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, member)
            one.bind(("", port))
        except OSError as error:
            hint = None
            if error.errno in (errno.EACCES, errno.EPERM):
                hint = "DHCP's ports are for root, or with the capability CAP_NET_BIND_SERVICE"
            raise HostError(f"UDP port {port} on {interface.name}: opened → {error.strerror}", hint=hint) from error
        self.listening.append(f"{interface.name} (IPv{4 if family == socket.AF_INET else 6})")
        return one

    def answer4(self, interface: str, server: IPv4Address, data: bytes, _: str, now: float) -> Answer | None:
        """What leaves for one DHCPv4 message; from whom its datagram came does not matter."""
        try:
            message = message4.decode(data)
        except MalformedMessage as error:
            _LOG.info("ignored on %s: %s", interface, error.message)
            return None
        if not self._limiter.allows(message.hardware_address, now):
            return None
        reply = decide4(message, server, self._policy, self._leases4, now)
        if self._reporter is not None:
            self._reporter.heard4(message, interface, reply, now)
        if isinstance(reply, Ignore):
            return None
        return message4.encode(reply.message), (_text(reply.address), reply.port), reply

    def answer6(self, interface: Interface, server: IPv6Address, data: bytes, peer: str, now: float) -> Answer | None:
        """What leaves for one DHCPv6 message."""
        try:
            message = message6.decode(data)
            arrival = Arrival6(peer=_address6(peer.partition("%")[0]), server=server, duid=self._duid)
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
        return message6.encode(reply.message), (_text(reply.address), reply.port, 0, interface.index), reply

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


def _widen(one: socket.socket) -> None:
    """Have the kernel hold more for us; more than net.core.rmem_max only where we are root."""
    try:
        one.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _RECEIVE_BYTES)
    except PermissionError:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BYTES)


def _limited_by(message: message6.AnyMessage6) -> bytes:
    """What tells a client from others before its message is looked into: its own bytes, relays' where relayed."""
    if isinstance(message, message6.Message6):
        return message.get(Option6.CLIENT_ID) or b""
    relayed = message.relayed or b""
    return message.peer_address.packed + relayed[4:64]


class _Line:
    """One interface's socket of one family."""

    def __init__(
        self,
        server: DhcpServer,
        one: socket.socket,
        interface: str,
        answer: Callable[[bytes, str, float], Answer | None],
    ) -> None:
        """answer: what leaves for a message, the address that it came from, and the time."""
        self._server = server
        self._socket = one
        self._interface = interface
        self._answer = answer

    def ready(self) -> None:
        """Read what is there, answer it."""
        answers = []
        now = time.time()
        for data, peer in _drain(self._socket):
            try:
                answer = self._answer(data, peer, now)
            except Exception:
                _LOG.exception("on %s: a message is not answered because of a bug", self._interface)
                continue
            if answer is not None:
                answers.append(answer)
        if answers:
            self._server.send(self._socket, answers)


def _drain(one: socket.socket) -> list[tuple[bytes, str]]:
    """The messages that wait, with their senders' addresses."""
    found = []
    for _ in range(_BATCH):
        try:
            data, peer = one.recvfrom(_LARGEST_MESSAGE)
        except BlockingIOError:
            break
        except OSError as error:
            _LOG.warning("receive → %s", error.strerror)
            break
        found.append((data, peer[0]))
    return found
