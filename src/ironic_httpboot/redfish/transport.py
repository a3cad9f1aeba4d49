"""One way to a BMC: requests over sushy's connector, answers as values, failures as our own.

Knows HTTP, TLS and time limits. Refuses to know resources. Every failure names the BMC, the request and what came back;
neither the password nor a URL's secret is in one, or in sushy's log.
"""

from __future__ import annotations

import logging
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

import requests
import sushy.exceptions
from sushy.connector import Connector

from ironic_httpboot.errors import BmcDropped, BmcTlsError, BmcUnreachable, InputError, MalformedAnswer
from ironic_httpboot.redfish.hiding import Hiding
from ironic_httpboot.redfish.resources import Json

_SUSHY_LOGGERS = ("sushy.connector", "sushy.exceptions", "urllib3.connectionpool")
_DROPS = (
    "RemoteDisconnected",
    "Connection aborted",
    "IncompleteRead",
    "Connection reset",
    "Connection broken",
    "Read timed out",
)
_NOTHING_BEHIND = re.compile(r"([a-z]+://)?[\w.-]*(:\d*)?/?")
_GRACE_SECONDS = 0.25
"""What a socket's own time limit gets, so that a request that it ends is ended in order."""
_UNREACHABLE_HINT = "check the BMC's address, its network and its power"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """How a BMC's certificate is verified. ca_file: PEM, instead of the system's own authorities."""

    verify: bool = True
    ca_file: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What is waited for, in seconds: a connection; an answer, its last byte included; in all, a busy BMC; and firmware
    that is to come to UEFI mode.

    A BMC that is dead is reported within answer_seconds and the two that a logout may take; where it dies of a change
    or a reset, after answer_seconds more, in which it is asked what came of that.
    """

    connect_seconds: float = 5.0
    answer_seconds: float = 11.0
    patience_seconds: float = 60.0
    firmware_seconds: float = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An answer of any status. headers: names in lower case. body: decoded JSON, None where there was none."""

    status: int
    headers: Mapping[str, str]
    body: Any = field(repr=False)


def _parsed(url: str) -> tuple[str, str]:
    """A BMC's address as the connector takes it, and its host.

    Raises InputError, which repeats scheme, host and port alone: whatever else stands there may be a password.
    """
    form = "is no URL of the form https://host[:port]"
    hint = "the BMC's own address, with nothing behind it"
    if "@" in url:
        # Wherever it stands: a password with a slash or a question mark in it is read as a path or a query.
        raise InputError(
            "BMC address: has credentials in it",
            hint="give --username, and --password-file or the environment",
        )
    shown = f" {url!r}" if _NOTHING_BEHIND.fullmatch(url) else ""
    try:
        parts = urlsplit(url)
        # The port is read here, as it may be none.
        host, _ = parts.hostname, parts.port
    except ValueError:
        # What Python says quotes the text.
        raise InputError(f"BMC address{shown}: {form}", hint=hint) from None
    if parts.scheme not in ("http", "https") or not host:
        raise InputError(f"BMC address{shown}: {form}", hint=hint)
    address = f"{parts.scheme}://{parts.netloc}"
    if parts.path not in ("", "/") or parts.query or parts.fragment:
        raise InputError(f"BMC address {address}: {form}: something stands behind it", hint=hint)
    try:
        host.encode("idna")
    except UnicodeError as error:
        raise InputError(f"BMC address {address}: {host!r} can be no host's name: {error}") from error
    return address, host


class Transport:
    """Requests to one BMC, one after the other. name: how errors call the BMC. requests: how many were sent."""

    def __init__(self, url: str, tls: Tls | None = None, limits: Limits | None = None) -> None:
        """url: https://host[:port], nothing behind it. Raises InputError."""
        address, host = _parsed(url)
        tls, limits = tls or Tls(), limits or Limits()
        try:
            connector = Connector(
                address,
                verify=(tls.ca_file or True) if tls.verify else False,
                # One attempt: what is tried again, and for how long, is decided where it is known what was asked.
                server_side_retries=1,
                default_request_timeout=limits.answer_seconds,
                connect_timeout=limits.connect_seconds,
            )
        except OSError as error:
            raise InputError(f"BMC CA {tls.ca_file}: {error}") from error
        self._begin(connector, host, limits, lent=False)

    @classmethod
    def over(cls, connector: Connector, limits: Limits | None = None, name: str = "BMC") -> Transport:
        """Requests over a sushy connector that someone else has logged in, and will close."""
        lent = cls.__new__(cls)
        lent._begin(connector, name, limits or Limits(), lent=True)
        return lent

    def _begin(self, connector: Connector, name: str, limits: Limits, *, lent: bool) -> None:
        self.name = name
        self.limits = limits
        self.lent = lent
        self.requests = 0
        self._connector = connector
        self._hiding = Hiding()

    def __enter__(self) -> Transport:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self.lent:
            self._connector.close()

    def hide(self, secret: str) -> None:
        """Keep a secret out of every error and log line from now on."""
        self._hiding.add(secret)

    def use_session(self, token: str) -> None:
        """Send a session's token with every request."""
        self.hide(token)
        self._connector.set_http_session_auth(token)

    def use_password(self, username: str, password: str) -> None:
        """Send a password with every request, in UTF-8 (RFC 7617 §2.1). Raises InputError."""
        if ":" in username:
            raise InputError(
                f"{self.name}: user name: holds a colon, and this BMC has no sessions to log in to",
                hint="HTTP Basic ends the user name at a colon: take another account",
            )
        name, word = (text.encode("utf-8", "surrogateescape") for text in (username, password))
        self._connector.set_http_basic_auth(name, word)

    def use_nothing(self) -> None:
        """Send neither a token nor a password any longer."""
        # requests leaves out a header whose value is None.
        self._connector.set_http_session_auth(None)

    def request(
        self,
        method: str,
        path: str,
        body: Json | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        seconds: float | None = None,
    ) -> Answer:
        """Send a request; return the answer whatever its status is.

        seconds: for all of it, instead of the limit. Raises BmcUnreachable, BmcDropped, BmcTlsError, and
        MalformedAnswer where what was read is not JSON; what a BMC says to a change may be any text.
        """
        limit = self.limits.answer_seconds if seconds is None else seconds
        kept: list[requests.Response] = []

        def keep(response: requests.Response, *_: object, **__: object) -> None:
            kept.append(response)

        def send() -> None:
            # Around the sending and not the waiting: an answer that comes too late is logged without secrets as well.
            with self._quiet():
                getattr(self._connector, method.lower())(
                    path,
                    data=body,
                    headers=dict(headers or {}),
                    timeout=limit,
                    server_side_retries_left=0,
                    allow_redirects=False,
                    hooks={"response": keep},
                )

        self.requests += 1
        try:
            _within(limit + _GRACE_SECONDS, send)
        except TimeoutError:
            raise BmcDropped(
                f"{self.name}: {method} {path} → timed out: no whole answer in {limit:.3g} s",
                hint=_UNREACHABLE_HINT,
            ) from None
        except sushy.exceptions.ConnectionError as error:
            raise self._unreachable(method, path, error) from None
        except Exception:
            # sushy raises for every status of 400 and above, and stumbles over some bodies; the answer is kept.
            if not kept:
                raise
        return self._decoded(method, path, kept[-1])

    def scrub(self, text: str) -> str:
        """A text without the secrets. Cut it afterwards, not before."""
        return self._hiding.scrub(text)

    def _decoded(self, method: str, path: str, response: requests.Response) -> Answer:
        body = None
        if response.content:
            try:
                body = response.json()
            except (ValueError, RecursionError):
                if method == "GET" and response.status_code < 400:
                    kind = response.headers.get("Content-Type", "no type")
                    raise MalformedAnswer(
                        f"{self.name}: {method} {path} → {response.status_code} with {kind} that is no JSON",
                        hint="is this the BMC's address, and does Redfish run on it?",
                    ) from None
        headers = {name.lower(): value for name, value in response.headers.items()}
        return Answer(status=response.status_code, headers=headers, body=body)

    def _unreachable(self, method: str, path: str, error: Exception) -> BmcUnreachable | BmcTlsError:
        cause: BaseException = error
        while (cause.__cause__ or cause.__context__) is not None:
            cause = cause.__cause__ or cause.__context__  # type: ignore[assignment]  # just seen not to be None
        reason = self.scrub(str(getattr(cause, "strerror", None) or cause))
        came = f"{self.name}: {method} {path} → "
        if "certificate" in str(error).lower() or "SSL" in str(error):
            hint = "give the CA that signed the BMC's certificate with --bmc-ca, or use --insecure"
            if "WRONG_VERSION_NUMBER" in str(error):
                hint = "what answers there does not speak TLS: is it http://, or another port?"
            return BmcTlsError(f"{came}TLS: {reason}", hint=hint)
        if any(sign in f"{error} {cause!r}" for sign in _DROPS):
            return BmcDropped(f"{came}{reason}", hint=_UNREACHABLE_HINT)
        return BmcUnreachable(f"{came}{reason}", hint=_UNREACHABLE_HINT)

    @contextmanager
    def _quiet(self) -> Iterator[None]:
        """sushy logs bodies and errors of its own: without the secrets, please."""

        def scrub(record: logging.LogRecord) -> bool:
            record.msg, record.args = self.scrub(record.getMessage()), ()
            return True

        loggers = [logging.getLogger(name) for name in _SUSHY_LOGGERS]
        for logger in loggers:
            logger.addFilter(scrub)
        try:
            yield
        finally:
            for logger in loggers:
                logger.removeFilter(scrub)


def _within(seconds: float, work: Callable[[], None]) -> None:
    """Do work in a thread, and give it up after a time. Raises what it raises, and TimeoutError.

    The limits of a socket are for one reading each, and there is none for finding a name: a BMC that sends a byte now
    and then, or a name server that says nothing, would hold this for ever.
    """
    ended: list[BaseException | None] = []

    def run() -> None:
        try:
            work()
        except BaseException as error:
            ended.append(error)
        else:
            ended.append(None)

    began = time.monotonic()
    thread = threading.Thread(target=run, daemon=True, name="request to a BMC")
    thread.start()
    thread.join(max(0.0, seconds - (time.monotonic() - began)))
    if not ended:
        raise TimeoutError
    if ended[0] is not None:
        raise ended[0]
