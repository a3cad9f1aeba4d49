"""A site as options of Neutron's ports, which its agent hands to dnsmasq.

Knows extra_dhcp_opts, as the openstack client takes them and as JSON. Refuses to know files: text is returned.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator

from ironic_httpboot.dhcp.export import Host, Site


def neutron(site: Site) -> str:
    """Shell commands for the openstack client: extra_dhcp_opts of each machine's port, found by its MAC."""
    lines = [
        "# HTTP boot by Neutron's own DHCP agent (dnsmasq). Each port is found by its MAC address.",
        "# DHCPv6: option 16 is written as dnsmasq's trick demands, which UEFI firmware takes and RFC 8415 does not.",
    ]
    for host in site.hosts:
        port = f'"$(openstack port list --mac-address {host.mac} -f value -c ID)"'
        lines.append(f"# {host.name}")
        for option in _options(host):
            given = f"name={option['opt_name']},value={option['opt_value']},ip-version={option['ip_version']}"
            lines.append(f"openstack port set --extra-dhcp-option {shlex.quote(given)} {port}")
    return "\n".join([*lines, ""])


def neutron_json(site: Site) -> str:
    """The same as JSON: MAC → extra_dhcp_opts, for a PUT to /v2.0/ports/ID."""
    ports = [{"mac_address": host.mac, "extra_dhcp_opts": list(_options(host))} for host in site.hosts]
    return json.dumps({"ports": ports}, indent=2) + "\n"


def _options(host: Host) -> Iterator[dict[str, str]]:
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
