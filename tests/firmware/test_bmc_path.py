"""Real firmware boots images that a BMC told it of, and the guest itself says whether they arrived whole."""

from __future__ import annotations

import asyncio
import hashlib
import re
from pathlib import Path

import pytest

from ironic_httpboot.errors import BootFailed
from ironic_httpboot.events import Stage
from ironic_httpboot.model import Chain, Container
from kit.judges import judge
from kit.lab import Lab, machine, until

pytestmark = pytest.mark.firmware


def _sums_by_guest(console: str) -> dict[str, str]:
    """Path in the image → SHA-256, as the guest printed them."""
    return {
        match["path"]: match["sum"]
        for match in re.finditer(r"httpboot-guest: file (?P<sum>[0-9a-f]{64})  \./(?P<path>\S+)", console)
    }


def _sums_by_xorriso(image: Path, folder: Path) -> dict[str, str]:
    """The same, of what xorriso extracts."""
    judge("xorriso", "-osirrox", "on", "-indev", image, "-extract", "/", folder)
    judge("chmod", "-R", "u+rwX", folder)
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


async def test_shim_and_grub_boot_once_and_linux_reads_every_file_from_the_ram_disk(tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    notes.write_bytes(b"for the operator's eyes\n" * 1000)
    async with Lab(tmp_path, [machine("node-1")]) as lab:
        image = lab.prepare("node-1", Chain.SHIM_GRUB, files=(("Operator/Read Me.txt".replace(" ", "_"), notes),))
        report = await lab.ask("node-1", image.url)
        assert report.done
        await lab.until("node-1", Stage.VERDICT)

        console = lab.console("node-1")
        assert f"httpboot.nonce={image.nonce}" in console
        state = lab.emulator.hardware("node-1").state
        assert (state.override.enabled.value, state.override.target.value) == ("Disabled", "None")
        copy = tmp_path / "copy.iso"
        address = image.url.text.replace("10.0.2.2", "127.0.0.1")
        await asyncio.to_thread(judge, "curl", "-sSf", "-o", copy, address)
        assert _sums_by_guest(console) == _sums_by_xorriso(copy, tmp_path / "extracted")
        # The firmware's two, and the copy, which the server counts once it sees that all of it has arrived.
        await until(lambda: len(lab.requests("node-1")) >= 3, seconds=30, what="the server has seen the copy arrive")
        requests = [(each.method, each.status) for each in lab.requests("node-1")]
        assert requests == [("HEAD", 200), ("GET", 200), ("GET", 200)]

        # The guest has switched the machine off. Its next boot goes the firmware's own way and does not fetch.
        hardware = lab.emulator.hardware("node-1")
        await until(lambda: hardware.state.power.value == "Off", seconds=30, what="the guest switches itself off")
        await asyncio.to_thread(_power_on, lab)
        await until(
            lambda: "Start PXE over IPv4" in lab.console("node-1")[len(console) :],
            seconds=180,
            what="the firmware goes its own way",
        )
        assert len(lab.requests("node-1")) == len(requests)


def _power_on(lab: Lab) -> None:
    body = '{"ResetType": "On"}'
    url = f"{lab.emulator.url}/redfish/v1/Systems/node-1/Actions/ComputerSystem.Reset"
    judge("curl", "-sSf", "-u", "operator:correct horse", "-H", "Content-Type: application/json", "-d", body, url)


async def test_two_machines_at_once_get_each_its_own_image(tmp_path: Path) -> None:
    async with Lab(tmp_path, [machine("left"), machine("right")]) as lab:
        left = lab.prepare("left", Chain.GRUB, cmdline='note="two words" price=$5;#')
        right = lab.prepare("right", Chain.UKI, Container.EFI, cmdline='note="two words" price=$5;# it\'s')
        await lab.ask("left", left.url)
        await lab.ask("right", right.url)
        await asyncio.gather(lab.until("left", Stage.VERDICT), lab.until("right", Stage.VERDICT))

        assert f"httpboot.nonce={left.nonce}" in lab.console("left")
        assert f"httpboot.nonce={right.nonce}" in lab.console("right")
        assert '"note=two words" price=$5;#' in lab.console("left"), "GRUB quotes as the kernel reads it"
        assert 'note="two words" price=$5;# it\'s' in lab.console("right"), "a UKI's command line comes as it is"
        assert "Welcome to GRUB" in lab.console("left")
        assert "Welcome to GRUB" not in lab.console("right")
        assert {each.path for each in lab.requests("left")} == {"/…/left.iso"}
        assert {each.path for each in lab.requests("right")} == {"/…/right.efi"}


async def test_a_unified_kernel_image_boots_from_an_iso_as_well(tmp_path: Path) -> None:
    async with Lab(tmp_path, [machine("node-1")]) as lab:
        image = lab.prepare("node-1", Chain.UKI, Container.ISO)
        await lab.ask("node-1", image.url)
        await lab.until("node-1", Stage.VERDICT)
        assert f"httpboot.nonce={image.nonce}" in lab.console("node-1")


async def test_a_persistent_override_boots_the_url_again_until_it_is_taken_back(tmp_path: Path) -> None:
    async with Lab(tmp_path, [machine("node-1")]) as lab:
        image = lab.prepare("node-1", Chain.UKI, Container.EFI, cmdline="httpboot.then=reboot")
        await lab.ask("node-1", image.url, persistent=True)
        await until(
            lambda: lab.console("node-1").count("verdict pass") == 2,
            seconds=240,
            what="the guest resets the machine, and the firmware fetches the image again",
        )
        assert [each.method for each in lab.requests("node-1")] == ["HEAD", "GET"] * 2
        assert lab.emulator.hardware("node-1").state.override.enabled.value == "Continuous"


async def test_secure_boot_starts_debians_signed_chain_and_refuses_an_unsigned_one(tmp_path: Path) -> None:
    async with Lab(tmp_path, [machine("signed", secure_boot=True), machine("unsigned", secure_boot=True)]) as lab:
        good = lab.prepare("signed", Chain.SHIM_GRUB)
        bad = lab.prepare("unsigned", Chain.GRUB)
        await lab.ask("signed", good.url)
        await lab.ask("unsigned", bad.url)
        signed, unsigned = await asyncio.gather(
            lab.until("signed", Stage.VERDICT), lab.until("unsigned", Stage.VERDICT), return_exceptions=True
        )
        assert signed is None
        assert isinstance(unsigned, BootFailed)
        assert "Secure Boot refused the loader" in str(unsigned)
