"""What an HTTP request for a blob is answered with: a pure function from request and blob to status, headers, content.

Knows methods, preconditions and ranges (RFC 9110 §13, §14), and what firmware wants besides: exact content types, a
body with every refusal, never a redirect. Refuses to know sockets, disks and the clock.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime
from functools import cached_property, lru_cache
from http import HTTPStatus
from urllib.parse import unquote_to_bytes

from ironic_httpboot.blob import Blob, Content, Literal, literal
from ironic_httpboot.blob import length_of as size_of

_READABLE = ("GET", "HEAD")
_MOST_RANGES = 16
_RANGE_SPEC = re.compile(r"[ \t]*(?:([0-9]{1,100})-([0-9]{1,100})?|-([0-9]{1,100}))[ \t]*")
_ENTITY_TAG = re.compile(r'(?:^|,)[ \t]*(W/)?("[\x21\x23-\x7e\x80-\U0010ffff]*")[ \t]*(?=,|$)')
_LATEST_SECOND = int(datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC).timestamp())
_SMALL_CONTENT_BYTES = 64 * 1024

CONDITIONS = ("range", "if-range", "if-match", "if-none-match", "if-unmodified-since", "if-modified-since")
"""The headers on which an answer depends."""

_REASONS = {
    400: "this is no HTTP request",
    404: "not found",
    405: "only GET and HEAD are answered here",
    412: "the file is not, or no longer, what the request names",
    416: "the file ends before this range",
    431: "a line of the request is longer than the 8 KiB that are read here",
    500: "the file behind this address changed and cannot be served; the server's log says more",
    503: "too many connections; try again",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What matters of a request. headers: those of CONDITIONS that it has; repeated ones are joined by commas."""

    method: str
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Response:
    """An answer. content is empty for HEAD, where the headers are those of GET. range: as asked and granted."""

    status: int
    headers: Mapping[str, str]
    content: Content = ()
    range: str | None = None

    @cached_property
    def head(self) -> bytes:
        """Status line and headers as they leave, but for Date, Connection and the empty line at the end."""
        headers = {"Server": "httpboot", "X-Content-Type-Options": "nosniff", **self.headers}
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        return f"HTTP/1.1 {self.status} {HTTPStatus(self.status).phrase}\r\n{lines}".encode("latin-1")

    @cached_property
    def body(self) -> bytes | None:
        """The content where it is small and in memory already, to leave in one piece with the head; else None."""
        match self.content:
            case ():
                return b""
            case (Literal(data),) if len(data) <= _SMALL_CONTENT_BYTES:
                return data
            case _:
                return None


@dataclass(frozen=True, kw_only=True)
class Representation:
    """What stands behind a URL. machine: whom it was published for, or "". modified: whole seconds since the epoch.

    label: the path as logs may show it.
    """

    blob: Blob
    content_type: str
    modified: int
    machine: str = ""
    label: str = ""

    @cached_property
    def validators(self) -> Mapping[str, str]:
        """The headers that every answer about it has."""
        return {"ETag": self.blob.etag, "Last-Modified": http_date(self.modified), "Accept-Ranges": "bytes"}

    @cached_property
    def whole(self) -> Mapping[str, Response]:
        """The answer to each method when nothing is asked but everything. Kept, since most requests are such."""
        size = str(self.blob.size_bytes)
        headers = {**self.validators, "Content-Type": self.content_type, "Content-Length": size}
        return {
            "GET": Response(status=200, headers=headers, content=self.blob.extents),
            "HEAD": Response(status=200, headers=headers),
        }


@lru_cache(maxsize=4096)
def segments(raw_path: str) -> tuple[str, ...] | None:
    """The names in a request's path, decoded, or None where it can name nothing.

    raw_path: as on the request line. Empty names vanish, so that // is served as /; shim asks so (shim 16.1, 2026-08).
    """
    path = raw_path.partition("?")[0].partition("#")[0]
    if not path.startswith("/"):  # absolute form, RFC 9112 §3.2.2
        path = path.partition("://")[2].partition("/")[2]
    try:
        decoded = unquote_to_bytes(path).decode("utf-8")
    except UnicodeError:
        return None
    names = tuple(name for name in decoded.split("/") if name not in ("", "."))
    return None if not names or ".." in names or "\0" in decoded else names


def respond(request: Request, found: Representation | None) -> Response:
    """Answer a request for what was found behind its path."""
    if request.method not in _READABLE:
        return refuse(405, request.method, {"Allow": ", ".join(_READABLE)})
    if found is None:
        return refuse(404, request.method)
    if not request.headers:
        return found.whole[request.method]
    status = _precondition(request, found)
    if status == 304:
        return Response(status=304, headers=found.validators)
    if status is not None:
        return refuse(status, request.method, found.validators)
    ranges = _ranges(request, found)
    if ranges is None:
        return found.whole[request.method]
    if not ranges:
        return refuse(416, request.method, {**found.validators, "Content-Range": f"bytes */{found.blob.size_bytes}"})
    return _partial(found, ranges)


def refuse(status: int, method: str, headers: Mapping[str, str] | None = None) -> Response:
    """A refusal with a body of text: shim hangs on a 404 that has none (shim 16.1, 2026-08)."""
    body = f"{status} {_REASONS[status]}\n".encode()
    own = {"Content-Type": "text/plain", "Content-Length": str(len(body))}
    return Response(
        status=status, headers={**(headers or {}), **own}, content=() if method == "HEAD" else literal(body)
    )


def _precondition(request: Request, found: Representation) -> int | None:
    """The status that a precondition demands, or None to go on (RFC 9110 §13.2.2)."""
    headers = request.headers
    if (if_match := headers.get("if-match")) is not None:
        if not _matches(if_match, found.blob.etag, weak=False):
            return 412
    elif (since := _moment(headers.get("if-unmodified-since"))) is not None and found.modified > since:
        return 412
    if (if_none_match := headers.get("if-none-match")) is not None:
        return 304 if _matches(if_none_match, found.blob.etag, weak=True) else None
    since = _moment(headers.get("if-modified-since"))
    return 304 if since is not None and found.modified <= since else None


def _matches(header: str, etag: str, *, weak: bool) -> bool:
    if header.strip() == "*":
        return True
    return any(tag == etag and (weak or not prefix) for prefix, tag in _ENTITY_TAG.findall(header))


def _ranges(request: Request, found: Representation) -> list[tuple[int, int]] | None:
    """The ranges to send as (start, end), [] where none can be satisfied, None to send everything."""
    header = request.headers.get("range")
    if header is None or request.method != "GET":
        return None
    unit, _, specs = header.partition("=")
    size = found.blob.size_bytes
    # Of nothing there is no range to send, and clients that ask for ranges of everything want to hear just that.
    if unit.strip().lower() != "bytes" or size == 0 or not _range_still_holds(request, found):
        return None
    ranges = []
    for spec in specs.split(","):
        if not spec.strip():
            continue
        match = _RANGE_SPEC.fullmatch(spec)
        if match is None:
            return None
        first, last, suffix = match.groups()
        if suffix is not None:
            start, end = max(0, size - int(suffix)), size
        else:
            start, end = int(first), min(int(last) + 1 if last else size, size)
            if last and int(last) < int(first):
                return None
        if start < end:
            ranges.append((start, end))
    if len(ranges) > 1 and any(a[1] >= b[0] for a, b in zip(sorted(ranges), sorted(ranges)[1:], strict=False)):
        ranges = list(_joined(sorted(ranges)))
    return None if len(ranges) > _MOST_RANGES or not specs.strip(" \t,") else ranges


def _joined(ranges: list[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Sorted ranges with those that touch made one, so that no byte is sent twice."""
    start, end = ranges[0]
    for next_start, next_end in ranges[1:]:
        if next_start > end:
            yield start, end
            start, end = next_start, next_end
        end = max(end, next_end)
    yield start, end


def _range_still_holds(request: Request, found: Representation) -> bool:
    """If-Range: a strong ETag, or the date exactly (RFC 9110 §13.1.5)."""
    condition = request.headers.get("if-range")
    if condition is None:
        return True
    if '"' in condition:
        return condition.strip() == found.blob.etag
    return _moment(condition) == found.modified


def _partial(found: Representation, ranges: list[tuple[int, int]]) -> Response:
    blob, size = found.blob, found.blob.size_bytes
    shown = ", ".join(f"{start}-{end - 1}" for start, end in ranges)
    if len(ranges) == 1:
        start, end = ranges[0]
        headers = {
            **found.validators,
            "Content-Type": found.content_type,
            "Content-Range": f"bytes {start}-{end - 1}/{size}",
            "Content-Length": str(end - start),
        }
        return Response(status=206, headers=headers, content=tuple(blob.cut(start, end)), range=shown)
    boundary = f"part-{blob.etag.strip(chr(34))}"
    content: Content = ()
    for start, end in ranges:
        part = f"\r\n--{boundary}\r\nContent-Type: {found.content_type}\r\n"
        part += f"Content-Range: bytes {start}-{end - 1}/{size}\r\n\r\n"
        content += (*literal(part.encode()), *blob.cut(start, end))
    content += literal(f"\r\n--{boundary}--\r\n".encode())
    headers = {
        **found.validators,
        "Content-Type": f"multipart/byteranges; boundary={boundary}",
        "Content-Length": str(size_of(content)),
    }
    return Response(status=206, headers=headers, content=content, range=shown)


@lru_cache(maxsize=4096)
def http_date(seconds: int) -> str:
    """A moment as headers show it. seconds: since the epoch."""
    return format_datetime(datetime.fromtimestamp(min(max(seconds, 0), _LATEST_SECOND), UTC), usegmt=True)


def _moment(header: str | None) -> int | None:
    """Seconds since the epoch, or None where the header is missing or no date: then it counts as absent."""
    if header is None:
        return None
    try:
        moment = parsedate_to_datetime(header)
        # The asctime form names no zone: it is GMT all the same (RFC 9110 §5.6.7).
        return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())
    except (ValueError, OverflowError):
        return None
