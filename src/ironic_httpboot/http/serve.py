"""The artifact server: sockets around `respond`.

Knows how sources, answers and deliveries come together on one address. Refuses to know what is published and why.
"""

from __future__ import annotations

import errno
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from aiohttp import web

from ironic_httpboot.blob import Content, FileSlice
from ironic_httpboot.errors import FileChanged, HostError
from ironic_httpboot.events import Sink
from ironic_httpboot.http.connections import Connections, bind
from ironic_httpboot.http.delivery import Delivery
from ironic_httpboot.http.respond import CONDITIONS, Representation, Request, refuse, respond, segments

_LOG = logging.getLogger(__name__)

_HINTS = {
    errno.EADDRINUSE: "another program listens there; give another port",
    errno.EADDRNOTAVAIL: "this host does not have that address; `ip address` shows those that it has",
    errno.EACCES: "ports below 1024 are for root, or with the capability CAP_NET_BIND_SERVICE",
}


class Source(Protocol):
    """Something that may know what stands behind a path: a `Store`, a `Folder`."""

    def find(self, names: tuple[str, ...]) -> Representation | None:
        """What stands behind the names of a path, or None."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much one server bears. idle_seconds: for a request's headers, between requests, and while nothing moves."""

    connections: int = 512
    idle_seconds: float = 30.0
    stop_seconds: float = 600.0


class Server:
    """Serves sources on one address. The first source that knows a path answers for it."""

    def __init__(
        self,
        sources: Sequence[Source],
        *,
        host: str,
        port: int,
        on_event: Sink | None = None,
        limits: Limits | None = None,
    ) -> None:
        """host: an address, or "" for all of both families. port: 0 for one that is free.

        on_event: hears of every request; without it none is described, which saves a sixth of a small one's cost.
        """
        self._sources = sources
        self._host = host
        self._on_event = on_event
        self._limits = limits or Limits()
        self._runner: web.ServerRunner | None = None
        self.port = port

    @property
    def address(self) -> str:
        """HOST:PORT as a URL has it, or *:PORT."""
        return f"{f'[{self._host}]' if ':' in self._host else self._host or '*'}:{self.port}"

    async def start(self) -> None:
        """Listen. Raises HostError, naming the address."""
        server = Connections(self._answer, most=self._limits.connections, idle_seconds=self._limits.idle_seconds)
        self._runner = web.ServerRunner(server, shutdown_timeout=self._limits.stop_seconds)
        await self._runner.setup()
        try:
            for each in await bind(self._host, self.port):
                await web.SockSite(self._runner, each, backlog=1024).start()
        except OSError as error:
            await self.stop()
            raise HostError(
                f"listen on {self.address} → {error.strerror or error}", hint=_HINTS.get(error.errno or 0)
            ) from error
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """Take no more connections, let downloads finish, then close. Fine to call twice."""
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        names = segments(request.raw_path)
        found = self._find(names) if names else None
        headers = request.headers
        conditions = {name: ", ".join(headers.getall(name)) for name in CONDITIONS if name in headers}
        answer = respond(Request(method=request.method, headers=conditions), found)
        # Firmware asks by HEAD first, and is not to hear that a file is there which GET then cannot send.
        promised = found.blob.extents if found and request.method == "HEAD" and answer.status == 200 else answer.content
        if (error := _unreadable(promised)) is not None:
            _LOG.error("%s", error)
            answer = refuse(500, request.method)
        limits = self._limits
        return await Delivery(request, found, answer, on_event=self._on_event, idle_seconds=limits.idle_seconds).run()

    def _find(self, names: tuple[str, ...]) -> Representation | None:
        for source in self._sources:
            found = source.find(names)
            if found is not None:
                return found
        return None


def _unreadable(content: Content) -> FileChanged | None:
    """Why a file of the answer cannot be sent, if one cannot: better said before the head is sent than after."""
    try:
        for file in {extent.file for extent in content if isinstance(extent, FileSlice)}:
            file.open().close()
    except FileChanged as error:
        return error
    return None
