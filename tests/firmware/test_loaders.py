"""Loaders that go on over the network: real firmware asks DHCP, fetches them, and they fetch the rest."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from ironic_httpboot.events import Stage
from ironic_httpboot.image import netboot
from kit.wire import Network
from kit.yard import Yard

pytestmark = pytest.mark.firmware


def fetched(yard: Yard, name: str) -> set[str]:
    """The file names that a machine got whole."""
    return {
        each.path.rpartition("/")[2]
        for each in yard.requests(name)
        if each.method == "GET" and each.sent_bytes == each.total_bytes
    }


async def test_grub_and_ipxe_fetch_kernel_and_ramdisks_and_reach_user_space(tmp_path: Path) -> None:
    with Network(tmp_path) as network:
        async with Yard(network, ["grub", "ipxe"]) as yard:
            for_grub, grub_nonce = yard.recipe()
            for_ipxe, ipxe_nonce = yard.recipe()
            grub = netboot.over_grub(for_grub, yard.publish("grub"), tmp_path / "cache")
            ipxe = netboot.over_ipxe(for_ipxe, yard.publish("ipxe"))
            assert ipxe.then is not None
            network.dnsmasq(
                f"""
interface=br0
bind-interfaces
dhcp-range=192.0.2.10,192.0.2.99
dhcp-host={yard.macs["grub"]},set:grub
dhcp-host={yard.macs["ipxe"]},set:ipxe
dhcp-userclass=set:script,iPXE
dhcp-option-force=tag:grub,60,HTTPClient
dhcp-option-force=tag:grub,67,{grub.loader.text}
dhcp-option-force=tag:ipxe,tag:!script,60,HTTPClient
dhcp-option-force=tag:ipxe,tag:!script,67,{ipxe.loader.text}
dhcp-option-force=tag:ipxe,tag:script,67,{ipxe.then.text}
"""
            )
            with network.capture(tmp_path / "dhcp.pcap"):
                await yard.power_on("grub", "ipxe")
                await asyncio.gather(yard.until("grub", Stage.VERDICT), yard.until("ipxe", Stage.VERDICT))
            assert f"httpboot.nonce={grub_nonce}" in yard.console("grub")
            assert f"httpboot.nonce={ipxe_nonce}" in yard.console("ipxe")
            rest = {"vmlinuz.efi", "initrd-0.img", "initrd-1.img"}
            assert fetched(yard, "grub") == {"grubx64.efi", "grub.cfg", *rest}
            assert fetched(yard, "ipxe") == {"ipxex64.efi", "boot.ipxe", *rest}
