"""Has a BMC boot a URL: logs in, finds the system, takes the steps of a plan, reads back, resets.

Knows the order of requests and how to word what a BMC refuses. Refuses to know vendors and how steps are chosen.
Blocking, and for one thread at a time.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import assert_never
from urllib.parse import quote

from ironic_httpboot.errors import (
    BmcAccessDenied,
    BmcError,
    BmcRefused,
    InputError,
    MalformedAnswer,
    OverrideNotTaken,
)
from ironic_httpboot.events import Reached, Sink, Stage
from ironic_httpboot.model import BootUrl
from ironic_httpboot.redfish.plan import Expect, Patch, Reset, Step, differences, plan
from ironic_httpboot.redfish.resources import (
    ROOT,
    Json,
    Resource,
    ServiceRoot,
    System,
    error_of,
    read_root,
    read_system,
)
from ironic_httpboot.redfish.transport import Answer, Transport

_NO_SESSIONS = (404, 405, 501)


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """Who logs in at a BMC."""

    username: str
    password: str = field(repr=False)


class Bmc:
    """A BMC, logged in at while the with statement lasts."""

    def __init__(self, transport: Transport, credentials: Credentials | None = None) -> None:
        self._transport = transport
        self._credentials = credentials
        self._session: str | None = None
        self._root: ServiceRoot | None = None
        if credentials is not None:
            transport.hide(credentials.password)

    def __enter__(self) -> Bmc:
        """Read the service root and log in. Raises BmcError."""
        self._root = read_root(self._read(ROOT))
        if self._credentials is not None:
            self._log_in(self._root, self._credentials)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        session, self._session = self._session, None
        if session is not None:
            try:
                self._transport.request("DELETE", session)
            except BmcError:
                if error is None:
                    raise

    def system(self, system_id: str | None = None) -> System:
        """The system with an id, or the only one. Raises BmcError, InputError where there are several."""
        assert self._root is not None, "use a Bmc in a with statement"
        collection = self._root.systems.rstrip("/")
        if system_id is not None:
            # Nearly every BMC names its members so, and then the collection need not be read.
            path = f"{collection}/{quote(system_id, safe='')}"
            answer = self._transport.request("GET", path)
            if answer.status != 404:
                return read_system(self._resource(path, answer))
        paths = self._read(collection).members()
        ids = [path.rstrip("/").rpartition("/")[2] for path in paths]
        if system_id is None and len(paths) == 1:
            return read_system(self._read(paths[0]))
        raise InputError(
            f"{self._transport.name}: has {len(paths)} systems: {', '.join(ids) or 'none'}"
            + (f"; none is named {system_id!r}" if system_id else ""),
            hint="name one of them with --system",
        )

    def take(self, step: Step) -> None:
        """Take one step of a plan. Raises BmcRefused, OverrideNotTaken and other BmcErrors."""
        match step:
            case Patch(path=path, body=body, etag=etag):
                self._patch(path, body, etag)
            case Expect(path=path):
                found = read_system(self._read(path)).boot
                if wrong := differences(step, found):
                    raise OverrideNotTaken(
                        f"{self._transport.name}: PATCH {path} was accepted, but reading it back: {'; '.join(wrong)}",
                        hint="the machine was not reset; look for a firmware update of the BMC",
                    )
            case Reset(path=path, kind=kind):
                self._checked("POST", path, {"ResetType": kind})
            case _:
                assert_never(step)

    def _patch(self, path: str, body: Json, etag: str | None) -> None:
        headers = {"If-Match": etag} if etag else {}
        for value in _strings(body):
            self._transport.hide(value)
        self._checked("PATCH", path, body, headers)

    def _log_in(self, root: ServiceRoot, credentials: Credentials) -> None:
        if root.sessions is not None:
            wanted = {"UserName": credentials.username, "Password": credentials.password}
            answer = self._transport.request("POST", root.sessions, wanted)
            if answer.status not in _NO_SESSIONS:
                self._check("POST", root.sessions, answer)
                token = answer.headers.get("x-auth-token")
                if not token:
                    raise MalformedAnswer(f"{self._transport.name}: POST {root.sessions} → no X-Auth-Token came back")
                self._session = answer.headers.get("location")
                self._transport.use_session(token)
                return
        self._transport.use_password(credentials.username, credentials.password)

    def _read(self, path: str) -> Resource:
        return self._resource(path, self._transport.request("GET", path))

    def _resource(self, path: str, answer: Answer) -> Resource:
        self._check("GET", path, answer)
        if not isinstance(answer.body, dict):
            raise MalformedAnswer(f"{self._transport.name}: GET {path} → no JSON object")
        etag = answer.headers.get("etag") or answer.body.get("@odata.etag")
        return Resource(path=path, etag=etag if isinstance(etag, str) else None, body=answer.body)

    def _checked(
        self, method: str, path: str, body: Json | None = None, headers: dict[str, str] | None = None
    ) -> Answer:
        answer = self._transport.request(method, path, body, headers)
        self._check(method, path, answer)
        return answer

    def _check(self, method: str, path: str, answer: Answer) -> None:
        """Raise what an answer of 300 or more means."""
        if answer.status < 300:
            return
        message_id, message = error_of(answer.body)
        said = self._transport.scrub(" ".join(filter(None, (message_id, f"({message})" if message else ""))))
        came = f"{self._transport.name}: {method} {path} → {answer.status} {said}".rstrip()
        if answer.status in (401, 403):
            raise BmcAccessDenied(came, hint="check --username and the password")
        raise BmcRefused(came)


def _strings(body: Json) -> list[str]:
    """The values in a body that may be secret: URLs."""
    return [value for value in body.get("Boot", {}).values() if isinstance(value, str) and "://" in value]


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What was done, or would be. system: its id."""

    bmc: str
    system: str
    power: str | None
    steps: tuple[Step, ...]
    done: bool


def boot(
    transport: Transport,
    url: BootUrl,
    *,
    credentials: Credentials | None = None,
    system_id: str | None = None,
    persistent: bool = False,
    reset: bool = True,
    dry_run: bool = False,
    on_event: Sink = lambda event: None,
    clock: Callable[[], float] = time.time,
) -> Report:
    """Have a machine boot a URL once (or until told otherwise), read the override back, and reset it.

    Raises InputError, BmcError. After an error the machine was not reset, unless the reset itself failed.
    """
    with Bmc(transport, credentials) as bmc:
        system = bmc.system(system_id)
        steps = plan(system, url, persistent=persistent, reset=reset)
        for step in steps:
            if dry_run:
                break
            bmc.take(step)
            for stage, detail in _reached(step, system):
                on_event(Reached(at=clock(), machine=system.id, stage=stage, detail=detail))
        return Report(bmc=transport.name, system=system.id, power=system.power, steps=steps, done=not dry_run)


def _reached(step: Step, system: System) -> list[tuple[Stage, str]]:
    match step:
        case Patch(path=path):
            return [(Stage.BMC_ASKED, f"PATCH {path}: UefiHttp, with the URL")]
        case Expect():
            return [(Stage.READ_BACK, "the BMC shows what it was sent")]
        case Reset():
            return []
        case _:
            assert_never(step)
