"""Real firmware boots the CD that a BMC put into the drive."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from ironic_httpboot.model import Chain, Container
from kit.judges import judge
from kit.lab import ACCOUNT, Lab, machine, until

pytestmark = pytest.mark.firmware


async def test_an_image_that_is_inserted_boots_as_cd_once(tmp_path: Path) -> None:
    async with Lab(tmp_path, [machine("node-1")]) as lab:
        image = lab.prepare("node-1", Chain.UKI, Container.ISO)
        address = image.url.text.replace("10.0.2.2", "127.0.0.1")
        await asyncio.to_thread(_insert_and_power_on, f"{lab.emulator.url}/redfish/v1/Systems/node-1", address)
        await until(lambda: lab.requests("node-1"), seconds=30, what="the server has seen the image arrive")
        fetched = len(lab.requests("node-1"))
        await until(
            lambda: "verdict pass" in lab.console("node-1"), seconds=180, what="the guest on the CD gives its verdict"
        )
        assert f"httpboot.nonce={image.nonce}" in lab.console("node-1")
        assert '"Cd (BMC)"' in first_start(lab.console("node-1")), "the BMC's entry, not one that firmware made itself"
        assert len(lab.requests("node-1")) == fetched, "the BMC fetched the image, and the firmware does not"
        kept = lab.emulator.hardware("node-1").state.kept
        assert kept.override.enabled.value == "Disabled", "Once was consumed"
        assert kept.medium is not None, "the image stays in the drive until it is taken out"


def first_start(console: str) -> str:
    """What the firmware started first."""
    return next(line for line in console.splitlines() if "BdsDxe: starting Boot" in line)


def _insert_and_power_on(system: str, image: str) -> None:
    override = {"BootSourceOverrideEnabled": "Once", "BootSourceOverrideTarget": "Cd"}
    for method, path, body in (
        ("POST", "/VirtualMedia/Cd/Actions/VirtualMedia.InsertMedia", {"Image": image}),
        ("PATCH", "", {"Boot": override}),
        ("POST", "/Actions/ComputerSystem.Reset", {"ResetType": "On"}),
    ):
        login = f"{ACCOUNT.username}:{ACCOUNT.password}"
        header = "Content-Type: application/json"
        judge("curl", "-sSf", "-u", login, "-X", method, "-H", header, "-d", json.dumps(body), f"{system}{path}")
