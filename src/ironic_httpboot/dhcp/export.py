"""The same answers as configuration for others: dnsmasq, Kea, ISC dhcpd and Neutron.

Knows how each of them is told what firmware wants (see `firmware`). Refuses to know files: text is returned. URLs
stand in it as they are, with what may be secret.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Address, IPv6Address
from typing import Any

from ironic_httpboot.dhcp.message6 import http_client_class
from ironic_httpboot.dhcp.policy import Address, Subnet
from ironic_httpboot.errors import InputError

_BOOT4 = {"name": "boot-file-name", "always-send": True}
_CLASS4 = {"name": "vendor-class-identifier", "data": "HTTPClient", "always-send": True}
_BOOT6 = {"name": "bootfile-url", "always-send": True}
_CLASS6 = {
    "code": 16,
    "space": "dhcp6",
    "csv-format": False,
    "always-send": True,
    "data": http_client_class(b"HTTPClient").hex().upper(),
}
_ISC_CLASS6 = "http-vendor-class"
_IPXE_TEST4 = "option[77].hex == 0x69505845"


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """One machine. url4, url6, script: what it boots over each family, and what an iPXE is told; None for nothing."""

    name: str
    mac: str
    duid: str = ""
    url4: str | None = field(default=None, repr=False)
    url6: str | None = field(default=None, repr=False)
    script: str | None = field(default=None, repr=False)
    addresses: tuple[Address, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Default:
    """What machines boot that no Host names, over each family; None for nothing. script: what an iPXE is told."""

    url4: str | None = field(default=None, repr=False)
    url6: str | None = field(default=None, repr=False)
    script: str | None = field(default=None, repr=False)


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
        lines += _dnsmasq_subnet(subnet, f"net-{number}", site)
    if site.default.url6 or any(host.url6 for host in site.hosts):
        lines += [
            "# DHCPv6: firmware wants option 16 with HTTPClient in its bytes 6 to 15. dnsmasq sends text there and no",
            "# enterprise number, so six zeros take its place. WARNING: this is not the form that RFC 8415 demands.",
            "# UEFI firmware takes it; other clients may not. Kea can send the right form.",
            "dhcp-option-force=tag:http6,option6:16,0000HTTPClient",
        ]
    for host in site.hosts:
        lines += ["", f"# {host.name}", *_dnsmasq_host(host)]
    return "\n".join([*lines, *_dnsmasq_default(site.default), ""])


def _dnsmasq_subnet(subnet: Subnet, tag: str, site: Site) -> Iterator[str]:
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


def _dnsmasq_default(default: Default) -> Iterator[str]:
    if default != Default():
        yield "\n# Machines that are not named above."
    if default.url4:
        yield "dhcp-option-force=tag:!named,tag:http,tag:!script,60,HTTPClient"
        yield f"dhcp-option-force=tag:!named,tag:http,tag:!script,67,{default.url4}"
    if default.script:
        yield f"dhcp-option-force=tag:!named,tag:script,67,{default.script}"
    if default.url6:
        # Firmware's enterprise is Intel's, whoever made it: EDK2 writes 343.
        yield "dhcp-vendorclass=set:firmware6,enterprise:343,HTTPClient"
        yield "dhcp-option-force=tag:!named,tag:firmware6,option6:16,0000HTTPClient"
        yield f'dhcp-option-force=tag:!named,tag:firmware6,option6:59,"{default.url6}"'


def _dnsmasq_host(host: Host) -> Iterator[str]:
    tag = f"host-{host.name}"
    tags = f"set:{tag},set:named,set:http6" if host.url6 else f"set:{tag},set:named"
    # One line knows it by MAC and by DUID: an address may stand in one only. A line takes one IPv4 address.
    known = f"{host.mac},id:{_octets(host.duid)}" if host.duid else host.mac
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
        yield f'dhcp-option-force=tag:{tag},option6:59,"{host.url6}"'


def kea(site: Site, version: int) -> str:
    """JSON for kea-dhcp4 or kea-dhcp6 (2.2 or newer). version: 4 or 6."""
    if version not in (4, 6):
        raise InputError(f"Kea for IP version {version}: there is none")
    name = f"Dhcp{version}"
    subnets = [each for each in site.subnets if each.network.version == version]
    content: dict[str, Any] = {
        "interfaces-config": {"interfaces": list(site.interfaces)},
        "lease-database": {"type": "memfile", "persist": True, "lfc-interval": 3600},
        "host-reservation-identifiers": ["hw-address"] if version == 4 else ["duid"],
        "client-classes": [_kea_http(version), *_kea_boots(site, version), *_kea_default(site, version)],
        f"subnet{version}": [_kea_subnet(each, site, number) for number, each in enumerate(subnets, 1)],
    }
    text = json.dumps({name: content}, indent=2)
    head = (
        f"// HTTP boot for kea-dhcp{version}. Test it with: kea-dhcp{version} -t THIS\n"
        "// Classes tell firmware (HTTPClient) from the iPXE that it has fetched; each host names what it boots.\n"
    )
    if version == 6:
        head += '// Option 16 is enterprise 343 and "HTTPClient": without it firmware drops the URL in option 59.\n'
    return f"{head}{text}\n"


def _kea_http(version: int) -> dict[str, Any]:
    place = "option[60].hex,0,10" if version == 4 else "option[16].hex,6,10"
    return {"name": "http", "test": f"substring({place}) == 'HTTPClient'"}


def _kea_boots(site: Site, version: int) -> list[dict[str, Any]]:
    """A class for each machine, and not options of its reservation: those would also go to an iPXE or a system."""
    classes: list[dict[str, Any]] = []
    for host in site.hosts:
        known = _kea_known(host, version)
        url = host.url4 if version == 4 else host.url6
        classes += _kea_pair(host.name, known, url, host.script, version)
    return classes


def _kea_default(site: Site, version: int) -> list[dict[str, Any]]:
    """The same for those that are not named. The names of these classes cannot be those of a machine's."""
    url, script = (site.default.url4, site.default.script) if version == 4 else (site.default.url6, None)
    if not url and not script:
        return []
    if not site.hosts:
        return list(_kea_pair("_default", "member('ALL')", url, script, version))
    named = {"name": "named", "test": " or ".join(f"({_kea_known(host, version)})" for host in site.hosts)}
    return [named, *_kea_pair("_default", "not member('named')", url, script, version)]


def _kea_pair(name: str, known: str, url: str | None, script: str | None, version: int) -> Iterator[dict[str, Any]]:
    if url:
        boot, vendor = (_BOOT4, _CLASS4) if version == 4 else (_BOOT6, _CLASS6)
        data = [{"data": _kea_text(url), **boot}, vendor]
        yield {"name": f"boot-{name}", "test": f"{known} and member('http')", "option-data": data}
    if script and version == 4:
        data = [{"data": _kea_text(script), **_BOOT4}]
        yield {"name": f"script-{name}", "test": f"{known} and {_IPXE_TEST4}", "option-data": data}


def _kea_text(value: str) -> str:
    """Kea ends a text at a comma that no backslash precedes."""
    return value.replace(",", "\\,")


def _kea_known(host: Host, version: int) -> str:
    return f"hexstring(pkt4.mac, ':') == '{host.mac}'" if version == 4 else _known6(host)


def _known6(host: Host) -> str:
    """By DUID; else by the link-local address that UEFI makes of the MAC, as Kea 2.2 does not find a MAC in it."""
    if host.duid:
        return f"option[1].hex == 0x{host.duid.replace(':', '')}"
    address = link_local(host.mac)
    return f"(pkt.src == {address} or relay6[0].peeraddr == {address})"


def link_local(mac: str) -> IPv6Address:
    """The link-local address that is made of a MAC address (RFC 4291, appendix A)."""
    octets = bytes.fromhex(mac.replace(":", ""))
    return IPv6Address(b"\xfe\x80" + bytes(6) + bytes((octets[0] ^ 2, *octets[1:3], 0xFF, 0xFE, *octets[3:])))


def _kea_subnet(subnet: Subnet, site: Site, number: int) -> dict[str, Any]:
    version = subnet.network.version
    options = []
    if subnet.router and version == 4:
        options.append({"name": "routers", "data": str(subnet.router)})
    if subnet.domain and version == 4:
        options.append({"name": "domain-name", "data": subnet.domain})
    if subnet.dns:
        name = "domain-name-servers" if version == 4 else "dns-servers"
        options.append({"name": name, "data": ", ".join(map(str, subnet.dns))})
    content: dict[str, Any] = {
        "id": number,
        "subnet": str(subnet.network),
        "valid-lifetime": subnet.lease_seconds,
        "pools": [{"pool": f"{first} - {last}"} for first, last in subnet.ranges],
        "option-data": options,
        "reservations": _kea_reservations(site, subnet),
    }
    if version == 6:
        # Firmware hangs where the preferred lifetime exceeds the valid one.
        content |= {"interface": site.interfaces[0], "preferred-lifetime": subnet.lease_seconds}
    return content


def _kea_reservations(site: Site, subnet: Subnet) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for host in site.hosts:
        addresses = [str(each) for each in host.addresses if subnet.holds(each)]
        if subnet.network.version == 4 and addresses:
            found.append({"hw-address": host.mac, "hostname": host.name, "ip-address": addresses[0]})
        elif addresses and host.duid:
            found.append({"duid": _octets(host.duid), "hostname": host.name, "ip-addresses": addresses})
    return found


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
        lines += [f"  {each}" for each in _isc_boot(host.url4, host.script)]
        lines.append("}")
    default = [f"  {each}" for each in _isc_boot(site.default.url4, site.default.script)]
    if default:
        lines += ["# Machines that are not named above.", "if not known {", *default, "}"]
    return "\n".join([*lines, ""])


def _isc_boot(url: str | None, script: str | None) -> list[str]:
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
        f"option dhcp6.{_ISC_CLASS6} code 16 = string;",
    ]
    for subnet in site.subnets:
        if subnet.network.version != 6:
            continue
        lines.append(f"subnet6 {subnet.network} {{")
        lines += [f"  range6 {first} {last};" for first, last in subnet.ranges]
        lines += [f"  option dhcp6.name-servers {', '.join(map(str, subnet.dns))};"] if subnet.dns else []
        # Firmware hangs where the preferred lifetime exceeds the valid one.
        lines += [f"  default-lease-time {subnet.lease_seconds};", f"  preferred-lifetime {subnet.lease_seconds};", "}"]
    data = http_client_class(b"HTTPClient").hex(":")
    for host in site.hosts:
        if not host.duid:
            continue
        lines += [f"host {host.name} {{", f"  host-identifier option dhcp6.client-id {_octets(host.duid)};"]
        lines += [f"  fixed-address6 {each};" for each in host.addresses if isinstance(each, IPv6Address)][:1]
        if host.url6:
            lines += [f"  option dhcp6.bootfile-url {json.dumps(host.url6)};", f"  option dhcp6.{_ISC_CLASS6} {data};"]
        lines.append("}")
    if site.default.url6:
        lines += [
            "# Machines that are not named above.",
            f'if not known and substring(option dhcp6.{_ISC_CLASS6}, 6, 10) = "HTTPClient" {{',
            f"  option dhcp6.bootfile-url {json.dumps(site.default.url6)};",
            f"  option dhcp6.{_ISC_CLASS6} {data};",
            "}",
        ]
    return "\n".join([*lines, ""])


def _octets(duid: str) -> str:
    return bytes.fromhex(duid.replace(":", "")).hex(":")


def neutron(site: Site) -> str:
    """Shell commands for the openstack client: extra_dhcp_opts of each machine's port, found by its MAC."""
    lines = [
        "# HTTP boot by Neutron's own DHCP agent (dnsmasq). Each port is found by its MAC address.",
        "# DHCPv6: option 16 is written as dnsmasq's trick demands, which UEFI firmware takes and RFC 8415 does not.",
    ]
    for host in site.hosts:
        port = f'"$(openstack port list --mac-address {host.mac} -f value -c ID)"'
        lines.append(f"# {host.name}")
        for option in _neutron_options(host):
            given = f"name={option['opt_name']},value={option['opt_value']},ip-version={option['ip_version']}"
            lines.append(f"openstack port set --extra-dhcp-option {shlex.quote(given)} {port}")
    return "\n".join([*lines, ""])


def neutron_json(site: Site) -> str:
    """The same as JSON: MAC → extra_dhcp_opts, for a PUT to /v2.0/ports/ID."""
    ports = [{"mac_address": host.mac, "extra_dhcp_opts": list(_neutron_options(host))} for host in site.hosts]
    return json.dumps({"ports": ports}, indent=2) + "\n"


def _neutron_options(host: Host) -> Iterator[dict[str, str]]:
    def option(name: str, value: str, version: str) -> dict[str, str]:
        return {"opt_name": name, "opt_value": value, "ip_version": version}

    if host.url4:
        yield option("60", "HTTPClient", "4")
        # Neutron keeps these options in no order, and dnsmasq takes the last line that fits: only one may fit an iPXE.
        yield option("tag:!ipxe,67" if host.script else "67", host.url4, "4")
    if host.script:
        yield option("tag:ipxe,67", host.script, "4")
    if host.url6:
        yield option("59", host.url6, "6")
        yield option("16", "0000HTTPClient", "6")


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
