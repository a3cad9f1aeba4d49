"""Hardware without a machine: switches at once, so that a BMC can be tested in seconds."""

from __future__ import annotations

from pathlib import Path

from ironic_httpboot.emulator.machine import Specification
from ironic_httpboot.emulator.state import Override, Power, Reset, SystemState
from ironic_httpboot.events import Sink


class Relay:
    """Keeps power and override in memory. boots: what each power-on found, in order."""

    def __init__(self, specification: Specification, folder: Path, on_event: Sink) -> None:
        self._specification = specification
        self._folder = folder
        self._power = Power.OFF
        self._override = Override()
        self.boots: list[Override] = []

    @property
    def state(self) -> SystemState:
        return SystemState(
            id=self._specification.id,
            uuid=self._specification.uuid,
            arch=self._specification.arch.value,
            memory_mib=self._specification.memory_mib,
            power=self._power,
            override=self._override,
        )

    @property
    def console(self) -> Path:
        return self._folder / "console.log"

    def remember(self, override: Override) -> None:
        self._override = override

    async def resume(self) -> None:
        pass

    async def reset(self, kind: Reset) -> None:
        if kind in (Reset.FORCE_OFF, Reset.GRACEFUL_SHUTDOWN):
            self._power = Power.OFF
        elif kind not in (Reset.ON, Reset.FORCE_ON) or self._power is Power.OFF:
            self.boots.append(self._override)
            self._override = self._override.consumed()
            self._power = Power.ON

    async def stop(self) -> None:
        self._power = Power.OFF
