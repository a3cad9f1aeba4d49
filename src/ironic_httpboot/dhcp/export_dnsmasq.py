"""A site as configuration for dnsmasq.

Knows dnsmasq's tags, and its trick for option 16. Refuses to know files: text is returned.
"""

from __future__ import annotations

from collections.abc import Iterator

from ironic_httpboot.dhcp.export import Default, Host, Site, octets
from ironic_httpboot.dhcp.policy import Subnet


def dnsmasq(site: Site) -> str:
    """Text for dnsmasq's --conf-file."""
    lines = [
        "# HTTP boot for dnsmasq 2.86 or newer. Test it with: dnsmasq --test --conf-file=THIS",
        *(f"interface={each}" for each in site.interfaces),
        "bind-interfaces",
        "# An iPXE that firmware has fetched asks again; it gets the script.",
        "dhcp-userclass=set:script,iPXE",
        "# What asks as HTTPClient is firmware; without this, others would get option 60 too.",
        "dhcp-vendorclass=set:http,HTTPClient",
    ]
    for number, subnet in enumerate(site.subnets, 1):
        lines += _subnet(subnet, f"net-{number}", site)
    if site.default.url6 or any(host.url6 for host in site.hosts):
        lines += [
            "# DHCPv6: firmware wants option 16 with HTTPClient in its bytes 6 to 15. dnsmasq sends text there and no",
            "# enterprise number, so six zeros take its place. WARNING: this is not the form that RFC 8415 demands.",
            "# UEFI firmware takes it; other clients may not. Kea can send the right form.",
            "dhcp-option-force=tag:http6,tag:firmware6,option6:16,0000HTTPClient",
            "# Firmware's enterprise is Intel's, whoever made it: EDK2 writes 343.",
            "dhcp-vendorclass=set:firmware6,enterprise:343,HTTPClient",
        ]
    for host in site.hosts:
        lines += ["", f"# {host.name}", *_host(host)]
    return "\n".join([*lines, *_default(site.default), ""])


def _subnet(subnet: Subnet, tag: str, site: Site) -> Iterator[str]:
    """Its ranges and, by a tag that these set, its own options: without it they would go to all networks."""
    six = subnet.network.version == 6
    length = subnet.network.prefixlen if six else subnet.network.netmask
    for first, last in subnet.ranges:
        yield f"dhcp-range=set:{tag},{first},{last},{length},{subnet.lease_seconds}"
    if not subnet.ranges and any(subnet.holds(each) for host in site.hosts for each in host.addresses):
        # Without a range dnsmasq does not know the network, nor gives what is reserved in it.
        yield f"dhcp-range=set:{tag},{subnet.network.network_address},static,{length},{subnet.lease_seconds}"
    if subnet.router:
        yield f"dhcp-option=tag:{tag},3,{subnet.router}"
    if subnet.dns:
        dns = ",".join(f"[{each}]" if six else str(each) for each in subnet.dns)
        yield f"dhcp-option=tag:{tag},{'option6:dns-server' if six else '6'},{dns}"
    if subnet.domain and not six:
        yield f"dhcp-option=tag:{tag},15,{subnet.domain}"


def _default(default: Default) -> Iterator[str]:
    if default != Default():
        yield "\n# Machines that are not named above."
    if default.url4:
        yield "dhcp-option-force=tag:!named,tag:http,tag:!script,60,HTTPClient"
        yield f"dhcp-option-force=tag:!named,tag:http,tag:!script,67,{default.url4}"
    if default.script:
        yield f"dhcp-option-force=tag:!named,tag:script,67,{default.script}"
    if default.url6:
        yield "dhcp-option-force=tag:!named,tag:firmware6,option6:16,0000HTTPClient"
        yield f'dhcp-option-force=tag:!named,tag:firmware6,option6:59,"{default.url6}"'
    if default.script6:
        yield f'dhcp-option-force=tag:!named,tag:script,option6:59,"{default.script6}"'


def _host(host: Host) -> Iterator[str]:
    tag = f"host-{host.name}"
    tags = f"set:{tag},set:named,set:http6" if host.url6 else f"set:{tag},set:named"
    # One line knows it by MAC and by DUID: an address may stand in one only. A line takes one IPv4 address.
    known = f"{host.mac},id:{octets(host.duid)}" if host.duid else host.mac
    own6 = "".join(f",[{each}]" for each in host.addresses if each.version == 6)
    own4 = [f",{each}" for each in host.addresses if each.version == 4]
    yield f"dhcp-host={known},{tags}{own6}{''.join(own4[:1])}"
    yield from (f"dhcp-host={known},{tags}{each}" for each in own4[1:])
    if host.url4:
        yield f"dhcp-option-force=tag:{tag},tag:http,tag:!script,60,HTTPClient"
        yield f"dhcp-option-force=tag:{tag},tag:http,tag:!script,67,{host.url4}"
    if host.script:
        yield f"dhcp-option-force=tag:{tag},tag:script,67,{host.script}"
    if host.url6:
        yield f'dhcp-option-force=tag:{tag},tag:firmware6,option6:59,"{host.url6}"'
    if host.script6:
        yield f'dhcp-option-force=tag:{tag},tag:script,option6:59,"{host.script6}"'
