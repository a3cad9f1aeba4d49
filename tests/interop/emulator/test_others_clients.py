"""Clients that are not ours against the emulated BMC, over real sockets: sushy, and the DMTF's redfish_utilities."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import sushy
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from sushy.resources.certificateservice.certificate import Certificate
from sushy.resources.certificateservice.constants import CertificateType

from ironic_httpboot.emulator.serve import Emulator, Settings
from ironic_httpboot.emulator.state import Enabled, Override, Power, Target
from kit.hardware import Relay
from kit.judges import judge
from kit.lab import ACCOUNT, machine

URL = "http://192.0.2.1:8080/boot.iso"
SYSTEM = "/redfish/v1/Systems/node-1"
BOOTED_ONCE = Override(enabled=Enabled.ONCE, target=Target.UEFI_HTTP, uri=URL)
SCRIPTS = Path(sys.executable).parent
"""Where pip puts the programs of packages: the judges here come as packages."""


@pytest.fixture
def personality() -> str:
    return "standard"


@pytest.fixture
async def emulator(tmp_path: Path, personality: str) -> AsyncIterator[Emulator]:
    machines = [machine("node-1", personality=personality, secure_boot=True)]
    async with Emulator(Settings(machines=machines, state=tmp_path, port=0, account=ACCOUNT), install=Relay) as running:
        yield running


def relay(emulator: Emulator) -> Relay:
    hardware = emulator.hardware("node-1")
    assert isinstance(hardware, Relay)
    return hardware


async def by_sushy(emulator: Emulator, ask: Callable[[Any], Any]) -> Any:
    """Do something with the system as sushy gives it; return what came of it. Its session is closed."""

    def within() -> Any:
        auth = sushy.auth.SessionAuth(ACCOUNT.username, ACCOUNT.password)
        root = sushy.Sushy(emulator.url, auth=auth)
        try:
            return ask(root.get_system(SYSTEM))
        finally:
            auth.close()
            root._conn.close()

    said = await asyncio.to_thread(within)
    assert emulator._state.sessions == ()
    return said


async def by_dmtf(emulator: Emulator, program: str, *arguments: str, code: int = 0) -> str:
    """Run one of the redfish_utilities to its end; return what it printed. It logs out by itself."""
    who = ("--user", ACCOUNT.username, "--password", ACCOUNT.password, "--rhost", emulator.url)
    printed = await asyncio.to_thread(judge, SCRIPTS / f"{program}.py", *who, *arguments, code=code)
    assert emulator._state.sessions == ()
    return printed.decode()


def ask_by_sushy(system: Any) -> None:
    system.set_system_boot_options(
        target=sushy.BOOT_SOURCE_TARGET_UEFI_HTTP,
        enabled=sushy.BOOT_SOURCE_ENABLED_ONCE,
        mode=sushy.BOOT_SOURCE_MODE_UEFI,
        http_boot_uri=URL,
    )


async def test_sushy_finds_the_machine_and_what_belongs_to_it(emulator: Emulator) -> None:
    def look(system: Any) -> tuple[Any, ...]:
        (nic,) = system.ethernet_interfaces.get_members()
        (manager,) = system.managers
        return system.identity, system.power_state, nic.mac_address, manager.manager_type

    said = await by_sushy(emulator, look)
    assert said == ("node-1", sushy.POWER_STATE_OFF, relay(emulator).state.mac, sushy.MANAGER_TYPE_BMC)


async def test_sushy_sees_every_reset_and_target_that_the_bmc_takes(emulator: Emulator) -> None:
    resets, targets = await by_sushy(
        emulator,
        lambda system: (system.get_allowed_reset_system_values(), system.get_allowed_system_boot_source_values()),
    )
    assert {sushy.RESET_ON, sushy.RESET_FORCE_OFF, sushy.RESET_FORCE_RESTART} <= resets
    assert {sushy.BOOT_SOURCE_TARGET_UEFI_HTTP, sushy.BOOT_SOURCE_TARGET_CD} <= targets


async def test_sushy_has_the_machine_boot_a_url_once(emulator: Emulator) -> None:
    def boot(system: Any) -> tuple[Any, ...]:
        ask_by_sushy(system)
        system.refresh()
        before = system.boot
        system.reset_system(sushy.RESET_ON)
        system.refresh()
        return before["target"], before["enabled"], before["http_boot_uri"], system.boot["enabled"], system.power_state

    said = await by_sushy(emulator, boot)
    assert said == (
        sushy.BOOT_SOURCE_TARGET_UEFI_HTTP,
        sushy.BOOT_SOURCE_ENABLED_ONCE,
        URL,
        sushy.BOOT_SOURCE_ENABLED_DISABLED,
        sushy.POWER_STATE_ON,
    )
    assert relay(emulator).boots == [BOOTED_ONCE]


async def test_sushy_switches_the_machine_off_again(emulator: Emulator) -> None:
    def on_and_off(system: Any) -> Any:
        system.reset_system(sushy.RESET_ON)
        system.reset_system(sushy.RESET_FORCE_OFF)
        system.refresh()
        return system.power_state

    assert await by_sushy(emulator, on_and_off) == sushy.POWER_STATE_OFF
    assert len(relay(emulator).boots) == 1


async def test_secure_boot_that_sushy_switches_off_is_off_after_a_reset(emulator: Emulator) -> None:
    def switch_off(system: Any) -> list[tuple[Any, Any]]:
        system.secure_boot.set_enabled(False)
        seen = []
        for _ in range(2):
            system.secure_boot.refresh()
            seen.append((system.secure_boot.enabled, system.secure_boot.current_boot))
            system.reset_system(sushy.RESET_FORCE_RESTART)
            system.refresh()
        return seen

    enabled, disabled = sushy.SECURE_BOOT_ENABLED, sushy.SECURE_BOOT_DISABLED
    assert await by_sushy(emulator, switch_off) == [(False, enabled), (False, disabled)]


@pytest.mark.parametrize("personality", ["dell"])
async def test_a_bios_attribute_that_sushy_sets_holds_after_a_reset(emulator: Emulator) -> None:
    def enable(system: Any) -> list[tuple[Any, Any]]:
        bios = system.bios
        bios.set_attribute("HttpDev1EnDis", "Enabled", apply_time=sushy.APPLY_TIME_ON_RESET)
        seen = []
        for _ in range(2):
            seen.append((bios.attributes["HttpDev1EnDis"], bios.pending_attributes["HttpDev1EnDis"]))
            system.reset_system(sushy.RESET_FORCE_RESTART)
            bios.refresh(force=True)
        return seen

    assert await by_sushy(emulator, enable) == [("Disabled", "Enabled"), ("Enabled", "Enabled")]


@pytest.mark.parametrize("personality", ["dell"])
async def test_sushy_is_told_which_bios_attribute_there_is_not(emulator: Emulator) -> None:
    with pytest.raises(sushy.exceptions.BadRequestError, match="HttpDev9Uri"):
        await by_sushy(emulator, lambda system: system.bios.set_attribute("HttpDev9Uri", URL))


async def test_the_cd_that_sushy_puts_in_is_booted_and_taken_out(emulator: Emulator) -> None:
    def insert(system: Any) -> list[tuple[Any, Any]]:
        (drive,) = system.virtual_media.get_members()
        drive.insert_media(URL)
        drive.refresh(force=True)
        seen = [(drive.inserted, drive.image)]
        system.set_system_boot_options(target=sushy.BOOT_SOURCE_TARGET_CD, enabled=sushy.BOOT_SOURCE_ENABLED_ONCE)
        system.reset_system(sushy.RESET_ON)
        drive.eject_media()
        drive.refresh(force=True)
        return [*seen, (drive.inserted, drive.image)]

    inserted, ejected = await by_sushy(emulator, insert)
    assert inserted == (True, URL)
    assert ejected[0] is False
    assert not ejected[1]
    assert relay(emulator).images == [URL]
    assert [each.target for each in relay(emulator).boots] == [Target.CD]


def authority() -> str:
    """The certificate of a CA, as PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "A test's CA")])
    start = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(7)
    signed = made.not_valid_before(start).not_valid_after(start.replace(year=2036)).sign(key, hashes.SHA256())
    return signed.public_bytes(serialization.Encoding.PEM).decode()


async def test_sushy_reads_a_ca_that_was_posted_through_its_connector(emulator: Emulator) -> None:
    """sushy has no call to install a CA for HTTPS boot: its connector and its reading of a certificate are judges."""
    pem = authority()

    def install(system: Any) -> tuple[Any, ...]:
        folder = f"{SYSTEM}/Boot/Certificates"
        answer = system._conn.post(folder, data={"CertificateString": pem, "CertificateType": "PEM"})
        made = Certificate(system._conn, answer.headers["Location"], redfish_version=system.redfish_version)
        said = made.certificate_string, made.certificate_type, made.subject.common_name, made.valid_not_after.year
        system._conn.delete(made.path)
        return (*said, system._conn.get(folder).json()["Members"])

    assert await by_sushy(emulator, install) == (pem, CertificateType.PEM, "A test's CA", 2036, [])


async def test_the_dmtf_tools_have_the_machine_boot_a_url_once(emulator: Emulator) -> None:
    """Their boot override knows no URL: it is set first, as their users have to."""
    body = json.dumps({"Boot": {"HttpBootUri": URL}})
    await by_dmtf(emulator, "rf_raw_request", "--method", "PATCH", "--request", SYSTEM, "--body", body)
    await by_dmtf(emulator, "rf_boot_override", "--target", "UefiHttp", "--mode", "UEFI")
    assert relay(emulator).state.override == BOOTED_ONCE
    shown = await by_dmtf(emulator, "rf_boot_override", "--info")
    assert "UefiHttp" in shown
    await by_dmtf(emulator, "rf_power_reset", "--type", "On")
    assert relay(emulator).state.power is Power.ON
    assert relay(emulator).boots == [BOOTED_ONCE]


async def test_the_dmtf_boot_override_resets_where_it_is_told_to(emulator: Emulator) -> None:
    await by_dmtf(emulator, "rf_boot_override", "--target", "Pxe", "--reset")
    assert [each.target for each in relay(emulator).boots] == [Target.PXE]


async def test_the_dmtf_tools_show_and_switch_the_power(emulator: Emulator) -> None:
    shown = await by_dmtf(emulator, "rf_power_reset", "--info")
    assert "Off" in shown
    assert "ForceRestart" in shown
    await by_dmtf(emulator, "rf_power_reset", "--type", "On")
    await by_dmtf(emulator, "rf_power_reset", "--type", "ForceOff")
    assert relay(emulator).state.power is Power.OFF
    assert len(relay(emulator).boots) == 1


async def test_the_dmtf_tools_put_a_cd_in_and_take_it_out(emulator: Emulator) -> None:
    await by_dmtf(emulator, "rf_virtual_media", "insert", "--image", URL)
    assert relay(emulator).images == [URL]
    assert URL in await by_dmtf(emulator, "rf_virtual_media", "info")
    await by_dmtf(emulator, "rf_virtual_media", "eject", "--id", "Cd")
    assert relay(emulator).state.kept.medium is None
