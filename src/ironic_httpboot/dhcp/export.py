"""What other DHCP servers are told, so that they answer as `httpboot serve` does: a site, and what of it they lose.

Knows what firmware wants (see `firmware`), and what each server has no words for. Refuses to know files, and how a
server is told: `export_dnsmasq` and its neighbours do. URLs stand in a site as they are, with what may be secret.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from ipaddress import IPv6Address

from ironic_httpboot.dhcp.policy import Address, Subnet


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """One machine. url4, url6: what it boots over each family; script: what an iPXE is told over IPv4, script6: over
    IPv6; None for nothing."""

    name: str
    mac: str
    duid: str = ""
    url4: str | None = field(default=None, repr=False)
    url6: str | None = field(default=None, repr=False)
    script: str | None = field(default=None, repr=False)
    script6: str | None = field(default=None, repr=False)
    addresses: tuple[Address, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Default:
    """What machines boot that no Host names, over each family; None for nothing. script, script6: for an iPXE."""

    url4: str | None = field(default=None, repr=False)
    url6: str | None = field(default=None, repr=False)
    script: str | None = field(default=None, repr=False)
    script6: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """What is exported. interfaces: where the server is to listen."""

    interfaces: tuple[str, ...]
    subnets: tuple[Subnet, ...]
    hosts: tuple[Host, ...]
    default: Default = Default()


def coherent(site: Site) -> Site:
    """A site that every server takes: addresses stand in its ranges once, and networks name servers of their family."""
    return replace(site, subnets=tuple(map(_coherent_subnet, site.subnets)))


def _coherent_subnet(subnet: Subnet) -> Subnet:
    """Its ranges without what they share, and the DNS servers of its own family, as `httpboot serve` answers."""
    ranges: list[tuple[Address, Address]] = []
    for first, last in sorted(subnet.ranges, key=lambda each: (int(each[0]), int(each[1]))):
        if ranges and int(first) <= int(ranges[-1][1]):
            ranges[-1] = (ranges[-1][0], last if int(last) > int(ranges[-1][1]) else ranges[-1][1])
        else:
            ranges.append((first, last))
    dns = tuple(each for each in subnet.dns if each.version == subnet.network.version)
    return replace(subnet, ranges=tuple(ranges), dns=dns)


def octets(duid: str) -> str:
    """A DUID as all of them write it."""
    return bytes.fromhex(duid.replace(":", "")).hex(":")


def link_local(mac: str) -> IPv6Address:
    """The link-local address that is made of a MAC address (RFC 4291, appendix A)."""
    octets = bytes.fromhex(mac.replace(":", ""))
    return IPv6Address(b"\xfe\x80" + bytes(6) + bytes((octets[0] ^ 2, *octets[1:3], 0xFF, 0xFE, *octets[3:])))


def check(site: Site) -> Sequence[str]:
    """What the exported configuration cannot do, in words."""
    found = [f"{host.name}: has no URL of either family" for host in site.hosts if not (host.url4 or host.url6)]
    found += [
        f"{host.name}: has no duid: Kea does not reserve its IPv6 address, and ISC dhcpd does not know it over DHCPv6"
        for host in site.hosts
        if not host.duid and (host.url6 or any(each.version == 6 for each in host.addresses))
    ]
    families = {subnet.network.version for subnet in site.subnets if subnet.ranges}
    for version, kind in ((4, "url4"), (6, "url6")):
        if version not in families and any(getattr(each, kind) for each in (*site.hosts, site.default)):
            found.append(f"no [[subnet]] of IPv{version} has a range: its machines get no address from this server")
    return found


def lost(site: Site, server: str) -> Sequence[str]:
    """What one server's configuration cannot say, in words. server: as the command line names it."""
    found = []
    if server.startswith("neutron"):
        if site.default != Default():
            found.append("[dhcp] url, script: Neutron has options for ports only: machines that are not named get none")
        found += [
            f"subnet {each.network}: domain {each.domain} is not exported: Neutron's own dns_domain says it"
            for each in site.subnets
            if each.domain
        ]
        found += [
            f"{host.name}: script is not exported over IPv6: there an iPXE is told the url that firmware is told"
            for host in site.hosts
            if host.url6 and host.script6
        ]
    if server == "neutron":
        # The client splits at commas, and takes what holds an equals sign for a key of its own.
        found += [
            f"{host.name}: its URL has a comma and an equals sign after it, which the openstack client does not take: "
            "use neutron-json"
            for host in site.hosts
            if any("=" in part for url in (host.url4, host.url6, host.script) if url for part in url.split(",")[1:])
        ]
    several = len(site.interfaces) > 1
    if server == "kea6" and several and any(each.network.version == 6 for each in site.subnets):
        others = ", ".join(site.interfaces[1:])
        found.append(
            "interfaces: Kea wants the interface of each IPv6 subnet, which the file does not say: each is written "
            f"for {site.interfaces[0]}, none for {others}"
        )
    if server.startswith("isc") and several:
        program = "dhcpd -6" if server == "isc6" else "dhcpd"
        found.append(
            f"interfaces: ISC dhcpd is told them where it starts: {program} -cf FILE {' '.join(site.interfaces)}"
        )
    return found
