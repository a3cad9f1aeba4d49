"""A server with a folder, a store and a composed image, for all that is asked of it over the wire."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import TypeAlias

import pytest

from ironic_httpboot.blob import Blob
from ironic_httpboot.events import Event, Sink, Transfer
from ironic_httpboot.http.folder import Folder
from ironic_httpboot.http.serve import Limits, Server
from ironic_httpboot.http.store import Publication, Store
from ironic_httpboot.image.compose import compose
from ironic_httpboot.model import AppendedFile, BootRecipe
from kit import efi

Start: TypeAlias = Callable[..., Awaitable[Server]]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The operator's folder: one small file, one large."""
    root = tmp_path / "root"
    root.mkdir()
    (root / "small.efi").write_bytes(b"small" * 200)
    (root / "large.iso").write_bytes(os.urandom(8 << 20) + b"end")
    return root


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


@pytest.fixture(scope="session")
def image(tmp_path_factory: pytest.TempPathFactory) -> Blob:
    """A composed image: literals, zeros and slices of files."""
    folder = tmp_path_factory.mktemp("image")
    kernel, ramdisk = folder / "kernel", folder / "ramdisk"
    kernel.write_bytes(efi.kernel(body=os.urandom(3_000_001)))
    ramdisk.write_bytes(os.urandom(5_000_003))
    recipe = BootRecipe(
        kernel=kernel,
        initrds=(ramdisk, ramdisk),
        appended=(AppendedFile(path="etc/node", data=os.urandom(200_000)),),
        cmdline="console=ttyS0",
    )
    return compose(recipe, [efi.loaders(folder / "parts")])


@pytest.fixture
def published(store: Store, image: Blob) -> Publication:
    return store.publish(image, name="node-1.iso", machine="node-1")


class Heard:
    """What a server reports."""

    def __init__(self) -> None:
        self.transfers: list[Transfer] = []
        self._more = asyncio.Event()

    def __call__(self, event: Event) -> None:
        assert isinstance(event, Transfer)
        self.transfers.append(event)
        self._more.set()

    @property
    def ends(self) -> list[Transfer]:
        return [transfer for transfer in self.transfers if transfer.finished]

    async def until(self, count: int) -> list[Transfer]:
        """The ends of requests, once there are so many."""
        await self._once(lambda: len(self.ends) >= count)
        return self.ends

    async def told(self, count: int) -> list[Transfer]:
        """All that is reported, once it was reported so often."""
        await self._once(lambda: len(self.transfers) >= count)
        return self.transfers

    async def _once(self, enough: Callable[[], bool]) -> None:
        async with asyncio.timeout(20):
            while not enough():
                self._more.clear()
                await self._more.wait()


@pytest.fixture
async def heard() -> Heard:
    return Heard()


@pytest.fixture
async def start(root: Path, store: Store, heard: Heard) -> AsyncIterator[Start]:
    """Start a server of folder and store. Keywords are those of Limits, and host."""
    servers = []

    async def start(*, host: str = "127.0.0.1", on_event: Sink | None = heard, **limits: float) -> Server:
        given = {"stop_seconds": 5.0, **limits}
        server = Server(
            [store, Folder(root)],
            host=host,
            port=0,
            on_event=on_event,
            limits=Limits(**given),  # type: ignore[arg-type] # connections is the one that is no float
        )
        await server.start()
        servers.append(server)
        return server

    yield start
    for server in servers:
        await server.stop()


@pytest.fixture
async def server(start: Start) -> Server:
    return await start()
