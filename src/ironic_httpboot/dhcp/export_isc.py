"""A site as configuration for ISC dhcpd, a file for each family.

Knows its classes and its `if`s. Refuses to know files: text is returned.
"""

from __future__ import annotations

import json
from ipaddress import IPv4Address, IPv6Address

from ironic_httpboot.dhcp.export import Site, octets
from ironic_httpboot.dhcp.message6 import http_client_class

_CLASS6, _USER_CLASS6 = "http-vendor-class", "user-class"
_HTTP_CLIENT = http_client_class(b"HTTPClient").hex(":")


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
        lines += [f"  {each}" for each in _boot(host.url4, host.script)]
        lines.append("}")
    default = [f"  {each}" for each in _boot(site.default.url4, site.default.script)]
    if default:
        lines += ["# Machines that are not named above.", "if not known {", *default, "}"]
    return "\n".join([*lines, ""])


def _boot(url: str | None, script: str | None) -> list[str]:
    lines: list[str] = []
    if script:
        lines += ['if option user-class = "iPXE" {', f"  option bootfile-name {json.dumps(script)};", "} else"]
    if url:
        lines += ['if substring(option vendor-class-identifier, 0, 10) = "HTTPClient" {']
        lines += [f"  option bootfile-name {json.dumps(url)};", "}"]
    elif script:
        lines[-1] = "}"
    return lines


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
        lines += [f"  {each}" for each in _boot6(host.url6, host.script6)]
        lines.append("}")
    default = [f"  {each}" for each in _boot6(site.default.url6, site.default.script6)]
    if default:
        lines += ["# Machines that are not named above.", "if not known {", *default, "}"]
    return "\n".join([*lines, ""])


def _boot6(url: str | None, script: str | None) -> list[str]:
    lines: list[str] = []
    if script:
        lines += [f'if substring(option dhcp6.{_USER_CLASS6}, 2, 4) = "iPXE" {{']
        lines += [f"  option dhcp6.bootfile-url {json.dumps(script)};", "} else"]
    if url:
        lines += [f'if substring(option dhcp6.{_CLASS6}, 6, 10) = "HTTPClient" {{']
        lines += [f"  option dhcp6.bootfile-url {json.dumps(url)};", f"  option dhcp6.{_CLASS6} {_HTTP_CLIENT};", "}"]
    elif script:
        lines[-1] = "}"
    return lines
