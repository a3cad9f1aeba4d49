"""A site as configuration for Kea, a file for each of its two servers.

Knows Kea's client classes, and how it writes option 16. Refuses to know files: text is returned.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from ironic_httpboot.dhcp.export import Host, Site, link_local, octets
from ironic_httpboot.dhcp.message6 import http_client_class
from ironic_httpboot.dhcp.policy import Subnet
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
_IPXE_TESTS = {4: "option[77].hex == 0x69505845", 6: "substring(option[15].hex,2,4) == 'iPXE'"}


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
        "client-classes": [_http(version), *_boots(site, version), *_default(site, version)],
        f"subnet{version}": [_subnet(each, site, number) for number, each in enumerate(subnets, 1)],
    }
    text = json.dumps({name: content}, indent=2)
    head = (
        f"// HTTP boot for kea-dhcp{version}. Test it with: kea-dhcp{version} -t THIS\n"
        "// Classes tell firmware (HTTPClient) from the iPXE that it has fetched; each host names what it boots.\n"
    )
    if version == 6:
        head += '// Option 16 is enterprise 343 and "HTTPClient": without it firmware drops the URL in option 59.\n'
    return f"{head}{text}\n"


def _http(version: int) -> dict[str, Any]:
    place = "option[60].hex,0,10" if version == 4 else "option[16].hex,6,10"
    return {"name": "http", "test": f"substring({place}) == 'HTTPClient'"}


def _boots(site: Site, version: int) -> list[dict[str, Any]]:
    """A class for each machine, and not options of its reservation: those would also go to an iPXE or a system."""
    classes: list[dict[str, Any]] = []
    for host in site.hosts:
        known = _known(host, version)
        url = host.url4 if version == 4 else host.url6
        classes += _pair(host.name, known, url, host.script if version == 4 else host.script6, version)
    return classes


def _default(site: Site, version: int) -> list[dict[str, Any]]:
    """The same for those that are not named. The names of these classes cannot be those of a machine's."""
    default = site.default
    url, script = (default.url4, default.script) if version == 4 else (default.url6, default.script6)
    if not url and not script:
        return []
    if not site.hosts:
        return list(_pair("_default", "member('ALL')", url, script, version))
    named = {"name": "named", "test": " or ".join(f"({_known(host, version)})" for host in site.hosts)}
    return [named, *_pair("_default", "not member('named')", url, script, version)]


def _pair(name: str, known: str, url: str | None, script: str | None, version: int) -> Iterator[dict[str, Any]]:
    boot, vendor = (_BOOT4, _CLASS4) if version == 4 else (_BOOT6, _CLASS6)
    if url:
        data = [{"data": _text(url), **boot}, vendor]
        yield {"name": f"boot-{name}", "test": f"{known} and member('http')", "option-data": data}
    if script:
        data = [{"data": _text(script), **boot}]
        yield {"name": f"script-{name}", "test": f"{known} and {_IPXE_TESTS[version]}", "option-data": data}


def _text(value: str) -> str:
    """Kea ends a text at a comma that no backslash precedes."""
    return value.replace(",", "\\,")


def _known(host: Host, version: int) -> str:
    return f"hexstring(pkt4.mac, ':') == '{host.mac}'" if version == 4 else _known6(host)


def _known6(host: Host) -> str:
    """By DUID; else by the link-local address that UEFI makes of the MAC, as Kea 2.2 does not find a MAC in it."""
    if host.duid:
        return f"option[1].hex == 0x{host.duid.replace(':', '')}"
    address = link_local(host.mac)
    return f"(pkt.src == {address} or relay6[0].peeraddr == {address})"


def _subnet(subnet: Subnet, site: Site, number: int) -> dict[str, Any]:
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
        "reservations": _reservations(site, subnet),
    }
    if version == 6:
        # Firmware hangs where the preferred lifetime exceeds the valid one.
        content |= {"interface": site.interfaces[0], "preferred-lifetime": subnet.lease_seconds}
    return content


def _reservations(site: Site, subnet: Subnet) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for host in site.hosts:
        addresses = [str(each) for each in host.addresses if subnet.holds(each)]
        if subnet.network.version == 4 and addresses:
            found.append({"hw-address": host.mac, "hostname": host.name, "ip-address": addresses[0]})
        elif addresses and host.duid:
            found.append({"duid": octets(host.duid), "hostname": host.name, "ip-addresses": addresses})
    return found
