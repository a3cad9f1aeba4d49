"""Waits for a machine to come up, stage by stage, and says in plain words where it stopped.

Knows how long each stage may take. Refuses to know who reports: any shell's events will do. Nothing is guessed from
time passing: a stage is reached when an event shows it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from ironic_httpboot.emulator.console import CANCELLED, NO_SIZE, Reader, redact
from ironic_httpboot.errors import BootFailed
from ironic_httpboot.events import Event, Failed, Stage, Transfer, stage_of

LIMITS: Mapping[Stage, float] = {
    Stage.BMC_ASKED: 30,
    Stage.READ_BACK: 30,
    Stage.POWER_ON: 30,
    Stage.LEASE: 120,
    Stage.HEAD: 60,
    Stage.GET: 300,
    Stage.LOADER: 60,
    Stage.KERNEL: 120,
    Stage.USER_SPACE: 180,
    Stage.VERDICT: 120,
}
"""Seconds after the stage before, for a machine that QEMU emulates in software on a busy host."""

_CONSOLE_LINES = 15
_CONSOLE_BYTES = 16 * 1024


class Watch:
    """One machine's way. Give `hear` to the shells as their sink; it may be called from any thread."""

    def __init__(self, machine: str, limits: Mapping[Stage, float] = LIMITS) -> None:
        self._machine = machine
        self._limits = dict(limits)
        self._loop = asyncio.get_running_loop()
        self._heard = asyncio.Event()
        self._listeners: list[Callable[[Event], None]] = []
        self._look: Callable[[float], None] = lambda at: None
        self.events: list[Event] = []

    def tell(self, listener: Callable[[Event], None]) -> None:
        """Have a listener called with each event of this machine, in the event loop."""
        self._listeners.append(listener)

    def look_first(self, look: Callable[[float], None]) -> None:
        """Have the console read before a request is taken, which the HTTP server reports at once.

        Firmware says on the console that it has an address, and then asks: so the timeline is in the order of causes.
        look: is given the time of the request.
        """
        self._look = look

    def pass_over(self, stage: Stage) -> None:
        """Do not wait for a stage that nobody reports, such as what another client asks the BMC."""
        self._limits.pop(stage, None)

    def hear(self, event: Event) -> None:
        """Take an event; another machine's is passed over."""
        if event.machine == self._machine:
            if isinstance(event, Transfer):
                self._look(event.at)
            self._loop.call_soon_threadsafe(self._take, event)

    def _take(self, event: Event) -> None:
        if isinstance(event, Failed):
            event = replace(event, reason=why(event.reason, self.events))
        self.events.append(event)
        self._heard.set()
        for listener in self._listeners:
            listener(event)

    def reached(self, stage: Stage) -> bool:
        """Whether the machine came as far as a stage."""
        return any(stage_of(event) is stage for event in self.events)

    async def until(self, last: Stage, console: Path | None = None) -> None:
        """Return when the machine has reached every stage that has a limit, up to the last.

        Raises BootFailed with the reason and the console's last lines when one does not come within its limit, or when
        the machine says that it goes no further.
        """
        stages = list(Stage)
        for stage in stages[: stages.index(last) + 1]:
            if stage not in self._limits:
                continue
            try:
                async with asyncio.timeout(self._limits[stage]):
                    await self._until(stage, console)
            except TimeoutError:
                reason = f"no {stage.value} within {self._limits[stage]:g} s of the stage before"
                raise self._failure(stage, reason, console) from None

    async def _until(self, stage: Stage, console: Path | None) -> None:
        while not self.reached(stage):
            final = [event for event in self.events if isinstance(event, Failed) and event.final]
            if final:
                raise self._failure(stage, final[0].reason, console)
            self._heard.clear()
            await self._heard.wait()

    def _failure(self, stage: Stage, reason: str, console: Path | None) -> BootFailed:
        before = [event.reason for event in self.events if isinstance(event, Failed) and event.reason != reason]
        lines = [f"{self._machine}: stopped before “{stage.value}”: {reason}"]
        lines += [f"  the machine said: {each}" for each in dict.fromkeys(before)]
        if console is not None and (last := last_lines(console)):
            lines += ["  last lines of its console:", *(f"    {line}" for line in last)]
        return BootFailed("\n".join(lines))


def why(reason: str, events: Sequence[Event]) -> str:
    """A reason that the console cannot tell from another, by what machine and HTTP server had reported before."""
    if reason not in (NO_SIZE, CANCELLED):
        return reason
    has_address = any(stage_of(each) is Stage.LEASE for each in events)
    if not has_address:
        return "the machine has no address, and no HEAD request came: no DHCP offer was accepted"
    if reason == CANCELLED:
        return "the TLS handshake failed"
    heads = [each for each in events if isinstance(each, Transfer) and each.method == "HEAD" and each.finished]
    if not heads:
        return "the machine has an address, but no HEAD request came: the server cannot be reached, or TLS failed"
    if heads[-1].status != 200:
        return f"the server answered the HEAD request with {heads[-1].status}"
    return "the server answered the HEAD request, but its Content-Type and the URL's suffix are no boot image's"


def last_lines(console: Path) -> list[str]:
    """The last lines of a console's log, as text without secrets."""
    try:
        with console.open("rb") as stream:
            stream.seek(max(0, console.stat().st_size - _CONSOLE_BYTES))
            data = stream.read()
    except OSError:
        return []
    return [redact(line) for line in Reader().feed(data + b"\n")][-_CONSOLE_LINES:]
