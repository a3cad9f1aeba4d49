"""Exported configuration: each server's own check takes it, and it says what firmware wants."""

from __future__ import annotations

import json
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from pathlib import Path

import pytest

from ironic_httpboot.dhcp import export
from ironic_httpboot.dhcp.export_dnsmasq import dnsmasq
from ironic_httpboot.dhcp.export_isc import isc, isc6
from ironic_httpboot.dhcp.export_kea import kea
from ironic_httpboot.dhcp.export_neutron import neutron, neutron_json
from ironic_httpboot.dhcp.policy import Subnet, fits
from ironic_httpboot.errors import InputError
from kit.judges import judge

SITE = export.Site(
    interfaces=("lo",),
    subnets=(
        Subnet(
            network=IPv4Network("192.0.2.0/24"),
            ranges=((IPv4Address("192.0.2.10"), IPv4Address("192.0.2.99")),),
            router=IPv4Address("192.0.2.1"),
            dns=(IPv4Address("192.0.2.1"),),
        ),
        Subnet(
            network=IPv6Network("2001:db8::/64"),
            ranges=((IPv6Address("2001:db8::10"), IPv6Address("2001:db8::99")),),
            dns=(IPv6Address("2001:db8::1"),),
        ),
    ),
    hosts=(
        export.Host(
            name="node-1",
            mac="52:54:00:00:00:01",
            url4="http://192.0.2.1:8080/secret/node-1.iso",
            script="http://192.0.2.1:8080/secret/boot.ipxe",
            addresses=(IPv4Address("192.0.2.11"), IPv6Address("2001:db8::11")),
        ),
        export.Host(name="node-2", mac="52:54:00:00:00:02", url6="http://[2001:db8::1]:8080/secret/node-2.efi"),
        export.Host(name="node-3", mac="52:54:00:00:00:03", url4="http://192.0.2.1/x.efi", duid="00:04:01:02:03"),
    ),
)


def test_dnsmasq_takes_it(tmp_path: Path) -> None:
    file = tmp_path / "dnsmasq.conf"
    file.write_text(dnsmasq(SITE))
    judge("dnsmasq", "--test", f"--conf-file={file}")


@pytest.mark.parametrize("version", [4, 6])
def test_kea_takes_it(version: int, tmp_path: Path) -> None:
    file = tmp_path / "kea.json"
    file.write_text(kea(SITE, version))
    judge(f"kea-dhcp{version}", "-t", file)


def test_isc_dhcpd_takes_it(tmp_path: Path) -> None:
    file = tmp_path / "dhcpd.conf"
    file.write_text(isc(SITE))
    judge("dhcpd", "-t", "-cf", file)
    file.write_text(isc6(SITE))
    judge("dhcpd", "-6", "-t", "-cf", file)


def test_the_shell_takes_neutrons_commands_and_json_says_the_same(tmp_path: Path) -> None:
    file = tmp_path / "neutron.sh"
    file.write_text(neutron(SITE))
    judge("bash", "-n", file)
    ports = json.loads(neutron_json(SITE))["ports"]
    assert ports[1] == {
        "mac_address": "52:54:00:00:00:02",
        "extra_dhcp_opts": [
            {"opt_name": "59", "opt_value": "http://[2001:db8::1]:8080/secret/node-2.efi", "ip_version": "6"},
            {"opt_name": "16", "opt_value": "0000HTTPClient", "ip_version": "6"},
        ],
    }
    text = file.read_text()
    for port in ports:
        for option in port["extra_dhcp_opts"]:
            given = f"name={option['opt_name']},value={option['opt_value']},ip-version={option['ip_version']}"
            assert given in text


def test_kea_sends_option_16_in_the_form_that_firmware_looks_for() -> None:
    text = kea(SITE, 6)
    assert '"data": "00000157000A48545450436C69656E74"' in text
    assert '"preferred-lifetime": 3600' in text


def test_what_cannot_work_is_said() -> None:
    lonely = export.Site(interfaces=("lo",), subnets=(), hosts=(export.Host(name="x", mac="52:54:00:00:00:01"),))
    assert export.check(lonely) == ["x: has no URL of either family"]
    unknown = [
        f"{name}: has no duid: Kea does not reserve its IPv6 address, and ISC dhcpd does not know it over DHCPv6"
        for name in ("node-1", "node-2")
    ]
    assert export.check(SITE) == unknown
    without6 = export.Site(interfaces=("lo",), subnets=SITE.subnets[:1], hosts=SITE.hosts)
    assert export.check(without6) == [
        *unknown,
        "no [[subnet]] of IPv6 has a range: its machines get no address from this server",
    ]
    with pytest.raises(InputError):
        kea(SITE, 5)


@pytest.mark.parametrize(
    ("url", "versions"),
    [("http://192.0.2.1:80/x", {4}), ("http://[2001:db8::1]/x", {6}), ("http://name.example/x", {4, 6})],
)
def test_a_literal_address_is_offered_over_its_own_family(url: str, versions: set[int]) -> None:
    assert {version for version in (4, 6) if fits(url, version)} == versions


def test_a_link_local_address_is_made_of_the_mac() -> None:
    assert str(export.link_local("52:54:00:5f:d6:a5")) == "fe80::5054:ff:fe5f:d6a5"
