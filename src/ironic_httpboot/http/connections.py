"""The connections of one server: where from, how many, how long, and what becomes of those that speak no HTTP.

Knows aiohttp's protocol. Refuses to know what is served.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
from collections.abc import Awaitable, Callable
from typing import TypeAlias

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError, LineTooLong

from ironic_httpboot.http.delivery import Sent, encode, give_up
from ironic_httpboot.http.respond import refuse

_LOG = logging.getLogger(__name__)

_FAREWELL_SECONDS = 1.0
"""Time for a client to read why it is turned away. Closed at once, its request unread, it would see a reset."""

Handler: TypeAlias = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


async def bind(host: str, port: int) -> list[socket.socket]:
    """A socket on each address of a host, or of this one where it is "". All have one port. Raises OSError."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    bound: list[socket.socket] = []
    missing: OSError | None = None
    for family, kind, protocol, _, address in found:
        one = None
        try:
            one = socket.socket(family, kind, protocol)
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            one.bind((address[0], port, *address[2:]))
        except OSError as error:
            if one is not None:
                one.close()
            if error.errno not in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
                for other in bound:
                    other.close()
                raise
            missing = error  # a family that is switched off on this host, if another is not
            continue
        bound.append(one)
        port = one.getsockname()[1]
    if missing is not None and not bound:
        raise missing
    return bound


class Connections(web.Server):
    """aiohttp's server with a limit. idle_seconds: for a request's headers, and between requests."""

    def __init__(self, handler: Handler, *, most: int, idle_seconds: float) -> None:
        super().__init__(handler)
        self._most = most
        self._idle_seconds = idle_seconds
        self._surplus: set[web.RequestHandler] = set()
        self._full = False

    def __call__(self) -> web.RequestHandler:
        """The protocol for one more connection."""
        return _Connection(self, idle_seconds=self._idle_seconds)

    def connection_made(self, handler: web.RequestHandler, transport: asyncio.Transport) -> None:
        """Take a connection, or turn it away before it costs anything."""
        super().connection_made(handler, transport)
        # No buffer of its own: whoever waits for it to drain knows that all has left for the kernel.
        transport.set_write_buffer_limits(high=0)
        full = len(self.connections) - len(self._surplus) > self._most
        if full:
            self._turn_away(handler, transport)
            if not self._full:
                _LOG.warning("all %d connections are in use: more are turned away with 503", self._most)
        self._full = full

    def connection_lost(self, handler: web.RequestHandler, exc: BaseException | None = None) -> None:
        """Forget a connection."""
        super().connection_lost(handler, exc)
        self._surplus.discard(handler)

    def _turn_away(self, handler: web.RequestHandler, transport: asyncio.Transport) -> None:
        self._surplus.add(handler)
        handler.close()  # it reads no requests
        transport.write(encode(refuse(503, "GET", {"Retry-After": "5"}), keep_alive=False))
        transport.write_eof()
        asyncio.get_running_loop().call_later(_FAREWELL_SECONDS, give_up, transport)


class _Connection(web.RequestHandler):
    """One connection, as aiohttp handles it but for what goes wrong."""

    __slots__ = ()

    def __init__(self, connections: Connections, *, idle_seconds: float) -> None:
        super().__init__(
            connections,
            loop=asyncio.get_running_loop(),
            keepalive_timeout=idle_seconds,
            access_log=None,  # type: ignore[arg-type] # this is how aiohttp is told to keep none
        )

    def eof_received(self) -> bool:  # type: ignore[override] # asyncio knows an answer, aiohttp has none
        """Finish the answer to a client that has said all it has to say; asyncio would otherwise close on it."""
        busy = self._request_count > 0 and self._waiter is None  # it does not wait for the next request
        unanswered = len(self._messages) + busy
        if unanswered == 1:
            self.close()  # after the answer
        return unanswered > 0

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer what is no HTTP, and what met a bug. Of the request nothing is logged: it may hold a secret URL."""
        if isinstance(exc, LineTooLong):
            _LOG.info("%s: sent a line that is too long", request.remote)
            answer = refuse(431, "GET")
        elif isinstance(exc, HttpProcessingError):
            _LOG.info("%s: sent what is no HTTP request", request.remote)
            answer = refuse(400, "GET")
        else:
            _LOG.error("%s: not answered because of a bug", request.remote, exc_info=exc)
            answer = refuse(500, request.method)
        if self.transport is not None and not self.transport.is_closing():
            self.transport.write(encode(answer, keep_alive=False))
        return Sent(keep_alive=False)
