"""How a command lives that has something running: until it is told to stop by a signal, and then it stops in order."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager

_LOG = logging.getLogger(__name__)


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


async def repeatedly(what: str, act: Callable[[], Awaitable[object]], *, pause_seconds: float = 1.0) -> None:
    """Do something again and again, until cancelled. act: waits for its moment itself.

    A bug in it, or a host without memory, is reported and ends nothing: a service has machines to answer meanwhile.
    What goes wrong in the same way again is not said again.
    """
    said = ""
    while True:
        try:
            await act()
            said = ""
        except Exception as error:
            if repr(error) != said:
                _LOG.exception("%s: went wrong unexpectedly, and is tried again", what)
            said = repr(error)
            await asyncio.sleep(pause_seconds)


async def until_told(told: asyncio.Event, tasks: Iterable[asyncio.Task[None]]) -> None:
    """Wait until told to stop. Raises what ended a task that should go on as long as that."""
    telling = asyncio.create_task(told.wait())
    try:
        ended, _ = await asyncio.wait([telling, *tasks], return_when=asyncio.FIRST_COMPLETED)
    finally:
        telling.cancel()
    for one in ended:
        one.result()


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
