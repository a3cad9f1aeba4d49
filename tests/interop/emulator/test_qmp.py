"""QEMU's machine protocol, spoken with QEMU."""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
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


@asynccontextmanager
async def peer(socket: Path, answer: dict[str, object]) -> AsyncIterator[asyncio.Event]:
    """Something that greets as QEMU does, answers the first command only, and says when the connection has ended."""
    ended = asyncio.Event()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b'{"QMP": {}}\n')
        first = json.loads(await reader.readline())
        writer.write(json.dumps({**answer, "id": first["id"]}).encode() + b"\n")
        await reader.read()
        ended.set()
        writer.close()

    async with await asyncio.start_unix_server(talk, socket):
        yield ended


async def test_a_connection_on_which_no_command_is_taken_is_ended(tmp_path: Path) -> None:
    async with peer(tmp_path / "qmp.sock", {"error": {"desc": "not today"}}) as ended:
        before = asyncio.all_tasks()
        with pytest.raises(HostError, match="not today"):
            await connect(tmp_path / "qmp.sock")
        async with asyncio.timeout(5):
            await ended.wait()
        listeners = [task for task in asyncio.all_tasks() - before if "_listen" in repr(task)]
        assert listeners == []


async def test_what_nobody_waits_for_any_longer_is_forgotten(tmp_path: Path) -> None:
    async with peer(tmp_path / "qmp.sock", {"return": {}}):
        qmp = await connect(tmp_path / "qmp.sock")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await qmp.execute("query-status")
        assert qmp._waiting == {}
        await qmp.close()


async def test_a_socket_that_does_not_appear_is_given_up(tmp_path: Path) -> None:
    with pytest.raises(HostError, match=r"QEMU at .*No such file"):
        await Qmp.connect(tmp_path / "none", lambda name, data: None, alive=lambda: True, patience_seconds=0.2)
    with pytest.raises(HostError, match="QEMU at"):
        await Qmp.connect(tmp_path / "none", lambda name, data: None, alive=lambda: False, patience_seconds=60)
