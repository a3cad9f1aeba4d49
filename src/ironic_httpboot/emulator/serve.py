"""The emulator's service: sockets around `bmc.handle`, and a chassis behind each system.

Knows aiohttp, TLS files, and that one state folder has one emulator. Refuses to know what requests mean.
"""

from __future__ import annotations

import asyncio
import errno
import fcntl
import io
import json
import logging
import os
import secrets
import socket
import ssl
import time
import uuid
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol, TypeAlias

from aiohttp import web

from ironic_httpboot.emulator import bmc
from ironic_httpboot.emulator.chassis import Chassis
from ironic_httpboot.emulator.machine import Specification
from ironic_httpboot.emulator.state import (
    Account,
    Answer,
    EjectMedium,
    InsertMedium,
    Kept,
    Outcome,
    Request,
    Reset,
    ResetMachine,
    State,
    SystemState,
    error_body,
)
from ironic_httpboot.errors import HostError, HttpBootError
from ironic_httpboot.events import Sink

_LOG = logging.getLogger(__name__)
_LARGEST_BODY_BYTES = 1 << 20
_DEEPEST_LEVELS = 32
_NO_HOST = "give an address of this host, or a name that leads to one"
_HINTS = {
    errno.EADDRINUSE: "another program listens there; give another port",
    errno.EADDRNOTAVAIL: "this host does not have that address; `ip address` shows those that it has",
    errno.EACCES: "ports below 1024 are for root, or with the capability CAP_NET_BIND_SERVICE",
}
_STANDING_HEADERS = {"OData-Version": "4.0", "Cache-Control": "no-cache", "Server": "httpboot"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """One emulator. state: a folder. certificate, key: PEM files for https; without them the service speaks http."""

    machines: Sequence[Specification]
    state: Path
    host: str = "127.0.0.1"
    port: int = 8000
    account: Account | None = None
    certificate: Path | None = None
    key: Path | None = None


class Hardware(Protocol):
    """What a BMC sits in front of: a `Chassis`, or whatever else can be switched and told what to boot."""

    @property
    def state(self) -> SystemState:
        """What the BMC shows of it."""

    @property
    def console(self) -> Path | None:
        """Where its serial console is written; None where it is not."""

    def catch_up(self, at: float) -> None:
        """Report what its console has said until now, as having happened by then."""

    def remember(self, kept: Kept) -> None:
        """Take over what the BMC is to keep, for the next boot. Raises HostError."""

    async def insert(self, image: str) -> None:
        """Have an image in the CD drive. Raises HostError."""

    async def eject(self) -> None:
        """Have nothing in the CD drive. Raises HostError."""

    async def resume(self) -> None:
        """Find it again as an earlier process left it. Raises HostError."""

    async def reset(self, kind: Reset) -> None:
        """Do a reset; return when the new power state holds. Raises HostError."""

    async def stop(self) -> None:
        """Switch it off, if it is the emulator's own, and forget nothing."""


Install: TypeAlias = Callable[[Specification, Path, Sink], Hardware]


class Emulator:
    """A Redfish service in front of machines."""

    def __init__(self, settings: Settings, on_event: Sink = lambda event: None, install: Install = Chassis) -> None:
        """install: makes the hardware of one machine from its specification, a folder of its own, and a sink."""
        self._settings = settings
        self._on_event = on_event
        self._install = install
        self._hardware: dict[str, Hardware] = {}
        self._state = State(uuid=str(uuid.uuid4()), systems={}, account=settings.account)
        self._runner: web.ServerRunner | None = None
        self._claim: io.TextIOWrapper | None = None
        self.url = ""

    async def __aenter__(self) -> Emulator:
        await self.start()
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.stop()

    def hardware(self, system_id: str) -> Hardware:
        """The machine behind a system."""
        return self._hardware[system_id]

    async def start(self) -> None:
        """Find machines again, then listen. Raises HostError. Whatever keeps it from that, no machine is left on."""
        try:
            self._claim_state()
            for machine in self._settings.machines:
                hardware = self._install(machine, self._settings.state / machine.id, self._on_event)
                self._hardware[machine.id] = hardware
                await hardware.resume()
            await self._listen()
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Take no more requests and switch all machines off. Fine to call twice."""
        runner, self._runner = self._runner, None
        try:
            if runner is not None:
                await runner.cleanup()
        finally:
            stopping = (hardware.stop() for hardware in self._hardware.values())
            ends = await asyncio.gather(*stopping, return_exceptions=True)
            if self._claim is not None:
                self._claim.close()
                self._claim = None
        for end in ends:
            if end is not None:
                raise end

    def _claim_state(self) -> None:
        """Two emulators on one folder would switch each other's machines."""
        lock = self._settings.state / "lock"
        try:
            self._settings.state.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._claim = lock.open("w")
            fcntl.flock(self._claim, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise HostError(
                f"{self._settings.state}: another emulator runs on this folder", hint="give this one another --state"
            ) from error
        except OSError as error:
            raise HostError(f"{lock}: opened → {error.strerror}") from error

    async def _listen(self) -> None:
        settings = self._settings
        context = self._tls()
        runner = web.ServerRunner(web.Server(self._answer, access_log=None), shutdown_timeout=5)
        await runner.setup()
        self._runner = runner
        try:
            site = web.TCPSite(runner, settings.host or None, settings.port, ssl_context=context, reuse_address=True)
            await site.start()
        except (OSError, UnicodeError) as error:
            where = f"listen on {settings.host or '*'}:{settings.port}"
            raise _cannot_listen(where, error) from error
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        self.url = f"{'https' if context else 'http'}://{host}:{runner.addresses[0][1]}"

    def _tls(self) -> ssl.SSLContext | None:
        if self._settings.certificate is None:
            return None
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        try:
            context.load_cert_chain(self._settings.certificate, self._settings.key)
        except OSError as error:
            raise HostError(f"{self._settings.certificate}: loaded as certificate → {error}") from error
        return context

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        try:
            outcome = await self._decide(request)
        except Exception:
            # One request's trouble is not the service's: whoever asked hears of it in Redfish's words, the log has all.
            _LOG.exception("%s %s", request.method, request.path)
            outcome = Outcome(state=self._state, answer=Answer(status=500, body=error_body("InternalError")))
        if outcome.delay_seconds:
            await asyncio.sleep(outcome.delay_seconds)
        if outcome.lost and request.transport is not None:
            request.transport.abort()
        answer = outcome.answer
        body = b"" if answer.body is None else json.dumps(answer.body).encode()
        headers = {**_STANDING_HEADERS, **answer.headers}
        if body:
            headers["Content-Type"] = "application/json"
        return web.Response(status=answer.status, headers=headers, body=body)

    async def _decide(self, request: web.BaseRequest) -> Outcome:
        origin = request.headers.get("Origin")
        if origin is not None and origin.partition("://")[2] != request.headers.get("Host"):
            # A page of another site, in the browser of somebody who runs this without a password.
            body = error_body("InsufficientPrivilege", said="The request comes from a page of another site.")
            return Outcome(state=self._state, answer=Answer(status=403, body=body))
        try:
            asked = await _read(request)
        except (ValueError, web.RequestPayloadError) as error:
            body = error_body("MalformedJSON", said=f"The request body is no JSON: {error}.")
            return Outcome(state=self._state, answer=Answer(status=400, body=body))
        before = {name: hardware.state for name, hardware in self._hardware.items()}
        outcome = bmc.handle(
            replace(self._state, systems=before), asked, now=time.time(), fresh_token=secrets.token_urlsafe(24)
        )
        _LOG.info("%s %s → %d", asked.method, asked.path, outcome.answer.status)
        try:
            return await self._carry_out(before, outcome)
        except HttpBootError as error:
            _LOG.error("%s", error)
            return replace(outcome, answer=Answer(status=500, body=error_body("InternalError", said=str(error))))

    async def _carry_out(self, before: Mapping[str, SystemState], outcome: Outcome) -> Outcome:
        """Make true what the answer will say. Up to the effects nothing else is answered in between."""
        self._state = outcome.state
        for name, system in outcome.state.systems.items():
            if system.kept != before[name].kept:
                self._hardware[name].remember(system.kept)
        for effect in outcome.effects:
            hardware = self._hardware[effect.system_id]
            match effect:
                case ResetMachine(reset=reset):
                    await hardware.reset(reset)
                case EjectMedium():
                    await hardware.eject()
                case InsertMedium(image=image):
                    try:
                        await hardware.insert(image)
                    except HostError as error:
                        _LOG.error("%s", error)
                        body = error_body("CouldNotEstablishConnection", image, related=["#/Image"], said=str(error))
                        return replace(outcome, answer=Answer(status=400, body=body))
        return outcome


def _cannot_listen(where: str, error: OSError | UnicodeError) -> HostError:
    """What a host name or an address that does not do is called."""
    if isinstance(error, UnicodeError):
        return HostError(f"{where} → is no host name: {error}", hint=_NO_HOST)
    if isinstance(error, socket.gaierror):
        return HostError(f"{where} → {error.strerror}", hint=_NO_HOST)
    # Not strerror, which asyncio has made longer by the address and what it was about to do.
    number = error.errno or 0
    return HostError(f"{where} → {os.strerror(number) if number else error}", hint=_HINTS.get(number))


async def _read(request: web.BaseRequest) -> Request:
    """A request as a value. Raises ValueError where its body is too long, too deep, or no JSON."""
    data = b""
    async for chunk in request.content.iter_chunked(64 * 1024):
        data += chunk
        if len(data) > _LARGEST_BODY_BYTES:
            raise ValueError(f"more than {_LARGEST_BODY_BYTES} bytes")
    return Request(
        method=request.method,
        path=request.path,
        headers={name.lower(): value for name, value in request.headers.items()},
        body=_decoded(data) if data else None,
    )


def _decoded(data: bytes) -> object:
    """JSON that may be walked through without thought of how deep it goes. Raises ValueError."""
    too_deep = f"arrays and objects in more than {_DEEPEST_LEVELS} levels"
    try:
        value: object = json.loads(data)
    except RecursionError:
        raise ValueError(too_deep) from None
    level = [value]
    for _ in range(_DEEPEST_LEVELS):
        level = [inner for each in level for inner in _members(each)]
    if any(isinstance(each, dict | list) for each in level):
        raise ValueError(too_deep)
    return value


def _members(value: object) -> Collection[object]:
    match value:
        case dict():
            return value.values()
        case list():
            return value
        case _:
            return ()
