"""A laboratory for boots: images published and served, a BMC in front of machines, and a watch on each of them.

Everything is the real thing and runs in the test's own process; only what a test starts as a command is not.
"""

from __future__ import annotations

import asyncio
import secrets
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType

from ironic_httpboot.demo import guest
from ironic_httpboot.demo.watch import Watch
from ironic_httpboot.emulator.machine import Specification
from ironic_httpboot.emulator.serve import Emulator, Settings
from ironic_httpboot.emulator.state import Account
from ironic_httpboot.events import Event, Stage, Transfer
from ironic_httpboot.http.serve import Limits, Server
from ironic_httpboot.http.store import Store
from ironic_httpboot.image.compose import compose
from ironic_httpboot.model import BootRecipe, BootUrl, Chain, Container
from ironic_httpboot.redfish import client
from ironic_httpboot.redfish.transport import Transport

ACCOUNT = Account(username="operator", password="correct horse")
HOST_AS_SEEN_BY_GUEST = "10.0.2.2"


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """An image that is published for one machine. nonce: what its guest must find."""

    url: BootUrl
    nonce: str
    recipe: BootRecipe


def machine(name: str, **changes: object) -> Specification:
    """A machine's specification; the number in its MAC comes from its name."""
    tail = uuid.uuid5(uuid.NAMESPACE_DNS, name).bytes[:3].hex(":")
    plain = Specification(id=name, uuid=str(uuid.uuid4()), mac=f"52:54:00:{tail}", memory_mib=768)
    return replace(plain, **changes)  # type: ignore[arg-type]  # a test names the fields


class Lab:
    """Use it in an async with statement. watches: one for each machine."""

    def __init__(self, folder: Path, machines: Sequence[Specification]) -> None:
        self.folder = folder
        self._machines = machines
        self.store = Store(folder / "store")
        self.emulator = Emulator(Settings(machines=machines, state=folder / "bmc", port=0, account=ACCOUNT), self._hear)
        self.server = Server([self.store], host="127.0.0.1", port=0, on_event=self._hear, limits=Limits(stop_seconds=5))
        self.watches: dict[str, Watch] = {}
        self.ramdisk = folder / "ramdisk.cpio"
        self.parts = guest.find_parts()

    async def __aenter__(self) -> Lab:
        guest.write_ramdisk(self.parts, self.ramdisk)
        for each in self._machines:
            self.watches[each.id] = Watch(each.id)
        await self.server.start()
        await self.emulator.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.emulator.stop()
        await self.server.stop()

    def prepare(
        self,
        name: str,
        chain: Chain,
        container: Container = Container.ISO,
        *,
        cmdline: str = "",
        files: tuple[tuple[str, Path], ...] = (),
    ) -> Prepared:
        """Compose and publish an image for a machine, with what its guest will compare."""
        nonce = secrets.token_hex(8)
        in_image = {} if chain is Chain.UKI else {"boot/vmlinuz": self.parts.kernel, "boot/initrd-0.img": self.ramdisk}
        recipe = BootRecipe(
            chain=chain,
            container=container,
            kernel=self.parts.kernel,
            initrds=(self.ramdisk,),
            appended=guest.checks(nonce, {**in_image, **dict(files)}),
            cmdline=guest.cmdline(nonce, cmdline),
            files=files,
        )
        published = self.store.publish(compose(recipe), name=f"{name}{recipe.kind.suffix}", machine=name)
        url = BootUrl.parse(f"http://{HOST_AS_SEEN_BY_GUEST}:{self.server.port}{published.path}")
        return Prepared(url=url, nonce=nonce, recipe=recipe)

    async def ask(self, name: str, url: BootUrl, *, persistent: bool = False, reset: bool = True) -> client.Report:
        """Have our own client ask the BMC."""

        def ask() -> client.Report:
            with Transport(self.emulator.url) as transport:
                return client.boot(
                    transport,
                    url,
                    credentials=client.Credentials(username=ACCOUNT.username, password=ACCOUNT.password),
                    system_id=name,
                    persistent=persistent,
                    reset=reset,
                    on_event=self._hear,
                )

        return await asyncio.to_thread(ask)

    async def until(self, name: str, stage: Stage) -> None:
        """Wait for a machine to reach a stage. Raises BootFailed with its console's last lines."""
        await self.watches[name].until(stage, self.emulator.hardware(name).console)

    def console(self, name: str) -> str:
        """All that a machine's console has said."""
        console = self.emulator.hardware(name).console
        assert console is not None, "a machine without a console"
        return console.read_text("utf-8", "replace")

    def requests(self, name: str) -> list[Transfer]:
        """The finished requests of a machine."""
        return [event for event in self.watches[name].events if isinstance(event, Transfer) and event.finished]

    def _hear(self, event: Event) -> None:
        for watch in self.watches.values():
            watch.hear(event)


async def until(condition: object, *, seconds: float, what: str) -> None:
    """Wait until a condition, asked again and again, holds. Fails with the words given."""
    assert callable(condition)
    deadline = asyncio.get_running_loop().time() + seconds
    while not condition():
        assert asyncio.get_running_loop().time() < deadline, f"not within {seconds:g} s: {what}"
        await asyncio.sleep(0.1)
