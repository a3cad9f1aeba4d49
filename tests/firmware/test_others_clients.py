"""Clients that are not ours have emulated machines boot: sushy, and the DMTF's redfish_utilities."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import pytest
import sushy

from ironic_httpboot.image.compose import compose
from ironic_httpboot.image.compose import write as write_image
from ironic_httpboot.model import Chain, Container
from kit.https import HttpsServer
from kit.judges import judge
from kit.lab import ACCOUNT, HOST_AS_SEEN_BY_GUEST, Lab, machine, until

pytestmark = pytest.mark.firmware

SCRIPTS = Path(sys.executable).parent
NODE = "/redfish/v1/Systems/dmtf"
CERTIFICATES = f"{NODE}/Boot/Certificates"
CA_VARIABLE = "TlsCaCertificate"
PXE = "Start PXE over IPv4"


async def test_sushy_boots_a_url_and_the_dmtfs_tools_one_over_https_for_which_they_install_the_ca(
    tmp_path: Path,
) -> None:
    async with Lab(tmp_path, [machine("sushy"), machine("dmtf"), machine("idle")]) as lab:
        by_sushy, by_dmtf = lab.prepare("sushy", Chain.GRUB), lab.prepare("dmtf", Chain.UKI, Container.ISO)
        images = tmp_path / "images"
        images.mkdir()
        write_image(compose(by_dmtf.recipe), images / "dmtf.iso")
        with HttpsServer(images, tmp_path / "nginx", HOST_AS_SEEN_BY_GUEST) as server:
            url = f"https://{HOST_AS_SEEN_BY_GUEST}:{server.port}/dmtf.iso"
            await asyncio.to_thread(_ask_by_sushy, lab.emulator.url, by_sushy.url.text)
            await _dmtf(lab, "rf_certificates", "install", "-dest", CERTIFICATES, "-cert", str(server.authority))
            await _ask_by_dmtf(lab, url)
            await _pass(lab, "sushy", by_sushy.nonce)
            await _pass(lab, "dmtf", by_dmtf.nonce)
            assert [request.rpartition(" ")[0] for request in server.requests()] == [
                "HEAD /dmtf.iso 200",
                "GET /dmtf.iso 200",
            ]
            assert "A test's CA" in _authorities(lab, "dmtf")
            untouched = lab.emulator.hardware("idle").console
            assert untouched is not None
            assert not untouched.exists(), "each system has an override of its own"

            await _is_off(lab, "dmtf")
            await _dmtf(lab, "rf_certificates", "delete", "-cert", f"{CERTIFICATES}/1")
            seen = len(lab.console("dmtf"))
            await _ask_by_dmtf(lab, url)
            refused = 'failed to load Boot0900 "HTTP boot (BMC)"'
            await until(lambda: refused in lab.console("dmtf")[seen:], seconds=180, what="the firmware trusts nobody")
            assert "Could not retrieve NBP file size" in lab.console("dmtf")[seen:]
            assert len(server.requests()) == 2, "without the CA, nothing is fetched"
            assert _authorities(lab, "dmtf") == ""

        seen = len(lab.console("dmtf"))
        await _dmtf(lab, "rf_boot_override", "--system", "dmtf", "--target", "Pxe", "--mode", "UEFI", "--reset")
        await until(lambda: PXE in lab.console("dmtf")[seen:], seconds=180, what="the firmware boots from its NIC")
        # By its own order it tries the CD drive before, and says that it is empty.
        assert "BdsDxe: failed" not in lab.console("dmtf")[seen:].partition(PXE)[0]
        dmtf = lab.emulator.hardware("dmtf")
        await until(lambda: dmtf.state.override.enabled.value == "Disabled", seconds=30, what="Once is consumed")


async def _pass(lab: Lab, name: str, nonce: str) -> None:
    """Wait for the guest's own verdict, and see that it was given on this boot's image."""
    await until(lambda: "verdict pass" in lab.console(name), seconds=240, what=f"{name}'s guest gives its verdict")
    assert f"httpboot.nonce={nonce}" in lab.console(name)


async def _is_off(lab: Lab, name: str) -> None:
    hardware = lab.emulator.hardware(name)
    await until(lambda: hardware.state.power.value == "Off", seconds=30, what=f"{name}'s guest switches itself off")


def _authorities(lab: Lab, name: str) -> str:
    """What virt-firmware says of the CAs in a machine's variables."""
    variables = lab.folder / "bmc" / name / "variables.fd"
    said = judge(SCRIPTS / "virt-fw-vars", "-i", variables, "--print", "--verbose").decode()
    return said.partition(CA_VARIABLE)[2]


def _ask_by_sushy(url: str, image: str) -> None:
    auth = sushy.auth.SessionAuth(ACCOUNT.username, ACCOUNT.password)
    root = sushy.Sushy(url, auth=auth)
    try:
        system = root.get_system("/redfish/v1/Systems/sushy")
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


async def _ask_by_dmtf(lab: Lab, url: str) -> None:
    """Their boot override knows no URL: it is set first, as their users have to."""
    body = json.dumps({"Boot": {"HttpBootUri": url}})
    await _dmtf(lab, "rf_raw_request", "--method", "PATCH", "--request", NODE, "--body", body)
    await _dmtf(lab, "rf_boot_override", "--system", "dmtf", "--target", "UefiHttp", "--mode", "UEFI")
    await _dmtf(lab, "rf_power_reset", "--system", "dmtf", "--type", "ForceRestart")


async def _dmtf(lab: Lab, program: str, *arguments: str) -> None:
    who = ("--user", ACCOUNT.username, "--password", ACCOUNT.password, "--rhost", lab.emulator.url)
    await asyncio.to_thread(judge, SCRIPTS / f"{program}.py", *who, *arguments)
