"""A slice of a file, out of a socket, by the kernel.

Knows os.sendfile and how to wait for room. asyncio's own sendfile registers and forgets the socket for every wait,
which costs more than the sending (bench/RESULTS.md), and cannot tell a slow client from a dead one; hence this one.
Refuses to know HTTP. Plain sockets only.
"""

from __future__ import annotations

import asyncio
import fcntl
import io
import os
import socket
import struct
import termios
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_TURN_BYTES = 512 * 1024
"""What one client may send before the others get their turn."""

_UNSENT_BYTES = 128 * 1024
"""What the kernel holds for a client without sending it yet; what is on its way is not limited by it (tcp(7)). By
itself it takes megabytes that lie there until they leave, when the processor's caches have long forgotten them: that
costs up to two thirds more (bench/RESULTS.md)."""

_LOOK_SECONDS = 0.5
"""How often a client that is waited for is looked at."""


async def send(
    transport: asyncio.WriteTransport,
    stream: io.FileIO,
    *,
    offset: int,
    count: int,
    idle_seconds: float,
    advance: Callable[[int], None],
) -> None:
    """Send count bytes of a file from offset. The transport's own buffer must be empty.

    advance: called with the number of bytes, each time the kernel has taken some, and with 0 now and then. Raises
    TimeoutError when the client acknowledges none for idle_seconds, EOFError when the file ends too early,
    ConnectionError when the client goes away.
    """
    if transport.is_closing():
        raise ConnectionResetError("the client went away")
    connection = transport.get_extra_info("socket")
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, _UNSENT_BYTES)
    pump = _Pump(connection.fileno(), stream.fileno(), offset, count, advance)
    pump.send_some()  # mostly there is room, and then a short slice has left
    if pump.done.done():
        return pump.done.result()
    # A second descriptor: the event loop keeps the first for the transport alone.
    pump.descriptor = descriptor = os.dup(connection.fileno())
    try:
        with pump.sending(Patience(idle_seconds)):
            await pump.done
    finally:
        os.close(descriptor)


class Patience:
    """How long a client may take nothing."""

    def __init__(self, idle_seconds: float) -> None:
        self._idle_seconds = idle_seconds
        self._seen: int | None = None
        self._since = time.monotonic()
        self.look_seconds = min(_LOOK_SECONDS, idle_seconds)

    def observe(self, amount: int) -> None:
        """Take notice of how much is done, or of how much is left. Raises TimeoutError when that is as it was."""
        now = time.monotonic()
        if amount != self._seen:
            self._seen, self._since = amount, now
        elif now - self._since >= self._idle_seconds:
            raise TimeoutError(f"the client took nothing for {self._idle_seconds:g} s")


def unacknowledged(descriptor: int) -> int:
    """Bytes that the kernel has taken for a socket and holds, as the other side has not acknowledged them (tcp(7))."""
    answer = fcntl.ioctl(descriptor, termios.TIOCOUTQ, bytes(4))
    return int(struct.unpack("i", answer)[0])


class _Pump:
    """What is under way on one socket. done: once all is with the kernel, or with what went wrong."""

    def __init__(self, descriptor: int, file: int, offset: int, count: int, advance: Callable[[int], None]) -> None:
        self.descriptor = descriptor
        self._file = file
        self._offset = offset
        self._end = offset + count
        self._advance = advance
        self._loop = asyncio.get_running_loop()
        self.done: asyncio.Future[None] = self._loop.create_future()

    @contextmanager
    def sending(self, patience: Patience) -> Iterator[None]:
        """Send whenever there is room, and look after the client."""
        self._patience = patience
        self._loop.add_writer(self.descriptor, self.send_some)
        self._look()
        try:
            yield
        finally:
            self._next_look.cancel()
            self._loop.remove_writer(self.descriptor)

    def _look(self) -> None:
        """See whether the client still takes anything. Callbacks cost a third of a task that wakes up for it."""
        self._next_look = self._loop.call_later(self._patience.look_seconds, self._look)
        if self.done.done():
            return
        try:
            self._patience.observe(self._offset - unacknowledged(self.descriptor))
        except TimeoutError as error:
            self.done.set_exception(error)
        self._advance(0)

    def send_some(self) -> None:
        """Send what the socket has room for."""
        if self.done.done():
            return
        try:
            sent = os.sendfile(self.descriptor, self._file, self._offset, min(_TURN_BYTES, self._end - self._offset))
        except BlockingIOError:
            return
        except OSError as error:
            self.done.set_exception(error)
            return
        if sent == 0:
            self.done.set_exception(EOFError(f"the file ended at {self._offset}"))
            return
        self._offset += sent
        self._advance(sent)
        if self._offset == self._end:
            self.done.set_result(None)
