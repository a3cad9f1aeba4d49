"""A domain behind a BMC, before a libvirt of the test's own, with real firmware that is not given the time to boot."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from ironic_httpboot.emulator import uefi, varstore
from ironic_httpboot.emulator.chassis import Chassis
from ironic_httpboot.emulator.kept import Enabled, Kept, Override, Target
from ironic_httpboot.emulator.machine import Specification
from ironic_httpboot.emulator.state import Power, Reset
from ironic_httpboot.errors import HostError
from kit.lab import until
from kit.libvirt import Libvirt, needs_libvirt

pytestmark = needs_libvirt
ONCE = Override(enabled=Enabled.ONCE, target=Target.UEFI_HTTP, uri="http://192.0.2.1/x.iso")


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Libvirt]:
    with Libvirt(tmp_path_factory.mktemp("libvirt")) as running:
        yield running


@pytest.fixture
def libvirt(daemon: Libvirt) -> Iterator[Libvirt]:
    yield daemon
    daemon.forget("node-1")


@pytest.fixture
async def chassis(libvirt: Libvirt, tmp_path: Path) -> AsyncIterator[Chassis]:
    made = await resumed(libvirt.define("node-1"), tmp_path)
    yield made
    await made.stop()


async def resumed(specification: Specification, folder: Path) -> Chassis:
    made = Chassis(specification, folder / "bmc" / specification.id)
    await made.resume()
    return made


def uris(libvirt: Libvirt) -> list[str | None]:
    """What the firmware's variables say should be booted over HTTP."""
    variables = varstore.decode(libvirt.variables("node-1").read_bytes())
    options = [uefi.decode_option(each) for each in variables if uefi.is_boot_option(each)]
    return [option.uri for option in options if option.uri is not None]


def power(chassis: Chassis) -> Power:
    return chassis.state.power


async def test_each_kind_of_reset_leads_to_its_power_state(chassis: Chassis, libvirt: Libvirt) -> None:
    await chassis.reset(Reset.ON)
    assert power(chassis) is Power.ON
    assert libvirt.is_on("node-1")
    first = libvirt.virsh("domid", "node-1")
    await chassis.reset(Reset.ON)
    assert libvirt.virsh("domid", "node-1") == first, "it is on already"
    await chassis.reset(Reset.FORCE_RESTART)
    assert power(chassis) is Power.ON
    assert libvirt.virsh("domid", "node-1") != first
    await chassis.reset(Reset.FORCE_OFF)
    assert power(chassis) is Power.OFF
    assert not libvirt.is_on("node-1")
    await chassis.reset(Reset.FORCE_OFF)
    await chassis.reset(Reset.PUSH_POWER_BUTTON)
    await chassis.reset(Reset.GRACEFUL_SHUTDOWN)
    assert power(chassis) is Power.ON, "the guest has to do it, and there is none"


async def test_what_the_bmc_shows_is_what_the_definition_says(chassis: Chassis, libvirt: Libvirt) -> None:
    assert chassis.state.uuid == libvirt.virsh("domuuid", "node-1").strip()
    assert (chassis.state.arch, chassis.state.memory_mib) == ("x64", 256)
    libvirt.virsh("setmaxmem", "node-1", "300M", "--config")
    await chassis.reset(Reset.ON)
    assert chassis.state.memory_mib == 300, "a definition that was changed is read again at power on"


async def test_an_override_becomes_a_boot_entry_at_power_on_only(chassis: Chassis, libvirt: Libvirt) -> None:
    assert not libvirt.variables("node-1").exists(), "as libvirt, the emulator makes it at the first start"
    await chassis.reset(Reset.ON)
    chassis.remember(Kept(override=ONCE))
    assert uris(libvirt) == [], "variables are not touched while the machine runs"
    await chassis.reset(Reset.FORCE_RESTART)
    assert uris(libvirt) == [ONCE.uri]
    assert chassis.state.override == ONCE, "the firmware had no time to take it up"
    chassis.remember(Kept())
    await chassis.reset(Reset.FORCE_RESTART)
    assert uris(libvirt) == [], "what is taken back is taken out"


async def test_switching_by_others_is_seen(chassis: Chassis, libvirt: Libvirt) -> None:
    libvirt.virsh("start", "node-1")
    await until(lambda: power(chassis) is Power.ON, seconds=5, what="switched on with virsh")
    assert chassis.state.progress == "OEM", "how far it is, nobody knows"
    libvirt.virsh("destroy", "node-1")
    await until(lambda: power(chassis) is Power.OFF, seconds=5, what="switched off with virsh")
    assert chassis.state.progress == "None"


async def test_variables_are_not_written_when_others_were_faster(chassis: Chassis, libvirt: Libvirt) -> None:
    libvirt.virsh("start", "node-1")
    before = libvirt.variables("node-1").read_bytes()
    chassis.remember(Kept(override=ONCE))
    assert power(chassis) is Power.OFF, "not seen yet"
    with pytest.raises(HostError, match="node-1: domain node-1 somebody switched it on just now"):
        await chassis.reset(Reset.ON)
    assert power(chassis) is Power.ON
    assert uris(libvirt) == []
    assert len(before) == libvirt.variables("node-1").stat().st_size


async def test_it_runs_on_when_the_emulator_ends_and_is_found_again(
    chassis: Chassis, libvirt: Libvirt, tmp_path: Path
) -> None:
    chassis.remember(Kept(override=ONCE))
    await chassis.reset(Reset.ON)
    await chassis.stop()
    assert libvirt.is_on("node-1")
    again = await resumed(libvirt.define("node-1"), tmp_path)
    assert power(again) is Power.ON
    assert again.state.override == ONCE
    await again.reset(Reset.FORCE_OFF)
    assert not libvirt.is_on("node-1")
    await again.stop()


async def test_a_restart_of_libvirtd_switches_nothing(chassis: Chassis, libvirt: Libvirt) -> None:
    await chassis.reset(Reset.ON)
    await asyncio.to_thread(libvirt.stop)
    with pytest.raises(HostError, match=r"node-1: libvirt at .*: destroy|failed to connect"):
        await chassis.reset(Reset.FORCE_OFF)
    assert power(chassis) is Power.ON
    await asyncio.to_thread(libvirt.start)
    assert power(chassis) is Power.ON
    await chassis.reset(Reset.FORCE_OFF)
    assert not libvirt.is_on("node-1")


async def test_a_serial_log_that_is_begun_anew_is_read_from_its_beginning(chassis: Chassis, libvirt: Libvirt) -> None:
    console = libvirt.console("node-1")
    console.write_text("an earlier boot\n" * 1000)
    await chassis.reset(Reset.ON)
    console.write_text("[    1.0] Run /init as init process\n")
    await until(lambda: chassis.state.progress == "OSRunning", seconds=5, what="the new log is read")


async def test_a_domain_without_a_serial_log_boots_and_its_progress_is_unknown(
    libvirt: Libvirt, tmp_path: Path
) -> None:
    chassis = await resumed(libvirt.define("node-1", serial="<serial type='pty'/>"), tmp_path)
    assert chassis.console is None
    await chassis.reset(Reset.ON)
    assert (power(chassis), chassis.state.progress) == (Power.ON, "OEM")
    await chassis.stop()


async def test_a_saved_domain_is_not_switched_on_as_it_would_go_on_and_not_boot(
    chassis: Chassis, libvirt: Libvirt
) -> None:
    await chassis.reset(Reset.ON)
    libvirt.virsh("managedsave", "node-1")
    await until(lambda: power(chassis) is Power.OFF, seconds=5, what="it was saved")
    with pytest.raises(HostError, match="domain node-1 is saved") as failure:
        await chassis.reset(Reset.ON)
    assert failure.value.hint == "remove what was saved: virsh managedsave-remove"
    libvirt.virsh("managedsave-remove", "node-1")
    await chassis.reset(Reset.ON)
    assert power(chassis) is Power.ON


async def test_variables_that_cannot_be_made_or_edited_are_named(libvirt: Libvirt, tmp_path: Path) -> None:
    chassis = await resumed(libvirt.define("node-1", template=False), tmp_path)
    chassis.remember(Kept(override=ONCE))
    with pytest.raises(HostError, match=r"node-1_VARS\.fd: looked for → not there, and no template") as failure:
        await chassis.reset(Reset.ON)
    assert failure.value.hint is not None
    assert "<nvram template=" in failure.value.hint

    variables = libvirt.variables("node-1")
    variables.write_bytes(b"QFI\xfb" + bytes(1000))
    with pytest.raises(HostError, match=r"node-1_VARS\.fd: is in qcow2 format"):
        await chassis.reset(Reset.ON)

    variables.unlink()
    variables.mkdir()
    with pytest.raises(HostError, match=r"node-1_VARS\.fd: read → Is a directory"):
        await chassis.reset(Reset.ON)
    assert power(chassis) is Power.OFF
    await chassis.stop()


async def test_a_domain_that_is_not_there_or_would_not_stay_is_refused(libvirt: Libvirt, tmp_path: Path) -> None:
    specification = libvirt.define("node-1")
    libvirt.virsh("start", "node-1")
    libvirt.virsh("undefine", "node-1", "--keep-nvram")
    with pytest.raises(HostError, match="node-1: domain node-1 is transient"):
        Chassis(specification, tmp_path / "bmc")
    libvirt.virsh("destroy", "node-1")
    with pytest.raises(HostError, match=r"node-1: libvirt at .*failed to get domain 'node-1'"):
        Chassis(specification, tmp_path / "bmc")


async def test_why_libvirt_does_not_start_it_is_said_in_its_words(chassis: Chassis, libvirt: Libvirt) -> None:
    libvirt.virsh("setmaxmem", "node-1", "900T", "--config")
    with pytest.raises(HostError, match=r"node-1: libvirt at .*: start → .*[Mm]emory"):
        await chassis.reset(Reset.ON)
    assert power(chassis) is Power.OFF
