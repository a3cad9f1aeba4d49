"""Loaders that go on over the network: firmware asks `httpboot serve`, fetches them, and they fetch the rest."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest

from kit import captures
from kit.board import Board, Provisions
from kit.network import SERVER4, namespace

pytestmark = pytest.mark.firmware

FILE = f"""
[http]
listen = "{SERVER4}:8080"

[dhcp]
interfaces = ["br0"]
mode = "server"
lease_file = "leases"

[[subnet]]
network = "192.0.2.0/24"
ranges = ["192.0.2.100-192.0.2.150"]
"""


def fetched(said: str, name: str) -> set[str]:
    """The file names that a machine got whole, as the server tells."""
    found = re.findall(rf" {name} \S+ GET \S*/(\S+) → 200, (\d+) of (\d+) bytes", said)
    return {file for file, sent, total in found if sent == total}


async def test_grub_and_ipxe_fetch_kernel_and_ramdisks_and_reach_user_space(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with namespace(bridge=(f"{SERVER4}/24",)) as host:
        text, boards, provisions = FILE, {}, {}
        for payload in ("grub", "ipxe"):
            (tmp_path / f"for-{payload}").mkdir()
            provisions[payload] = Provisions.make(tmp_path / f"for-{payload}")
            host.tap(f"tap-{payload}")
            boards[payload] = Board(tmp_path, host.name, f"tap-{payload}", name=payload)
            text += f'\n[[machine]]\nname = "{payload}"\nmac = "{boards[payload].mac}"\npayload = "{payload}"\n'
            text += provisions[payload].as_toml()
        file = tmp_path / "httpboot.toml"
        file.write_text(text)
        server = host.httpboot("serve", "-c", file)
        server.until("listening on")
        capture = host.capture(tmp_path / "loaders4.pcap")
        async with boards["grub"] as grub, boards["ipxe"] as ipxe:
            await asyncio.gather(grub.passes(provisions["grub"]), ipxe.passes(provisions["ipxe"]))
        said = server.end()
        host.end_capture(capture)
        captures.keep(tmp_path / "loaders4.pcap")
    rest = {"vmlinuz.efi", "initrd-0.img", "initrd-1.img"}
    assert fetched(said, "grub") == {"grubx64.efi", "grub.cfg", *rest}
    assert fetched(said, "ipxe") == {"ipxex64.efi", "boot.ipxe", *rest}
