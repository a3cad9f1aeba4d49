"""A site as configuration for ISC dhcpd, a file for each family.

Knows its classes and its `if`s. Refuses to know files: text is returned.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

from ironic_httpboot.dhcp.export import Site, octets
from ironic_httpboot.dhcp.message6 import http_client_class

_CLASS6, _USER_CLASS6 = "http-vendor-class", "user-class"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Words:
    """How one family's dhcpd tells who asks, and where it puts a URL. more: what else firmware is told."""

    is_ipxe: str
    is_firmware: str
    url: str
    more: tuple[str, ...] = ()


_WORDS4 = _Words(
    is_ipxe='option user-class = "iPXE"',
    is_firmware='substring(option vendor-class-identifier, 0, 10) = "HTTPClient"',
    url="bootfile-name",
)
_WORDS6 = _Words(
    is_ipxe=f'substring(option dhcp6.{_USER_CLASS6}, 2, 4) = "iPXE"',
    is_firmware=f'substring(option dhcp6.{_CLASS6}, 6, 10) = "HTTPClient"',
    url="dhcp6.bootfile-url",
    more=(f"  option dhcp6.{_CLASS6} {http_client_class(b'HTTPClient').hex(':')};",),
)


def isc(site: Site) -> str:
    """Text for ISC dhcpd, DHCPv4."""
    lines = [
        "# HTTP boot for ISC dhcpd 4.4, DHCPv4. Test it with: dhcpd -t -cf THIS",
        f"# Its interfaces are named where it is started: dhcpd -cf THIS {' '.join(site.interfaces)}",
        'class "http" {',
        '  match if substring(option vendor-class-identifier, 0, 10) = "HTTPClient";',
        "  # Without option 60 in the answer firmware ignores the URL.",
        '  option vendor-class-identifier "HTTPClient";',
        "}",
    ]
    for subnet in site.subnets:
        if subnet.network.version != 4:
            continue
        lines.append(f"subnet {subnet.network.network_address} netmask {subnet.network.netmask} {{")
        lines += [f"  range {first} {last};" for first, last in subnet.ranges]
        lines += [f"  option routers {subnet.router};"] if subnet.router else []
        lines += [f'  option domain-name "{subnet.domain}";'] if subnet.domain else []
        lines += [f"  option domain-name-servers {', '.join(map(str, subnet.dns))};"] if subnet.dns else []
        lines += [f"  default-lease-time {subnet.lease_seconds};", f"  max-lease-time {subnet.lease_seconds};", "}"]
    for host in site.hosts:
        lines += [f"host {host.name} {{", f"  hardware ethernet {host.mac};"]
        lines += [f"  fixed-address {each};" for each in host.addresses if isinstance(each, IPv4Address)][:1]
        lines += [f"  {each}" for each in _boot(host.url4, host.script, _WORDS4)]
        lines.append("}")
    return "\n".join([*lines, *_unnamed(site.default.url4, site.default.script, _WORDS4), ""])


def isc6(site: Site) -> str:
    """Text for ISC dhcpd -6: machines with a duid only, since by nothing else it tells them apart without a relay."""
    lines = [
        "# HTTP boot for ISC dhcpd 4.4, DHCPv6. Test it with: dhcpd -6 -t -cf THIS",
        f"# Its interfaces are named where it is started: dhcpd -6 -cf THIS {' '.join(site.interfaces)}",
        '# Option 16 is enterprise 343 and "HTTPClient": without it firmware drops the URL in option 59.',
        f"option dhcp6.{_CLASS6} code 16 = string;",
        f"option dhcp6.{_USER_CLASS6} code 15 = string;",
    ]
    for subnet in site.subnets:
        if subnet.network.version != 6:
            continue
        lines.append(f"subnet6 {subnet.network} {{")
        lines += [f"  range6 {first} {last};" for first, last in subnet.ranges]
        lines += [f"  option dhcp6.name-servers {', '.join(map(str, subnet.dns))};"] if subnet.dns else []
        # Firmware hangs where the preferred lifetime exceeds the valid one.
        lines += [f"  default-lease-time {subnet.lease_seconds};", f"  preferred-lifetime {subnet.lease_seconds};", "}"]
    for host in site.hosts:
        if not host.duid:
            continue
        lines += [f"host {host.name} {{", f"  host-identifier option dhcp6.client-id {octets(host.duid)};"]
        lines += [f"  fixed-address6 {each};" for each in host.addresses if isinstance(each, IPv6Address)][:1]
        lines += [f"  {each}" for each in _boot(host.url6, host.script6, _WORDS6)]
        lines.append("}")
    return "\n".join([*lines, *_unnamed(site.default.url6, site.default.script6, _WORDS6), ""])


def _unnamed(url: str | None, script: str | None, words: _Words) -> list[str]:
    """What machines boot that no host declares."""
    boot = [f"  {each}" for each in _boot(url, script, words)]
    return ["# Machines that are not named above.", "if not known {", *boot, "}"] if boot else []


def _boot(url: str | None, script: str | None, words: _Words) -> list[str]:
    lines: list[str] = []
    if script:
        lines += [f"if {words.is_ipxe} {{", f"  option {words.url} {json.dumps(script)};", "} else"]
    if url:
        lines += [f"if {words.is_firmware} {{", f"  option {words.url} {json.dumps(url)};", *words.more, "}"]
    elif script:
        lines[-1] = "}"
    return lines
