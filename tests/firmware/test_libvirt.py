"""Domains of libvirt boot what their BMC was told of: their own nvram file is edited while they are off."""

from __future__ import annotations

import asyncio
import json
import signal
from pathlib import Path
from typing import Any

import pytest

from ironic_httpboot.emulator.state import Enabled, Power, Reset
from ironic_httpboot.events import Stage
from ironic_httpboot.model import Chain, Container
from kit.commands import Running, httpboot
from kit.judges import judge
from kit.lab import Lab, machine, until
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
                seconds=180,
                what="the firmware goes its own way after the guest's reset",
            )
            assert len(lab.requests("node-1")) == 2
            assert hardware.state.power is Power.ON
            await hardware.reset(Reset.FORCE_OFF)
            assert not libvirt.is_on("node-1")


async def test_a_domain_boots_on_while_its_emulator_is_killed_and_is_found_again(tmp_path: Path) -> None:
    with Libvirt(tmp_path) as libvirt:
        libvirt.define("node-1", memory_mib=768)
        # The laboratory only publishes the image: the emulator is a command, so that it can be killed.
        async with Lab(tmp_path, [machine("node-1")]) as lab:
            image = lab.prepare("node-1", Chain.UKI, Container.EFI)
            await asyncio.to_thread(_kill_and_find_again, libvirt, tmp_path, image.url.text)
        assert f"httpboot.nonce={image.nonce}" in libvirt.console("node-1").read_text()


def _kill_and_find_again(libvirt: Libvirt, folder: Path, url: str) -> None:
    file = folder / "rack.toml"
    file.write_text(
        f"""
        [emulator]
        listen = "127.0.0.1:0"
        state = "{folder}/rack"

        [[machine]]
        id = "node-1"
        backend = "libvirt"
        domain = "node-1"
        uri = "{libvirt.uri}"
        """
    )
    with Running("emulate", "-c", file) as first:
        bmc = first.until(r"BMC at (\S+)/redfish/v1;")[1]
        httpboot("boot", url, "--bmc", bmc)
        first.process.send_signal(signal.SIGKILL)
        first.end()
    assert libvirt.is_on("node-1"), "it is libvirt's, and runs on"

    with Running("emulate", "-c", file) as second:
        bmc = second.until(r"BMC at (\S+)/redfish/v1;")[1]
        assert _system(bmc)["PowerState"] == "On"
        assert _system(bmc)["Boot"]["HttpBootUri"] == url
        second.until("verdict: pass", seconds=240)
        assert _system(bmc)["Boot"]["BootSourceOverrideEnabled"] == "Disabled", "Once was consumed"
        httpboot("clear", "--bmc", bmc)
        second.process.send_signal(signal.SIGKILL)
        second.end()

    with Running("emulate", "-c", file) as third:
        bmc = third.until(r"BMC at (\S+)/redfish/v1;")[1]
        assert _system(bmc)["Boot"]["HttpBootUri"] is None, "what was taken back stays taken back"
        assert _system(bmc)["PowerState"] == ("On" if libvirt.is_on("node-1") else "Off")


def _system(bmc: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(judge("curl", "-sSf", f"{bmc}/redfish/v1/Systems/node-1"))
    return found
