"""Slices of files through a real socket."""

from __future__ import annotations

import asyncio
import fcntl
import os
import socket
import struct
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ironic_httpboot.http import sendfile

DATA = os.urandom(20_000_000)
SIOCOUTQNSD = 0x894B
"""How much of what a socket was given has not been sent (linux/sockios.h); Python has no name for it."""


class Pair:
    """A transport, and the socket at its other end."""

    def __init__(self, transport: asyncio.Transport, peer: socket.socket) -> None:
        self.transport = transport
        self.peer = peer

    async def receive(self, count: int) -> bytes:
        loop = asyncio.get_running_loop()
        parts: list[bytes] = []
        while count > 0 and (part := await loop.sock_recv(self.peer, min(count, 1 << 20))):
            parts.append(part)
            count -= len(part)
        return b"".join(parts)


@pytest.fixture
async def pair() -> AsyncIterator[Pair]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        near = socket.create_connection(listening.getsockname())
        far, _ = listening.accept()
    near.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65_536)
    far.setblocking(False)
    transport, _ = await asyncio.get_running_loop().create_connection(asyncio.Protocol, sock=near)
    yield Pair(transport, far)
    far.close()
    if not transport.is_closing():
        transport.abort()
    await asyncio.sleep(0)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "data"
    path.write_bytes(DATA)
    return path


async def send(pair: Pair, path: Path, offset: int, count: int, idle_seconds: float = 5.0) -> list[int]:
    advances: list[int] = []
    with open(path, "rb", buffering=0) as stream:
        await sendfile.send(
            pair.transport, stream, offset=offset, count=count, idle_seconds=idle_seconds, advance=advances.append
        )
    return advances


@pytest.mark.parametrize(
    ("offset", "count"), [(0, len(DATA)), (0, 1), (19_999_999, 1), (123_457, 2_000_003), (1, 65_536)]
)
async def test_a_slice_arrives_and_every_advance_is_told(pair: Pair, path: Path, offset: int, count: int) -> None:
    advances, received = await asyncio.gather(send(pair, path, offset, count), pair.receive(count))
    assert received == DATA[offset : offset + count]
    assert sum(advances) == count
    assert min(advances) >= 0


async def test_slices_follow_each_other_and_what_is_written_between(pair: Pair, path: Path) -> None:
    receiving = asyncio.create_task(pair.receive(3_000_004))
    await send(pair, path, 0, 1_000_000)
    pair.transport.write(b"then")
    await send(pair, path, 2_000_000, 2_000_000)
    assert await receiving == DATA[:1_000_000] + b"then" + DATA[2_000_000:4_000_000]


async def test_of_a_file_little_waits_in_the_kernel_that_is_not_on_its_way(pair: Pair, path: Path) -> None:
    connection = pair.transport.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4_000_000)
    sending = asyncio.create_task(send(pair, path, 0, len(DATA)))
    await asyncio.sleep(0.3)
    unsent = struct.unpack("i", fcntl.ioctl(connection.fileno(), SIOCOUTQNSD, bytes(4)))[0]
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
    # What is on its way fills the client's window; the kernel goes over the limit by less than a packet of its own.
    assert 0 < unsent <= 128 * 1024 + 64 * 1024


async def test_a_client_that_takes_nothing_is_given_up(pair: Pair, path: Path) -> None:
    began = asyncio.get_running_loop().time()
    with pytest.raises(TimeoutError, match=r"^the client took nothing for 0\.3 s$"):
        await send(pair, path, 0, len(DATA), idle_seconds=0.3)
    assert asyncio.get_running_loop().time() - began < 5


async def test_a_client_that_takes_little_is_not(pair: Pair, path: Path) -> None:
    async def sip() -> bytes:
        data = b""
        for _ in range(12):
            await asyncio.sleep(0.1)
            data += await pair.receive(65_536)
        return data + await pair.receive(len(DATA) - len(data))

    _, received = await asyncio.gather(send(pair, path, 0, len(DATA), idle_seconds=0.5), sip())
    assert received == DATA


async def test_a_file_that_ends_too_early_is_an_end_of_file(pair: Pair, path: Path) -> None:
    receiving = asyncio.create_task(pair.receive(1000))
    with pytest.raises(EOFError, match=r"^the file ended at 20000000$"):
        await send(pair, path, len(DATA) - 1000, 1001)
    assert await receiving == DATA[-1000:]


async def test_a_client_that_goes_away_is_a_connection_error(pair: Pair, path: Path) -> None:
    sending = asyncio.create_task(send(pair, path, 0, len(DATA)))
    await pair.receive(100_000)
    pair.peer.close()
    with pytest.raises(ConnectionError):
        await sending


async def test_a_transport_that_is_closing_is_a_connection_error(pair: Pair, path: Path) -> None:
    pair.transport.close()
    with pytest.raises(ConnectionError, match="the client went away"):
        await send(pair, path, 0, 1)


async def test_a_file_that_cannot_be_read_is_told(pair: Pair, tmp_path: Path) -> None:
    descriptor = os.open(tmp_path, os.O_RDONLY)
    with pytest.raises(OSError, match=r"Invalid argument|Is a directory"), open(os.dup(descriptor), "rb", buffering=0):
        await send(pair, tmp_path, 0, 1)
    os.close(descriptor)


async def test_cancelled_it_leaves_no_descriptor_and_the_transport_usable(pair: Pair, path: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    sending = asyncio.create_task(send(pair, path, 0, len(DATA)))
    await asyncio.sleep(0.1)
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
    assert len(os.listdir("/proc/self/fd")) == before
    pair.transport.write(b"still here")
    pair.transport.close()
    assert (await pair.receive(len(DATA))).endswith(b"still here")
