"""Clients that are not ours have the emulated machine boot."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
import sushy

from ironic_httpboot.events import Stage
from ironic_httpboot.model import Chain
from kit.lab import ACCOUNT, Lab, machine

pytestmark = pytest.mark.firmware


async def test_sushy_sets_the_url_and_the_machine_boots_it(tmp_path: Path) -> None:
    async with Lab(tmp_path, [machine("node-1"), machine("node-2")]) as lab:
        image = lab.prepare("node-2", Chain.GRUB)
        await asyncio.to_thread(_ask_by_sushy, lab.emulator.url, image.url.text)
        for stage in (Stage.BMC_ASKED, Stage.READ_BACK):
            lab.watches["node-2"].pass_over(stage)
        await lab.until("node-2", Stage.VERDICT)
        assert f"httpboot.nonce={image.nonce}" in lab.console("node-2")
        assert lab.emulator.hardware("node-1").state.override.uri == "", "each system has a URL of its own"
        untouched = lab.emulator.hardware("node-1").console
        assert untouched is not None
        assert not untouched.exists()


def _ask_by_sushy(url: str, image: str) -> None:
    auth = sushy.auth.SessionAuth(ACCOUNT.username, ACCOUNT.password)
    root = sushy.Sushy(url, auth=auth)
    try:
        system = root.get_system("/redfish/v1/Systems/node-2")
        system.set_system_boot_options(
            target=sushy.BOOT_SOURCE_TARGET_UEFI_HTTP,
            enabled=sushy.BOOT_SOURCE_ENABLED_ONCE,
            mode=sushy.BOOT_SOURCE_MODE_UEFI,
            http_boot_uri=image,
        )
        system.reset_system(sushy.RESET_ON)
    finally:
        root._conn.close()
        auth.close()
