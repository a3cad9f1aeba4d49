"""What is to be answered, as data: machines and what they boot, networks and what they lease.

Knows how a machine is found, and which URL it gets by its architecture. Refuses to know messages and where the data
came from.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from types import MappingProxyType
from typing import TypeAlias

from ironic_httpboot.dhcp.client import Client, Wants

Address: TypeAlias = IPv4Address | IPv6Address
Network: TypeAlias = IPv4Network | IPv6Network

SERVER_MARK = "{server}"
"""In a URL: our own address on the network from which the question came."""

LONGEST_URL_BYTES = 254
"""One instance of option 67 with a NUL at the end: firmware does not join split options (EDK2 HttpBootDxe, 2026-08)."""


_NO_LOADERS: Mapping[str, str] = MappingProxyType({})
"""One for all machines that have none of their own: there may be a hundred thousand."""


@lru_cache(maxsize=4096)
def fits(url: str, version: int) -> bool:
    """Whether a URL may be offered over a family: a literal address must be of that family."""
    host = url.split("//", 1)[-1].split("/", 1)[0]
    if host.startswith("["):
        return version == 6
    try:
        IPv4Address(host.rsplit(":", 1)[0])
    except ValueError:
        return True
    return version == 4


class Mode(Enum):
    """server: addresses and boot information. proxy: boot information only, beside the network's own DHCP server."""

    SERVER = "server"
    PROXY = "proxy"


@dataclass(frozen=True, slots=True, kw_only=True)
class Boot:
    """What a machine boots. Never logged: URLs may hold secrets.

    url: for firmware of any architecture that `loaders` does not name. loaders: architecture's label → URL. script: for
    the iPXE that asks again. url6, script6: in their place over IPv6.
    """

    url: str | None = field(default=None, repr=False)
    loaders: Mapping[str, str] = field(default_factory=lambda: _NO_LOADERS, repr=False)
    script: str | None = field(default=None, repr=False)
    url6: str | None = field(default=None, repr=False)
    script6: str | None = field(default=None, repr=False)

    def url_for(self, client: Client, server: Address) -> str | None:
        """The URL that answers what a client wants, or None.

        Firmware gets none that it could not fetch: an address of the other family is a host name to it.
        """
        wants, over6 = client.wants, server.version == 6
        if wants is Wants.URL:
            found = self.loaders.get(client.arch_label or "", self.url6 if over6 and self.url6 else self.url)
        elif wants is Wants.SCRIPT:
            found = self.script6 if over6 and self.script6 else self.script
        else:
            return None
        if found is None or (server.is_unspecified and SERVER_MARK in found):
            return None
        if wants is Wants.URL and not fits(found, server.version):
            return None
        return found.replace(SERVER_MARK, f"[{server}]" if server.version == 6 else str(server))


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """A machine that is known. name: for logs. boot: None for addresses only. addresses: reserved ones."""

    name: str
    mac: bytes = b""
    uuid: uuid.UUID | None = None
    duid: bytes = b""
    boot: Boot | None = None
    addresses: tuple[Address, ...] = ()


class Machines:
    """All machines that are known. default: what the others boot, or None for nothing."""

    def __init__(self, machines: Iterable[Machine] = (), *, default: Boot | None = None) -> None:
        self.default = default
        self._by_mac: dict[bytes, Machine] = {}
        self._by_uuid: dict[uuid.UUID, Machine] = {}
        self._by_duid: dict[bytes, Machine] = {}
        self._reserved: dict[Address, Machine] = {}
        for machine in machines:
            if machine.mac:
                self._by_mac[machine.mac] = machine
            if machine.uuid:
                self._by_uuid[machine.uuid] = machine
            if machine.duid:
                self._by_duid[machine.duid] = machine
            for address in machine.addresses:
                self._reserved[address] = machine

    def find(self, client: Client) -> Machine | None:
        """By DUID, then UUID, then MAC: the first is the most certain."""
        if client.duid and (machine := self._by_duid.get(client.duid)):
            return machine
        for each in client.uuids:
            if machine := self._by_uuid.get(each):
                return machine
        return self._by_mac.get(client.mac)

    def reserved(self, version: int) -> Iterator[Address]:
        """The reserved addresses of one family."""
        return (address for address in self._reserved if address.version == version)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Subnet:
    """A network on which machines are answered. Two are never equal, so that what follows from one is found by it.

    ranges: first and last address that may be leased, none for proxies. numbers: the same as numbers. span: the first
    and last number of the network. key: what a lease's key begins with, since a client may have one on each network
    (RFC 2131 §4.2).
    """

    network: Network
    ranges: tuple[tuple[Address, Address], ...] = ()
    router: IPv4Address | None = None
    dns: tuple[Address, ...] = ()
    domain: str = ""
    lease_seconds: int = 3600
    numbers: tuple[tuple[int, int], ...] = field(init=False, repr=False)
    span: tuple[int, int] = field(init=False, repr=False)
    key: bytes = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "numbers", tuple((int(first), int(last)) for first, last in self.ranges))
        object.__setattr__(self, "span", (int(self.network.network_address), int(self.network.broadcast_address)))
        object.__setattr__(self, "key", self.network.network_address.packed)

    def holds(self, address: Address) -> bool:
        """Whether an address belongs to it."""
        first, last = self.span
        return first <= int(address) <= last and address.version == self.network.version


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Everything that a decision needs to know. unknown: whether machines that are not known are answered."""

    mode: Mode
    machines: Machines
    subnets: Sequence[Subnet] = ()
    unknown: bool = True

    def subnet_of(self, address: Address) -> Subnet | None:
        """The subnet to which an address belongs."""
        number, version = int(address), address.version
        for subnet in self.subnets:
            first, last = subnet.span
            if first <= number <= last and version == subnet.network.version:
                return subnet
        return None

    def boot_for(self, machine: Machine | None) -> Boot | None:
        """What a machine boots; None for an unknown one."""
        return machine.boot if machine is not None else self.machines.default


@dataclass(frozen=True, slots=True)
class Ignore:
    """No answer. why: for people, without secrets."""

    why: str
