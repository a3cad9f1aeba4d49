"""What is under way survives the end of the emulator, and nothing is orphaned."""

from __future__ import annotations

import asyncio
import json
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from ironic_httpboot.demo import guest
from ironic_httpboot.http.serve import Server
from ironic_httpboot.http.store import Store
from ironic_httpboot.image.compose import compose
from ironic_httpboot.model import BootRecipe, Chain, Container
from kit.commands import Running, qemu_processes
from kit.judges import judge
from kit.lab import HOST_AS_SEEN_BY_GUEST

pytestmark = pytest.mark.firmware


def _system(bmc: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(judge("curl", "-sSf", f"{bmc}/Systems/node-1"))
    return found


def _until(condition: Any, *, seconds: float, what: str) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds:g} s: {what}"
        time.sleep(0.2)


@asynccontextmanager
async def _served(folder: Path, chain: Chain, container: Container) -> AsyncIterator[str]:
    """An image that checks itself, at a URL as the machine sees it."""
    parts, ramdisk = guest.find_parts(), folder / "ramdisk.cpio"
    guest.write_ramdisk(parts, ramdisk)
    recipe = BootRecipe(
        chain=chain,
        container=container,
        kernel=parts.kernel,
        initrds=(ramdisk,),
        appended=guest.checks("abc", {}),
        cmdline=guest.cmdline("abc"),
    )
    store = Store(folder / "store")
    published = store.publish(compose(recipe), name=f"node-1{recipe.kind.suffix}")
    server = Server([store], host="127.0.0.1", port=0)
    await server.start()
    try:
        yield f"http://{HOST_AS_SEEN_BY_GUEST}:{server.port}{published.path}"
    finally:
        await server.stop()


async def test_a_boot_goes_on_when_the_emulator_is_killed_and_is_found_again(tmp_path: Path) -> None:
    async with _served(tmp_path, Chain.SHIM_GRUB, Container.ISO) as url:
        await asyncio.to_thread(_kill_and_find_again, tmp_path / "bmc", url)


def _kill_and_find_again(state: Path, url: str) -> None:
    command = ("emulate", "--state", state, "--listen", "127.0.0.1:0", "--memory-mib", "768")
    console = state / "node-1" / "console.log"
    with Running(*command) as first:
        bmc = first.until(r"BMC at (\S+);")[1]
        boot = {
            "Boot": {"BootSourceOverrideEnabled": "Once", "BootSourceOverrideTarget": "UefiHttp", "HttpBootUri": url}
        }
        judge("curl", "-sSf", "-X", "PATCH", "-d", json.dumps(boot), f"{bmc}/Systems/node-1")
        judge("curl", "-sSf", "-d", "{}", f"{bmc}/Systems/node-1/Actions/ComputerSystem.Reset")
        first.until("power on")
        (qemu,) = qemu_processes(state)
        first.process.send_signal(signal.SIGKILL)
        first.end()
    assert qemu_processes(state) == [qemu], "the machine runs on"

    with Running(*command) as second:
        bmc = second.until(r"BMC at (\S+);")[1]
        assert _system(bmc)["PowerState"] == "On"
        assert _system(bmc)["Boot"]["HttpBootUri"] == url
        second.until("verdict: pass", seconds=240)
        _until(lambda: _system(bmc)["PowerState"] == "Off", seconds=30, what="the guest's power off is noticed")
        assert _system(bmc)["Boot"]["BootSourceOverrideEnabled"] == "Disabled", "Once was consumed"
        assert "verdict pass" in console.read_text()

        # A machine that runs is found again, too, by an emulator that then ends in order: and is switched off.
        judge("curl", "-sSf", "-d", "{}", f"{bmc}/Systems/node-1/Actions/ComputerSystem.Reset")
        second.process.send_signal(signal.SIGKILL)
        second.end()
    (qemu,) = qemu_processes(state)
    with Running(*command) as third:
        third.until("BMC at")
        third.process.send_signal(signal.SIGTERM)
        assert third.end() == 0
    assert qemu_processes(state) == []


async def test_an_override_outlives_a_bmc_that_dies_before_the_reset_and_is_booted_once(tmp_path: Path) -> None:
    async with _served(tmp_path, Chain.UKI, Container.EFI) as url:
        await asyncio.to_thread(_kill_before_the_reset, tmp_path / "bmc", url)


def _kill_before_the_reset(state: Path, url: str) -> None:
    command = ("emulate", "--state", state, "--listen", "127.0.0.1:0", "--memory-mib", "768")
    boot = {"BootSourceOverrideEnabled": "Once", "BootSourceOverrideTarget": "UefiHttp", "HttpBootUri": url}
    with Running(*command) as first:
        bmc = first.until(r"BMC at (\S+);")[1]
        judge("curl", "-sSf", "-X", "PATCH", "-d", json.dumps({"Boot": boot}), f"{bmc}/Systems/node-1")
        first.process.send_signal(signal.SIGKILL)
        first.end()
    assert qemu_processes(state) == []

    console = state / "node-1" / "console.log"
    with Running(*command) as second:
        bmc = second.until(r"BMC at (\S+);")[1]
        found = _system(bmc)
        assert found["PowerState"] == "Off"
        assert {name: found["Boot"][name] for name in boot} == boot
        judge("curl", "-sSf", "-d", "{}", f"{bmc}/Systems/node-1/Actions/ComputerSystem.Reset")
        second.until("verdict: pass", seconds=240)
        _until(lambda: _system(bmc)["PowerState"] == "Off", seconds=30, what="the guest's power off is noticed")
        assert _system(bmc)["Boot"]["BootSourceOverrideEnabled"] == "Disabled"
        seen = len(console.read_text())
        judge("curl", "-sSf", "-d", "{}", f"{bmc}/Systems/node-1/Actions/ComputerSystem.Reset")
        _until(lambda: "Start PXE over IPv4" in console.read_text()[seen:], seconds=180, what="the firmware's own way")
