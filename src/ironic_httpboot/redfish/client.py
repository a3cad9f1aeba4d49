"""Has a BMC boot a URL, take it back, or say what it can do: the three things that one asks of it.

Knows how the steps of a plan are taken, and how to word what a BMC does instead. Refuses to know vendors and how steps
are chosen. Blocking, and for one thread at a time.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias, assert_never

from sushy.connector import Connector

from ironic_httpboot.errors import (
    BmcAccessDenied,
    BmcBusy,
    BmcDropped,
    BmcFailed,
    BmcRefused,
    BmcUnreachable,
    BootFailed,
    OverrideNotTaken,
)
from ironic_httpboot.events import Reached, Sink, Stage
from ironic_httpboot.model import BootUrl
from ironic_httpboot.redfish import plan as plans
from ironic_httpboot.redfish.capability import Capability, examine, find_job
from ironic_httpboot.redfish.quirks import TARGET
from ironic_httpboot.redfish.resources import System, read_system
from ironic_httpboot.redfish.session import Bmc, Credentials
from ironic_httpboot.redfish.steps import Await, Delete, Expect, Patch, Reset, Step, differences
from ironic_httpboot.redfish.transport import Answer, Transport
from ironic_httpboot.redfish.wait import Until, demand_signs, wait

Way: TypeAlias = Transport | Connector
"""How a BMC is reached: a transport, or a sushy connector that is logged in already and stays so."""

_LOOK_SECONDS = 2.0
_LOOKS_AGAIN = (0.5, 1.0, 2.0)
"""Seconds before each further look at a change that is not shown yet, out of the operator's patience."""
_STANDS_HINT = "the machine was not reset; what was set stays until it is taken back with httpboot clear"
_MAY_STAND_HINT = (
    "what was sent may have been taken or not: look with httpboot probe, or take it back with httpboot clear"
)
_MAY_BE_RESET_HINT = "the machine may have been reset or not; the override is set: look at it, and reset it by hand"
_CLEAR_HINT = "what was set still stands: take it back by the BMC's own means"
_NO_SUCH_THING = (404, 405, 412, 428)


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What was done, or would be. system: its id. power: before. undo: what would take it back.

    before: the system as it was read first.
    """

    bmc: str
    system: str
    power: str | None
    steps: tuple[Step, ...]
    undo: tuple[Step, ...]
    done: bool
    before: System


def boot(
    bmc: Way,
    url: BootUrl,
    *,
    credentials: Credentials | None = None,
    system_id: str | None = None,
    persistent: bool = False,
    reset: bool = True,
    dry_run: bool = False,
    until: Until | None = None,
    on_event: Sink = lambda event: None,
    clock: Callable[[], float] = time.time,
) -> Report:
    """Have a machine boot a URL once (or until told otherwise), read the override back, reset it, see that it is on.

    bmc: with a connector, or without credentials, there is no login and no logout. system_id: an id, or a path, which
    saves the reading of the service root. until: a stage to wait for, after a reset. Raises InputError, BmcError;
    BootFailed where the machine stays off, or does not come to the stage. After a BmcError the machine was not reset,
    unless the reset itself failed.
    """
    with Bmc(_way(bmc), credentials) as session:
        capability = examine(session, session.system(system_id))
        planned = plans.plan(capability, url, persistent=persistent, reset=reset)
        report = _report(session, capability, planned.steps, planned.undo, done=not dry_run)
        if until is not None:
            demand_signs(until, capability.system)
        if not dry_run:
            _Run(session, capability.system.id, on_event, clock).take(planned.steps)
            if until is not None:
                wait(session, capability.system, until, on_event, clock)
        return report


def clear(
    bmc: Way,
    *,
    credentials: Credentials | None = None,
    system_id: str | None = None,
    only_urls: bool = False,
    dry_run: bool = False,
    on_event: Sink = lambda event: None,
    clock: Callable[[], float] = time.time,
) -> Report:
    """Take back a boot override: disabled, no URL, BIOS attributes as they are without one. Nothing is reset.

    Steps are taken only where there is something to take back. only_urls: an override of another device stays.
    Raises InputError, BmcError.
    """
    with Bmc(_way(bmc), credentials) as session:
        capability = examine(session, session.system(system_id))
        steps = plans.clear(capability, find_job(session, capability), only_urls=only_urls)
        if not dry_run:
            _Run(session, capability.system.id, on_event, clock, hint=_CLEAR_HINT).take(steps)
        return _report(session, capability, steps, (), done=not dry_run)


def probe(bmc: Way, *, credentials: Credentials | None = None, system_id: str | None = None) -> Capability:
    """Find out what a BMC can do with a boot URL; change nothing. Raises InputError, BmcError."""
    with Bmc(_way(bmc), credentials) as session:
        return examine(session, session.system(system_id), whole=True)


def _way(bmc: Way) -> Transport:
    return bmc if isinstance(bmc, Transport) else Transport.over(bmc)


def _report(
    session: Bmc, capability: Capability, steps: tuple[Step, ...], undo: tuple[Step, ...], *, done: bool
) -> Report:
    system = capability.system
    return Report(
        bmc=session.name, system=system.id, power=system.power, steps=steps, undo=undo, done=done, before=system
    )


class _Run:
    """Steps on their way."""

    def __init__(
        self, bmc: Bmc, machine: str, on_event: Sink, clock: Callable[[], float], *, hint: str = _STANDS_HINT
    ) -> None:
        """hint: what is to be done where a BMC does not show what it was sent."""
        self._bmc = bmc
        self._hint = hint
        self._machine = machine
        self._on_event = on_event
        self._clock = clock
        self._refusal: tuple[Patch, Answer | BmcDropped] | None = None

    def take(self, steps: Sequence[Step]) -> None:
        """Take all steps, in order. Raises BmcError, BootFailed."""
        for number, step in enumerate(steps):
            match step:
                case Patch():
                    after = steps[number + 1] if number + 1 < len(steps) else None
                    self._patch(step, read_back=isinstance(after, Expect) and after.path == step.path)
                case Expect():
                    self._expect(step)
                case Reset():
                    self._reset(step)
                case Await():
                    self._await(step)
                case Delete():
                    self._bmc.delete(step.path)
                    self._tell(Stage.BMC_ASKED, f"DELETE {step.path}: the job that waited")
                case _:
                    assert_never(step)

    def _patch(self, step: Patch, *, read_back: bool) -> None:
        try:
            answer = self._bmc.patch(step.path, step.body, step.etag, follow=not step.on_reset)
        except BmcDropped as error:
            lost = BmcDropped(error.message, hint=_MAY_STAND_HINT)
            if not read_back:
                raise lost from None
            self._refusal = (step, lost)
            return
        if answer.status >= 300:
            if not read_back or answer.status in _NO_SUCH_THING:
                self._bmc.check("PATCH", step.path, answer, about=step.values)
            # Some refuse, and change what they were told to change all the same: only reading it back tells.
            self._refusal = (step, answer)
        names = ", ".join(name for name, value in step.values.items() if value)
        self._tell(Stage.BMC_ASKED, f"PATCH {step.path}: {names or 'cleared'}")

    def _expect(self, step: Expect) -> None:
        refusal, self._refusal = self._refusal, None
        try:
            wrong = self._differing(step, patiently=refusal is None or isinstance(refusal[1], BmcDropped))
        except (BmcAccessDenied, BmcUnreachable):
            if refusal is not None:
                self._refused(refusal)
            raise
        if wrong and refusal is not None:
            self._refused(refusal)
        if wrong:
            raise OverrideNotTaken(
                f"{self._bmc.name}: PATCH {step.path} was accepted, but reading it back: {'; '.join(wrong)}",
                hint=f"{self._hint}; look for a firmware update of the BMC",
            )
        said = "the BMC shows what it was sent"
        if refusal is not None:
            said = f"the BMC {self._answered(refusal[1])}, and yet shows what it was sent"
        self._tell(Stage.READ_BACK, said)

    def _differing(self, step: Expect, *, patiently: bool) -> list[str]:
        """What a BMC shows otherwise than it was sent. patiently: look again, as some show it only after a while."""
        looks = iter(_LOOKS_AGAIN if patiently else ())
        while True:
            wrong = differences(step, self._bmc.read(step.path).get(step.part, dict) or {})
            seconds = next(looks, None)
            if not wrong or seconds is None:
                return wrong
            try:
                self._bmc.pause(seconds, f"GET {step.path} → {'; '.join(wrong)}")
            except BmcBusy:
                return wrong

    def _refused(self, refusal: tuple[Patch, Answer | BmcDropped]) -> None:
        step, answer = refusal
        if isinstance(answer, BmcDropped):
            raise answer
        self._bmc.check("PATCH", step.path, answer, about=step.values)

    def _answered(self, answer: Answer | BmcDropped) -> str:
        return "gave no answer" if isinstance(answer, BmcDropped) else f"answered {self._bmc.said(answer)}"

    def _reset(self, step: Reset) -> None:
        try:
            self._bmc.post(step.path, {"ResetType": step.kind})
        except (BmcDropped, BmcFailed) as error:
            self._look_into(step, error)
        while (power := self._power(step)) not in ("On", None):
            self._patiently(_LOOK_SECONDS, step, f"PowerState is still {power}")
        self._tell(Stage.POWER_ON, f"{step.kind} was done" if power is None else f"{step.kind}: PowerState is On")

    def _look_into(self, step: Reset, error: BmcDropped | BmcFailed) -> None:
        """Return where a reset that was not answered well was done all the same, or is done now."""
        unsure = type(error)(error.message, hint=_MAY_BE_RESET_HINT)
        # Only where it was off can one see whether it was done.
        if step.was != "Off":
            raise unsure from None
        try:
            if self._power(step) != "Off":
                return
            if isinstance(error, BmcDropped):
                self._bmc.post(step.path, {"ResetType": step.kind})
                return
        except BmcUnreachable:
            raise unsure from None
        raise error

    def _power(self, step: Reset) -> str | None:
        return read_system(self._bmc.read(step.system)).power

    def _await(self, step: Await) -> None:
        limit = self._bmc.firmware_seconds
        last = time.monotonic() + limit
        while step.target not in (read_system(self._bmc.read(step.path)).targets or ()):
            if time.monotonic() > last:
                raise BootFailed(
                    f"{self._bmc.name}: {step.path} was reset in UEFI mode, and {TARGET} does not offer"
                    f" {step.target} after {limit:g} s",
                    hint="see with httpboot probe whether a BIOS switch is off",
                )
            time.sleep(_LOOK_SECONDS)

    def _patiently(self, seconds: float, step: Step, why: str) -> None:
        try:
            self._bmc.pause(seconds, why)
        except BmcRefused as error:
            raise BootFailed(
                f"{self._bmc.name}: {step.path} was asked for, but {why}", hint="look at the machine's console"
            ) from error

    def _tell(self, stage: Stage, detail: str) -> None:
        self._on_event(Reached(at=self._clock(), machine=self._machine, stage=stage, detail=detail))


__all__ = ["Capability", "Credentials", "Report", "Until", "Way", "boot", "clear", "probe"]
