"""Offers that real firmware ignores, and what `explain` says of the capture of that very run."""

from __future__ import annotations

from pathlib import Path

import pytest

from ironic_httpboot.dhcp import capture
from ironic_httpboot.dhcp.explain import Attempt, explain
from ironic_httpboot.dhcp.firmware import Rule
from kit.commands import httpboot
from kit.lab import until
from kit.wire import Network
from kit.yard import SPLASH_MS, Yard

pytestmark = pytest.mark.firmware

TIMEOUT = "Server response timeout"


def rules(attempts: tuple[Attempt, ...], machine: str, family: int) -> set[Rule | None]:
    """What became of the offers to a machine: MAC for DHCPv4, its digits are in the DUID for DHCPv6."""
    digits = machine.replace(":", "")
    found = [each for each in attempts if each.family == family]
    # EDK2's DUID is made of the machine's UUID: with one machine asking at a time the family is enough.
    mine = [each for each in found if each.machine in (machine, digits)] or found
    assert mine
    assert all(each.choice.rank is None for each in mine)
    return {verdict.rule for each in mine for verdict in each.choice.verdicts}


async def test_a_url_without_its_vendor_class_is_ignored_and_so_is_a_name_without_dns(tmp_path: Path) -> None:
    with Network(tmp_path) as network:
        async with Yard(network, ["classless", "nameless"], splash_ms=SPLASH_MS) as yard:
            network.dnsmasq(
                f"""
interface=br0
bind-interfaces
dhcp-range=192.0.2.10,192.0.2.99
dhcp-range=2001:db8::10,2001:db8::99
dhcp-host={yard.macs["classless"]},set:classless
dhcp-host={yard.macs["nameless"]},set:nameless
dhcp-option-force=tag:classless,67,http://192.0.2.1:8080/secret/node.efi
dhcp-option-force=tag:nameless,60,HTTPClient
dhcp-option-force=tag:nameless,67,http://images.example/secret/node.efi
dhcp-option-force=tag:classless,option6:59,"http://[2001:db8::1]:8080/secret/node.efi"
dhcp-option-force=tag:nameless,option6:59,"http://[2001:db8::1]:8080/secret/node.efi"
dhcp-option-force=tag:nameless,option6:16,HTTPClient
"""
            )
            with network.capture(tmp_path / "dhcp.pcap") as file:
                await yard.power_on("classless", "nameless")
                await until(
                    lambda: all(yard.console(name).count(TIMEOUT) >= 2 for name in yard.macs),
                    seconds=270,
                    what="both machines give up on both families",
                )
            assert [yard.requests(name) for name in yard.macs] == [[], []]
    attempts = explain(capture.read(file.read_bytes()))
    assert rules(attempts, yard.macs["classless"], 4) == {Rule.NO_CLASS4}
    assert rules(attempts, yard.macs["nameless"], 4) == {Rule.NO_DNS}
    assert rules(attempts, "", 6) == {Rule.NO_CLASS6, Rule.BAD_CLASS6}
    said = httpboot("explain", file)
    assert "passed over: it has a URL and no option 60 that begins with HTTPClient: the URL does not count" in said
    assert "passed over: its URL names a host and it brings no DNS server" in said
    assert "passed over: it has a URL and no option 16: the URL does not count" in said
    assert "/secret/" not in said
