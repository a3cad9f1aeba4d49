"""An HTTP client on bare sockets: it sends any bytes, sees every byte that comes back, and keeps to no rules."""

from __future__ import annotations

import asyncio
import socket
from dataclasses import dataclass
from types import TracebackType


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What came back. headers: names in lower case."""

    version: str
    status: int
    headers: dict[str, str]
    body: bytes


class Line:
    """One connection, for use in `async with`. receive_bytes: what the kernel holds for a client that reads slowly."""

    def __init__(self, port: int, host: str = "127.0.0.1", *, receive_bytes: int | None = None) -> None:
        self._address = (host, port)
        self._socket = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
        if receive_bytes is not None:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        self._socket.setblocking(False)

    async def __aenter__(self) -> Line:
        try:
            await asyncio.get_running_loop().sock_connect(self._socket, self._address)
        except OSError:
            self._socket.close()
            raise
        self.reader, self.writer = await asyncio.open_connection(sock=self._socket, limit=8192)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.abort()
        await asyncio.sleep(0)

    def abort(self) -> None:
        """End it as a machine does that is switched off and on: with a reset."""
        self.writer.transport.abort()

    async def say(self, data: bytes) -> None:
        """Send bytes as they are."""
        self.writer.write(data)
        await self.writer.drain()

    async def head(self) -> tuple[str, int, dict[str, str]]:
        """Read version, status and headers of the next answer."""
        first = (await self.reader.readuntil(b"\r\n")).decode("latin-1")
        headers = {}
        while (line := (await self.reader.readuntil(b"\r\n")).decode("latin-1").strip("\r\n")) != "":
            name, _, value = line.partition(": ")
            assert name.lower() not in headers, f"{name} is there twice"
            headers[name.lower()] = value
        version, status, _ = first.split(" ", 2)
        return version, int(status), headers

    async def reply(self, *, bodiless: bool = False) -> Reply:
        """Read the next answer. bodiless: where the request was HEAD."""
        version, status, headers = await self.head()
        body = b""
        if not bodiless and status != 304:
            body = await self.reader.readexactly(int(headers["content-length"]))
        return Reply(version=version, status=status, headers=headers, body=body)

    async def get(self, path: str, *lines: str, method: str = "GET") -> Reply:
        """Ask for a path, with header lines, and read the answer."""
        await self.say("".join(f"{line}\r\n" for line in (f"{method} {path} HTTP/1.1", "Host: a", *lines, "")).encode())
        return await self.reply(bodiless=method == "HEAD")

    async def rest(self) -> bytes:
        """Everything up to the end of the connection. Raises ConnectionError when it ends with a reset."""
        return await self.reader.read(-1)


async def get(port: int, path: str, *lines: str, method: str = "GET", host: str = "127.0.0.1") -> Reply:
    """Ask one thing on a connection of its own."""
    async with Line(port, host) as line:
        return await line.get(path, *lines, method=method)
