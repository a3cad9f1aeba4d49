"""A machine as a whole, with real firmware that is not given the time to boot."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ironic_httpboot.emulator import uefi, varstore
from ironic_httpboot.emulator.chassis import Chassis
from ironic_httpboot.emulator.state import Enabled, Kept, Override, Power, Reset, Target
from ironic_httpboot.errors import HostError
from ironic_httpboot.events import Event, Reached, Stage
from kit.commands import qemu_processes
from kit.lab import machine, until

ONCE = Override(enabled=Enabled.ONCE, target=Target.UEFI_HTTP, uri="http://192.0.2.1/x.iso")


@pytest.fixture
async def chassis(tmp_path: Path) -> AsyncIterator[Chassis]:
    made = Chassis(machine("node-1", memory_mib=256), tmp_path)
    yield made
    await made.stop()


def uris(folder: Path) -> list[str | None]:
    """What the firmware's variables say should be booted over HTTP."""
    variables = varstore.decode((folder / "variables.fd").read_bytes())
    options = [uefi.decode_option(each) for each in variables if uefi.is_boot_option(each)]
    return [option.uri for option in options if option.uri is not None]


def power(chassis: Chassis) -> Power:
    return chassis.state.power


async def test_each_kind_of_reset_leads_to_its_power_state(chassis: Chassis, tmp_path: Path) -> None:
    await chassis.reset(Reset.ON)
    assert power(chassis) is Power.ON
    (first,) = qemu_processes(tmp_path)
    await chassis.reset(Reset.ON)
    assert qemu_processes(tmp_path) == [first], "it is on already"
    await chassis.reset(Reset.FORCE_RESTART)
    assert power(chassis) is Power.ON
    assert qemu_processes(tmp_path) != [first]
    await chassis.reset(Reset.FORCE_OFF)
    assert power(chassis) is Power.OFF
    await chassis.reset(Reset.PUSH_POWER_BUTTON)
    assert power(chassis) is Power.ON
    await chassis.reset(Reset.GRACEFUL_SHUTDOWN)
    assert power(chassis) is Power.ON, "the guest has to do it, and there is none"


async def test_a_guest_that_resets_its_machine_while_the_emulator_ends_leaves_nothing_running(
    chassis: Chassis, tmp_path: Path
) -> None:
    await chassis.reset(Reset.ON)
    stopping = asyncio.create_task(chassis.stop())
    await asyncio.sleep(0)
    chassis._machine_ended("guest-reset")  # what QEMU says as it ends: here at the worst moment
    await stopping
    await asyncio.sleep(1)
    assert qemu_processes(tmp_path) == []


async def test_an_override_becomes_a_boot_entry_at_power_on_only(chassis: Chassis, tmp_path: Path) -> None:
    await chassis.reset(Reset.ON)
    chassis.remember(Kept(override=ONCE))
    assert uris(tmp_path) == [], "variables are not touched while the machine runs"
    await until(lambda: chassis.state.override == ONCE, seconds=2, what="nor is Once taken for consumed")
    await chassis.reset(Reset.FORCE_RESTART)
    assert uris(tmp_path) == [ONCE.uri]
    chassis.remember(Kept())
    await chassis.reset(Reset.FORCE_RESTART)
    assert uris(tmp_path) == [], "what is taken back is taken out"


async def test_what_the_console_has_said_can_be_had_at_once(tmp_path: Path) -> None:
    heard: list[Event] = []
    chassis = Chassis(machine("node-1", memory_mib=256), tmp_path, heard.append)
    await chassis.reset(Reset.ON)
    try:
        with (tmp_path / "console.log").open("ab") as console:
            console.write(b"\r\n  Station IP address is 192.0.2.7\r\n")
        # No other task gets its turn in between.
        chassis.catch_up(7.0)
        assert heard[-1] == Reached(at=7.0, machine="node-1", stage=Stage.LEASE, detail="192.0.2.7")
    finally:
        await chassis.stop()
    assert [event for event in heard if isinstance(event, Reached) and event.stage is Stage.LEASE] == heard[-1:]


async def test_once_holds_when_the_power_goes_before_the_firmware_saw_it(chassis: Chassis, tmp_path: Path) -> None:
    chassis.remember(Kept(override=ONCE))
    await chassis.reset(Reset.ON)
    await chassis.reset(Reset.FORCE_OFF)
    assert chassis.state.override == ONCE
    again = Chassis(machine("node-1"), tmp_path)
    await again.resume()
    assert again.state.override == ONCE


async def test_once_that_was_taken_up_unseen_is_noticed_at_the_next_start(chassis: Chassis, tmp_path: Path) -> None:
    chassis.remember(Kept(override=ONCE))
    await chassis.reset(Reset.ON)
    await chassis.reset(Reset.FORCE_OFF)
    image = (tmp_path / "variables.fd").read_bytes()
    taken_up = varstore.rewrite(image, remove=[("BootNext", uefi.GLOBAL_VARIABLE)], put=())
    (tmp_path / "variables.fd").write_bytes(taken_up)
    again = Chassis(machine("node-1"), tmp_path)
    await again.resume()
    assert again.state.override == ONCE.consumed()


async def test_a_machine_that_cannot_start_says_why_and_stays_off(tmp_path: Path) -> None:
    chassis = Chassis(machine("node-1", memory_mib=1 << 30), tmp_path)
    with pytest.raises(HostError, match="node-1: QEMU started"):
        await chassis.reset(Reset.ON)
    assert power(chassis) is Power.OFF


async def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(HostError, match="file/node-1: made"):
        Chassis(machine("node-1"), tmp_path / "file" / "node-1")
