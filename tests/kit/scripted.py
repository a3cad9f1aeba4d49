"""A BMC whose every answer a test decides, over real sockets: it may also say nothing, drip, or hang up."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, TypeAlias


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request. headers: names in lower case."""

    method: str
    path: str
    headers: Mapping[str, str] = field(repr=False)
    body: Any = None


@dataclass(frozen=True, slots=True)
class Say:
    """An answer. body: JSON, or bytes as they are. drip_seconds: between two bytes."""

    status: int
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    drip_seconds: float = 0.0


HANG_UP = Say(0)
Script: TypeAlias = Callable[[Asked], Say]


class ScriptedBmc:
    """Use it in a with statement. asked: all requests, in order. answer: may be changed under way."""

    def __init__(self, answer: Script) -> None:
        self.answer = answer
        self.asked: list[Asked] = []
        self._over = threading.Event()

    def __enter__(self) -> ScriptedBmc:
        bmc = self

        class Handler(BaseHTTPRequestHandler):
            def _serve(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                asked = Asked(
                    method=self.command,
                    path=self.path,
                    headers={name.lower(): value for name, value in self.headers.items()},
                    body=json.loads(self.rfile.read(length)) if length else None,
                )
                bmc.asked.append(asked)
                bmc._send(self.connection, bmc.answer(asked))
                self.close_connection = True

            do_GET = do_POST = do_PATCH = do_DELETE = _serve  # noqa: N815  # the names of http.server

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = False
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._over.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def wait_seconds(self, seconds: float) -> None:
        """Let time pass in an answer, but not beyond the end of the test."""
        self._over.wait(seconds)

    def said(self, method: str, path: str | None = None) -> list[Asked]:
        """The requests of one kind."""
        return [each for each in self.asked if each.method == method and path in (None, each.path)]

    def _send(self, connection: socket.socket, say: Say) -> None:
        if say is HANG_UP:
            connection.shutdown(socket.SHUT_RDWR)
            return
        data = say.body if isinstance(say.body, bytes) else b"" if say.body is None else json.dumps(say.body).encode()
        kind = "text/html" if isinstance(say.body, bytes) else "application/json"
        lines = [
            f"HTTP/1.1 {say.status} -",
            f"Content-Length: {len(data)}",
            f"Content-Type: {kind}",
            "Connection: close",
        ]
        lines += [f"{name}: {value}" for name, value in say.headers.items()]
        whole = "\r\n".join([*lines, "", ""]).encode("latin-1") + data
        try:
            if not say.drip_seconds:
                connection.sendall(whole)
            for byte in whole if say.drip_seconds else b"":
                connection.sendall(bytes([byte]))
                if self._over.wait(say.drip_seconds):
                    return
        except OSError:
            # The client has had enough.
            return
