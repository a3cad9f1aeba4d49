"""How a service of the command line lives: until SIGINT or SIGTERM, and then it stops in order."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def told_to_stop() -> Iterator[asyncio.Event]:
    """An event that the first SIGINT or SIGTERM sets, from now on: begin before anything is started.

    A second signal cancels the task that entered, whatever it then waits for.
    """
    told = asyncio.Event()
    task = asyncio.current_task()

    def hear() -> None:
        if told.is_set() and task is not None:
            task.cancel()
        told.set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, hear)
    yield told
