"""Where things are, from the environment and from TOML files.

Knows defaults, and what of a file cannot be meant so. Refuses to know what the settings are for.
"""

from __future__ import annotations

import os
import re
from collections.abc import Hashable, Iterable, Iterator, Sequence
from enum import Enum
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from pathlib import Path
from typing import Annotated, Literal, Self, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from ironic_httpboot import toml
from ironic_httpboot.errors import BadConfig, BadUrl, HostError
from ironic_httpboot.model import DHCP_ARCHITECTURES, Arch, BootUrl, Chain, not_for_machines
from ironic_httpboot.toml import Complaint, Location, key_of

_MAC = re.compile(r"(?:[0-9a-f]{2}:){5}[0-9a-f]{2}")
_ID = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$"
_LIBVIRT = r"^qemu(?:\+unix)?:///\S+$"
_NETWORK = r"^(?:user|tap:[A-Za-z0-9._-]{1,15})$"
_UUID = r"^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$"
_SERVER_MARK = "{server}"
_LONGEST_ADDRESSES = ("255.255.255.255", "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]")
_LONGEST_DHCP_URL_BYTES = 254
"""One instance of option 67 and the NUL at its end (EDK2 HttpBootDxe, 2026-08, joins none that is split)."""
_HOST_AND_PORT = re.compile(r"(?:\[([^\[\]\s]+)\]|([^\[\]:\s]*)):([0-9]{1,5})")


def parts_folder() -> Path:
    """Where `make setup` unpacks the packages from which boots are made: kernel, loaders, firmware.

    HTTPBOOT_PARTS, or ironic-httpboot/parts in XDG_CACHE_HOME or ~/.cache.
    """
    given = os.environ.get("HTTPBOOT_PARTS")
    if given:
        return Path(given)
    cache = os.environ.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else Path.home() / ".cache") / "ironic-httpboot" / "parts"


def made_folder() -> Path:
    """Where loaders are kept that were made on this host: beside the parts."""
    return parts_folder().parent / "made"


def foreign_parts_folder(arch: Arch) -> Path:
    """The same for machines of another architecture than x64, whose files have the same names."""
    return parts_folder() / arch.value


def find_part(relative: str, *, package: str, what: str, roots: Sequence[Path] | None = None) -> Path:
    """A file that a Debian package brings, installed on this host or unpacked by `make setup`.

    relative: its path below /, may hold a * and then the last match in order is taken. Raises HostError, naming the
    package, where no root has it.
    """
    own = (Path("/"), parts_folder(), foreign_parts_folder(Arch.ARM64))
    searched = tuple(roots) if roots is not None else own
    for root in searched:
        found = sorted(root.glob(relative)) if "*" in relative else [root / relative]
        # os.path: a root that may not be looked into has nothing, and is no error.
        if found and os.path.isfile(found[-1]):
            return found[-1]
    raise HostError(
        f"{what}: looked for {relative} in {', '.join(map(str, searched))} → not found",
        hint=f"install the package {package}, or run `make setup`",
    )


def host_and_port(listen: str) -> tuple[str, int]:
    """HOST:PORT, [ADDRESS]:PORT or :PORT (all addresses of both families) in two. Raises ValueError."""
    found = _HOST_AND_PORT.fullmatch(listen)
    if found is None or int(found[3]) > 65535:
        raise ValueError(f"{listen!r} is not HOST:PORT, such as 0.0.0.0:8080 or [::]:8080")
    host = found[1] or found[2] or ""
    try:
        host.encode("idna")
    except UnicodeError as error:
        raise ValueError(f"{host!r} can be no host's name: {error}") from error
    return host, int(found[3])


def _listen(value: str) -> str:
    host_and_port(value)
    return value


def _mac(value: str) -> str:
    if not _MAC.fullmatch(value.lower()):
        raise ValueError("is no MAC address of the form 52:54:00:12:34:56")
    return value.lower()


def _dhcp_url(value: str) -> str:
    for address in _LONGEST_ADDRESSES if _SERVER_MARK in value else ("",):
        try:
            url = BootUrl.parse(value.replace(_SERVER_MARK, address))
        except BadUrl as error:
            raise ValueError(error.message.removeprefix("boot URL: ")) from None
        if len(url.text) > _LONGEST_DHCP_URL_BYTES:
            raise ValueError(f"is {len(url.text)} bytes long, and DHCP carries {_LONGEST_DHCP_URL_BYTES} to firmware")
    return value


def _range(value: object) -> object:
    if not isinstance(value, str):
        raise ValueError("is no range of the form FIRST-LAST")
    first_text, _, last_text = value.partition("-")
    try:
        first, last = ip_address(first_text.strip()), ip_address(last_text.strip())
    except ValueError:
        raise ValueError(f"{value!r} is no range of the form FIRST-LAST") from None
    if first.version != last.version or int(first) > int(last):
        raise ValueError(f"{value!r} does not go from a first address to a last one")
    return first, last


def _address(value: object) -> object:
    try:
        return ip_address(value) if isinstance(value, str) else value
    except ValueError:
        raise ValueError(f"{value!r} is no address such as 192.0.2.8 or 2001:db8::8") from None


def _network(value: object) -> object:
    if not isinstance(value, str):
        raise ValueError("is no network such as 192.0.2.0/24 or 2001:db8::/64")
    try:
        return ip_network(value)
    except ValueError as error:
        raise ValueError(f"is no network such as 192.0.2.0/24 or 2001:db8::/64: {error}") from None


def _architecture(value: str) -> str:
    if value not in DHCP_ARCHITECTURES:
        raise ValueError(f"is no architecture: there are {', '.join(sorted(DHCP_ARCHITECTURES))}")
    return value


def _again(values: Iterable[tuple[Location, Hashable]]) -> Complaint | None:
    """The first value that was there before."""
    seen: dict[Hashable, Location] = {}
    for location, value in values:
        if (first := seen.setdefault(value, location)) is not location:
            return location, f"{value} is there already: {key_of(first)}"
    return None


class Payload(Enum):
    """What the firmware of a machine downloads first, where an image is composed for it."""

    IMAGE = "image"
    UKI = "uki"
    GRUB = "grub"
    IPXE = "ipxe"


Address = Annotated[IPv4Address | IPv6Address, BeforeValidator(_address)]
Network = Annotated[IPv4Network | IPv6Network, BeforeValidator(_network)]
Architecture = Annotated[str, AfterValidator(_architecture)]
AddressRange = Annotated[tuple[IPv4Address, IPv4Address] | tuple[IPv6Address, IPv6Address], BeforeValidator(_range)]
DhcpUrl = Annotated[str, AfterValidator(_dhcp_url)]
Listen = Annotated[str, AfterValidator(_listen)]
Mac = Annotated[str, AfterValidator(_mac)]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    def contradiction(self) -> Complaint | None:
        """Where a file whose keys are right one by one cannot be meant so."""
        return None


class HttpTable(_Table):
    """[http]: the artifact server. folders: the operator's own images; store: where images are published."""

    listen: Listen = "127.0.0.1:8080"
    store: Path | None = None
    folders: tuple[Path, ...] = ()
    connections: int = Field(default=512, ge=1, le=100_000)
    idle_seconds: float = Field(default=30.0, gt=0)


class DhcpTable(_Table):
    """[dhcp]: who is answered, and what those boot that no [[machine]] names.

    loaders: architecture's label → URL. machines: a folder of files with more of them, which is watched. unknown: what
    machines get that are not known.
    """

    interfaces: tuple[str, ...] = Field(min_length=1)
    mode: Literal["proxy", "server"] = "proxy"
    families: tuple[Literal[4, 6], ...] = Field(default=(4, 6), min_length=1)
    lease_file: Path | None = None
    unknown: Literal["default", "ignore"] = "default"
    url: DhcpUrl | None = None
    loaders: dict[Architecture, DhcpUrl] = {}
    script: DhcpUrl | None = None
    user: str | None = None
    machines: Path | None = None

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.mode == "server" and self.lease_file is None:
            raise ValueError("mode server needs a lease_file, so that leases are there after a restart")
        return self


class SubnetTable(_Table):
    """[[subnet]]: a network of either family. ranges: FIRST-LAST, what may be leased."""

    network: Network
    ranges: tuple[AddressRange, ...] = ()
    router: IPv4Address | None = None
    dns: tuple[Address, ...] = ()
    domain: str = Field(default="", pattern=r"^[A-Za-z0-9.-]{0,253}$")
    lease_seconds: int = Field(default=3600, ge=120, le=0x7FFFFFFF)

    @model_validator(mode="after")
    def _coherent(self) -> Self:
        for first, last in self.ranges:
            if first not in self.network or last not in self.network:
                raise ValueError(f"range {first}-{last} is not inside {self.network}")
            for name, own in not_for_machines(self.network, self.router):
                # An IPv6 range may begin at the beginning: the one address is left out.
                if own.version == 4 and int(first) <= int(own) <= int(last):
                    raise ValueError(f"range {first}-{last} holds {own}, the network's {name}")
        if self.router is not None and self.router not in self.network:
            raise ValueError(f"router {self.router} is not inside {self.network}")
        return self


class BootedMachineTable(_Table):
    """[[machine]] of `httpboot serve`: who it is, and what it boots: a URL, or what an image is composed from."""

    name: str | None = Field(default=None, pattern=_ID)
    mac: Mac | None = None
    uuid: str | None = Field(default=None, pattern=_UUID)
    duid: str | None = Field(default=None, pattern=r"^(?:[0-9a-fA-F]{2}:?){3,130}$")
    addresses: tuple[Address, ...] = ()
    url: DhcpUrl | None = None
    url6: DhcpUrl | None = None
    script: DhcpUrl | None = None
    script6: DhcpUrl | None = None
    kernel: Path | None = None
    initrds: tuple[Path, ...] = ()
    cmdline: str = ""
    chain: Chain = Chain.SHIM_GRUB
    arch: Arch = Arch.X64
    payload: Payload = Payload.IMAGE

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if not (self.mac or self.uuid or self.duid):
            raise ValueError("needs mac, uuid or duid: by one of them it is known")
        if self.url and self.kernel:
            raise ValueError("has a url and a kernel: give the one or the other")
        for key, general in (("url6", "url"), ("script6", "script")):
            if getattr(self, key) and not getattr(self, general):
                raise ValueError(f"has {key}, but no {general}: {general} alone counts over IPv6 as well")
        if self.kernel is None and (self.initrds or self.cmdline):
            raise ValueError("has initrds or cmdline, but no kernel")
        return self


def unfit(address: IPv4Address | IPv6Address, subnets: Sequence[SubnetTable]) -> str | None:
    """Why no machine can have an address, in words."""
    subnet = next((each for each in subnets if address in each.network), None)
    if subnet is None:
        return f"{address} is inside no [[subnet]]"
    owners = not_for_machines(subnet.network, subnet.router)
    return next((f"{address} is {subnet.network}'s {name}" for name, each in owners if each == address), None)


class ServeFile(_Table):
    """The file that `httpboot serve -c` reads."""

    http: HttpTable = HttpTable()
    dhcp: DhcpTable | None = None
    subnet: tuple[SubnetTable, ...] = ()
    machine: tuple[BootedMachineTable, ...] = ()

    def contradiction(self) -> Complaint | None:
        """What is there twice, or reserved where no address is given."""
        interfaces = self.dhcp.interfaces if self.dhcp is not None else ()
        return (
            _again((("dhcp", "interfaces", index), name) for index, name in enumerate(interfaces))
            or _overlap([table.network for table in self.subnet])
            or _again((("machine", i, "name"), table.name) for i, table in enumerate(self.machine) if table.name)
            or _twice(self.machine)
            or self._out_of_reach()
        )

    def _out_of_reach(self) -> Complaint | None:
        if self.dhcp is None or self.dhcp.mode != "server":
            return None
        for index, table in enumerate(self.machine):
            for address in table.addresses:
                if address.version in self.dhcp.families and (why := unfit(address, self.subnet)):
                    return ("machine", index, "addresses"), why
        return None


class MachinesFile(_Table):
    """A file of the folder that [dhcp] machines names: machines, as in the file that `httpboot serve -c` reads."""

    machine: tuple[BootedMachineTable, ...] = ()

    def contradiction(self) -> Complaint | None:
        """What is there twice. A name may be: Ironic writes a table for each port of a node."""
        return _twice(self.machine)


def _twice(machines: Sequence[BootedMachineTable]) -> Complaint | None:
    """What can be one machine's only, and is another's too."""
    return _again(
        (("machine", index, key), value) for index, table in enumerate(machines) for key, value in identities(table)
    )


def identities(machine: BootedMachineTable) -> Iterator[tuple[str, Hashable]]:
    """What no other machine may have, by its key."""
    if machine.mac:
        yield "mac", machine.mac
    if machine.uuid:
        yield "uuid", machine.uuid.lower()
    if machine.duid:
        yield "duid", machine.duid.lower().replace(":", "")
    for address in machine.addresses:
        yield "addresses", address


def _overlap(networks: Sequence[IPv4Network | IPv6Network]) -> Complaint | None:
    """The first network that shares addresses with one before it. Networks lie apart, or one holds the other."""
    known: dict[tuple[int, int, int], int] = {}
    lengths: set[int] = set()
    for index, network in enumerate(networks):
        known.setdefault(_begin(network, network.prefixlen), index)
        lengths.add(network.prefixlen)
    found: list[tuple[int, int]] = []
    for index, network in enumerate(networks):
        wider = (known.get(_begin(network, length)) for length in lengths if length <= network.prefixlen)
        found += [(index, other) for other in wider if other is not None and other != index]
    if not found:
        return None
    later, earlier = min((max(pair), min(pair)) for pair in found)
    what = "is there already" if networks[later] == networks[earlier] else f"overlaps {networks[earlier]}"
    return ("subnet", later, "network"), f"{networks[later]} {what}: subnet.{earlier}.network"


def _begin(network: IPv4Network | IPv6Network, length: int) -> tuple[int, int, int]:
    return network.version, length, int(network.network_address) >> (network.max_prefixlen - length)


class EmulatorTable(_Table):
    """[emulator]: the Redfish service. With certificate and key it speaks https."""

    listen: Listen = "127.0.0.1:8000"
    state: Path
    username: str | None = None
    password_file: Path | None = None
    certificate: Path | None = None
    key: Path | None = None


class MachineTable(_Table):
    """[[machine]]: one emulated machine. mac and uuid are made from the id where they are not given.

    With backend "libvirt" it is a domain that libvirt has, whose definition says what it is made of.
    """

    id: str = Field(pattern=_ID)
    backend: Literal["qemu", "libvirt"] = "qemu"
    domain: str | None = Field(default=None, min_length=1)
    uri: str = Field(default="qemu:///system", pattern=_LIBVIRT)
    mac: Mac | None = None
    uuid: str | None = Field(default=None, pattern=_UUID)
    arch: Arch = Arch.X64
    memory_mib: int = Field(default=1024, ge=256)
    cpus: int = Field(default=1, ge=1, le=64)
    network: str = Field(default="user", pattern=_NETWORK)
    secure_boot: bool = False
    splash_ms: int = Field(default=0, ge=0, le=60000)
    personality: str = "standard"

    @model_validator(mode="after")
    def _agrees_with_its_backend(self) -> MachineTable:
        of_libvirt = {"domain", "uri"}
        of_qemu = type(self).model_fields.keys() - {"id", "backend"} - of_libvirt
        strangers = sorted(self.model_fields_set & (of_qemu if self.backend == "libvirt" else of_libvirt))
        if strangers and self.backend == "libvirt":
            raise ValueError(f"{strangers[0]} comes from the domain's definition where backend is libvirt")
        if strangers:
            raise ValueError(f'{strangers[0]} is for backend = "libvirt" only')
        return self


class EmulateFile(_Table):
    """The file that `httpboot emulate -c` reads."""

    emulator: EmulatorTable
    machine: tuple[MachineTable, ...] = Field(min_length=1)


_F = TypeVar("_F", ServeFile, EmulateFile, MachinesFile)


def read(path: Path, kind: type[_F]) -> _F:
    """Read a TOML file. Raises BadConfig, naming file, line and key."""
    text, content = toml.load(path)
    try:
        found = kind.model_validate(content)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        # What pydantic adds to a location stands in brackets: [key], or the way through a union.
        location = tuple(part for part in first["loc"] if "[" not in str(part))
        raise BadConfig(toml.said(path, text, location, first["msg"].removeprefix("Value error, "))) from error
    if (complaint := found.contradiction()) is not None:
        raise BadConfig(toml.said(path, text, *complaint))
    return found


def read_secret(path: Path) -> str:
    """A password from a file, without the line's end. Raises BadConfig."""
    try:
        return path.read_text("utf-8").rstrip("\r\n")
    except OSError as error:
        raise BadConfig(f"{path}: read as password file → {error.strerror}") from error
    except UnicodeDecodeError:
        # What Python says quotes a byte of the password.
        raise BadConfig(f"{path}: read as password file → is not UTF-8") from None
