"""The server with one decision taken the other way: python -m bench.variants NAME ROOT --listen HOST:PORT"""

from __future__ import annotations

import asyncio
import io
import sys
from collections.abc import Callable
from pathlib import Path

from aiohttp import web

from ironic_httpboot.config import host_and_port
from ironic_httpboot.http import folder, sendfile
from ironic_httpboot.http.folder import Folder
from ironic_httpboot.http.serve import Server


def as_it_is() -> None:
    """Nothing changed."""


def unsent_without_limit() -> None:
    """The kernel takes what its send buffer holds, which grows by itself."""
    sendfile._UNSENT_BYTES = 1 << 30


def sendfile_of_asyncio() -> None:
    """asyncio's own."""

    async def send(
        transport: asyncio.WriteTransport,
        stream: io.FileIO,
        *,
        offset: int,
        count: int,
        idle_seconds: float,
        advance: Callable[[int], None],
    ) -> None:
        async with asyncio.timeout(600):
            sent = await asyncio.get_running_loop().sendfile(transport, stream, offset, count, fallback=False)
        advance(sent)

    sendfile.send = send


def small_files_from_disk() -> None:
    """Small files opened for each request."""
    folder._SMALL_FILE_BYTES = -1


VARIANTS: dict[str, Callable[[], None]] = {
    each.__name__: each for each in (as_it_is, unsent_without_limit, sendfile_of_asyncio, small_files_from_disk)
}


async def _serve(root: Path, host: str, port: int) -> None:
    server = Server([Folder(root)], host=host, port=port)
    await server.start()
    await asyncio.Event().wait()


async def _plain_aiohttp(host: str, port: int) -> None:
    """aiohttp with a constant answer: the least that its own responses cost."""

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        return web.Response(body=bytes(1024), headers={"ETag": '"0"', "Accept-Ranges": "bytes"})

    runner = web.ServerRunner(web.Server(answer, access_log=None))
    await runner.setup()
    await web.TCPSite(runner, host, port).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    name, root, _, listen = sys.argv[1:]
    host, port = host_and_port(listen)
    if name == "plain_aiohttp":
        asyncio.run(_plain_aiohttp(host, port))
    else:
        VARIANTS[name]()
        asyncio.run(_serve(Path(root), host, port))
