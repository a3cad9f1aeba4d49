"""One emulated machine as a whole: QEMU, its firmware's variables, its console, and what its BMC must not forget.

Knows the order of things: variables are written while the machine is off, Once is consumed when the firmware has taken
it up, a reset by the guest boots anew. Refuses to know HTTP and JSON beyond its own state file.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

from pydantic import TypeAdapter

from ironic_httpboot.emulator import certificates, console, drive, firmware, handover, uefi
from ironic_httpboot.emulator.console import Milestone, Reader, Trouble, sign
from ironic_httpboot.emulator.domain import Domain
from ironic_httpboot.emulator.firmware import Nvram
from ironic_httpboot.emulator.kept import Enabled, Kept, Medium, Target
from ironic_httpboot.emulator.machine import Device, Machine, Specification
from ironic_httpboot.emulator.personalities import PERSONALITIES
from ironic_httpboot.emulator.state import BootOption, Power, Reset, SystemState
from ironic_httpboot.errors import HostError, HttpBootError
from ironic_httpboot.events import Failed, Reached, Sink, Stage

_LOG = logging.getLogger(__name__)

_STATE_NAME = "state.json"
_LOOK_SECONDS = 0.1
_UNKNOWN = "OEM"
_DEVICES = {Target.CD: Device.CD, Target.HDD: Device.DISK, Target.PXE: Device.NIC}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Saved:
    """What is in the state file.

    handed_over: whether the firmware was given the override; so it is from power on until the next change.
    secure_boot: whether it was on at the last power on. console_start: where in the console's file that was.
    """

    kept: Kept = field(default_factory=Kept)
    handed_over: bool = False
    secure_boot: bool = True
    console_start: int = 0


_FILE = TypeAdapter(_Saved)


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
    def targets(self) -> tuple[Target, ...]:
        """What it can be told to boot from."""

    @property
    def running(self) -> bool:
        """Whether it is switched on."""

    def boot_path(self, device: Device) -> bytes:
        """The UEFI device path of something to boot from, if that is among its targets."""

    async def put_medium(self, file: Path | None) -> None:
        """Put an image into the CD drive, or take it out. Raises HostError."""

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
        self._personality = PERSONALITIES[specification.personality]
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
        self._saved = self._remembered()
        self._progress = "None"
        self._lock = asyncio.Lock()
        self._drive_lock = asyncio.Lock()
        self._look: asyncio.Task[None] | None = None
        self._reader, self._position = Reader(), 0
        self._restart: asyncio.Task[None] | None = None
        self._stopping = False

    @property
    def _specification(self) -> Specification:
        return self._machine.specification

    @property
    def _nvram(self) -> Nvram:
        return self._machine.nvram

    @property
    def state(self) -> SystemState:
        """What its BMC shows."""
        options, order = self._nvram.entries()
        return SystemState(
            id=self._specification.id,
            uuid=self._specification.uuid,
            arch=self._specification.arch.value,
            memory_mib=self._specification.memory_mib,
            mac=self._specification.mac,
            personality=self._personality,
            power=Power.ON if self._machine.running else Power.OFF,
            kept=self._saved.kept,
            progress=self._progress,
            secure_boot=self._saved.secure_boot if self._specification.secure_boot else None,
            options=tuple(_shown(option) for option in options),
            order=tuple(f"{number:04X}" for number in order),
            targets=self._machine.targets,
        )

    @property
    def _starting(self) -> str:
        """BootProgress at power on. Without a console, that is all that will ever be known."""
        return _UNKNOWN if self.console is None else console.STARTING

    @property
    def console(self) -> Path | None:
        """Where its serial console is written; None where it is not, and nothing is known of a boot's progress."""
        return self._machine.console

    def remember(self, kept: Kept) -> None:
        """Take over what is to be kept, so that it is there after a crash. Raises HostError."""
        if kept != self._saved.kept:
            same = kept.override == self._saved.kept.override
            self._save(replace(self._saved, kept=kept, handed_over=self._saved.handed_over and same))

    def catch_up(self, at: float) -> None:
        """Report what the console has said until now, as having happened by then: at, seconds since the epoch.

        The console is looked at in intervals only. Whoever hears of the machine from elsewhere asks first for what was
        said before.
        """
        if self._look is not None and not self._look.done():
            self._read_console(at)

    async def insert(self, image: str) -> None:
        """Put an image into the CD drive, fetching it first. Raises HostError."""
        async with self._drive_lock:
            file = await drive.fetch(image, self._folder)
            await self._machine.put_medium(file)
            self._keep(medium=Medium(image=image, file=str(file)))
            drive.clear(self._folder, keep=str(file))

    async def eject(self) -> None:
        """Empty the CD drive. Raises HostError."""
        async with self._drive_lock:
            await self._machine.put_medium(None)
            self._keep(medium=None)
            drive.clear(self._folder)

    def _keep(self, *, medium: Medium | None) -> None:
        self._save(replace(self._saved, kept=replace(self._saved.kept, medium=medium)))

    def _save(self, saved: _Saved) -> None:
        partial = self._folder / f"{_STATE_NAME}.part"
        try:
            with partial.open("wb") as stream:
                stream.write(_FILE.dump_json(saved))
                stream.flush()
                os.fsync(stream.fileno())
            partial.replace(self._folder / _STATE_NAME)
        except OSError as error:
            raise HostError(f"{partial}: written → {error.strerror}") from error
        self._saved = saved

    async def resume(self) -> None:
        """Find the machine again that an earlier process left running, if there is one."""
        self._stopping = False
        medium = self._saved.kept.medium
        drive.clear(self._folder, keep="" if medium is None else medium.file)
        await self._machine.put_medium(None if medium is None else Path(medium.file))
        if await self._machine.adopt():
            # What was told already is not told again, but how far the boot has come is read from it.
            self._progress = self._starting
            self._reader, self._position = Reader(), self._saved.console_start
            self._read_console(time.time(), emit=False)
            self._begin_looking()
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
        """Switch the machine off, if it is ours, and forget nothing. A guest that resets it meanwhile is too late."""
        self._stopping = True
        async with self._lock:
            if self._restart is not None:
                self._restart.cancel()
                await asyncio.wait((self._restart,))
            await self._machine.release()
            await self._look_to_the_end()

    async def _power_on(self) -> None:
        await self._machine.prepare()
        kept, wish = handover.power_on(self._personality, self._saved.kept)
        secure_boot = kept.secure_boot if self._specification.secure_boot else None
        authorities = [certificates.der(each) for each in kept.certificates]
        self._nvram.configure(
            # What stands in a domain's own file is its operator's, as long as nothing was ever enrolled here.
            authorities=authorities if kept.numbered else None,
            order=[int(number, 16) for number in self._saved.kept.boot_order],
            secure_boot=secure_boot,
        )
        if wish.target is Target.NONE:
            self._nvram.clear_request()
        elif wish.target is Target.UEFI_HTTP:
            self._nvram.request_boot(wish.uri)
        else:
            self._nvram.request_path(wish.target.value, self._machine.boot_path(_DEVICES[wish.target]))
        start = self._console_size()
        self._save(_Saved(kept=kept, handed_over=True, secure_boot=kept.secure_boot, console_start=start))
        self._reader, self._position = Reader(), start
        await self._machine.start()
        self._progress = self._starting
        now = time.time()
        self._emit(now, Stage.POWER_ON, f"{self._specification.arch.value}, {self._specification.memory_mib} MiB")
        if wish.trouble:
            self._complain(now, wish.trouble, final=False)
        self._begin_looking()

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
        self._reader, self._position = Reader(), self._console_size()
        self._begin_looking()

    def _machine_ended(self, reason: str) -> None:
        """QEMU is gone: off for good, or the guest asked for a reset."""
        self._progress = "None"
        if reason == "guest-reset" and not self._stopping:
            self._restart = asyncio.ensure_future(self._boot_again())

    async def _boot_again(self) -> None:
        try:
            await self.reset(Reset.ON)
        except HttpBootError as error:
            _LOG.error("%s", error)

    def _begin_looking(self) -> None:
        self._look = asyncio.ensure_future(self._look_on())

    async def _look_on(self) -> None:
        """While the machine runs: read its console, and see Once being taken up."""
        while True:
            running = self._machine.running
            self._read_console(time.time())
            self._notice_consumption()
            if not running:
                return
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_SECONDS):
                    await self._machine.wait()

    def _notice_consumption(self) -> None:
        """Once is over when the firmware, to which it was handed over, has taken BootNext out of its variables."""
        override = self._saved.kept.override
        waiting = self._saved.handed_over and override.enabled is Enabled.ONCE and override.is_set
        if waiting and not self._nvram.request_pending():
            self._save(replace(self._saved, kept=self._saved.kept.consumed(), handed_over=False))

    def _read_console(self, at: float, *, emit: bool = True) -> None:
        if self.console is None:
            return
        try:
            with self.console.open("rb") as stream:
                if stream.seek(0, os.SEEK_END) < self._position:
                    # libvirt begins it anew, at each start or when it is long, unless it is told otherwise.
                    self._position = 0
                stream.seek(self._position)
                data = stream.read()
        except OSError:
            return
        self._position += len(data)
        for line in self._reader.feed(data):
            self._progress = console.progress(line) or self._progress
            match sign(line) if emit else None:
                case Milestone(stage=stage, detail=detail):
                    self._emit(at, stage, detail)
                case Trouble(reason=reason, final=final):
                    self._complain(at, reason, final=final)

    def _console_size(self) -> int:
        try:
            return self.console.stat().st_size if self.console is not None else 0
        except OSError:
            return 0

    def _emit(self, at: float, stage: Stage, detail: str) -> None:
        self._on_event(Reached(at=at, machine=self._specification.id, stage=stage, detail=detail))

    def _complain(self, at: float, reason: str, *, final: bool) -> None:
        self._on_event(Failed(at=at, machine=self._specification.id, reason=reason, final=final))

    def _remembered(self) -> _Saved:
        path = self._folder / _STATE_NAME
        try:
            return _FILE.validate_json(path.read_bytes())
        except FileNotFoundError:
            return _Saved(kept=self._personality.at_first)
        except (OSError, ValueError) as error:
            first = str(error).splitlines()[0]
            raise HostError(f"{path}: cannot be read ({first})", hint="remove it") from error


def _shown(option: uefi.LoadOption) -> BootOption:
    return BootOption(
        number=f"{option.number:04X}", name=option.description, path=option.device_path.hex(), uri=option.uri
    )
