"""One answer on its way to one client.

Knows how heads, literals, zeros and slices of files leave through a transport, when a client or a file is given up, and
what is reported of it all. aiohttp has read the request and hears that all is sent: writing through its responses
would cost a small answer as much again (bench/RESULTS.md). Refuses to know what was asked and why this is the answer.
"""

from __future__ import annotations

import asyncio
import io
import logging
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from functools import lru_cache
from typing import assert_never

from aiohttp import web

from ironic_httpboot.blob import FileSlice, Literal, SourceFile, Zeros
from ironic_httpboot.blob import length_of as size_of
from ironic_httpboot.errors import FileChanged
from ironic_httpboot.events import Sink, Transfer
from ironic_httpboot.http import sendfile
from ironic_httpboot.http.respond import Representation, Response, http_date

_LOG = logging.getLogger(__name__)

_PIECE_BYTES = 64 * 1024
"""What a transport gets at once."""

_HELD_BYTES = 4 * 1024
"""The end of a large slice, which is kept back until no file is seen to have changed while it was sent."""

MOST_FILES = 4
"""Files that are kept open for an answer until it is seen that they did not change. Of more, some are waited for."""

_PROGRESS_SECONDS = 0.1
_LOOKS_SECONDS = (0.01, 0.1)
"""How soon, at the earliest and at the latest, it is looked whether the end of an answer has arrived, of which the
kernel tells nobody. In between: when it should have, at the speed so far. Looks cost more than the sending does."""

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


def _kept(transport: asyncio.Transport | None) -> int | None:
    """Bytes that are on their way to a client and not acknowledged. None once the connection is closed."""
    if transport is None or (descriptor := transport.get_extra_info("socket").fileno()) == -1:
        return None
    return transport.get_write_buffer_size() + sendfile.unacknowledged(descriptor)


@contextmanager
def _spoken(connection: socket.socket) -> Iterator[asyncio.Future[None]]:
    """A future that is done once the client says more, or goes. Nothing else may read from the connection."""
    loop = asyncio.get_running_loop()
    spoken = loop.create_future()
    # A second descriptor: the event loop keeps the first for the transport alone.
    descriptor = os.dup(connection.fileno())

    def hear() -> None:
        loop.remove_reader(descriptor)
        spoken.set_result(None)

    loop.add_reader(descriptor, hear)
    try:
        yield spoken
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)


class _Files:
    """The files that an answer is sent from, each of which must stay as it was until all of it has arrived."""

    def __init__(self) -> None:
        self._opened: dict[SourceFile, io.FileIO] = {}

    def __enter__(self) -> _Files:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    @property
    def are_many(self) -> bool:
        """Whether no more are to be opened."""
        return len(self._opened) >= MOST_FILES

    def open(self, file: SourceFile) -> io.FileIO:
        """Open one, or what is open of it. Raises FileChanged."""
        if (stream := self._opened.get(file)) is None:
            stream = self._opened[file] = file.open()
        return stream

    def check(self) -> None:
        """See that none has changed. One that was replaced has not: what is open is the old one. Raises FileChanged."""
        for file, stream in self._opened.items():
            found = os.fstat(stream.fileno())
            if (found.st_size, found.st_mtime_ns) != (file.size_bytes, file.mtime_ns):
                raise FileChanged(f"{file.path}: changed while it was sent")

    def close(self) -> None:
        """Look after them no longer."""
        for stream in self._opened.values():
            stream.close()
        self._opened.clear()


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
        self._arrived_bytes = 0

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
            self._sent_bytes = self._arrived_bytes = len(answer.body)
            return
        # What else the client has to say can wait, also that it has nothing more to say: asyncio would then close.
        transport.pause_reading()
        # What lies between slices leaves in as few pieces as it can: a composed image begins with dozens of small ones.
        pending = bytearray()
        slices = sum(isinstance(extent, FileSlice) for extent in answer.content)
        with _Files() as files:
            for extent in answer.content:
                match extent:
                    case Literal(data):
                        for start in range(0, len(data), _PIECE_BYTES):
                            await self._gather(transport, pending, data[start : start + _PIECE_BYTES])
                    case Zeros(length):
                        for start in range(0, length, _PIECE_BYTES):
                            await self._gather(transport, pending, _ZEROS[: length - start])
                    case FileSlice():
                        slices -= 1
                        await self._flush(transport, pending)
                        pending += await self._send_slice(transport, files, extent, last=slices == 0)
                    case _:
                        assert_never(extent)
        await self._flush(transport, pending)
        # What the client asks next brings its acknowledgement along, and is not to wait for the next look.
        with _spoken(transport.get_extra_info("socket")) if _kept(transport) else nullcontext() as spoken:
            await self._arrived(transport, spoken)
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

    async def _send_slice(self, transport: asyncio.Transport, files: _Files, extent: FileSlice, *, last: bool) -> bytes:
        """Send a slice but for its end, which is returned: the last one's when no file is seen to have changed."""
        stream = files.open(extent.file)
        free_bytes = extent.length - _HELD_BYTES if extent.length > _PIECE_BYTES else 0
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
                raise FileChanged(f"{extent.file.path}: sent → {error}") from error
        end = os.pread(stream.fileno(), extent.length - free_bytes, extent.offset + free_bytes)
        files.check()
        if last or files.are_many:
            # What waits in the kernel are the files' own pages, and would change with them.
            await self._arrived(transport)
            files.check()
            files.close()
        return end

    async def _write(self, transport: asyncio.Transport, data: bytes) -> None:
        transport.write(data)
        await self._drained(transport)
        self._advance(len(data))
        await asyncio.sleep(0)  # a client that takes all at once must not keep the others waiting

    async def _drained(self, transport: asyncio.Transport) -> None:
        """Return when the transport holds nothing back."""
        if transport.get_write_buffer_size():
            draining = asyncio.ensure_future(self._request.writer.drain())
            patience = sendfile.Patience(self._idle_seconds)
            try:
                while not draining.done():
                    patience.observe(_kept(transport) or 0)
                    self._advance(0)
                    await asyncio.wait((draining,), timeout=patience.look_seconds)
                draining.result()
            finally:
                draining.cancel()
        if transport.is_closing():
            raise ConnectionResetError("the client went away")

    async def _arrived(self, transport: asyncio.Transport, spoken: asyncio.Future[None] | None = None) -> None:
        """Return when the client's side has acknowledged it all: that the kernel took it proves nothing.

        The transport must not be reading. spoken: done when it is worth a look at once.
        """
        patience = sendfile.Patience(self._idle_seconds)
        connection = transport.get_extra_info("socket")
        while kept := _kept(transport):
            # A transport that is not reading hears of no end.
            if transport.is_closing() or connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                raise ConnectionResetError("the client went away")
            patience.observe(kept)
            self._advance(0)
            if spoken is None or spoken.done():
                await asyncio.sleep(self._due_seconds(kept))
            else:
                await asyncio.wait((spoken,), timeout=self._due_seconds(kept))
        if kept is None:
            raise ConnectionResetError("the client went away")

    def _due_seconds(self, kept: int) -> float:
        """When to look whether these bytes have arrived."""
        soonest, latest = _LOOKS_SECONDS
        arrived = max(1, self._sent_bytes - kept)
        return min(max(soonest, kept * (time.monotonic() - self._began) / arrived), latest)

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
        if (kept := _kept(self._request.transport)) is not None:
            self._arrived_bytes = max(self._arrived_bytes, self._sent_bytes - kept)
        self._on_event(
            Transfer(
                at=time.time(),
                machine=found.machine if found else "",
                peer=self._request.remote or "",
                method=self._request.method,
                path=found.label if found else "",
                status=answer.status,
                range=answer.range,
                sent_bytes=self._arrived_bytes,
                total_bytes=size_of(answer.content),
                elapsed_seconds=time.monotonic() - self._began,
                finished=finished,
            )
        )
