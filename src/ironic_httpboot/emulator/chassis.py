"""One emulated machine as a whole: QEMU, its firmware's variables, its console, and what its BMC must not forget.

Knows the order of things: variables are written while the machine is off, Once is consumed when the firmware has taken
it up, a reset by the guest boots anew. Refuses to know HTTP and JSON beyond its own state file.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import time
from pathlib import Path
from typing import Protocol

from ironic_httpboot.emulator import firmware
from ironic_httpboot.emulator.console import Milestone, Reader, Trouble, sign
from ironic_httpboot.emulator.domain import Domain
from ironic_httpboot.emulator.firmware import Nvram
from ironic_httpboot.emulator.machine import Machine, Specification
from ironic_httpboot.emulator.state import Enabled, Override, Power, Reset, SystemState, Target
from ironic_httpboot.errors import HostError, HttpBootError
from ironic_httpboot.events import Failed, Reached, Sink, Stage

_LOG = logging.getLogger(__name__)

_STATE_NAME = "state.json"
_LOOK_SECONDS = 0.1
_UNKNOWN = "OEM"
_PROGRESS = {
    Stage.POWER_ON: "SystemHardwareInitializationComplete",
    Stage.LOADER: "OSBootStarted",
    Stage.USER_SPACE: "OSRunning",
}


class Board(Protocol):
    """What a chassis drives: a `Machine`, which is QEMU of our own, or a `Domain`, which is libvirt's."""

    @property
    def specification(self) -> Specification:
        """What it is made of."""

    @property
    def nvram(self) -> Nvram:
        """Its firmware's variables."""

    @property
    def console(self) -> Path | None:
        """Where its serial console is written; None where it is not."""

    @property
    def running(self) -> bool:
        """Whether it is switched on."""

    async def prepare(self) -> None:
        """Have variables that can be written now. Raises HostError."""

    async def start(self) -> None:
        """Switch on. Raises HostError."""

    async def adopt(self) -> bool:
        """Find it again as an earlier process left it; return whether it is on. Raises HostError."""

    async def stop(self) -> None:
        """Switch off at once. Raises HostError."""

    async def release(self) -> None:
        """Let go of it, as the emulator ends."""

    async def press_power_button(self) -> None:
        """Ask the guest to shut down. Raises HostError."""

    async def wait(self) -> None:
        """Return when it is off."""


class Chassis:
    """A machine that can be told by Redfish what to boot, and does."""

    def __init__(self, specification: Specification, folder: Path, on_event: Sink = lambda event: None) -> None:
        """folder: the machine's own, made if it is missing. Raises HostError."""
        self._folder = folder.absolute()
        self._on_event = on_event
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise HostError(f"{self._folder}: made → {error.strerror}") from error
        self._machine: Board
        if specification.domain is not None:
            self._machine = Domain(specification, self._machine_ended, self._machine_was_started)
        else:
            found = firmware.find(specification.arch, secure_boot=specification.secure_boot)
            self._machine = Machine(specification, self._folder, found, self._machine_ended)
        self._override, self._handed_over = self._remembered()
        self._progress = "None"
        self._lock = asyncio.Lock()
        self._look: asyncio.Task[None] | None = None
        self._restart: asyncio.Task[None] | None = None

    @property
    def _specification(self) -> Specification:
        return self._machine.specification

    @property
    def _nvram(self) -> Nvram:
        return self._machine.nvram

    @property
    def state(self) -> SystemState:
        """What its BMC shows."""
        return SystemState(
            id=self._specification.id,
            uuid=self._specification.uuid,
            arch=self._specification.arch.value,
            memory_mib=self._specification.memory_mib,
            power=Power.ON if self._machine.running else Power.OFF,
            override=self._override,
            progress=self._progress,
        )

    @property
    def console(self) -> Path | None:
        """Where its serial console is written; None where it is not, and nothing is known of a boot's progress."""
        return self._machine.console

    def remember(self, override: Override) -> None:
        """Take over a boot override for the next boot, so that it is there after a crash. Raises HostError."""
        if override != self._override:
            self._save(override, handed_over=False)

    def _save(self, override: Override, *, handed_over: bool) -> None:
        saved = {
            "enabled": override.enabled.value,
            "target": override.target.value,
            "uri": override.uri,
            "handed_over": handed_over,
        }
        partial = self._folder / f"{_STATE_NAME}.part"
        try:
            with partial.open("w") as stream:
                json.dump(saved, stream)
                stream.flush()
                os.fsync(stream.fileno())
            partial.replace(self._folder / _STATE_NAME)
        except OSError as error:
            raise HostError(f"{partial}: written → {error.strerror}") from error
        self._override, self._handed_over = override, handed_over

    async def resume(self) -> None:
        """Find the machine again that an earlier process left running, if there is one."""
        if await self._machine.adopt():
            self._machine_was_started()
        else:
            self._notice_consumption()

    async def reset(self, kind: Reset) -> None:
        """Do a reset; return when the machine has its new power state. Raises HostError."""
        async with self._lock:
            running = self._machine.running
            match kind:
                case Reset.ON | Reset.FORCE_ON:
                    if not running:
                        await self._power_on()
                case Reset.FORCE_OFF:
                    await self._power_off()
                case Reset.FORCE_RESTART | Reset.POWER_CYCLE | Reset.GRACEFUL_RESTART:
                    await self._power_off()
                    await self._power_on()
                case Reset.GRACEFUL_SHUTDOWN:
                    await self._machine.press_power_button()
                case Reset.PUSH_POWER_BUTTON:
                    await (self._machine.press_power_button() if running else self._power_on())

    async def stop(self) -> None:
        """Switch the machine off, if it is ours, and forget nothing."""
        async with self._lock:
            if self._restart is not None:
                self._restart.cancel()
            await self._machine.release()
            await self._look_to_the_end()

    async def _power_on(self) -> None:
        await self._machine.prepare()
        if self._override.boots_http:
            self._nvram.request_boot(self._override.uri)
        else:
            self._nvram.clear_request()
        self._save(self._override, handed_over=True)
        start = self._console_size()
        await self._machine.start()
        self._progress = _PROGRESS[Stage.POWER_ON] if self.console is not None else _UNKNOWN
        self._emit(Stage.POWER_ON, f"{self._specification.arch.value}, {self._specification.memory_mib} MiB")
        self._begin_looking(start)

    async def _power_off(self) -> None:
        await self._machine.stop()
        await self._look_to_the_end()

    async def _look_to_the_end(self) -> None:
        if self._look is not None:
            await self._look
            self._look = None

    def _machine_was_started(self) -> None:
        """It runs, and it was not this process that had it boot: how far it is, nobody knows."""
        self._progress = _UNKNOWN
        self._begin_looking(self._console_size())

    def _machine_ended(self, reason: str) -> None:
        """QEMU is gone: off for good, or the guest asked for a reset."""
        self._progress = "None"
        if reason == "guest-reset":
            self._restart = asyncio.ensure_future(self._boot_again())

    async def _boot_again(self) -> None:
        try:
            await self.reset(Reset.ON)
        except HttpBootError as error:
            _LOG.error("%s", error)

    def _begin_looking(self, console_start: int) -> None:
        self._look = asyncio.ensure_future(self._look_on(console_start))

    async def _look_on(self, position: int) -> None:
        """While the machine runs: read its console, and see Once being taken up."""
        reader = Reader()
        while True:
            running = self._machine.running
            position = self._read_console(reader, position)
            self._notice_consumption()
            if not running:
                return
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_SECONDS):
                    await self._machine.wait()

    def _notice_consumption(self) -> None:
        """Once is over when the firmware, to which it was handed over, has taken BootNext out of its variables."""
        waiting = self._handed_over and self._override.enabled is Enabled.ONCE and self._override.boots_http
        if waiting and not self._nvram.request_pending():
            self._save(self._override.consumed(), handed_over=False)

    def _read_console(self, reader: Reader, position: int) -> int:
        if self.console is None:
            return position
        try:
            with self.console.open("rb") as stream:
                if stream.seek(0, os.SEEK_END) < position:
                    position = (
                        0  # libvirt begins it anew, at each start or when it is long, unless it is told otherwise
                    )
                stream.seek(position)
                data = stream.read()
        except OSError:
            return position
        for line in reader.feed(data):
            match sign(line):
                case Milestone(stage=stage, detail=detail):
                    self._progress = _PROGRESS.get(stage, self._progress)
                    self._emit(stage, detail)
                case Trouble(reason=reason, final=final):
                    self._on_event(Failed(at=time.time(), machine=self._specification.id, reason=reason, final=final))
        return position + len(data)

    def _console_size(self) -> int:
        try:
            return self.console.stat().st_size if self.console is not None else 0
        except OSError:
            return 0

    def _emit(self, stage: Stage, detail: str) -> None:
        self._on_event(Reached(at=time.time(), machine=self._specification.id, stage=stage, detail=detail))

    def _remembered(self) -> tuple[Override, bool]:
        """The override, and whether the firmware was given it: so it is from power on until the next change."""
        path = self._folder / _STATE_NAME
        try:
            saved = json.loads(path.read_text())
            override = Override(
                enabled=Enabled(saved["enabled"]), target=Target(saved["target"]), uri=str(saved["uri"])
            )
            return override, bool(saved["handed_over"])
        except FileNotFoundError:
            return Override(), False
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise HostError(f"{path}: cannot be read ({error})", hint="remove it") from error
