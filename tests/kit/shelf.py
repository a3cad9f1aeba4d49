"""Images in a folder, served to the machines of a network; what they ask for is seen."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from ironic_httpboot.events import Event, Transfer
from ironic_httpboot.http.folder import Folder
from ironic_httpboot.http.serve import Limits, Server
from ironic_httpboot.image.compose import compose, write
from ironic_httpboot.model import BootRecipe, Chain, Container
from kit.board import Provisions

PORT = 8080


@asynccontextmanager
async def images(folder: Path) -> AsyncIterator[list[Transfer]]:
    """A server of the files in a folder; every request that it has finished."""
    seen: list[Transfer] = []

    def hear(event: Event) -> None:
        if isinstance(event, Transfer) and event.finished:
            seen.append(event)

    server = Server([Folder(folder)], host="", port=PORT, on_event=hear, limits=Limits(stop_seconds=5))
    await server.start()
    try:
        yield seen
    finally:
        await server.stop()


def files(folder: Path) -> tuple[Path, Provisions]:
    """A folder of images, with one that passes its own checks, and what is in that."""
    provisions = Provisions.make(folder)
    secret = folder / "images" / "secret"
    secret.mkdir(parents=True)
    recipe = BootRecipe(
        chain=Chain.UKI,
        container=Container.EFI,
        kernel=provisions.kernel,
        initrds=provisions.initrds,
        cmdline=provisions.cmdline,
    )
    write(compose(recipe), secret / "node.efi")
    (secret / "node.efi.signed").write_bytes(provisions.kernel.read_bytes())
    return folder / "images", provisions
