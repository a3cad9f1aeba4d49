"""Connections: kept and closed, counted, timed out, and let finish when the server stops."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress

import pytest

from ironic_httpboot.http.serve import Server
from ironic_httpboot.http.store import Publication
from kit.web import Line, get

from .conftest import Heard, Start

SMALL = b"small" * 200


# One after the other


async def test_a_connection_serves_many_requests(server: Server) -> None:
    async with Line(server.port) as line:
        for path, status in (("/small.efi", 200), ("/nothing", 404), ("/large.iso", 200), ("/small.efi", 200)):
            assert (await line.get(path)).status == status


async def test_pipelined_requests_are_answered_in_order(server: Server) -> None:
    async with Line(server.port) as line:
        await line.say(
            b"GET /small.efi HTTP/1.1\r\nHost: a\r\n\r\n"
            b"HEAD /large.iso HTTP/1.1\r\nHost: a\r\n\r\n"
            b"GET /large.iso HTTP/1.1\r\nHost: a\r\nRange: bytes=100-199999\r\n\r\n"
            b"GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n"
            b"GET /small.efi HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
        )
        assert (await line.reply()).body == SMALL
        assert (await line.reply(bodiless=True)).status == 200
        assert len((await line.reply()).body) == 199_900
        assert (await line.reply()).status == 404
        last = await line.reply()
        assert (last.body, last.headers["connection"]) == (SMALL, "close")
        assert await line.rest() == b""


async def test_hundreds_of_pipelined_requests_are_all_answered(server: Server) -> None:
    async with Line(server.port) as line:
        await line.say(b"GET /small.efi HTTP/1.1\r\nHost: a\r\n\r\n" * 500)
        for _ in range(500):
            assert (await line.reply()).body == SMALL


@pytest.mark.parametrize(("path", "size"), [("/small.efi", 1000), ("/large.iso", (8 << 20) + 3)])
async def test_a_client_that_has_said_all_still_gets_its_answer(server: Server, path: str, size: int) -> None:
    async with Line(server.port) as line:
        line.writer.write(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        line.writer.write_eof()
        assert len((await line.reply()).body) == size
        assert await line.rest() == b""


async def test_a_client_that_says_nothing_and_ends_is_let_go_at_once(server: Server) -> None:
    async with Line(server.port) as line:
        line.writer.write_eof()
        async with asyncio.timeout(5):
            assert await line.rest() == b""


@pytest.mark.parametrize(
    "question",
    [
        b"GET /secret-token/a.iso HTTP/1.1\r\nHost: a\r\nX: " + b"y" * 20_000 + b"\r\n\r\n",
        b"GET /secret-token/" + b"y" * 10_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
    ],
)
async def test_a_line_that_is_too_long_is_named_as_that(
    server: Server, question: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    async with Line(server.port) as line:
        await line.say(question)
        reply = await line.reply()
        assert (reply.status, reply.body) == (
            431,
            b"431 a line of the request is longer than the 8 KiB that are read here\n",
        )
    assert "secret-token" not in caplog.text


@pytest.mark.parametrize(
    ("version", "header", "connection", "stays"),
    [
        ("1.1", "", None, True),
        ("1.1", "Connection: close\r\n", "close", False),
        ("1.0", "", None, False),
        ("1.0", "Connection: keep-alive\r\n", "keep-alive", True),
    ],
)
@pytest.mark.parametrize("path", ["/small.efi", "/large.iso", "/nothing"])
async def test_the_connection_stays_as_the_client_wants_it(
    server: Server, version: str, header: str, connection: str | None, stays: bool, path: str
) -> None:
    async with Line(server.port) as line:
        request = f"GET {path} HTTP/{version}\r\nHost: a\r\n{header}\r\n".encode()
        await line.say(request)
        reply = await line.reply()
        assert (reply.version, reply.headers.get("connection")) == ("HTTP/1.1", connection)
        if stays:
            await line.say(request)
            assert (await line.reply()).status == reply.status
        else:
            assert await line.rest() == b""


async def test_http_1_0_without_a_host_is_served(server: Server) -> None:
    async with Line(server.port) as line:
        await line.say(b"GET /small.efi HTTP/1.0\r\n\r\n")
        assert (await line.reply()).body == SMALL


async def test_a_client_that_says_no_more_still_gets_a_large_file(server: Server) -> None:
    async with Line(server.port) as line:
        await line.say(b"GET /large.iso HTTP/1.1\r\nHost: a\r\n\r\n")
        _, status, headers = await line.head()
        line.writer.write_eof()
        assert status == 200
        assert len(await line.reader.readexactly(int(headers["content-length"]))) == 8 * 1024 * 1024 + 3
        assert await line.rest() == b""


async def test_the_body_of_a_questionis_thrown_away(server: Server) -> None:
    async with Line(server.port) as line:
        await line.say(b"POST /small.efi HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello")
        assert (await line.reply()).status == 405
        await line.say(b"GET /small.efi HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello")
        assert (await line.reply()).body == SMALL
        await line.say(b"GET /small.efi HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n")
        assert (await line.reply()).body == SMALL


# What is no HTTP


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200),
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"GET\r\n\r\n",
        b"GET /secret-token/a.iso HTTP/9.9\r\nHost: a\r\n\r\n",
        b"GET /secret-token/a.iso FTP/1.1\r\n\r\n",
        b"GET /secret-token/a.iso HTTP/1.1\r\nno colon\r\n\r\n",
        b"GET /secret-token/a.iso HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"GET /secret-token/a.iso HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
        b"GET /secret-token/a.iso HTTP/1.1\r\n" + b"X: y\r\n" * 1000 + b"\r\n",
    ],
)
async def test_garbage_is_refused_and_neither_logged_nor_echoed(
    server: Server, garbage: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    async with Line(server.port) as line:
        await line.say(garbage)
        reply = await line.reply()
        assert (reply.status, reply.body) == (400, b"400 this is no HTTP request\n")
        assert reply.headers["connection"] == "close"
        assert await line.rest() == b""
    assert "Traceback" not in caplog.text
    assert "secret-token" not in caplog.text
    assert (await get(server.port, "/small.efi")).status == 200


async def test_garbage_after_a_good_questionis_refused(server: Server) -> None:
    async with Line(server.port) as line:
        assert (await line.get("/small.efi")).body == SMALL
        await line.say(b"\0\0\0\0\r\n\r\n")
        assert (await line.reply()).status == 400
        assert await line.rest() == b""


# Patience


async def keep_saying(line: Line, data: bytes) -> None:
    while True:
        await line.say(data)
        await asyncio.sleep(0.05)


async def ends_after(line: Line) -> float:
    began = time.monotonic()
    async with asyncio.timeout(10):
        with suppress(ConnectionError):
            await line.rest()
    return time.monotonic() - began


@pytest.mark.parametrize("said", [b"", b"GET /small.efi HT", b"GET /small.efi HTTP/1.1\r\nHost: a\r\n"])
async def test_a_client_that_does_not_finish_its_questionis_given_up(start: Start, said: bytes) -> None:
    server = await start(idle_seconds=0.5)
    async with Line(server.port) as line:
        await line.say(said)
        assert 0.3 < await ends_after(line) < 5


async def test_a_client_that_drips_its_questiongains_no_time(start: Start) -> None:
    server = await start(idle_seconds=0.5)
    async with Line(server.port) as line:
        await line.say(b"GET /small.efi HTTP/1.1\r\n")

        dripping = asyncio.create_task(keep_saying(line, b"X: y\r\n"))
        assert await ends_after(line) < 5
        dripping.cancel()
        await asyncio.gather(dripping, return_exceptions=True)


async def test_a_connection_that_is_not_used_any_more_is_closed(start: Start) -> None:
    server = await start(idle_seconds=0.5)
    async with Line(server.port) as line:
        await line.get("/small.efi")
        assert 0.3 < await ends_after(line) < 5


@pytest.mark.parametrize("asked", ["/large.iso", "published"])
async def test_a_client_that_never_reads_is_given_up_and_the_log_says_so(
    start: Start, published: Publication, asked: str, caplog: pytest.LogCaptureFixture, heard: Heard
) -> None:
    server = await start(idle_seconds=0.5)
    path = published.path if asked == "published" else asked
    async with Line(server.port, receive_bytes=4096) as line:
        await line.say(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        await heard.until(1)
    assert "broken off: the client took nothing for 0.5 s" in caplog.text
    assert published.token not in caplog.text


async def test_a_client_that_asks_and_asks_and_never_reads_is_given_up_and_takes_no_memory(
    start: Start, heard: Heard
) -> None:
    server = await start(idle_seconds=0.5)
    async with Line(server.port, receive_bytes=4096) as line:
        asking = asyncio.create_task(keep_saying(line, b"GET /small.efi HTTP/1.1\r\nHost: a\r\n\r\n" * 100))
        done, _ = await asyncio.wait({asking}, timeout=10)
        assert isinstance(next(iter(done)).exception(), ConnectionError)
    assert sum(transfer.sent_bytes for transfer in heard.ends) < 4 << 20


async def test_a_slow_client_that_takes_something_now_and_then_is_not_given_up(start: Start) -> None:
    server = await start(idle_seconds=0.5)
    async with Line(server.port, receive_bytes=65_536) as line:
        await line.say(b"GET /large.iso HTTP/1.1\r\nHost: a\r\n\r\n")
        _, _, headers = await line.head()
        left = int(headers["content-length"])
        began = time.monotonic()
        while left:
            data = await line.reader.read(1 << 20)
            assert data
            left -= len(data)
            if time.monotonic() - began < 2:
                await asyncio.sleep(0.1)
        assert time.monotonic() - began > 1.5


# Too many


async def test_too_many_are_told_so_at_once_and_taken_again_when_others_leave(
    start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    server = await start(connections=2)
    async with Line(server.port) as first, Line(server.port) as second:
        for line in (first, second):
            assert (await line.get("/small.efi")).status == 200
        for _ in range(3):
            reply = await get(server.port, "/small.efi")
            assert (reply.status, reply.body) == (503, b"503 too many connections; try again\n")
            assert (reply.headers["retry-after"], reply.headers["connection"]) == ("5", "close")
        assert (await first.get("/large.iso")).status == 200, "those that are there are served"
    assert caplog.text.count("all 2 connections are in use") == 1
    await asyncio.sleep(0.1)
    assert (await get(server.port, "/small.efi")).status == 200


async def test_one_that_is_turned_away_and_stays_is_closed(start: Start) -> None:
    server = await start(connections=1)
    async with Line(server.port) as first, Line(server.port) as second:
        await first.get("/small.efi")
        assert (await second.reply()).status == 503
        assert await second.rest() == b""
        talking = asyncio.create_task(keep_saying(second, b"GET /small.efi HTTP/1.1\r\nHost: a\r\n\r\n"))
        done, _ = await asyncio.wait({talking}, timeout=5)
        assert isinstance(next(iter(done)).exception(), ConnectionError)


async def test_those_that_are_turned_away_do_not_count(start: Start) -> None:
    server = await start(connections=1)
    async with Line(server.port) as first:
        await first.get("/small.efi")
        async with Line(server.port) as second, Line(server.port) as third:
            assert (await second.reply()).status == (await third.reply()).status == 503
            first.abort()
            await asyncio.sleep(0.1)
            assert (await get(server.port, "/small.efi")).status == 200


# The end


async def test_a_slow_download_is_finished_while_new_connections_are_refused(server: Server) -> None:
    async with Line(server.port, receive_bytes=65_536) as line, Line(server.port) as idle:
        await idle.get("/small.efi")
        await line.say(b"GET /large.iso HTTP/1.1\r\nHost: a\r\n\r\n")
        _, _, headers = await line.head()
        stopping = asyncio.create_task(server.stop())
        await asyncio.sleep(0.2)
        assert not stopping.done()
        with pytest.raises(ConnectionRefusedError):
            await get(server.port, "/small.efi")
        assert await idle.rest() == b"", "a connection without a request is closed at once"
        await asyncio.sleep(0.5)
        body = await line.reader.readexactly(int(headers["content-length"]))
        assert body.endswith(b"end")
        assert await line.rest() == b""
        await asyncio.wait_for(stopping, 5)


async def test_a_download_that_takes_too_long_to_stop_is_broken(start: Start) -> None:
    server = await start(stop_seconds=0.5)
    async with Line(server.port, receive_bytes=4096) as line:
        await line.say(b"GET /large.iso HTTP/1.1\r\nHost: a\r\n\r\n")
        await line.head()
        await asyncio.wait_for(server.stop(), 10)


async def test_half_a_questiondoes_not_hold_up_the_end(server: Server) -> None:
    async with Line(server.port) as line, Line(server.port) as silent:
        await line.say(b"GET /small.efi HTT")
        await asyncio.sleep(0.1)
        await asyncio.wait_for(server.stop(), 2)
        assert await line.rest() == b""
        assert await silent.rest() == b""
