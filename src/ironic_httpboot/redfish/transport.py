"""One way to a BMC: requests over sushy's connector, answers as values, failures as our own.

Knows HTTP, TLS and time limits. Refuses to know resources. Every failure names the BMC, the request and what came back;
neither the password nor a URL's secret is in one, or in sushy's log.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

import requests
import sushy.exceptions
from sushy.connector import Connector

from ironic_httpboot.errors import BmcTlsError, BmcUnreachable, InputError, MalformedAnswer
from ironic_httpboot.redfish.resources import Json

_SUSHY_LOGGERS = ("sushy.connector", "sushy.exceptions", "urllib3.connectionpool")
_HIDDEN = "***"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """How a BMC's certificate is verified. ca_file: PEM, instead of the system's own authorities."""

    verify: bool = True
    ca_file: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Seconds for a connection to come about, and for each answer."""

    connect_seconds: float = 10.0
    answer_seconds: float = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An answer of any status. headers: names in lower case. body: decoded JSON, None where there was none."""

    status: int
    headers: Mapping[str, str]
    body: Any = field(repr=False)


class Transport:
    """Requests to one BMC, one after the other. name: how errors call the BMC."""

    def __init__(self, url: str, tls: Tls | None = None, limits: Limits | None = None) -> None:
        """url: https://host[:port], nothing behind it. Raises InputError."""
        parts = urlsplit(url)
        if (
            parts.scheme not in ("http", "https")
            or not parts.hostname
            or parts.username is not None
            or parts.path not in ("", "/")
        ):
            raise InputError(
                f"BMC address {parts.hostname or url!r}: is no URL of the form https://host",
                hint="credentials have options of their own",
            )
        tls, limits = tls or Tls(), limits or Limits()
        self.name = parts.hostname
        self._last: requests.Response | None = None
        self._secrets: list[str] = []
        self.requests = 0
        try:
            self._connector = Connector(
                f"{parts.scheme}://{parts.netloc}",
                verify=(tls.ca_file or True) if tls.verify else False,
                response_callback=self._keep,
                server_side_retries=1,
                default_request_timeout=limits.answer_seconds,
                connect_timeout=limits.connect_seconds,
            )
        except OSError as error:
            raise InputError(f"BMC CA {tls.ca_file}: {error}") from error

    def __enter__(self) -> Transport:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connector.close()

    def hide(self, secret: str) -> None:
        """Keep a secret out of every error and log line from now on."""
        if secret:
            self._secrets.append(secret)

    def use_session(self, token: str) -> None:
        """Send a session's token with every request."""
        self.hide(token)
        self._connector.set_http_session_auth(token)

    def use_password(self, username: str, password: str) -> None:
        """Send a password with every request."""
        self._connector.set_http_basic_auth(username, password)

    def request(
        self, method: str, path: str, body: Json | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """Send a request; return the answer whatever its status is.

        Raises BmcUnreachable, BmcTlsError, and MalformedAnswer where a body is not JSON.
        """
        send = getattr(self._connector, method.lower())
        self._last = None
        self.requests += 1
        with self._quiet():
            try:
                send(path, data=body, headers=dict(headers or {}), allow_redirects=False)
            except sushy.exceptions.ConnectionError as error:
                raise self._unreachable(method, path, error) from None
            except Exception:
                # sushy raises for every status of 400 and above, and stumbles over some bodies; the answer is kept.
                if self._last is None:
                    raise
        return self._decoded(method, path)

    def scrub(self, text: str) -> str:
        """A text without the secrets."""
        for secret in self._secrets:
            text = text.replace(secret, _HIDDEN)
        return text

    def _keep(self, response: requests.Response) -> None:
        self._last = response

    def _decoded(self, method: str, path: str) -> Answer:
        response = self._last
        if response is None:
            raise MalformedAnswer(f"{self.name}: {method} {path} → no answer")
        body = None
        if response.content:
            try:
                body = response.json()
            except ValueError as error:
                if response.status_code < 400:
                    kind = response.headers.get("Content-Type", "no type")
                    raise MalformedAnswer(
                        f"{self.name}: {method} {path} → {response.status_code} with {kind} that is no JSON",
                        hint="is this the BMC's address, and does Redfish run on it?",
                    ) from error
        headers = {name.lower(): value for name, value in response.headers.items()}
        return Answer(status=response.status_code, headers=headers, body=body)

    def _unreachable(self, method: str, path: str, error: Exception) -> BmcUnreachable | BmcTlsError:
        cause: BaseException = error
        while (cause.__cause__ or cause.__context__) is not None:
            cause = cause.__cause__ or cause.__context__  # type: ignore[assignment]  # just seen not to be None
        reason = self.scrub(str(getattr(cause, "strerror", None) or cause))
        if "certificate" in str(error).lower() or "SSL" in str(error):
            return BmcTlsError(
                f"{self.name}: {method} {path} → TLS: {reason}",
                hint="give the CA that signed the BMC's certificate with --bmc-ca, or use --insecure",
            )
        return BmcUnreachable(
            f"{self.name}: {method} {path} → {reason}", hint="check the BMC's address, its network and its power"
        )

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
