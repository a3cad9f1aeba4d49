"""The network interfaces of this host: their numbers and addresses, as Linux tells them.

Knows where Linux says so. Refuses to know what the addresses are for.
"""

from __future__ import annotations

import array
import fcntl
import struct
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

from ironic_httpboot.errors import HostError

_SIOCGIFADDR = 0x8915
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


def look_up(name: str, any_socket: int) -> Interface:
    """What an interface is now. any_socket: the descriptor of an IPv4 socket. Raises HostError."""
    folder = Path("/sys/class/net") / name
    try:
        index = int((folder / "ifindex").read_text())
        mac = bytes.fromhex((folder / "address").read_text().strip().replace(":", ""))
    except (OSError, ValueError) as error:
        raise HostError(f"interface {name}: looked up → not there", hint="`ip link` shows those that are") from error
    addresses6 = list(_addresses6(name))
    return Interface(
        name=name,
        index=index,
        mac=mac if any(mac) else b"",
        address4=_address4(name, any_socket),
        address6=next((address for address, scope in addresses6 if scope == _SCOPE_GLOBAL), None),
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


def _addresses6(name: str) -> list[tuple[IPv6Address, int]]:
    """Each address with its scope (/proc/net/if_inet6: address, number, prefix, scope, flags, name)."""
    try:
        lines = Path("/proc/net/if_inet6").read_text().splitlines()
    except OSError:
        return []
    fields = [line.split() for line in lines]
    return [(IPv6Address(bytes.fromhex(each[0])), int(each[3], 16)) for each in fields if each[5] == name]
