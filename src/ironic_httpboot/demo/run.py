"""The demonstration: compose, publish, serve, ask a BMC, and watch a machine boot.

Knows the order of things. Each part is the one that operators use; only the machine is emulated.
"""

from __future__ import annotations

import asyncio
import secrets
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TypeVar

from ironic_httpboot.blob import Blob
from ironic_httpboot.demo import guest, proxy
from ironic_httpboot.demo.watch import Watch
from ironic_httpboot.emulator.machine import Specification, accelerator_for
from ironic_httpboot.emulator.serve import Emulator, Settings
from ironic_httpboot.emulator.state import Account
from ironic_httpboot.events import Event, Reached, Stage, progress
from ironic_httpboot.http.serve import Limits, Server
from ironic_httpboot.http.store import Publication, Store
from ironic_httpboot.image import compose
from ironic_httpboot.model import Arch, BootRecipe, BootUrl, Chain, Container
from ironic_httpboot.redfish import client
from ironic_httpboot.redfish.transport import Transport

_T = TypeVar("_T")

MACHINE = "demo"
HOST_AS_SEEN_BY_GUEST = "10.0.2.2"
"""QEMU's user network: the guest reaches the host's loopback under this address."""


class Way(Enum):
    """Who tells the firmware the URL."""

    BMC = "bmc"
    DHCP = "dhcp"


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What to demonstrate. keep: a folder for images, state and console, which is otherwise a temporary one."""

    way: Way = Way.BMC
    chain: Chain = Chain.SHIM_GRUB
    container: Container = Container.ISO
    secure_boot: bool = False
    memory_mib: int = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How it went: every event, in order, and the seconds from the first to the guest's verdict."""

    events: tuple[Event, ...]
    seconds: float


async def run(options: Options, folder: Path, show: Callable[[Event], None] = lambda event: None) -> Outcome:
    """Boot one machine.

    folder: for images, state and console. Raises HttpBootError, with the stage where it stopped.
    show: called in the event loop with every event.
    """
    began = time.time()
    watch = Watch(MACHINE)
    watch.tell(show)
    blob = await _to_its_end(asyncio.get_running_loop().run_in_executor(None, _compose, options, folder))
    watch.hear(_reached(Stage.COMPOSED, f"{blob.size_bytes:,} bytes, {compose.describe(Arch.X64, options.chain)}"))
    store = Store(folder / "store")
    publication = store.publish(blob, name=f"{MACHINE}{_suffix(options)}", machine=MACHINE)
    server = Server([store], host="127.0.0.1", port=0, on_event=watch.hear, limits=Limits(stop_seconds=5))
    await server.start()
    try:
        url = _url(server, publication)
        watch.hear(_reached(Stage.PUBLISHED, url.redacted))
        if options.way is Way.DHCP:
            machine = proxy.specification(
                MACHINE, folder, memory_mib=options.memory_mib, secure_boot=options.secure_boot
            )
            await proxy.boot(machine, folder, url, watch)
        else:
            await _boot(options, folder, url, watch)
    finally:
        store.withdraw(publication)
        await server.stop()
    return Outcome(events=tuple(watch.events), seconds=time.time() - began)


def verdict(outcome: Outcome) -> str:
    """What the guest said in the end."""
    said = progress(outcome.events)[Stage.VERDICT]
    return f"the guest says: {said.detail if isinstance(said, Reached) else ''}"


def _compose(options: Options, folder: Path) -> Blob:
    parts = guest.find_parts()
    ramdisk = folder / "ramdisk.cpio"
    guest.write_ramdisk(parts, ramdisk)
    nonce = secrets.token_hex(8)
    in_image = {} if options.chain is Chain.UKI else {"boot/vmlinuz": parts.kernel, "boot/initrd-0.img": ramdisk}
    recipe = BootRecipe(
        chain=options.chain,
        container=options.container,
        kernel=parts.kernel,
        initrds=(ramdisk,),
        appended=guest.checks(nonce, in_image),
        cmdline=guest.cmdline(nonce),
    )
    return compose.compose(recipe)


async def _boot(options: Options, folder: Path, url: BootUrl, watch: Watch) -> None:
    account = Account(username="demo", password=secrets.token_urlsafe(12))
    machine = Specification(
        id=MACHINE,
        uuid=str(uuid.uuid4()),
        mac="52:54:00:68:74:70",
        memory_mib=options.memory_mib,
        secure_boot=options.secure_boot,
    )
    await asyncio.to_thread(accelerator_for, machine.arch)
    settings = Settings(machines=[machine], state=folder / "emulator", port=0, account=account)
    async with Emulator(settings, watch.hear) as emulator:
        hardware = emulator.hardware(MACHINE)
        watch.look_first(hardware.catch_up)
        asking = asyncio.get_running_loop().run_in_executor(None, _ask, emulator.url, account, url, watch)
        try:
            await watch.until(Stage.READ_BACK)
        finally:
            await _to_its_end(asking)
        await watch.until(Stage.VERDICT, hardware.console)


async def _to_its_end(thread: asyncio.Future[_T]) -> _T:
    """Wait for a thread, also when this task is cancelled: it needs the folder and the BMC that would go away."""
    cancelled: asyncio.CancelledError | None = None
    while not thread.done():
        try:
            await asyncio.wait([thread])
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        raise cancelled
    return thread.result()


def _ask(bmc_url: str, account: Account, url: BootUrl, watch: Watch) -> None:
    with Transport(bmc_url) as transport:
        client.boot(
            transport,
            url,
            credentials=client.Credentials(username=account.username, password=account.password),
            on_event=watch.hear,
        )


def _url(server: Server, publication: Publication) -> BootUrl:
    return BootUrl.parse(f"http://{HOST_AS_SEEN_BY_GUEST}:{server.port}{publication.path}")


def _suffix(options: Options) -> str:
    return {Container.ISO: ".iso", Container.EFI: ".efi"}[options.container]


def _reached(stage: Stage, detail: str) -> Reached:
    return Reached(at=time.time(), machine=MACHINE, stage=stage, detail=detail)
