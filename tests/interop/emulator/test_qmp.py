"""QEMU's machine protocol, spoken with QEMU."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ironic_httpboot.emulator.qmp import Qmp
from ironic_httpboot.errors import HostError


@pytest.fixture
def qemu(tmp_path: Path) -> Iterator[Path]:
    command = "qemu-system-x86_64 -machine none -nodefaults -display none -qmp unix:qmp.sock,server=on,wait=off"
    with subprocess.Popen(command.split(), cwd=tmp_path) as process:
        yield tmp_path / "qmp.sock"
        process.kill()


async def connect(socket: Path, events: list[tuple[str, dict[str, Any]]] | None = None) -> Qmp:
    heard = events if events is not None else []
    return await Qmp.connect(
        socket, lambda name, data: heard.append((name, data)), alive=lambda: True, patience_seconds=10
    )


async def test_a_command_returns_what_qemu_returns(qemu: Path) -> None:
    qmp = await connect(qemu)
    assert (await qmp.execute("query-status"))["running"] is True
    assert (await qmp.execute("query-version"))["qemu"]["major"] >= 7
    await qmp.close()


async def test_an_error_comes_in_qemus_own_words(qemu: Path) -> None:
    qmp = await connect(qemu)
    with pytest.raises(HostError, match="The command no-such-command has not been found"):
        await qmp.execute("no-such-command")
    await qmp.close()


async def test_events_are_handed_over(qemu: Path) -> None:
    events: list[tuple[str, dict[str, Any]]] = []
    qmp = await connect(qemu, events)
    await qmp.execute("stop")
    await qmp.execute("query-status")
    assert [name for name, _ in events] == ["STOP"]
    await qmp.close()


async def ask_for_ever(qmp: Qmp) -> None:
    while True:
        await qmp.execute("query-status")
        await asyncio.sleep(0.05)


async def test_the_end_of_qemu_ends_what_waits(qemu: Path) -> None:
    qmp = await connect(qemu)
    await qmp.execute("quit")
    with pytest.raises(HostError, match="query-status → "):
        await ask_for_ever(qmp)
    await qmp.close()


async def test_a_socket_that_does_not_appear_is_given_up(tmp_path: Path) -> None:
    with pytest.raises(HostError, match=r"QEMU at .*No such file"):
        await Qmp.connect(tmp_path / "none", lambda name, data: None, alive=lambda: True, patience_seconds=0.2)
    with pytest.raises(HostError, match="QEMU at"):
        await Qmp.connect(tmp_path / "none", lambda name, data: None, alive=lambda: False, patience_seconds=60)
