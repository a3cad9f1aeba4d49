"""The network interfaces of this host: their numbers and addresses, as Linux tells them.

Knows where Linux says so. Refuses to know what the addresses are for.
"""

from __future__ import annotations

import array
import fcntl
import struct
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

from ironic_httpboot.errors import HostError

_SIOCGIFADDR, _SIOCGIFCONF = 0x8915, 0x8912
_IFREQ_BYTES, _NAME_BYTES, _ADDRESS_AT = 40, 15, 20
_SCOPE_GLOBAL, _SCOPE_LINK = 0x00, 0x20


@dataclass(frozen=True, slots=True, kw_only=True)
class Interface:
    """One interface. mac: may be empty. address4, address6: the first of each family; address6 a routable one."""

    name: str
    index: int
    mac: bytes
    address4: IPv4Address | None
    address6: IPv6Address | None
    has_ipv6: bool


def look_up(name: str, any_socket: int, rank: Callable[[IPv6Address], tuple[bool, ...]] = lambda _: ()) -> Interface:
    """What an interface is now. any_socket: the descriptor of an IPv4 socket. Raises HostError.

    rank: of its routable IPv6 addresses, which come in no order, the one that ranks lowest is taken.
    """
    folder = Path("/sys/class/net") / name
    try:
        index = int((folder / "ifindex").read_text())
        mac = bytes.fromhex((folder / "address").read_text().strip().replace(":", ""))
    except (OSError, ValueError) as error:
        raise HostError(f"interface {name}: looked up → not there", hint="`ip link` shows those that are") from error
    addresses6 = [(address, scope) for owner, address, scope in _addresses6() if owner == name]
    routable = [address for address, scope in addresses6 if scope == _SCOPE_GLOBAL]
    return Interface(
        name=name,
        index=index,
        mac=mac if any(mac) else b"",
        address4=_address4(name, any_socket),
        address6=min(routable, key=rank, default=None),
        has_ipv6=any(scope == _SCOPE_LINK for _, scope in addresses6),
    )


def _address4(name: str, any_socket: int) -> IPv4Address | None:
    request = array.array("B", name.encode()[:_NAME_BYTES].ljust(_IFREQ_BYTES, b"\0"))
    try:
        fcntl.ioctl(any_socket, _SIOCGIFADDR, request, True)
    except OSError:
        return None
    (number,) = struct.unpack_from(">I", request, _ADDRESS_AT)
    return IPv4Address(number)


def own_addresses(any_socket: int) -> frozenset[IPv4Address | IPv6Address]:
    """All addresses of all interfaces of this host. any_socket: the descriptor of an IPv4 socket."""
    size = 64 * _IFREQ_BYTES
    while True:
        found = array.array("B", bytes(size))
        request = bytearray(struct.pack("iP", size, found.buffer_info()[0]))
        fcntl.ioctl(any_socket, _SIOCGIFCONF, request, True)
        (used,) = struct.unpack_from("i", request)
        if used < size:
            break
        size *= 4  # there may be more than there was room for
    numbers = (struct.unpack_from(">I", found, at + _ADDRESS_AT)[0] for at in range(0, used, _IFREQ_BYTES))
    return frozenset((*map(IPv4Address, numbers), *(address for _, address, _ in _addresses6())))


def _addresses6() -> list[tuple[str, IPv6Address, int]]:
    """Each interface's name, address and scope (/proc/net/if_inet6: address, number, prefix, scope, flags, name)."""
    try:
        lines = Path("/proc/net/if_inet6").read_text().splitlines()
    except OSError:
        return []
    fields = [line.split() for line in lines]
    return [(each[5], IPv6Address(bytes.fromhex(each[0])), int(each[3], 16)) for each in fields]
