"""Standard output and standard error of a service: written to at once, or not at all.

Knows when a descriptor takes bytes without a wait. Refuses to know what is written. A pipe that nobody reads, or a
terminal that Ctrl-S has stopped, would otherwise stop every machine that boots: the service runs in one thread.
"""

from __future__ import annotations

import io
import logging
import os
import select
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


class Outlet(io.RawIOBase):
    """A descriptor. lost: how many writes it did not take. broken: why it will take none any more, or nothing."""

    def __init__(self, descriptor: int, *, notes: bool = False) -> None:
        """notes: whether what was lost is said before the next write that is taken."""
        self.lost = 0
        self.broken = ""
        self._descriptor = descriptor
        self._notes = notes
        self._noted = 0
        self._poll = select.poll()
        self._poll.register(descriptor, select.POLLOUT)

    def writable(self) -> bool:
        """It is."""
        return True

    def fileno(self) -> int:
        """The descriptor."""
        return self._descriptor

    def isatty(self) -> bool:
        """Whether it is a terminal."""
        return os.isatty(self._descriptor)

    def write(self, data: ReadableBuffer, /) -> int:
        """Write what is taken now. Says that all was, so that nobody waits to write the rest."""
        whole = bytes(data)
        rest = whole
        if self._notes and self.lost > self._noted:
            rest = f"({self.lost - self._noted} messages are lost: nobody read them)\n".encode() + rest
        try:
            # A pipe that is ready takes so many bytes without a wait (poll(2), pipe(7)).
            while rest and not self.broken and self._poll.poll(0):
                rest = rest[os.write(self._descriptor, rest[: select.PIPE_BUF]) :]
        except BlockingIOError:
            pass
        except OSError as error:
            self.broken = error.strerror or str(error)
        if rest:
            self.lost += 1
        else:
            self._noted = self.lost
        return len(whole)


def open_both() -> Outlet:
    """Have standard output and standard error wait for nobody from now on; the outlet of standard output."""
    before = sys.stderr
    sys.stdout.flush()
    outlet = Outlet(sys.stdout.fileno())
    sys.stdout = _text(outlet, sys.stdout.encoding)
    sys.stderr = _text(Outlet(before.fileno(), notes=True), before.encoding)
    for handler in logging.getLogger().handlers:
        if isinstance(handler, logging.StreamHandler) and handler.stream is before:
            handler.setStream(sys.stderr)
    return outlet


def _text(outlet: Outlet, encoding: str) -> io.TextIOWrapper:
    """Text that is written line by line, also what the encoding has no letter for."""
    return io.TextIOWrapper(io.BufferedWriter(outlet, 1 << 16), encoding, "backslashreplace", line_buffering=True)
