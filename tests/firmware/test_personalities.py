"""Real firmware boots what BMCs were asked, each in a place of its own, and nothing of it stays behind."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from ironic_httpboot.events import Stage
from ironic_httpboot.model import Chain, Container
from ironic_httpboot.redfish import client
from ironic_httpboot.redfish.transport import Transport
from kit.judges import judge
from kit.lab import ACCOUNT, Lab, Prepared, machine, until

pytestmark = pytest.mark.firmware

OWN_WAY = "Start PXE over IPv4"


def post(lab: Lab, path: str, body: Mapping[str, object], method: str = "POST") -> None:
    """Ask the BMC without our own client."""
    login = f"{ACCOUNT.username}:{ACCOUNT.password}"
    header = "Content-Type: application/json"
    url = f"{lab.emulator.url}/redfish/v1/{path}"
    judge("curl", "-sSf", "-u", login, "-X", method, "-H", header, "-d", json.dumps(body), url)


def clear(lab: Lab, name: str) -> client.Report:
    credentials = client.Credentials(username=ACCOUNT.username, password=ACCOUNT.password)
    with Transport(lab.emulator.url) as transport:
        return client.clear(transport, credentials=credentials, system_id=name)


async def is_off(lab: Lab, name: str) -> None:
    hardware = lab.emulator.hardware(name)
    await until(lambda: hardware.state.power.value == "Off", seconds=30, what=f"{name}'s guest switches itself off")


async def boots_its_image(lab: Lab, name: str, image: Prepared) -> None:
    """Ask for a boot by our client, and wait for the guest's own verdict."""
    report = await lab.ask(name, image.url)
    assert report.done
    await lab.until(name, Stage.VERDICT)
    assert f"httpboot.nonce={image.nonce}" in lab.console(name)
    assert [(each.method, each.status) for each in lab.requests(name)][:2] == [("HEAD", 200), ("GET", 200)]
    await is_off(lab, name)


async def goes_its_own_way(lab: Lab, name: str) -> None:
    """Take all back; see that no URL stays anywhere, and that the firmware fetches nothing at a further boot."""
    await asyncio.to_thread(clear, lab, name)
    kept = lab.emulator.hardware(name).state.kept
    # On a settings object it stands until the next reset.
    standing = kept.pending or kept.override
    assert (standing.is_set, standing.uri) == (False, "")
    settled = len(lab.console(name))
    seen = len(lab.requests(name))
    await asyncio.to_thread(post, lab, f"Systems/{name}/Actions/ComputerSystem.Reset", {"ResetType": "On"})
    await until(lambda: OWN_WAY in lab.console(name)[settled:], seconds=180, what=f"{name}'s firmware goes its own way")
    state = lab.emulator.hardware(name).state
    assert len(lab.requests(name)) == seen
    assert (state.kept.override.is_set, state.kept.override.uri, state.kept.pending) == (False, "", None)
    # The firmware's own entries for its NIC have an empty URI: they ask DHCP.
    assert [option.uri for option in state.options if option.uri] == []
    assert "http://" not in json.dumps({**state.kept.bios, **state.kept.bios_pending})
    assert state.kept.bios.get("HttpDev1EnDis", "Disabled") == "Disabled", "the BIOS is as it was"


async def test_where_the_url_lies_in_bios_attributes_it_is_booted_and_leaves_nothing(tmp_path: Path) -> None:
    names = ("dell", "hpe")
    async with Lab(tmp_path, [machine(name, personality=name) for name in names]) as lab:
        images = {name: lab.prepare(name, Chain.UKI, Container.EFI) for name in names}
        await asyncio.gather(*(boots_its_image(lab, name, image) for name, image in images.items()))
        await asyncio.gather(*(goes_its_own_way(lab, name) for name in names))


async def test_a_url_on_the_settings_object_is_booted_from_an_iso_and_leaves_nothing(tmp_path: Path) -> None:
    async with Lab(tmp_path, [machine("settings", personality="settings")]) as lab:
        await boots_its_image(lab, "settings", lab.prepare("settings", Chain.GRUB))
        await goes_its_own_way(lab, "settings")
