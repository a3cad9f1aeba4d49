"""One answer on its way to one client.

Knows how heads, literals, zeros and slices of files leave through a transport, when a client or a file is given up, and
what is reported of it all. aiohttp has read the request and hears that all is sent: writing through its responses
would cost a small answer as much again (bench/RESULTS.md). Refuses to know what was asked and why this is the answer.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from functools import lru_cache
from typing import assert_never

from aiohttp import web

from ironic_httpboot.blob import FileSlice, Literal, Zeros
from ironic_httpboot.blob import length_of as size_of
from ironic_httpboot.errors import FileChanged
from ironic_httpboot.events import Sink, Transfer
from ironic_httpboot.http import sendfile
from ironic_httpboot.http.respond import Representation, Response, http_date

_LOG = logging.getLogger(__name__)

_PIECE_BYTES = 64 * 1024
"""What a transport gets at once. A client that does not take so much within idle_seconds is given up."""

_HELD_BYTES = 64 * 1024
"""The end of a slice, which is kept back until the file is seen not to have changed while the slice was sent."""

_PROGRESS_SECONDS = 0.1
_ZEROS = bytes(_PIECE_BYTES)


class Sent(web.StreamResponse):
    """What aiohttp gets for an answer: nothing is left to send."""

    def __init__(self, *, keep_alive: bool) -> None:
        super().__init__()
        self._stays = keep_alive

    @property
    def keep_alive(self) -> bool:
        """Whether the connection is for more requests."""
        return self._stays

    async def prepare(self, request: web.BaseRequest) -> None:
        """Nothing: the head is sent."""

    async def write_eof(self, data: bytes = b"") -> None:
        """Nothing: the content is sent."""


_SENT = {keep_alive: Sent(keep_alive=keep_alive) for keep_alive in (True, False)}


def encode(answer: Response, *, keep_alive: bool, http_1_0: bool = False) -> bytes:
    """The head of an answer, and its content too where that is small."""
    return answer.head + _last_lines(int(time.time()), keep_alive, http_1_0) + (answer.body or b"")


@lru_cache(maxsize=16)
def _last_lines(now: int, keep_alive: bool, http_1_0: bool) -> bytes:
    """The headers that depend on the moment and the connection, and the empty line."""
    connection = ""
    if keep_alive is http_1_0:  # each version's default goes without saying (RFC 9112 §9.3)
        connection = f"Connection: {'keep-alive' if keep_alive else 'close'}\r\n"
    return f"Date: {http_date(now)}\r\n{connection}\r\n".encode("ascii")


def give_up(transport: asyncio.Transport | None) -> None:
    """Break a connection, if there still is one: asyncio stumbles over what is closed already (Python 3.11)."""
    if transport is not None and transport.get_extra_info("socket").fileno() != -1:
        transport.abort()


class Delivery:
    """An answer under way. Its end is reported whatever becomes of it."""

    def __init__(
        self,
        request: web.BaseRequest,
        found: Representation | None,
        answer: Response,
        *,
        on_event: Sink | None,
        idle_seconds: float,
    ) -> None:
        self._request = request
        self._found = found
        self._answer = answer
        self._on_event = on_event
        self._idle_seconds = idle_seconds
        self._began = self._told = time.monotonic()
        self._sent_bytes = 0

    def __str__(self) -> str:
        return f"{self._request.remote} {self._request.method} {self._found.label if self._found else '?'}"

    async def run(self) -> web.StreamResponse:
        """Send it all, or break the connection: once the head is gone, nothing else says that bytes are missing."""
        transport = self._request.transport
        try:
            if transport is None or transport.is_closing():
                raise ConnectionResetError("the client went away")
            await self._send(transport)
            return _SENT[self._request.keep_alive]
        except ConnectionError:
            _LOG.info("%s: the client went away", self)
        except TimeoutError as error:
            _LOG.warning("%s: broken off: %s", self, error)
        except (FileChanged, OSError) as error:
            _LOG.error("%s: broken off: %s", self, error)
        except BaseException:
            give_up(transport)
            raise
        finally:
            self._tell(finished=True)
        give_up(transport)
        return _SENT[False]

    async def _send(self, transport: asyncio.Transport) -> None:
        request, answer = self._request, self._answer
        transport.write(encode(answer, keep_alive=request.keep_alive, http_1_0=request.version.minor == 0))
        if answer.body is not None:
            if transport.get_write_buffer_size():
                await self._drained(transport)
            self._sent_bytes = len(answer.body)
            return
        # What else the client has to say can wait, also that it has nothing more to say: asyncio would then close.
        transport.pause_reading()
        # What lies between slices leaves in as few pieces as it can: a composed image begins with dozens of small ones.
        pending = bytearray()
        for extent in answer.content:
            match extent:
                case Literal(data):
                    for start in range(0, len(data), _PIECE_BYTES):
                        await self._gather(transport, pending, data[start : start + _PIECE_BYTES])
                case Zeros(length):
                    for start in range(0, length, _PIECE_BYTES):
                        await self._gather(transport, pending, _ZEROS[: length - start])
                case FileSlice():
                    await self._flush(transport, pending)
                    pending += await self._send_slice(transport, extent)
                case _:
                    assert_never(extent)
        await self._flush(transport, pending)
        transport.resume_reading()

    async def _gather(self, transport: asyncio.Transport, pending: bytearray, data: bytes) -> None:
        if len(pending) + len(data) > _PIECE_BYTES:
            await self._flush(transport, pending)
        pending += data

    async def _flush(self, transport: asyncio.Transport, pending: bytearray) -> None:
        if pending:
            data = bytes(pending)
            pending.clear()
            await self._write(transport, data)

    async def _send_slice(self, transport: asyncio.Transport, extent: FileSlice) -> bytes:
        """Send a slice but for its end, which is returned: by then the file was seen not to have changed."""
        file, free_bytes = extent.file, max(0, extent.length - _HELD_BYTES)
        with file.open() as stream:
            if free_bytes:
                await self._drained(transport)
                try:
                    await sendfile.send(
                        transport,
                        stream,
                        offset=extent.offset,
                        count=free_bytes,
                        idle_seconds=self._idle_seconds,
                        advance=self._advance,
                    )
                except EOFError as error:
                    raise FileChanged(f"{file.path}: sent → {error}") from error
            end = os.pread(stream.fileno(), extent.length - free_bytes, extent.offset + free_bytes)
            found = os.fstat(stream.fileno())
        if (found.st_size, found.st_mtime_ns) != (file.size_bytes, file.mtime_ns):
            raise FileChanged(f"{file.path}: changed while it was sent")
        return end

    async def _write(self, transport: asyncio.Transport, data: bytes) -> None:
        transport.write(data)
        await self._drained(transport)
        self._advance(len(data))
        await asyncio.sleep(0)  # a client that takes all at once must not keep the others waiting

    async def _drained(self, transport: asyncio.Transport) -> None:
        """Return when the transport holds nothing back."""
        if transport.get_write_buffer_size():
            try:
                async with asyncio.timeout(self._idle_seconds):
                    await self._request.writer.drain()
            except TimeoutError:
                raise TimeoutError(f"the client took nothing for {self._idle_seconds:g} s") from None
        if transport.is_closing():
            raise ConnectionResetError("the client went away")

    def _advance(self, count: int) -> None:
        self._sent_bytes += count
        now = time.monotonic()
        if now - self._told >= _PROGRESS_SECONDS:
            self._told = now
            self._tell(finished=False)

    def _tell(self, *, finished: bool) -> None:
        if self._on_event is None:
            return
        found, answer = self._found, self._answer
        self._on_event(
            Transfer(
                at=time.time(),
                machine=found.machine if found else "",
                peer=self._request.remote or "",
                method=self._request.method,
                path=found.label if found else "",
                status=answer.status,
                range=answer.range,
                sent_bytes=self._sent_bytes,
                total_bytes=size_of(answer.content),
                elapsed_seconds=time.monotonic() - self._began,
                finished=finished,
            )
        )
