"""Hardware without a machine: switches at once, so that a BMC can be tested in seconds."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

from ironic_httpboot.emulator import handover
from ironic_httpboot.emulator.kept import Kept, Medium, Override
from ironic_httpboot.emulator.machine import Specification
from ironic_httpboot.emulator.personalities import PERSONALITIES
from ironic_httpboot.emulator.state import BootOption, Power, Reset, SystemState
from ironic_httpboot.errors import HostError
from ironic_httpboot.events import Sink


class Relay:
    """Keeps everything in memory. boots: what each power-on had to boot, in order, with the URL as it was handed over.

    progress: set it to what the firmware is to be at. images: what was put into the CD drive, in order.
    """

    def __init__(self, specification: Specification, folder: Path, on_event: Sink) -> None:
        self._specification = specification
        self._folder = folder
        self._personality = PERSONALITIES[specification.personality]
        self._power = Power.OFF
        self._kept = self._personality.at_first
        self._secure_boot = True
        self.progress = "None"
        self.boots: list[Override] = []
        self.images: list[str] = []

    @property
    def state(self) -> SystemState:
        return SystemState(
            id=self._specification.id,
            uuid=self._specification.uuid,
            arch=self._specification.arch.value,
            memory_mib=self._specification.memory_mib,
            mac=self._specification.mac,
            personality=self._personality,
            power=self._power,
            kept=self._kept,
            progress=self.progress,
            secure_boot=self._secure_boot if self._specification.secure_boot else None,
            options=(
                BootOption(number="0000", name="UiApp", path="0104"),
                BootOption(number="0001", name="UEFI PXEv4", path="0201"),
            ),
            order=("0000", "0001"),
        )

    @property
    def console(self) -> Path:
        return self._folder / "console.log"

    def catch_up(self, at: float) -> None:
        pass

    def remember(self, kept: Kept) -> None:
        self._kept = kept

    async def insert(self, image: str) -> None:
        if urlsplit(image).hostname == "nowhere.invalid":
            raise HostError("the image: GET → ClientConnectorDNSError")
        self.images.append(image)
        self._kept = replace(self._kept, medium=Medium(image=image))

    async def eject(self) -> None:
        self._kept = replace(self._kept, medium=None)

    async def resume(self) -> None:
        pass

    async def reset(self, kind: Reset) -> None:
        if kind in (Reset.FORCE_OFF, Reset.GRACEFUL_SHUTDOWN):
            self._power = Power.OFF
            self.progress = "None"
        elif kind not in (Reset.ON, Reset.FORCE_ON) or self._power is Power.OFF:
            self._kept, wish = handover.power_on(self._personality, self._kept)
            self.boots.append(replace(self._kept.override, target=wish.target, uri=wish.uri))
            self._kept = self._kept.consumed()
            self._secure_boot = self._kept.secure_boot
            self._power = Power.ON
            self.progress = "OSRunning"

    async def stop(self) -> None:
        self._power = Power.OFF


class Stuck(Relay):
    """The same, but a reset that is to stick never comes to its end, so that a conductor can be caught in the middle.

    sticks: the resets that do. caught: whether one does now.
    """

    def __init__(self, specification: Specification, folder: Path, on_event: Sink) -> None:
        super().__init__(specification, folder, on_event)
        self.sticks: frozenset[Reset] = frozenset()
        self.caught = False

    async def reset(self, kind: Reset) -> None:
        if kind not in self.sticks:
            await super().reset(kind)
            return
        self.caught = True
        while kind in self.sticks:  # noqa: ASYNC110  # a test lets go from another thread
            await asyncio.sleep(0.05)
        self.caught = False
        raise HostError(f"reset {kind.value}: waited for → nothing came of it")
