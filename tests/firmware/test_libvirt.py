"""Domains of libvirt boot what their BMC was told of: their own nvram file is edited while they are off."""

from __future__ import annotations

from pathlib import Path

import pytest

from ironic_httpboot.emulator.state import Enabled, Power, Reset
from ironic_httpboot.events import Stage
from ironic_httpboot.model import Chain
from kit.lab import Lab, until
from kit.libvirt import Libvirt, needs_libvirt

pytestmark = [pytest.mark.firmware, needs_libvirt]


async def test_a_domain_boots_the_url_once_and_then_goes_its_own_way(tmp_path: Path) -> None:
    with Libvirt(tmp_path) as libvirt:
        async with Lab(tmp_path, [libvirt.define("node-1", memory_mib=768)]) as lab:
            image = lab.prepare("node-1", Chain.SHIM_GRUB, cmdline="httpboot.then=reboot")
            report = await lab.ask("node-1", image.url)
            assert report.done
            await lab.until("node-1", Stage.VERDICT)
            console = lab.console("node-1")
            assert f"httpboot.nonce={image.nonce}" in console
            assert [(each.method, each.status) for each in lab.requests("node-1")] == [("HEAD", 200), ("GET", 200)]

            # libvirt restarts the guest inside the same QEMU, and the firmware finds no BootNext any more.
            hardware = lab.emulator.hardware("node-1")
            assert hardware.state.override.enabled is Enabled.DISABLED, "Once was consumed"
            await until(
                lambda: "Start PXE over IPv4" in lab.console("node-1")[len(console) :],
                seconds=90,
                what="the firmware goes its own way after the guest's reset",
            )
            assert len(lab.requests("node-1")) == 2
            assert hardware.state.power is Power.ON
            await hardware.reset(Reset.FORCE_OFF)
            assert not libvirt.is_on("node-1")
