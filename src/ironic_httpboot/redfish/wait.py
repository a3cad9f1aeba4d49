"""Waiting for a machine to come to a stage of its boot.

Knows what BootProgress, power and an artifact server's events show, and that BootProgress may still tell of the boot
before. Refuses to know how the machine was asked.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from ironic_httpboot.errors import BmcAccessDenied, BmcError, BmcRefused, BootFailed, InputError
from ironic_httpboot.events import Event, Reached, Sink, Stage, Transfer, stage_of
from ironic_httpboot.redfish.resources import Progress, System, read_system
from ironic_httpboot.redfish.session import Bmc

WAITABLE = (Stage.POWER_ON, Stage.HEAD, Stage.GET, Stage.LOADER, Stage.KERNEL, Stage.USER_SPACE)
"""What can be waited for. A later stage shows that the earlier ones were passed."""

_ORDER = tuple(Stage)
_SHOWN_BY_PROGRESS = {"OSBootStarted": Stage.LOADER, "OSRunning": Stage.USER_SPACE}


@dataclass(frozen=True, slots=True, kw_only=True)
class Until:
    """A stage to wait for. seconds: at most. look_seconds: between two looks.

    off_seconds: how long a machine must be off to count as switched off for good. Within a restart many are off for ten
    seconds and more, and a power cycle has a pause of its own.
    events: returns what an artifact server has reported of this boot so far, or None where nobody listens to one.
    """

    stage: Stage
    seconds: float = 900.0
    look_seconds: float = 2.0
    off_seconds: float = 60.0
    events: Callable[[], Iterable[Event]] | None = None


class Follower:
    """Tells which stage BootProgress shows, once it speaks of this boot and no longer of the one before."""

    def __init__(self, before: Progress | None) -> None:
        self._before = before
        self._fresh = before is None or before.state not in _SHOWN_BY_PROGRESS

    def see(self, now: Progress | None) -> Stage | None:
        """The stage that a reading shows, None where it shows none of this boot."""
        self._fresh = self._fresh or now != self._before
        return _SHOWN_BY_PROGRESS.get(now.state) if now is not None and self._fresh else None


def demand_signs(until: Until, system: System) -> None:
    """Raise where the stage is none to wait for, or nothing would show it: InputError, BmcRefused."""
    if until.stage not in WAITABLE:
        raise InputError(
            f"wait for {until.stage.value!r}: cannot be seen from here",
            hint=f"wait for one of {', '.join(stage.value for stage in WAITABLE)}",
        )
    by_server = until.events is not None and _ORDER.index(until.stage) <= _ORDER.index(Stage.GET)
    if until.stage is not Stage.POWER_ON and system.progress is None and not by_server:
        raise BmcRefused(
            f"{system.path}: has no BootProgress, which would show {until.stage.value!r}",
            hint="wait for “power on”; or for “GET”, where the artifact server's events are at hand (--events)",
        )


def wait(bmc: Bmc, system: System, until: Until, on_event: Sink, clock: Callable[[], float]) -> None:
    """Return when the stage, or a later one, is reached. system: as it was before its reset.

    A look that fails is no end of the wait: BMCs are slow, busy and restarted while their machine boots. Raises
    BootFailed, and BmcAccessDenied where the BMC no longer lets us in.
    """
    follower = Follower(system.progress)
    seen = {Stage.POWER_ON}
    last = time.monotonic() + until.seconds
    off_since: float | None = None
    while True:
        now, trouble = _look(bmc, system.path)
        heard = until.events() if until.events is not None else ()
        shown = [(stage_of(event), _seen_by_server(event)) for event in heard]
        if now is not None:
            state = now.progress.state if now.progress else "missing"
            shown.append((follower.see(now.progress), f"BootProgress is {state}"))
            off_since = (off_since or time.monotonic()) if now.power == "Off" else None
        for stage, detail in shown:
            if stage is not None and stage not in seen:
                seen.add(stage)
                on_event(Reached(at=clock(), machine=system.id, stage=stage, detail=detail))
        newest = max(seen, key=_ORDER.index)
        if _ORDER.index(newest) >= _ORDER.index(until.stage):
            return
        off = 0.0 if off_since is None else time.monotonic() - off_since
        if off >= until.off_seconds or time.monotonic() > last:
            why = f"did not come to it in {until.seconds:g} s"
            if off_since is not None:
                why = f"is switched off, for {off:.0f} s now"
            raise BootFailed(
                f"{bmc.name}, system {system.id}: waited for {until.stage.value!r}; the machine {why},"
                f" and came as far as {newest.value!r}{f'; at last {trouble.message}' if trouble else ''}",
                hint="look at the machine's console; “lease” and “GET” are the usual places to stop",
            )
        time.sleep(min(until.look_seconds, max(0.05, last - time.monotonic())))


def _seen_by_server(event: Event) -> str:
    """Who it was, too: a file may be another machine's as well."""
    who = event.machine or event.peer if isinstance(event, Transfer) else event.machine
    return f"the artifact server saw it, of {who}" if who else "the artifact server saw it"


def _look(bmc: Bmc, path: str) -> tuple[System | None, BmcError | None]:
    """The system as it is now, or why it cannot be seen just now. Raises BmcAccessDenied."""
    try:
        try:
            return read_system(bmc.read(path)), None
        except BmcAccessDenied:
            # A session ends by itself after a while (SessionTimeout), and with a BMC that is restarted.
            if not bmc.log_in_again():
                raise
            return read_system(bmc.read(path)), None
    except BmcAccessDenied:
        raise
    except BmcError as trouble:
        return None, trouble
