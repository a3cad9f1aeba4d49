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

from pydantic import TypeAdapter

from ironic_httpboot.emulator import certificates, console, drive, firmware, handover, uefi
from ironic_httpboot.emulator.console import Milestone, Reader, Trouble, sign
from ironic_httpboot.emulator.kept import Enabled, Kept, Medium, Target
from ironic_httpboot.emulator.machine import Device, Machine, Specification
from ironic_httpboot.emulator.personalities import PERSONALITIES
from ironic_httpboot.emulator.state import BootOption, Power, Reset, SystemState
from ironic_httpboot.errors import HostError, HttpBootError
from ironic_httpboot.events import Failed, Reached, Sink, Stage

_LOG = logging.getLogger(__name__)

_STATE_NAME = "state.json"
_LOOK_SECONDS = 0.1
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


class Chassis:
    """A machine that can be told by Redfish what to boot, and does."""

    def __init__(self, specification: Specification, folder: Path, on_event: Sink = lambda event: None) -> None:
        """folder: the machine's own, made if it is missing. Raises HostError."""
        self._specification = specification
        self._personality = PERSONALITIES[specification.personality]
        self._folder = folder.absolute()
        self._on_event = on_event
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise HostError(f"{self._folder}: made → {error.strerror}") from error
        found = firmware.find(specification.arch, secure_boot=specification.secure_boot)
        self._machine = Machine(specification, self._folder, found, self._machine_ended)
        self._nvram = firmware.Nvram(self._machine.variables, found)
        self._saved = self._remembered()
        self._progress = "None"
        self._lock = asyncio.Lock()
        self._drive_lock = asyncio.Lock()
        self._look: asyncio.Task[None] | None = None
        self._restart: asyncio.Task[None] | None = None

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
        )

    @property
    def console(self) -> Path:
        """Where its serial console is written."""
        return self._machine.console

    def remember(self, kept: Kept) -> None:
        """Take over what is to be kept, so that it is there after a crash. Raises HostError."""
        if kept != self._saved.kept:
            same = kept.override == self._saved.kept.override
            self._save(replace(self._saved, kept=kept, handed_over=self._saved.handed_over and same))

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
        medium = self._saved.kept.medium
        drive.clear(self._folder, keep="" if medium is None else medium.file)
        await self._machine.put_medium(None if medium is None else Path(medium.file))
        if await self._machine.adopt():
            # What was told already is not told again, but how far the boot has come is read from it.
            self._progress, reader = console.STARTING, Reader()
            start = self._read_console(reader, self._saved.console_start, emit=False)
            self._begin_looking(start, reader)
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
        """Switch the machine off and forget nothing."""
        async with self._lock:
            if self._restart is not None:
                self._restart.cancel()
            await self._power_off()

    async def _power_on(self) -> None:
        self._nvram.ensure()
        kept, wish = handover.power_on(self._personality, self._saved.kept)
        secure_boot = kept.secure_boot if self._specification.secure_boot else None
        self._nvram.configure(
            authorities=[certificates.der(each) for each in kept.certificates],
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
        await self._machine.start()
        self._progress = console.STARTING
        self._emit(Stage.POWER_ON, f"{self._specification.arch.value}, {self._specification.memory_mib} MiB")
        if wish.trouble:
            self._complain(wish.trouble, final=False)
        self._begin_looking(start, Reader())

    async def _power_off(self) -> None:
        await self._machine.stop()
        if self._look is not None:
            await self._look
            self._look = None

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

    def _begin_looking(self, console_start: int, reader: Reader) -> None:
        self._look = asyncio.ensure_future(self._look_on(console_start, reader))

    async def _look_on(self, position: int, reader: Reader) -> None:
        """While the machine runs: read its console, and see Once being taken up."""
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
        override = self._saved.kept.override
        waiting = self._saved.handed_over and override.enabled is Enabled.ONCE and override.is_set
        if waiting and not self._nvram.request_pending():
            self._save(replace(self._saved, kept=self._saved.kept.consumed(), handed_over=False))

    def _read_console(self, reader: Reader, position: int, *, emit: bool = True) -> int:
        try:
            with self._machine.console.open("rb") as stream:
                stream.seek(position)
                data = stream.read()
        except FileNotFoundError:
            return position
        for line in reader.feed(data):
            self._progress = console.progress(line) or self._progress
            match sign(line) if emit else None:
                case Milestone(stage=stage, detail=detail):
                    self._emit(stage, detail)
                case Trouble(reason=reason, final=final):
                    self._complain(reason, final=final)
        return position + len(data)

    def _console_size(self) -> int:
        try:
            return self._machine.console.stat().st_size
        except FileNotFoundError:
            return 0

    def _emit(self, stage: Stage, detail: str) -> None:
        self._on_event(Reached(at=time.time(), machine=self._specification.id, stage=stage, detail=detail))

    def _complain(self, reason: str, *, final: bool) -> None:
        self._on_event(Failed(at=time.time(), machine=self._specification.id, reason=reason, final=final))

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
