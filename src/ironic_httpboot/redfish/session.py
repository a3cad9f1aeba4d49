"""A BMC that one is logged in at: its resources, and requests with patience.

Knows login and logout, how systems are found, and which answers mean "ask again": 503 and Retry-After, a machine in
POST, a dropped connection, an ETag that is not taken, a task. Refuses to know what is asked for.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import NoReturn
from urllib.parse import quote, urljoin, urlsplit

from ironic_httpboot.errors import (
    BmcAccessDenied,
    BmcBusy,
    BmcDropped,
    BmcError,
    BmcFailed,
    BmcRefused,
    BmcUnreachable,
    InputError,
    MalformedAnswer,
)
from ironic_httpboot.redfish.resources import (
    ROOT,
    Json,
    Resource,
    ServiceRoot,
    System,
    error_of,
    kind_of,
    message_ids,
    read_root,
    read_system,
    read_task,
    related,
)
from ironic_httpboot.redfish.steps import conditions
from ironic_httpboot.redfish.transport import Answer, Transport

LOG = logging.getLogger(__name__)

_NO_SESSIONS = (404, 405, 501)
_CONDITION_FAILED = (412, 428)
_BUSY = (429, 503)
_IN_POST = "UnableToModifyDuringSystemPOST"
_DROPS_FORGIVEN = 2
_LOGOUT_SECONDS = 2.0
_BUSY_SECONDS = 3.0
_TASK_SECONDS = 1.0
_TASK_OVER = ("Completed", "Exception", "Killed", "Cancelled")


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """Who logs in at a BMC."""

    username: str
    password: str = field(repr=False)


class Bmc:
    """A BMC, logged in at while the with statement lasts, and never longer."""

    def __init__(self, transport: Transport, credentials: Credentials | None = None) -> None:
        self.name = transport.name
        self._transport = transport
        self._credentials = credentials
        self._session: str | None = None
        self._given_up = False
        self._root: ServiceRoot | None = None
        self._patience_left = transport.limits.patience_seconds
        self.firmware_seconds = transport.limits.firmware_seconds
        self._etags: dict[str, str | None] = {}
        if credentials is not None:
            transport.hide(credentials.password)

    def __enter__(self) -> Bmc:
        """Log in. Raises BmcError, InputError."""
        if self._credentials is not None:
            root, who = self._service(), self._credentials
            try:
                self._whole(lambda: self._log_in(root, who))
            except BaseException as error:
                self.__exit__(type(error), error, None)
                raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        session, self._session = self._session, None
        try:
            if session is not None:
                self._whole(lambda: self._log_out(session, error))
        finally:
            # A token of a session that is over would be refused with the next login over this transport.
            if self._credentials is not None:
                self._transport.use_nothing()

    def log_in_again(self) -> bool:
        """Log in anew after the BMC has ended our session; False where it was none of ours. Raises BmcError."""
        if self._credentials is None:
            return False
        self._session = None
        self._transport.use_nothing()  # some BMCs refuse a login that comes with a token they do not know
        root, who = self._service(), self._credentials
        self._whole(lambda: self._log_in(root, who))
        return True

    def _log_out(self, session: str, error: BaseException | None) -> None:
        # A BMC that has just not answered gets a moment, so that its death is reported in time.
        seconds = _LOGOUT_SECONDS if isinstance(error, BmcUnreachable) else None
        try:
            answer = self._transport.request("DELETE", session, seconds=seconds)
            if answer.status in _BUSY and error is None:
                self.exchange("DELETE", session)
        except BmcError:
            if error is None:
                raise

    def _whole(self, work: Callable[[], None]) -> None:
        """Do work to its end although Ctrl-C comes meanwhile, so that no session is left; a second one cuts it short.

        Signals come to the main thread: in one of its own, what the BMC answers is never lost between two lines.
        """
        failed: list[BaseException] = []
        ended = threading.Event()

        def run() -> None:
            try:
                work()
            except BaseException as error:
                failed.append(error)
            finally:
                ended.set()

        threading.Thread(target=run, daemon=True, name="session with a BMC").start()
        try:
            # Not join: interrupted once, it takes a thread for ended that is not (CPython 3.11, threading.py).
            ended.wait()
        except BaseException:
            self._given_up = True
            ended.wait(self._transport.limits.answer_seconds)
            raise
        if failed:
            raise failed[0]

    def system(self, system_id: str | None = None) -> System:
        """The system with an id or at a path, or the only one. Raises BmcError, InputError where there are several."""
        if system_id is not None and system_id.startswith("/"):
            return read_system(self.read(system_id))
        collection = self._service().systems.rstrip("/")
        if system_id is not None:
            # Nearly every BMC names its members so, and then the collection need not be read.
            found = self.find(f"{collection}/{quote(system_id, safe='')}")
            if found is not None:
                return read_system(found)
        listed = self.read(collection)
        paths = listed.all_members(self.read)
        ids = [path.rstrip("/").rpartition("/")[2] for path in paths]
        # One that is listed need not be the only one: without a name it would be the wrong machine that is booted.
        if system_id is None and len(paths) == 1 >= listed.counted:
            return read_system(self.read(paths[0]))
        number = max(len(paths), listed.counted)
        raise InputError(
            f"{self.name}: {collection}: Members has {number} systems: {', '.join(ids) or 'none'}"
            + (f"; none is named {system_id!r}" if system_id else ""),
            hint="name one of them with --system",
        )

    def read(self, path: str) -> Resource:
        """Read a resource. Raises BmcError."""
        return self._resource(path, self.exchange("GET", path))

    def find(self, path: str) -> Resource | None:
        """Read a resource, None where there is none. Raises BmcError."""
        answer = self.exchange("GET", path)
        return None if answer.status == 404 else self._resource(path, answer)

    def patch(self, path: str, body: Json, etag: str | None, *, follow: bool = True) -> Answer:
        """Change a resource with If-Match of its newest ETag; return the last answer, whatever its status is.

        etag: as it was read; a newer one that was seen since is taken instead. follow: wait for the task that it may
        become.
        """
        for value in _urls(body):
            self._transport.hide(value)
        answer = self._patch_if(path, body, self._etags.get(path, etag))
        if answer.status in _CONDITION_FAILED:
            # Either someone else changed it, or this BMC compares ETags in a way of its own.
            for condition in conditions(self.read(path).etag):
                answer = self._patch_if(path, body, condition)
                if answer.status not in _CONDITION_FAILED:
                    break
        self._etags.pop(path, None)
        if answer.status < 300 and isinstance(answer.headers.get("etag"), str):
            self._etags[path] = answer.headers["etag"]
        return self._followed("PATCH", path, answer) if follow else answer

    def post(self, path: str, body: Json) -> None:
        """Do an action once. Raises BmcError, and BmcDropped where it may have been done or not."""
        answer = self.exchange("POST", path, body, again=False)
        self.check("POST", path, answer, about=body)
        self._followed("POST", path, answer)

    def delete(self, path: str) -> None:
        """Delete a resource; one that is gone already is fine. Raises BmcError."""
        answer = self.exchange("DELETE", path)
        if answer.status != 404:
            self.check("DELETE", path, answer)

    def exchange(
        self,
        method: str,
        path: str,
        body: Json | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        again: bool = True,
    ) -> Answer:
        """Send a request, again where the BMC is busy or drops the connection; return the answer.

        again: whether it does no harm to send it twice. Raises BmcBusy, BmcUnreachable, and BmcDropped where it may
        have been done or not.
        """
        drops = 0
        last = time.monotonic() + self._transport.limits.answer_seconds
        while True:
            try:
                answer = self._transport.request(method, path, body, headers, seconds=max(0.1, last - time.monotonic()))
            except BmcDropped:
                drops += 1
                if not again or drops > _DROPS_FORGIVEN or last - time.monotonic() < 1:
                    raise
                time.sleep(0.2 * drops)
                continue
            pause = _pause_asked_for(answer)
            if pause is None:
                return answer
            self.pause(pause, f"{method} {path} → {self.said(answer)}")
            last = time.monotonic() + self._transport.limits.answer_seconds

    def pause(self, seconds: float, why: str) -> None:
        """Wait at a BMC's wish, out of the patience that is left. Raises BmcBusy."""
        if seconds > self._patience_left or self._given_up:
            raise BmcBusy(
                f"{self.name}: {why}: would have to wait {seconds:g} s,"
                f" {max(0.0, self._patience_left):.3g} s are left of {self._transport.limits.patience_seconds:g}",
                hint="ask again later, or give it more with --patience",
            )
        self._patience_left -= seconds
        time.sleep(seconds)

    def said(self, answer: Answer) -> str:
        """The status of an answer and the id of its message, without secrets."""
        return f"{answer.status} {self._words(error_of(answer.body)[0], 100)}".rstrip()

    def check(self, method: str, path: str, answer: Answer, *, about: Iterable[str] = ()) -> None:
        """Raise what an answer of 300 or more means.

        about: the attributes that were sent, which are named where the answer names none.
        """
        if answer.status >= 300:
            self._refuse(method, path, answer, tuple(about))

    def _words(self, said: str, most: int) -> str:
        """A BMC's own words: scrubbed first and cut then, as half a secret is not recognised."""
        return self._transport.scrub(said)[:most]

    def _refuse(self, method: str, path: str, answer: Answer, about: tuple[str, ...]) -> NoReturn:
        message_id, message = error_of(answer.body)
        said = self._words(" ".join(filter(None, (message_id, f"({message})" if message else ""))), 400)
        named = related(answer.body) or about
        if not any(name.rpartition("/")[2] in said for name in named):
            said = f"{said} [{self._words(', '.join(named), 200)}]".lstrip() if named else said
        came = f"{self.name}: {method} {path} → {answer.status} {said}".rstrip()
        if answer.status in (401, 403):
            raise BmcAccessDenied(came, hint="check --username and the password")
        if answer.status == 409:
            raise BmcRefused(
                came, hint="a job may wait for the next reset: httpboot clear deletes our own; else reset the machine"
            )
        if answer.status < 400:
            raise BmcRefused(came, hint=_elsewhere(answer))
        raise (BmcFailed if answer.status >= 500 else BmcRefused)(came)

    def _service(self) -> ServiceRoot:
        if self._root is None:
            self._root = read_root(self.read(ROOT))
        return self._root

    def _log_in(self, root: ServiceRoot, credentials: Credentials) -> None:
        if root.sessions is not None:
            wanted = {"UserName": credentials.username, "Password": credentials.password}
            answer = self.exchange("POST", root.sessions, wanted, again=False)
            if answer.status not in _NO_SESSIONS:
                self.check("POST", root.sessions, answer, about=("UserName", "Password"))
                token = answer.headers.get("x-auth-token")
                if not token:
                    raise MalformedAnswer(f"{self.name}: POST {root.sessions} → no X-Auth-Token came back")
                self._transport.use_session(token)
                self._session = _location(answer, root.sessions) or self._only_session(
                    root.sessions, credentials.username
                )
                return
        self._transport.use_password(credentials.username, credentials.password)

    def _only_session(self, sessions: str, username: str) -> str | None:
        """The session that a BMC does not tell the place of: it can be told only where it has no other."""
        with contextlib.suppress(BmcError):
            members = self.read(sessions).members()
            if len(members) == 1 and self.read(members[0]).body.get("UserName") == username:
                return members[0]
        LOG.warning(
            "%s: POST %s → no Location: the session stays open until the BMC ends it by itself", self.name, sessions
        )
        return None

    def _resource(self, path: str, answer: Answer) -> Resource:
        self.check("GET", path, answer)
        if not isinstance(answer.body, dict):
            raise MalformedAnswer(
                f"{self.name}: GET {path} → the whole answer is {kind_of(answer.body)}, not an object"
            )
        etag = answer.headers.get("etag") or answer.body.get("@odata.etag")
        etag = etag if isinstance(etag, str) and etag.isascii() and etag.isprintable() else None
        self._etags[path] = etag
        return Resource(path=path, etag=etag, body=answer.body)

    def _patch_if(self, path: str, body: Json, etag: str | None) -> Answer:
        return self.exchange("PATCH", path, body, {"If-Match": etag} if etag else None)

    def _followed(self, method: str, path: str, answer: Answer) -> Answer:
        """Where an answer is a task under way (202), wait for its end. Raises BmcRefused where it failed."""
        if answer.status != 202:
            return answer
        monitor = _location(answer, path)
        while monitor is not None:
            seen = self.exchange("GET", monitor)
            task = read_task(seen.body)
            if seen.status == 404 or (seen.status != 202 and task.state in ("", *_TASK_OVER)):
                if task.state in ("Exception", "Killed", "Cancelled") or task.status == "Critical":
                    said = f"TaskState is {task.state}: {self._words(task.said, 200)}".rstrip(": ")
                    raise BmcRefused(f"{self.name}: {method} {path} → 202, and then {monitor}: {said}")
                break
            self.pause(
                _seconds_of(seen) or _TASK_SECONDS,
                f"{method} {path} → {monitor}: TaskState is {self._words(task.state, 60) or 202}",
            )
        return answer


def _elsewhere(answer: Answer) -> str:
    """What to do about a redirect, with scheme, host and port alone of where it leads."""
    try:
        parts = urlsplit(answer.headers.get("location", ""))
    except ValueError:
        parts = urlsplit("")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return "is this the BMC's address, and does Redfish run on it?"
    return f"the BMC sends on to {parts.scheme}://{parts.netloc.rpartition('@')[2]}: give that address with --bmc"


def _location(answer: Answer, asked: str) -> str | None:
    """Where a new session or a task under way can be asked for, as a path of the same BMC.

    Its path alone, with one slash: what is sent there has the token, which is not for any other host.
    """
    where = answer.headers.get("location")
    if not where and isinstance(answer.body, dict):
        where = answer.body.get("@odata.id")
    if not isinstance(where, str) or not where:
        return None
    with contextlib.suppress(ValueError):
        # With two slashes some write a path, and RFC 3986 reads a host.
        path = where if where.startswith("//") else urlsplit(urljoin(asked, where)).path
        return "/" + path.lstrip("/") if path.strip("/") else None
    return None


def _pause_asked_for(answer: Answer) -> float | None:
    """How long to wait before asking again, None where the answer stands."""
    if answer.status in _BUSY:
        return _seconds_of(answer) or _BUSY_SECONDS
    if answer.status >= 400 and _IN_POST in message_ids(answer.body):
        return _seconds_of(answer) or _BUSY_SECONDS
    return None


def _seconds_of(answer: Answer) -> float | None:
    """Retry-After, where it is a number of seconds."""
    given = answer.headers.get("retry-after", "")
    return float(given) if given.isascii() and given.isdigit() else None


def _urls(body: Json) -> list[str]:
    """The values in a body that may be secret: URLs."""
    parts = [part for part in body.values() if isinstance(part, Mapping)]
    return [value for part in parts for value in part.values() if isinstance(value, str) and "://" in value]
