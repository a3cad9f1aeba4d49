"""How a command lives that has something running: until it is told to stop by a signal, and then it stops in order."""

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


@contextmanager
def cancelled_when_told() -> Iterator[None]:
    """For work that ends by itself: the first SIGINT, SIGTERM or SIGHUP cancels the task that entered.

    It then tidies up, which more signals do not cut short. Those stay ignored that this process was started to ignore,
    as by nohup.
    """
    told = False
    task = asyncio.current_task()

    def hear() -> None:
        nonlocal told
        if not told and task is not None:
            task.cancel()
        told = True

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:
            loop.add_signal_handler(number, hear)
    yield
