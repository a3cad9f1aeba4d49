"""Other DHCP servers, configured by `httpboot export`, boot real firmware over both families."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path

import pytest

from ironic_httpboot.dhcp import capture
from ironic_httpboot.dhcp.explain import explain
from ironic_httpboot.events import Stage
from ironic_httpboot.image.compose import compose
from kit.commands import httpboot
from kit.wire import BRIDGE, HOST4, HOST6, Network
from kit.yard import SPLASH_MS, Yard

pytestmark = pytest.mark.firmware

FILE = """
[dhcp]
interfaces = ["{bridge}"]

[[subnet]]
network = "192.0.2.0/24"
ranges = ["192.0.2.10-192.0.2.99"]
router = "192.0.2.1"

[[subnet]]
network = "2001:db8::/64"
ranges = ["2001:db8::10-2001:db8::99"]
"""
MACHINE = '\n[[machine]]\nname = "{name}"\nmac = "{mac}"\nurl = "{url}"\n'


def write(yard: Yard) -> tuple[Path, dict[str, str]]:
    """The file for two machines, one of each family, and their nonces."""
    text, nonces = FILE.format(bridge=BRIDGE), {}
    for name, host in (("four", HOST4), ("six", f"[{HOST6}]")):
        recipe, nonces[name] = yard.recipe()
        url = yard.publish(name, host)(compose(recipe), f"{name}.efi")
        text += MACHINE.format(name=name, mac=yard.macs[name], url=url.text)
    path = yard.folder / "httpboot.toml"
    path.write_text(text)
    return path, nonces


async def boot(network: Network, yard: Yard, nonces: dict[str, str], server: str) -> None:
    """Boot both machines; each boots its own, over its own family, and `explain` agrees with the firmware."""
    file = network.folder / f"{server}.pcap"
    with network.capture(file):
        await yard.power_on("four", "six")
        await asyncio.gather(yard.until("four", Stage.VERDICT), yard.until("six", Stage.VERDICT))
    for name, nonce in nonces.items():
        assert f"httpboot.nonce={nonce}" in yard.console(name)
        assert {each.path.rpartition("/")[2] for each in yard.requests(name)} == {f"{name}.efi"}
    booted = [each for each in explain(capture.read(file.read_bytes())) if each.choice.rank is not None]
    assert [each.family for each in booted] == [4, 6]
    for each in booted:
        assert each.accepted in {verdict.offer.server for verdict in each.choice.verdicts if verdict.rule is None}


async def test_dnsmasq_boots_what_was_exported_over_dhcpv4_and_dhcpv6(tmp_path: Path) -> None:
    with Network(tmp_path) as network:
        async with Yard(network, ["four", "six"], splash_ms=SPLASH_MS) as yard:
            path, nonces = write(yard)
            network.dnsmasq(httpboot("export", "dnsmasq", "-c", path))
            await boot(network, yard, nonces, "dnsmasq")


async def test_kea_boots_what_was_exported_over_dhcpv4_and_dhcpv6(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("KEA_PIDFILE_DIR", "KEA_LOCKFILE_DIR"):
        monkeypatch.setenv(variable, str(tmp_path))
    with Network(tmp_path) as network:
        async with Yard(network, ["four", "six"], splash_ms=SPLASH_MS) as yard:
            path, nonces = write(yard)
            for version in (4, 6):
                text = httpboot("export", f"kea{version}", "-c", path)
                content = json.loads(re.sub(r"^//.*$", "", text, flags=re.MULTILINE))
                # Its leases and its identity, which it would keep below /var, are no part of the test.
                content[f"Dhcp{version}"]["lease-database"] = {"type": "memfile", "persist": False}
                if version == 6:
                    content["Dhcp6"]["server-id"] = {"type": "LL", "persist": False}
                file = tmp_path / f"kea{version}.json"
                file.write_text(json.dumps(content))
                network.start(f"kea-dhcp{version}", "-c", file, ready=rf"DHCP{version}_STARTED")
            await boot(network, yard, nonces, "kea")
