"""What becomes of a request: events, logs, clients that go away, files that change under a download."""

from __future__ import annotations

import asyncio
import os
import re
import time
from pathlib import Path

import pytest

from ironic_httpboot.blob import Blob, Literal, Zeros, examine, whole
from ironic_httpboot.http import delivery
from ironic_httpboot.http.serve import Server
from ironic_httpboot.http.store import Publication, Store
from kit.web import Line, get

from .conftest import Heard, Start

# What is reported


async def test_each_request_is_reported_with_machine_peer_range_bytes_and_time(
    server: Server, published: Publication, image: Blob, heard: Heard
) -> None:
    began = time.time()
    await get(server.port, published.path, method="HEAD")
    await get(server.port, published.path)
    await get(server.port, published.path, "Range: bytes=10-19,4000000-")
    await get(server.port, published.path, "Range: bytes=99999999-")
    await get(server.port, "/small.efi")
    await get(server.port, "/nothing")
    ends = await heard.until(6)
    assert [(end.method, end.status, end.path, end.machine) for end in ends] == [
        ("HEAD", 200, "/…/node-1.iso", "node-1"),
        ("GET", 200, "/…/node-1.iso", "node-1"),
        ("GET", 206, "/…/node-1.iso", "node-1"),
        ("GET", 416, "/…/node-1.iso", "node-1"),
        ("GET", 200, "/small.efi", ""),
        ("GET", 404, "", ""),
    ]
    assert [end.range for end in ends] == [None, None, f"10-19, 4000000-{image.size_bytes - 1}", None, None, None]
    assert [end.sent_bytes for end in ends[:2]] == [0, image.size_bytes]
    assert all(end.sent_bytes == end.total_bytes for end in ends)
    assert all(end.peer == "127.0.0.1" for end in ends)
    assert all(began <= end.at <= time.time() and 0 <= end.elapsed_seconds < 10 for end in ends)


async def test_the_peer_is_an_address_of_its_family(start: Start, heard: Heard) -> None:
    server = await start(host="::1")
    await get(server.port, "/small.efi", host="::1")
    assert [end.peer for end in await heard.until(1)] == ["::1"]


async def test_a_long_download_is_reported_as_it_goes_on_and_not_too_often(server: Server, heard: Heard) -> None:
    async with Line(server.port, receive_bytes=65_536) as line:
        await line.say(b"GET /large.iso HTTP/1.1\r\nHost: a\r\n\r\n")
        _, _, headers = await line.head()
        left = int(headers["content-length"])
        while left:
            left -= len(await line.reader.read(400_000))
            await asyncio.sleep(0.02)
    await heard.until(1)
    *under_way, end = heard.transfers
    assert end.finished
    assert not any(transfer.finished for transfer in under_way)
    assert 1 <= len(under_way) <= end.elapsed_seconds / 0.1 + 1
    amounts = [transfer.sent_bytes for transfer in heard.transfers]
    assert amounts == sorted(amounts)
    assert end.sent_bytes == end.total_bytes


async def test_bytes_count_when_the_client_has_them_and_not_when_the_kernel_does(
    server: Server, root: Path, heard: Heard
) -> None:
    """The kernel may hold all of a file for a client that has stopped: what is reported is how far the client came."""
    (root / "large.iso").write_bytes(os.urandom(2 << 20))
    async with Line(server.port, receive_bytes=65_536) as line:
        await line.say(b"GET /large.iso HTTP/1.1\r\nHost: a\r\n\r\n")
        await line.head()
        *_, last = await heard.told(3)
        assert not last.finished, "it is not done while the client does not read"
        assert 0 < last.sent_bytes < 1 << 20
        line.abort()
        end = (await heard.until(1))[0]
        assert last.sent_bytes <= end.sent_bytes < 1 << 20
        assert end.elapsed_seconds < 10, "it is seen to have gone, and not given up for being slow"


async def test_a_file_that_changes_in_the_kernels_hands_breaks_the_connection(
    server: Server, root: Path, heard: Heard
) -> None:
    """What the kernel holds for a client are the file's own pages: they change with it until they have left."""
    path = root / "large.iso"
    path.write_bytes(bytes(2 << 20))
    async with Line(server.port, receive_bytes=65_536) as line:
        await line.say(b"GET /large.iso HTTP/1.1\r\nHost: a\r\n\r\n")
        await line.head()
        await heard.told(2)
        with path.open("r+b") as stream:
            stream.write(b"edited" * 300_000)
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await line.reader.readexactly(2 << 20)
    assert [end.sent_bytes < end.total_bytes for end in await heard.until(1)] == [True]


async def test_the_next_request_does_not_wait_for_a_look_at_the_last_answer(
    server: Server, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is looked now and then whether an answer has arrived; what a client says meanwhile is answered at once."""
    monkeypatch.setattr(delivery, "_LOOKS_SECONDS", (60.0, 60.0))
    data = os.urandom(200_000)
    publication = store.publish(Blob.of((Literal(data),)), name="a.img")
    async with Line(server.port, receive_bytes=4096) as line:
        for _ in range(3):
            await line.say(f"GET {publication.path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
            await line.head()
            await asyncio.sleep(0.1)  # by now the server waits: it was looked at once
            assert await line.reader.readexactly(len(data)) == data
            async with asyncio.timeout(20):
                assert (await line.get("/small.efi")).status == 200


async def test_a_client_that_goes_while_its_answer_is_waited_for_is_seen_at_once(
    server: Server, store: Store, heard: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "_LOOKS_SECONDS", (60.0, 60.0))
    publication = store.publish(Blob.of((Literal(os.urandom(200_000)),)), name="a.img")
    async with Line(server.port, receive_bytes=4096) as line:
        await line.say(f"GET {publication.path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        await line.head()
        await asyncio.sleep(0.1)
    (end,) = await heard.until(1)
    assert end.sent_bytes < end.total_bytes


async def test_the_secret_of_a_url_is_in_no_event_and_no_log(
    server: Server, store: Store, published: Publication, heard: Heard, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    for method in ("HEAD", "GET", "POST"):
        await get(server.port, published.path, method=method)
        await get(server.port, published.path + "x", method=method)
    await get(server.port, published.path, "Range: bytes=99999999-")
    async with Line(server.port) as line:
        await line.say(f"GET {published.path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        await line.head()
    store.withdraw(published)
    await get(server.port, published.path)
    for end in await heard.until(9):
        assert published.token not in repr(end)
    assert published.token not in caplog.text


async def test_without_a_listener_all_is_the_same(start: Start, root: Path) -> None:
    server = await start(on_event=None)
    assert (await get(server.port, "/large.iso")).body == (root / "large.iso").read_bytes()
    assert (await get(server.port, "/nothing")).status == 404


# What changes under way


async def test_a_file_that_has_changed_since_is_500_with_a_body(
    server: Server, store: Store, tmp_path: Path, caplog: pytest.LogCaptureFixture, heard: Heard
) -> None:
    path = tmp_path / "kernel"
    path.write_bytes(os.urandom(200_000))
    publication = store.publish(Blob.of((Literal(b"head"), *whole(examine(path)))), name="a.efi", machine="m")
    assert (await get(server.port, publication.path)).status == 200
    path.write_bytes(os.urandom(200_000))
    for lines in ((), ("Range: bytes=100000-",)):
        reply = await get(server.port, publication.path, *lines)
        assert (reply.status, reply.headers["content-type"]) == (500, "text/plain")
        assert b"changed" in reply.body
    path.unlink()
    assert (await get(server.port, publication.path)).status == 500
    assert (await get(server.port, publication.path, method="HEAD")).status == 500, "what GET would say"
    assert re.search(r"kernel: changed since it was examined \(200000 bytes then, 200000 now\)", caplog.text)
    assert "kernel: opened for reading → No such file or directory" in caplog.text
    assert [end.status for end in heard.ends] == [200, 500, 500, 500, 500]
    assert publication.token not in caplog.text


async def test_a_range_beside_the_changed_file_is_still_served(server: Server, store: Store, tmp_path: Path) -> None:
    path = tmp_path / "kernel"
    path.write_bytes(b"kernel")
    publication = store.publish(Blob.of((Literal(b"head"), *whole(examine(path)))), name="a.efi")
    path.unlink()
    assert (await get(server.port, publication.path, "Range: bytes=0-3")).body == b"head"


@pytest.mark.parametrize("harm", ["edited in place", "cut short", "edited at the end", "emptied"])
async def test_a_file_that_changes_under_way_breaks_the_connection(
    server: Server, root: Path, harm: str, caplog: pytest.LogCaptureFixture, heard: Heard
) -> None:
    path = root / "large.iso"
    content = path.read_bytes()
    async with Line(server.port, receive_bytes=65_536) as line:
        await line.say(b"GET /large.iso HTTP/1.1\r\nHost: a\r\n\r\n")
        _, _, headers = await line.head()
        with path.open("r+b") as stream:
            match harm:
                case "edited in place":
                    stream.seek(7_000_000)
                    stream.write(b"edited")
                case "cut short":
                    stream.truncate(5_000_000)
                case "edited at the end":
                    stream.seek(-3, os.SEEK_END)
                    stream.write(b"END")
                case _:
                    stream.truncate(0)
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await line.reader.readexactly(int(headers["content-length"]))
    (end,) = await heard.until(1)
    assert end.sent_bytes < end.total_bytes == len(content)
    assert re.search(r"GET /large\.iso: broken off: .*large\.iso: (changed while it was sent|sent → )", caplog.text)


async def test_a_file_that_is_replaced_under_way_is_finished_as_it_was(server: Server, root: Path) -> None:
    content = (root / "large.iso").read_bytes()
    async with Line(server.port, receive_bytes=65_536) as line:
        await line.say(b"GET /large.iso HTTP/1.1\r\nHost: a\r\n\r\n")
        _, _, headers = await line.head()
        (root / "new").write_bytes(b"new")
        (root / "new").replace(root / "large.iso")
        assert await line.reader.readexactly(int(headers["content-length"])) == content
        assert (await line.get("/large.iso")).body == b"new"


async def test_a_file_that_grows_before_it_is_asked_for_again_is_served_as_it_is_now(
    server: Server, root: Path
) -> None:
    for size in (10, 65_536, 65_537, 1_000_000):
        for name in ("small.efi", "large.iso"):
            (root / name).write_bytes(bytes(size))
            assert (await get(server.port, f"/{name}")).body == bytes(size)


async def test_a_published_image_goes_on_when_it_is_withdrawn_under_way(
    server: Server, store: Store, published: Publication, image: Blob
) -> None:
    async with Line(server.port, receive_bytes=65_536) as line:
        await line.say(f"GET {published.path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        _, _, headers = await line.head()
        store.withdraw(published)
        body = await line.reader.readexactly(int(headers["content-length"]))
        assert body == image.read_at(0, image.size_bytes)


# Bytes of every kind


@pytest.mark.parametrize("size", [1, 65_535, 65_536, 65_537, 131_072, 131_073, 3_000_000])
async def test_every_kind_and_length_of_extent_arrives(server: Server, store: Store, tmp_path: Path, size: int) -> None:
    path = tmp_path / "part"
    path.write_bytes(os.urandom(size))
    part = whole(examine(path))
    blob = Blob.of((Literal(os.urandom(size)), *part, Zeros(size), Literal(b"middle"), *part, *part, Zeros(1)))
    publication = store.publish(blob, name="a.img")
    content = blob.read_at(0, blob.size_bytes)
    async with Line(server.port) as line:
        assert (await line.get(publication.path)).body == content
        first, last = size // 2, blob.size_bytes - size // 2 - 1
        assert (await line.get(publication.path, f"Range: bytes={first}-{last}")).body == content[first : last + 1]


async def test_a_large_literal_to_a_slow_client_is_not_given_up(start: Start, store: Store) -> None:
    server = await start(idle_seconds=0.5)
    data = os.urandom(3_000_000)
    publication = store.publish(Blob.of((Literal(data),)), name="a.img")
    async with Line(server.port, receive_bytes=65_536) as line:
        await line.say(f"GET {publication.path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        await line.head()
        body = b""
        while len(body) < len(data):
            body += await line.reader.read(60_000)
            await asyncio.sleep(0.03)
    assert body == data


# Many


async def test_64_downloads_at_once_are_all_right(
    server: Server, published: Publication, image: Blob, root: Path
) -> None:
    content = {published.path: image.read_at(0, image.size_bytes), "/large.iso": (root / "large.iso").read_bytes()}
    paths = list(content) * 32
    replies = await asyncio.gather(*(get(server.port, path) for path in paths))
    assert all(reply.body == content[path] for path, reply in zip(paths, replies, strict=True))


async def test_others_are_answered_while_64_large_downloads_run(server: Server) -> None:
    downloads = [asyncio.create_task(get(server.port, "/large.iso")) for _ in range(64)]
    await asyncio.sleep(0)
    assert (await asyncio.wait_for(get(server.port, "/small.efi"), 10)).status == 200
    await asyncio.gather(*downloads)


@pytest.mark.parametrize("asked", ["/large.iso", "published"])
async def test_clients_that_abort_leave_no_descriptors_and_no_traceback(
    server: Server, published: Publication, asked: str, caplog: pytest.LogCaptureFixture, heard: Heard
) -> None:
    path = published.path if asked == "published" else asked
    await get(server.port, "/small.efi")
    before = len(os.listdir("/proc/self/fd"))
    for number in range(1, 65):
        async with Line(server.port, receive_bytes=4096) as line:
            await line.say(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
            if number % 4:
                await line.head()
            if number % 3 == 0:
                line.writer.write_eof()
    await asyncio.wait_for(get(server.port, "/small.efi"), 10)
    ends = await heard.until(1 + 64 + 1 - 16)
    assert any(end.sent_bytes < end.total_bytes for end in ends)
    for _ in range(100):
        if len(os.listdir("/proc/self/fd")) <= before:
            break
        await asyncio.sleep(0.05)
    assert len(os.listdir("/proc/self/fd")) <= before
    assert "Traceback" not in caplog.text
    assert not [record for record in caplog.records if record.levelname in ("WARNING", "ERROR", "CRITICAL")]
