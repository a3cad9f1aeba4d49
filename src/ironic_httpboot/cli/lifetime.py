"""How a service of the command line lives: until SIGINT or SIGTERM, and then it stops in order."""

from __future__ import annotations

import asyncio
import signal


async def until_told_to_stop() -> None:
    """Return at the first SIGINT or SIGTERM. A second one cancels the calling task, whatever it then waits for."""
    told = asyncio.Event()
    task = asyncio.current_task()

    def hear() -> None:
        if told.is_set() and task is not None:
            task.cancel()
        told.set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, hear)
    await told.wait()
