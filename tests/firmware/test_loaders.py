"""Loaders that go on over the network: firmware asks `httpboot serve`, fetches them, and they fetch the rest."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest

from kit import captures
from kit.board import Board, Provisions
from kit.network import BRIDGE, SERVER4, SERVER6, namespace
from kit.site import NETWORKS

pytestmark = pytest.mark.firmware

LISTEN = {4: SERVER4, 6: f"[{SERVER6}]"}
FILE = """
[http]
listen = "{listen}:8080"

[dhcp]
interfaces = ["br0"]
families = [{version}]
mode = "server"
lease_file = "leases"
"""
ROUTER = ("--enable-ra", "--dhcp-range=2001:db8::2000,2001:db8::20ff,slaac,64,600", "--dhcp-ignore=tag:!known")
"""A router for dnsmasq to be, which leases nothing. GRUB makes an address of what it advertises; iPXE asks DHCPv6 only
where a router says that addresses are leased."""


def fetched(said: str, name: str) -> set[str]:
    """The file names that a machine got whole, as the server tells."""
    found = re.findall(rf" {name} \S+ GET \S*/(\S+) → 200, (\d+) of (\d+) bytes", said)
    return {file for file, sent, total in found if sent == total}


@pytest.mark.parametrize("version", [4, 6])
async def test_grub_and_ipxe_fetch_kernel_and_ramdisks_and_reach_user_space(
    version: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with namespace(bridge=(f"{SERVER4}/24", f"{SERVER6}/64")) as host, namespace() as router:
        if version == 6:
            host.cable("cable", router, "eth0", "2001:db8::fe/64", bridge=BRIDGE)
            router.start("dnsmasq", "-k", "-p0", "--log-facility=-", "--user=root", *ROUTER).until("started")
        text, boards, provisions = FILE.format(listen=LISTEN[version], version=version) + NETWORKS, {}, {}
        for payload in ("grub", "ipxe"):
            (tmp_path / f"for-{payload}").mkdir()
            provisions[payload] = Provisions.make(tmp_path / f"for-{payload}")
            host.tap(f"tap-{payload}")
            boards[payload] = Board(tmp_path, host.name, f"tap-{payload}", name=payload, version=version)
            text += f'\n[[machine]]\nname = "{payload}"\nmac = "{boards[payload].mac}"\npayload = "{payload}"\n'
            text += provisions[payload].as_toml()
        file = tmp_path / "httpboot.toml"
        file.write_text(text)
        server = host.httpboot("serve", "-c", file)
        server.until("listening on")
        capture = host.capture(tmp_path / f"loaders{version}.pcap")
        async with boards["grub"] as grub, boards["ipxe"] as ipxe:
            await asyncio.gather(grub.passes(provisions["grub"]), ipxe.passes(provisions["ipxe"]))
        said = server.end()
        host.end_capture(capture)
        captures.keep(tmp_path / f"loaders{version}.pcap")
    rest = {"vmlinuz.efi", "initrd-0.img", "initrd-1.img"}
    assert fetched(said, "grub") == {"grubx64.efi", "grub.cfg", *rest}
    assert fetched(said, "ipxe") == {"ipxex64.efi", "boot.ipxe", *rest}
