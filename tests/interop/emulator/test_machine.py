"""QEMU itself: started, found again, ended, and what is said when it does not start."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from ironic_httpboot.emulator import firmware
from ironic_httpboot.emulator.firmware import Nvram
from ironic_httpboot.emulator.machine import Machine, Specification, accelerator_for
from ironic_httpboot.errors import HostError
from ironic_httpboot.model import Arch
from kit.commands import qemu_processes
from kit.judges import judge
from kit.lab import machine, until


def make(folder: Path, specification: Specification | None = None) -> tuple[Machine, list[str]]:
    folder.mkdir(exist_ok=True)
    reasons: list[str] = []
    found = firmware.find(Arch.X64)
    made = Machine(specification or machine("node-1", memory_mib=256), folder, found, reasons.append)
    Nvram(made.variables, found).ensure()
    return made, reasons


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[tuple[Machine, list[str]]]:
    made, reasons = make(tmp_path)
    await made.start()
    yield made, reasons
    await made.stop()


async def test_it_is_on_after_start_and_off_after_stop(tmp_path: Path) -> None:
    made, reasons = make(tmp_path)
    assert not made.running
    await made.start()
    assert made.running
    assert len(qemu_processes(tmp_path)) == 1
    await made.start()
    assert len(qemu_processes(tmp_path)) == 1, "starting twice is starting once"
    await made.stop()
    assert not made.running
    assert qemu_processes(tmp_path) == []
    await until(lambda: reasons == ["host-qmp-quit"], seconds=5, what="the reason is told")
    await made.stop()


async def test_a_folder_with_a_long_path_is_no_trouble(tmp_path: Path) -> None:
    deep = tmp_path / ("x" * 120)
    made, _ = make(deep)
    await made.start()
    await made.stop()


async def test_killing_it_is_noticed(running: tuple[Machine, list[str]], tmp_path: Path) -> None:
    made, reasons = running
    os.kill(qemu_processes(tmp_path)[0], signal.SIGKILL)
    async with asyncio.timeout(5):
        await made.wait()
    assert not made.running
    await until(lambda: reasons == [""], seconds=5, what="nobody knows the reason")


def start_and_abandon(folder: Path) -> None:
    """Have another process start the machine, and end without a word."""
    script = (
        "import asyncio, os, pathlib, sys\n"
        "from interop.emulator.test_machine import make\n"
        "asyncio.run(make(pathlib.Path(sys.argv[1]))[0].start())\n"
        "os._exit(0)\n"
    )
    tests = Path(__file__).parents[2]
    judge(sys.executable, "-c", script, folder, cwd=tests)
    assert len(qemu_processes(folder)) == 1


async def test_another_process_finds_it_again(tmp_path: Path) -> None:
    await asyncio.to_thread(start_and_abandon, tmp_path)
    found, reasons = make(tmp_path)
    assert await found.adopt()
    assert found.running
    await found.stop()
    assert qemu_processes(tmp_path) == []
    await until(lambda: reasons == ["host-qmp-quit"], seconds=5, what="the reason is told")


async def test_one_that_does_not_answer_is_ended_instead(tmp_path: Path) -> None:
    await asyncio.to_thread(start_and_abandon, tmp_path)
    (tmp_path / "qmp.sock").unlink()
    found, _ = make(tmp_path)
    assert not await found.adopt(patience_seconds=0.5)
    assert qemu_processes(tmp_path) == []


async def test_a_pid_file_that_names_somebody_else_is_passed_over(tmp_path: Path) -> None:
    made, _ = make(tmp_path)
    (tmp_path / "qemu.pid").write_text(str(os.getpid()))
    assert not await made.adopt()
    (tmp_path / "qemu.pid").write_text("garbage")
    assert not await made.adopt()


async def test_why_it_does_not_start_is_said_in_qemus_words(tmp_path: Path) -> None:
    bad = machine("node-1", memory_mib=1 << 30)
    made, _ = make(tmp_path, bad)
    with pytest.raises(HostError, match=r"QEMU started → .*(RAM|memory)") as failure:
        await made.start()
    assert "qemu.log" in str(failure.value)
    assert not made.running
    with pytest.raises(HostError, match="neither user nor tap:NAME"):
        await make(tmp_path, replace(bad, network="bridge0"))[0].start()


def test_an_accelerator_is_chosen_by_trying() -> None:
    assert accelerator_for(Arch.X64) in ("kvm", "tcg")
    assert accelerator_for(Arch.ARM64) == "tcg"
