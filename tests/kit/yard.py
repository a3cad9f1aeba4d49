"""Machines on a network of a test's own, whose firmware asks DHCP for the URL to boot, and an image server there."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from types import TracebackType

from ironic_httpboot.blob import Blob
from ironic_httpboot.demo import guest
from ironic_httpboot.demo.watch import LIMITS, Watch
from ironic_httpboot.emulator.chassis import Chassis
from ironic_httpboot.emulator.kept import Enabled, Kept, Override, Target
from ironic_httpboot.emulator.state import Reset
from ironic_httpboot.events import Event, Stage, Transfer
from ironic_httpboot.http.folder import Folder
from ironic_httpboot.http.serve import Limits, Server
from ironic_httpboot.http.store import Store
from ironic_httpboot.model import BootRecipe, BootUrl, Chain, Container
from kit.lab import machine
from kit.wire import HOST4, Network

PORT = 8080
SPLASH_MS = 4000
"""OVMF 2022.11 begins IPv6 before duplicate address detection is over, unless it has to wait."""


class Yard:
    """Use it in an async with statement inside an entered network.

    macs: by machine. plain: a folder whose files are served under their names.
    """

    def __init__(self, network: Network, names: Sequence[str], *, splash_ms: int = 0) -> None:
        self.folder = network.folder
        made = {name: machine(name, network=network.tap(), splash_ms=splash_ms, memory_mib=512) for name in names}
        self.macs: Mapping[str, str] = {name: each.mac for name, each in made.items()}
        self._specifications = made
        self._boxes: dict[str, Chassis] = {}
        self.plain = self.folder / "plain"
        self.plain.mkdir()
        self.store = Store(self.folder / "store")
        self.server = Server(
            [self.store, Folder(self.plain)], host="", port=PORT, on_event=self._hear, limits=Limits(stop_seconds=5)
        )
        self.watches: dict[str, Watch] = {}
        self.ramdisk = self.folder / "ramdisk.cpio"
        self.parts = guest.find_parts()

    async def __aenter__(self) -> Yard:
        guest.write_ramdisk(self.parts, self.ramdisk)
        for name, specification in self._specifications.items():
            self.watches[name] = Watch(name, {stage: LIMITS[stage] for stage in LIMITS if stage not in _WITHOUT_BMC})
            self._boxes[name] = Chassis(specification, self.folder / name, self._hear)
        await self.server.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for box in self._boxes.values():
            await box.stop()
        await self.server.stop()

    def recipe(self, **changes: object) -> tuple[BootRecipe, str]:
        """A recipe for a guest, and the nonce that it is to find."""
        nonce = secrets.token_hex(8)
        plain = BootRecipe(
            chain=Chain.UKI,
            container=Container.EFI,
            kernel=self.parts.kernel,
            initrds=(self.ramdisk,),
            appended=guest.checks(nonce, {}),
            cmdline=guest.cmdline(nonce),
        )
        return replace(plain, **changes), nonce  # type: ignore[arg-type]  # a test names the fields

    def publish(self, name: str, host: str = HOST4) -> Callable[[Blob, str], BootUrl]:
        """What publishes a blob under a file name for a machine. host: as it stands in the URL."""

        def publish(blob: Blob, file_name: str) -> BootUrl:
            published = self.store.publish(blob, name=file_name, machine=name)
            return BootUrl.parse(f"http://{host}:{PORT}{published.path}")

        return publish

    async def power_on(self, *names: str) -> None:
        """Switch machines on; their firmware takes the URL from DHCP."""
        for name in names:
            self._boxes[name].remember(Kept(override=Override(enabled=Enabled.ONCE, target=Target.UEFI_HTTP)))
            await self._boxes[name].reset(Reset.ON)

    async def power_off(self, *names: str) -> None:
        """Switch machines off."""
        for name in names:
            await self._boxes[name].stop()

    async def until(self, name: str, stage: Stage) -> None:
        """Wait for a machine to reach a stage. Raises BootFailed with its console's last lines."""
        await self.watches[name].until(stage, self._boxes[name].console)

    def console(self, name: str) -> str:
        """All that a machine's console has said."""
        path = self._boxes[name].console
        return path.read_text("utf-8", "replace") if path is not None and path.exists() else ""

    def requests(self, name: str) -> list[Transfer]:
        """The finished requests of a machine."""
        return [event for event in self.watches[name].events if isinstance(event, Transfer) and event.finished]

    def _hear(self, event: Event) -> None:
        for watch in self.watches.values():
            watch.hear(event)


_WITHOUT_BMC = (Stage.BMC_ASKED, Stage.READ_BACK)
