"""A slice of a file, out of a socket, by the kernel.

Knows os.sendfile and how to wait for room. asyncio's own sendfile registers and forgets the socket for every wait,
which costs more than the sending (bench/RESULTS.md), and cannot tell a slow client from a dead one; hence this one.
Refuses to know HTTP. Plain sockets only.
"""

from __future__ import annotations

import asyncio
import io
import os
from collections.abc import Callable

_TURN_BYTES = 1024 * 1024
"""What one client may send before the others get their turn."""


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

    advance: called with the number of bytes, each time some have left. Raises TimeoutError when none leave for
    idle_seconds, EOFError when the file ends too early, ConnectionError when the client goes away.
    """
    if transport.is_closing():
        raise ConnectionResetError("the client went away")
    # A second descriptor: the event loop keeps the first for the transport alone.
    descriptor = os.dup(transport.get_extra_info("socket").fileno())
    loop = asyncio.get_running_loop()
    pump = _Pump(descriptor, stream.fileno(), offset, count, advance, loop.create_future())
    loop.add_writer(descriptor, pump.send_some)
    try:
        while not pump.done.done():
            seen_offset = pump.offset
            await asyncio.wait((pump.done,), timeout=idle_seconds)
            if pump.offset == seen_offset and not pump.done.done():
                raise TimeoutError(f"the client took nothing for {idle_seconds:g} s")
        pump.done.result()
    finally:
        loop.remove_writer(descriptor)
        os.close(descriptor)


class _Pump:
    """What is under way on one socket."""

    def __init__(
        self,
        descriptor: int,
        file: int,
        offset: int,
        count: int,
        advance: Callable[[int], None],
        done: asyncio.Future[None],
    ) -> None:
        self._descriptor = descriptor
        self._file = file
        self._end = offset + count
        self._advance = advance
        self.offset = offset
        self.done = done

    def send_some(self) -> None:
        """Send what the socket has room for."""
        if self.done.done():
            return
        try:
            sent = os.sendfile(self._descriptor, self._file, self.offset, min(_TURN_BYTES, self._end - self.offset))
        except BlockingIOError:
            return
        except OSError as error:
            self.done.set_exception(error)
            return
        if sent == 0:
            self.done.set_exception(EOFError(f"the file ended at {self.offset}"))
            return
        self.offset += sent
        self._advance(sent)
        if self.offset == self._end:
            self.done.set_result(None)
