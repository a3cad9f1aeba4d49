"""QEMU's machine protocol: commands, their returns, and events, over a socket of lines of JSON.

Knows the protocol (QEMU docs/interop/qmp-spec.rst). Refuses to know what the commands do. The libraries for it are
LGPL; this is all of it that is needed here.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

from ironic_httpboot.errors import HostError

_ANSWER_SECONDS = 30.0
_LINE_BYTES = 1 << 20

OnEvent = Callable[[str, dict[str, Any]], None]


class Qmp:
    """One connection to one QEMU. Events are handed over as they come."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, on_event: OnEvent) -> None:
        self._reader = reader
        self._writer = writer
        self._on_event = on_event
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._number = 0
        self._listener = asyncio.ensure_future(self._listen())

    @classmethod
    async def connect(
        cls, socket: Path, on_event: OnEvent, *, alive: Callable[[], bool], patience_seconds: float
    ) -> Qmp:
        """Connect, waiting for the socket to appear while alive() holds and patience lasts. Raises HostError."""
        deadline = asyncio.get_running_loop().time() + patience_seconds
        # A socket's address has room for 107 bytes: go through the folder's descriptor, whose path is short.
        folder = os.open(socket.parent, os.O_PATH | os.O_DIRECTORY)
        try:
            while True:
                try:
                    streams = await asyncio.open_unix_connection(
                        f"/proc/self/fd/{folder}/{socket.name}", limit=_LINE_BYTES
                    )
                except OSError as error:
                    if not alive() or asyncio.get_running_loop().time() > deadline:
                        raise HostError(f"QEMU at {socket}: connected → {error.strerror}") from error
                    await asyncio.sleep(0.02)
                else:
                    return await cls(*streams, on_event)._greet()
        finally:
            os.close(folder)

    async def _greet(self) -> Self:
        """Begin to take commands; what cannot begin is ended."""
        try:
            await self.execute("qmp_capabilities")
        except BaseException:
            await self.close()
            raise
        return self

    async def execute(self, command: str, **arguments: object) -> Any:
        """Run a command; return what QEMU returns. Raises HostError with QEMU's own words."""
        self._number += 1
        number = self._number
        future = asyncio.get_running_loop().create_future()
        self._waiting[number] = future
        message = {"execute": command, "arguments": arguments, "id": number}
        try:
            self._writer.write(json.dumps(message).encode() + b"\n")
            await self._writer.drain()
            async with asyncio.timeout(_ANSWER_SECONDS):
                return await future
        except (OSError, TimeoutError) as error:
            raise HostError(f"QEMU: {command} → {str(error) or 'no answer'}") from error
        finally:
            self._waiting.pop(number, None)

    async def close(self) -> None:
        """End the connection; QEMU goes on."""
        self._listener.cancel()
        self._writer.close()
        await asyncio.gather(self._listener, self._writer.wait_closed(), return_exceptions=True)

    async def _listen(self) -> None:
        try:
            while line := await self._reader.readline():
                self._take(json.loads(line))
        except (OSError, ValueError):
            pass
        finally:
            for future in self._waiting.values():
                if not future.done():
                    future.set_exception(ConnectionResetError("QEMU went away"))

    def _take(self, message: dict[str, Any]) -> None:
        if "event" in message:
            self._on_event(message["event"], message.get("data", {}))
            return
        future = self._waiting.pop(message.get("id", 0), None)
        if future is None or future.done():
            return
        if "error" in message:
            future.set_exception(HostError(f"QEMU → {message['error'].get('desc', 'error')}"))
        else:
            future.set_result(message.get("return"))
