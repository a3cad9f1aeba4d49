"""A request and a blob become status, headers and slices (RFC 9110)."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from email.utils import format_datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ironic_httpboot.blob import Blob, Content, Literal, Zeros
from ironic_httpboot.http.respond import Representation, Request, Response, refuse, respond, segments

DATA = bytes(range(100)) * 3 + bytes(50) + b"the end"
MODIFIED = int(datetime(1994, 11, 6, 8, 49, 37, tzinfo=UTC).timestamp())
DATE = "Sun, 06 Nov 1994 08:49:37 GMT"
LATER = "Sun, 06 Nov 1994 08:49:38 GMT"
EARLIER = "Sun, 06 Nov 1994 08:49:36 GMT"
ETAG = '"0123abcd"'

FOUND = Representation(
    blob=Blob.of((Literal(DATA[:300]), Zeros(50), Literal(b"the end")), etag=ETAG),
    content_type="application/vnd.efi-iso",
    modified=MODIFIED,
    machine="node-1",
    label="/…/node-1.iso",
)
EMPTY = Representation(blob=Blob.of((), etag=ETAG), content_type="application/efi", modified=MODIFIED)


def ask(method: str = "GET", found: Representation | None = FOUND, **headers: str) -> Response:
    """Ask with headers whose names are written with _ for -."""
    return put(method, headers, found)


def put(method: str, headers: dict[str, str], found: Representation | None = FOUND) -> Response:
    named = {name.replace("_", "-"): each for name, each in headers.items()}
    return respond(Request(method=method, headers=named), found)


def content(answer: Response) -> bytes:
    return Blob.of(answer.content).read_at(0, 1 << 20)


# What is sent


def test_get_sends_everything_with_exact_headers() -> None:
    answer = ask()
    assert (answer.status, content(answer), answer.range) == (200, DATA, None)
    assert answer.headers == {
        "ETag": ETAG,
        "Last-Modified": DATE,
        "Accept-Ranges": "bytes",
        "Content-Type": "application/vnd.efi-iso",
        "Content-Length": str(len(DATA)),
    }


def test_head_sends_the_headers_of_get_and_no_content() -> None:
    answer = ask("HEAD")
    assert (answer.status, answer.content, answer.headers) == (200, (), ask().headers)


def test_the_head_on_the_wire_is_status_line_and_headers_without_an_end() -> None:
    assert ask().head == (
        b"HTTP/1.1 200 OK\r\nServer: httpboot\r\nX-Content-Type-Options: nosniff\r\n"
        b'ETag: "0123abcd"\r\nLast-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r\nAccept-Ranges: bytes\r\n'
        b"Content-Type: application/vnd.efi-iso\r\nContent-Length: 357\r\n"
    )


@pytest.mark.parametrize(
    ("parts", "body"),
    [
        ((), b""),
        ((Literal(b"small"),), b"small"),
        ((Literal(bytes(65536)),), bytes(65536)),
        ((Literal(bytes(65537)),), None),
        ((Zeros(5),), None),
        ((Literal(b"a"), Literal(b"b")), None),
    ],
)
def test_only_small_content_in_one_piece_leaves_with_the_head(parts: Content, body: bytes | None) -> None:
    assert Response(status=200, headers={}, content=parts).body == body


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "CONNECT", "get", "PROPFIND"])
@pytest.mark.parametrize("found", [FOUND, None])
def test_other_methods_are_refused_with_the_ones_that_are_allowed(method: str, found: Representation | None) -> None:
    answer = ask(method, found)
    assert (answer.status, answer.headers["Allow"]) == (405, "GET, HEAD")
    assert content(answer) == b"405 only GET and HEAD are answered here\n"


def test_what_is_not_found_is_refused_with_a_body() -> None:
    answer = ask(found=None)
    assert (answer.status, content(answer)) == (404, b"404 not found\n")
    assert answer.headers == {"Content-Type": "text/plain", "Content-Length": "14"}


def test_head_of_what_is_not_found_has_the_headers_of_get() -> None:
    answer = ask("HEAD", None)
    assert (answer.status, answer.content, answer.headers) == (404, (), ask(found=None).headers)


@pytest.mark.parametrize("status", [400, 404, 405, 412, 416, 500, 503])
def test_every_refusal_has_a_body_as_long_as_it_says(status: int) -> None:
    answer = refuse(status, "GET")
    assert str(len(content(answer))) == answer.headers["Content-Length"]
    assert answer.body == content(answer)
    assert not 300 <= answer.status < 400


def test_a_date_beyond_what_headers_can_say_is_the_latest_that_they_can() -> None:
    for modified, shown in ((2**60, "Fri, 31 Dec 9999 23:59:59 GMT"), (-5, "Thu, 01 Jan 1970 00:00:00 GMT")):
        found = Representation(blob=FOUND.blob, content_type="application/efi", modified=modified)
        assert ask(found=found).headers["Last-Modified"] == shown


# Preconditions, in the order of RFC 9110 §13.2.2


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize(
    ("headers", "status"),
    [
        # 1. If-Match: strong comparison
        ({"if_match": ETAG}, 200),
        ({"if_match": "*"}, 200),
        ({"if_match": f'"other", {ETAG}'}, 200),
        ({"if_match": f'"with, comma",{ETAG}'}, 200),
        ({"if_match": f"W/{ETAG}"}, 412),
        ({"if_match": '"other"'}, 412),
        ({"if_match": ""}, 412),
        ({"if_match": ETAG.strip('"')}, 412),
        ({"if_match": f'"a" {ETAG}'}, 412),
        ({"if_match": f"w/{ETAG}"}, 412),
        # 2. If-Unmodified-Since, only without If-Match
        ({"if_unmodified_since": DATE}, 200),
        ({"if_unmodified_since": LATER}, 200),
        ({"if_unmodified_since": EARLIER}, 412),
        ({"if_unmodified_since": "yesterday"}, 200),
        ({"if_unmodified_since": ""}, 200),
        ({"if_match": ETAG, "if_unmodified_since": EARLIER}, 200),
        ({"if_match": '"other"', "if_unmodified_since": DATE}, 412),
        # 3. If-None-Match: weak comparison
        ({"if_none_match": ETAG}, 304),
        ({"if_none_match": f"W/{ETAG}"}, 304),
        ({"if_none_match": "*"}, 304),
        ({"if_none_match": f'"other" , {ETAG}'}, 304),
        ({"if_none_match": '"other"'}, 200),
        ({"if_none_match": "garbage"}, 200),
        ({"if_match": ETAG, "if_none_match": ETAG}, 304),
        ({"if_match": '"other"', "if_none_match": ETAG}, 412),
        ({"if_unmodified_since": EARLIER, "if_none_match": ETAG}, 412),
        # 4. If-Modified-Since, only without If-None-Match
        ({"if_modified_since": DATE}, 304),
        ({"if_modified_since": LATER}, 304),
        ({"if_modified_since": EARLIER}, 200),
        ({"if_modified_since": "tomorrow"}, 200),
        ({"if_none_match": '"other"', "if_modified_since": LATER}, 200),
        ({"if_none_match": ETAG, "if_modified_since": EARLIER}, 304),
    ],
)
def test_preconditions(method: str, headers: dict[str, str], status: int) -> None:
    answer = put(method, headers)
    assert answer.status == status
    assert answer.headers["ETag"] == ETAG
    if status == 304:
        assert answer.content == ()
        assert "Content-Length" not in answer.headers


@pytest.fixture
def in_tokyo() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("TZ", "Asia/Tokyo")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.usefixtures("in_tokyo")
@pytest.mark.parametrize(
    "date",
    [
        "Sun, 06 Nov 1994 08:49:37 GMT",
        "Sunday, 06-Nov-94 08:49:37 GMT",
        "Sun Nov  6 08:49:37 1994",
        "Sun, 06 Nov 1994 10:49:37 +0200",
        "Sun, 06 Nov 1994 08:49:37 -0000",
    ],
)
def test_every_form_of_a_date_is_read_wherever_the_server_is(date: str) -> None:
    assert ask(if_modified_since=date).status == 304
    assert ask(if_unmodified_since=date).status == 200
    assert ask(range="bytes=0-4", if_range=date).status == 206


def test_preconditions_come_before_ranges() -> None:
    assert ask(range="bytes=0-4", if_match='"other"').status == 412
    assert ask(range="bytes=0-4", if_none_match=ETAG).status == 304
    assert ask(range="bytes=999-", if_unmodified_since=EARLIER).status == 412


def test_preconditions_do_not_matter_where_nothing_is_found() -> None:
    assert ask(found=None, if_match="*").status == 404
    assert ask(found=None, if_none_match=ETAG, range="bytes=0-4").status == 404


# Ranges


@pytest.mark.parametrize(
    ("header", "start", "end"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=0-99", 0, 100),
        ("bytes=100-349", 100, 350),
        ("bytes=290-310", 290, 311),
        ("bytes=356-", 356, 357),
        ("bytes=0-", 0, 357),
        ("bytes=0-356", 0, 357),
        ("bytes=350-9999", 350, 357),
        ("bytes=-7", 350, 357),
        ("bytes=-9999", 0, 357),
        ("BYTES=1-2", 1, 3),
        ("bytes = 1-2", 1, 3),
        ("bytes= 1-2 ", 1, 3),
        ("bytes=,1-2,", 1, 3),
        ("bytes=0-99999999999999999999999999", 0, 357),
        ("bytes=00000000000000000000000001-2", 1, 3),
        ("bytes=-99999999999999999999999999", 0, 357),
        ("bytes=10-20,999-", 10, 21),
        ("bytes=999-,10-20", 10, 21),
        # touching and overlapping ones are made one
        ("bytes=0-9,10-19", 0, 20),
        ("bytes=10-19,0-9", 0, 20),
        ("bytes=0-50,20-30", 0, 51),
        ("bytes=0-10,5-", 0, 357),
        ("bytes=5-5,5-5,5-5", 5, 6),
    ],
)
def test_one_range(header: str, start: int, end: int) -> None:
    answer = ask(range=header)
    assert (answer.status, content(answer)) == (206, DATA[start:end])
    assert answer.range == f"{start}-{end - 1}"
    assert answer.headers == {
        "ETag": ETAG,
        "Last-Modified": DATE,
        "Accept-Ranges": "bytes",
        "Content-Type": "application/vnd.efi-iso",
        "Content-Range": f"bytes {start}-{end - 1}/357",
        "Content-Length": str(end - start),
    }


@pytest.mark.parametrize("header", ["bytes=357-", "bytes=357-400", "bytes=-0", "bytes=999-,400-500", f"bytes={2**64}-"])
def test_a_range_behind_the_end_is_refused_with_the_size(header: str) -> None:
    answer = ask(range=header)
    assert (answer.status, answer.headers["Content-Range"]) == (416, "bytes */357")
    assert content(answer) == b"416 the file ends before this range\n"


@pytest.mark.parametrize(
    "header",
    [
        "",
        "bytes",
        "bytes=",
        "bytes=,",
        "bytes= \t, ,",
        "bytes=-",
        "bytes=a-b",
        "bytes=5-4",
        "bytes=0-4,5-4",
        "bytes=--5",
        "bytes=1-2-3",
        "bytes=0x1-2",
        "bytes=+1-2",
        "bytes=1 -2",
        "bytes=\u0661-\u0662",
        "bytes=0-4;5-9",
        "bytes 0-4",
        "items=0-4",
        "bytes=0-4, bytes=5-9",
        "bytes=" + "9" * 5000 + "-",
        "bytes=" + ",".join(f"{start}-{start}" for start in range(0, 34, 2)),
    ],
)
def test_what_is_no_range_or_too_many_gets_everything(header: str) -> None:
    answer = ask(range=header)
    assert (answer.status, content(answer)) == (200, DATA)


def test_a_range_of_head_is_passed_over() -> None:
    assert ask("HEAD", range="bytes=0-4") == ask("HEAD")
    assert ask("HEAD", range="bytes=999-").status == 200


@pytest.mark.parametrize("header", ["bytes=0-", "bytes=-5", "bytes=0-0", "bytes=7-"])
def test_an_empty_file_is_sent_whole_whatever_the_range(header: str) -> None:
    answer = ask(found=EMPTY, range=header)
    assert (answer.status, answer.headers["Content-Length"]) == (200, "0")


def test_several_ranges_come_as_parts_in_the_order_asked() -> None:
    answer = ask(range="bytes=300-301,0-4,-3")
    assert (answer.status, answer.range) == (206, "300-301, 0-4, 354-356")
    assert parts_of(answer) == [
        ("bytes 300-301/357", DATA[300:302]),
        ("bytes 0-4/357", DATA[:5]),
        ("bytes 354-356/357", b"end"),
    ]


def test_overlapping_ranges_among_several_are_joined_and_sorted() -> None:
    answer = ask(range="bytes=200-209,0-4,3-9,205-210,100-100")
    assert answer.range == "0-9, 100-100, 200-210"
    assert [data for _, data in parts_of(answer)] == [DATA[:10], DATA[100:101], DATA[200:211]]


def test_as_many_ranges_as_are_granted() -> None:
    asked = [f"{start}-{start}" for start in range(0, 32, 2)]
    assert len(parts_of(ask(range="bytes=" + ",".join(asked)))) == 16


def parts_of(answer: Response) -> list[tuple[str, bytes]]:
    """The parts of a multipart/byteranges, taken apart by hand: Content-Range, content."""
    kind, _, boundary = answer.headers["Content-Type"].partition("; boundary=")
    assert kind == "multipart/byteranges"
    body = content(answer)
    assert str(len(body)) == answer.headers["Content-Length"]
    delimiter = f"\r\n--{boundary}".encode()
    first, *inner, last = body.split(delimiter)
    assert (first, last) == (b"", b"--\r\n")
    found = []
    for part in inner:
        head, _, data = part.partition(b"\r\n\r\n")
        lines = head.decode().split("\r\n")
        assert lines[:2] == ["", f"Content-Type: {FOUND.content_type}"]
        found.append((lines[2].removeprefix("Content-Range: "), data))
    return found


# If-Range


@pytest.mark.parametrize(
    ("condition", "status"),
    [
        (ETAG, 206),
        (f" {ETAG} ", 206),
        (DATE, 206),
        (f"W/{ETAG}", 200),
        ('"other"', 200),
        (f'"other", {ETAG}', 200),
        ("*", 200),
        ("", 200),
        (EARLIER, 200),
        (LATER, 200),
        ("garbage", 200),
        (ETAG.strip('"'), 200),
    ],
)
def test_if_range_grants_the_range_only_of_exactly_this_file(condition: str, status: int) -> None:
    answer = ask(range="bytes=0-4", if_range=condition)
    assert (answer.status, content(answer)) == (status, DATA[:5] if status == 206 else DATA)


def test_if_range_of_another_file_gets_everything_even_where_the_range_is_behind_the_end() -> None:
    assert ask(range="bytes=999-", if_range='"other"').status == 200
    assert ask(range="bytes=999-", if_range=ETAG).status == 416


def test_if_range_without_range_changes_nothing() -> None:
    assert ask(if_range='"other"') == ask()


# Paths


@pytest.mark.parametrize(
    ("raw", "names"),
    [
        ("/a/b.iso", ("a", "b.iso")),
        ("//a///b.iso", ("a", "b.iso")),
        ("/a/./b.iso", ("a", "b.iso")),
        ("/a/b.iso?x=1", ("a", "b.iso")),
        ("/a/b.iso#part", ("a", "b.iso")),
        ("/a%20b.iso", ("a b.iso",)),
        ("/a%2fb", ("a", "b")),
        ("/%e2%80%a6", ("…",)),
        ("/…", ("…",)),
        ("/100%", ("100%",)),
        ("/a%3Fb", ("a?b",)),
        ("/a%23b", ("a#b",)),
        ("/%2541", ("%41",)),
        ("http://host:80/a/b.iso", ("a", "b.iso")),
        ("https://[::1]/a", ("a",)),
        ("/a/http://host/b", ("a", "http:", "host", "b")),
        ("/...", ("...",)),
        ("/..a", ("..a",)),
    ],
)
def test_the_names_in_a_path(raw: str, names: tuple[str, ...]) -> None:
    assert segments(raw) == names


@pytest.mark.parametrize(
    "raw",
    [
        "",
        "/",
        "//",
        "/?a",
        "*",
        "http://host/",
        "host:80",
        "/..",
        "/a/../b",
        "/%2e%2e/a",
        "/%2E./a",
        "/a%2f..%2fb",
        "/a%00b",
        "/a\0b",
        "/%ff",
        "/%c0%ae%c0%ae/",
        "/\udcff",
    ],
)
def test_a_path_that_can_name_nothing(raw: str) -> None:
    assert segments(raw) is None


# Anything at all

SPECS = st.one_of(
    st.builds("{}-{}".format, st.integers(0, 400), st.integers(0, 400)),
    st.builds("{}-".format, st.integers(0, 400)),
    st.builds("-{}".format, st.integers(0, 400)),
    st.text("0123456789-, \t", max_size=8),
)
RANGES = st.one_of(
    st.builds("{}={}".format, st.sampled_from(["bytes", "Bytes", "lines"]), st.lists(SPECS).map(",".join)),
    st.text(),
)


@given(RANGES)
@example("bytes=0-0,-1")
def test_any_range_header_gets_all_or_its_slices_or_416(header: str) -> None:
    answer = ask(range=header)
    if answer.status == 200:
        assert content(answer) == DATA
    elif answer.status == 416:
        assert answer.headers["Content-Range"] == f"bytes */{len(DATA)}"
    else:
        assert answer.status == 206
        assert answer.range is not None
        single = "Content-Range" in answer.headers
        found = [(answer.headers["Content-Range"], content(answer))] if single else parts_of(answer)
        assert [f"bytes {shown}/357" for shown in answer.range.split(", ")] == [shown for shown, _ in found]
        for shown, data in found:
            first, last = shown.removeprefix("bytes ").removesuffix("/357").split("-")
            assert data == DATA[int(first) : int(last) + 1] != b""
        assert sum(len(data) for _, data in found) <= len(DATA)
    assert str(len(content(answer))) == answer.headers["Content-Length"]


@given(
    st.sampled_from(["GET", "HEAD"]),
    st.dictionaries(
        st.sampled_from(["range", "if-range", "if-match", "if-none-match", "if-unmodified-since", "if-modified-since"]),
        st.one_of(st.text(), RANGES, st.sampled_from([ETAG, f"W/{ETAG}", DATE, "*"]), st.text('"W/*,: GMT0123+-')),
    ),
)
def test_any_condition_gets_an_answer(method: str, headers: dict[str, str]) -> None:
    answer = respond(Request(method=method, headers=headers), FOUND)
    assert answer.status in (200, 206, 304, 412, 416)
    assert answer.head.endswith(b"\r\n")
    assert (method == "GET") or answer.content == ()


@given(st.one_of(st.text(), st.text("/.%2eE05fF?#:\0\udc80", max_size=12)))
def test_any_path_gives_safe_names_or_none(raw: str) -> None:
    names = segments(raw)
    assert names is None or (names and all(name not in ("", ".", "..") and "/" not in name for name in names))


@given(st.integers(2 * 86_400, 250_000_000_000), st.integers(-23, 23))
def test_a_date_from_any_zone_is_the_moment_that_it_names(modified: int, hours: int) -> None:
    moment = datetime.fromtimestamp(modified, timezone(timedelta(hours=hours)))
    found = Representation(blob=FOUND.blob, content_type="application/efi", modified=modified)
    assert ask(found=found, if_modified_since=format_datetime(moment)).status == 304
    assert ask(found=found, if_modified_since=format_datetime(moment - timedelta(seconds=1))).status == 200
