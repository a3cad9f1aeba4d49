"""The server as curl and firmware use it: whole files, ranges, preconditions, paths, methods."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest

from ironic_httpboot.blob import Blob
from ironic_httpboot.errors import HostError
from ironic_httpboot.http.folder import Folder
from ironic_httpboot.http.serve import Server
from ironic_httpboot.http.store import Publication, Store
from kit.judges import judge
from kit.web import Line, get


async def curl(server: Server, path: str, *options: str | Path, host: str = "127.0.0.1", code: int = 0) -> bytes:
    """What curl says it got."""
    url = f"http://{f'[{host}]' if ':' in host else host}:{server.port}{path}"
    return await asyncio.to_thread(judge, "curl", "-sS", "--max-time", "60", *options, url, code=code)


# The whole, as curl sees it


async def test_a_composed_image_arrives_byte_for_byte(server: Server, published: Publication, image: Blob) -> None:
    assert await curl(server, published.path) == image.read_at(0, image.size_bytes)


async def test_files_large_and_small_arrive(server: Server, root: Path) -> None:
    for name in ("small.efi", "large.iso"):
        assert await curl(server, f"/{name}") == (root / name).read_bytes()


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_both_families_of_addresses(root: Path, host: str) -> None:
    server = Server([Folder(root)], host=host, port=0)
    await server.start()
    try:
        assert server.address == {"127.0.0.1": f"127.0.0.1:{server.port}", "::1": f"[::1]:{server.port}"}[host]
        assert await curl(server, "/large.iso", host=host) == (root / "large.iso").read_bytes()
    finally:
        await server.stop()


async def test_head_of_a_large_image_tells_its_size_and_type_and_sends_nothing(
    server: Server, published: Publication, image: Blob
) -> None:
    head = (await curl(server, published.path, "--head")).decode()
    assert head.startswith("HTTP/1.1 200 OK\r\n")
    assert f"Content-Length: {image.size_bytes}\r\n" in head
    assert "Content-Type: application/vnd.efi-iso\r\n" in head
    assert f"ETag: {image.etag}\r\n" in head
    assert "Accept-Ranges: bytes\r\n" in head
    assert re.search(r"\r\nDate: \w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT\r\n", head)


async def test_the_first_source_that_knows_a_path_answers(root: Path, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "small.efi").write_bytes(b"other")
    (tmp_path / "other" / "only.efi").write_bytes(b"only")
    server = Server([Folder(root), Folder(tmp_path / "other")], host="127.0.0.1", port=0)
    await server.start()
    try:
        assert await curl(server, "/small.efi") == (root / "small.efi").read_bytes()
        assert await curl(server, "/only.efi") == b"only"
    finally:
        await server.stop()


async def test_what_is_withdrawn_is_not_found_any_more(server: Server, store: Store, published: Publication) -> None:
    assert (await get(server.port, published.path, method="HEAD")).status == 200
    store.withdraw(published)
    assert (await get(server.port, published.path, method="HEAD")).status == 404


# Parts of it

RANGES = ["0-0", "0-99", "1000000-6000000", "-1", "-70000", "8000000-", "65535-65536", "0-", "3000000-3100000"]


@pytest.mark.parametrize("asked", RANGES)
async def test_a_range_is_the_same_part_of_the_whole(
    server: Server, published: Publication, image: Blob, root: Path, asked: str
) -> None:
    for path, content in (
        (published.path, image.read_at(0, image.size_bytes)),
        ("/large.iso", (root / "large.iso").read_bytes()),
    ):
        first, _, last = asked.partition("-")
        part = content[int(first) : int(last) + 1 if last else None] if first else content[-int(last) :]
        assert await curl(server, path, "--range", asked) == part


async def test_several_ranges_agree_with_the_whole(server: Server, published: Publication, image: Blob) -> None:
    head, _, body = (
        await curl(server, published.path, "--include", "--range", "5-9,1000000-1400000,-70001")
    ).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 206 Partial Content\r\n")
    match = re.search(rb"Content-Type: multipart/byteranges; boundary=(\S+)", head)
    assert match
    size = image.size_bytes
    expected = b""
    for start, end in ((5, 10), (1_000_000, 1_400_001), (size - 70_001, size)):
        expected += b"\r\n--%s\r\nContent-Type: application/vnd.efi-iso\r\n" % match[1]
        expected += b"Content-Range: bytes %d-%d/%d\r\n\r\n" % (start, end - 1, size)
        expected += image.read_at(start, end - start)
    assert body == expected + b"\r\n--%s--\r\n" % match[1]


async def test_a_range_behind_the_end_is_416_with_a_body(server: Server, root: Path) -> None:
    reply = await get(server.port, "/large.iso", "Range: bytes=99999999-")
    assert (reply.status, reply.headers["content-range"]) == (416, f"bytes */{8 * 1024 * 1024 + 3}")
    assert reply.body


async def test_if_range_resumes_the_same_file_and_restarts_another(server: Server, root: Path) -> None:
    content = (root / "large.iso").read_bytes()
    head = await get(server.port, "/large.iso", method="HEAD")
    for validator in (head.headers["etag"], head.headers["last-modified"]):
        assert await curl(server, "/large.iso", "-r", "5000000-", "-H", f"If-Range: {validator}") == content[5_000_000:]
    for validator in ('"other"', f"W/{head.headers['etag']}", "Sun, 06 Nov 1994 08:49:37 GMT"):
        assert await curl(server, "/large.iso", "-r", "5000000-", "-H", f"If-Range: {validator}") == content


async def test_curl_resumes_a_broken_download(
    server: Server, published: Publication, image: Blob, tmp_path: Path
) -> None:
    target = tmp_path / "download"
    target.write_bytes(image.read_at(0, 4_444_444))
    await curl(server, published.path, "--continue-at", "-", "--output", target)
    assert target.read_bytes() == image.read_at(0, image.size_bytes)


async def test_firmware_resumes_with_preconditions(server: Server, root: Path) -> None:
    # EDK2 HttpBootDxe resumes with Range and If-Match, or If-Unmodified-Since where it has no ETag, and starts again
    # on 412 (EDK2 HttpBootClient.c, HttpBootGetBootFile, 2026-08).
    content = (root / "large.iso").read_bytes()
    head = (await get(server.port, "/large.iso", method="HEAD")).headers
    for line in (f"If-Match: {head['etag']}", f"If-Unmodified-Since: {head['last-modified']}"):
        reply = await get(server.port, "/large.iso", "Range: bytes=7000000-", line)
        assert (reply.status, reply.body) == (206, content[7_000_000:])
        assert reply.headers["content-range"] == f"bytes 7000000-{len(content) - 1}/{len(content)}"
    (root / "large.iso").write_bytes(content + b"edited")
    for line in (f"If-Match: {head['etag']}", "If-Unmodified-Since: Sun, 06 Nov 1994 08:49:37 GMT"):
        reply = await get(server.port, "/large.iso", "Range: bytes=7000000-", line)
        assert (reply.status, bool(reply.body)) == (412, True)


async def test_a_header_that_comes_twice_counts_twice(server: Server) -> None:
    etag = (await get(server.port, "/large.iso", method="HEAD")).headers["etag"]
    reply = await get(server.port, "/large.iso", 'If-None-Match: "other"', f"If-None-Match: {etag}")
    assert reply.status == 304
    reply = await get(server.port, "/small.efi", "Range: bytes=0-1", "Range: bytes=4-5")
    assert reply.status == 200, "two headers joined are no range"


async def test_not_modified_has_no_body_and_the_connection_goes_on(server: Server) -> None:
    async with Line(server.port) as line:
        etag = (await line.get("/small.efi")).headers["etag"]
        reply = await line.get("/small.efi", f"If-None-Match: {etag}")
        assert (reply.status, reply.headers.get("content-length")) == (304, None)
        assert (await line.get("/small.efi")).status == 200


# Refusals


@pytest.mark.parametrize(
    "path",
    [
        "/../secret.iso",
        "/deep/../../secret.iso",
        "/%2e%2e/secret.iso",
        "/..%2fsecret.iso",
        "/%2e%2e%2fsecret.iso",
        "/.%00./secret.iso",
        "/link.iso",
        "/up/secret.iso",
        "/%c0%ae%c0%ae/secret.iso",
        "//../secret.iso",
        "/./../secret.iso",
        "/small.efi/../../secret.iso",
        "/..;/secret.iso",
        "/..\\secret.iso",
        "/store/",
        "/",
        "",
    ],
)
async def test_no_path_leads_out_of_the_root(server: Server, root: Path, path: str) -> None:
    (root.parent / "secret.iso").write_bytes(b"secret")
    (root / "link.iso").symlink_to("../secret.iso")
    (root / "up").symlink_to("..")
    answer = await curl(server, path, "--path-as-is", "--include")
    assert answer.startswith(b"HTTP/1.1 404 Not Found\r\n")
    assert answer.endswith(b"\r\n\r\n404 not found\n")


@pytest.mark.parametrize(
    "target",
    [b"/\xff\xfe", b"/%ff", b"/%", b"/a\\b", b"*", b"http://host/nothing", b"/" + b"a" * 4000, b"/\xe2\x80\xa6"],
)
async def test_odd_targets_are_not_found_and_break_nothing(
    server: Server, target: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async with Line(server.port) as line:
        await line.say(b"GET %s HTTP/1.1\r\nHost: a\r\n\r\n" % target)
        assert (await line.reply()).status in (400, 404)
    assert caplog.text == ""


async def test_the_absolute_form_is_served(server: Server, root: Path) -> None:
    reply = await get(server.port, "http://boot.example:80/small.efi")
    assert (reply.status, reply.body) == (200, (root / "small.efi").read_bytes())


async def test_slashes_too_many_are_served_and_never_redirected(server: Server, root: Path) -> None:
    assert await curl(server, "//small.efi", "--path-as-is") == (root / "small.efi").read_bytes()
    for path in ("/deep", "/deep/", "//", "/small.efi/", "/small.efi?x", "/./small.efi"):
        reply = await get(server.port, path)
        assert reply.status in (200, 404)
        assert "location" not in reply.headers


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH"])
@pytest.mark.parametrize("path", ["/small.efi", "/nothing"])
async def test_other_methods_are_refused_with_a_body(server: Server, method: str, path: str) -> None:
    reply = await get(server.port, path, method=method)
    assert (reply.status, reply.headers["allow"]) == (405, "GET, HEAD")
    assert reply.body == b"405 only GET and HEAD are answered here\n"


async def test_an_upload_is_refused_by_curl(server: Server, root: Path) -> None:
    code = await curl(server, "/new.iso", "-T", root / "large.iso", "-o", "/dev/null", "-w", "%{http_code}")
    assert code == b"405"
    assert not (root / "new.iso").exists()


async def test_head_of_nothing_keeps_the_connection(server: Server) -> None:
    async with Line(server.port) as line:
        for _ in range(2):
            reply = await line.get("/nothing", method="HEAD")
            assert (reply.status, reply.headers["content-length"]) == (404, "14")


# Addresses


async def test_an_address_in_use_is_said_plainly(server: Server, root: Path) -> None:
    second = Server([Folder(root)], host="127.0.0.1", port=server.port)
    with pytest.raises(HostError) as caught:
        await second.start()
    assert caught.value.message == f"listen on 127.0.0.1:{server.port} → Address already in use"
    assert caught.value.hint == "another program listens there; give another port"
    await second.stop()


@pytest.mark.parametrize(
    ("host", "message"),
    [
        ("192.0.2.1", "listen on 192.0.2.1:0 → Cannot assign requested address"),
        ("2001:db8::1", "listen on [2001:db8::1]:0 → Cannot assign requested address"),
    ],
)
async def test_an_address_that_is_not_ours_is_said_plainly(root: Path, host: str, message: str) -> None:
    with pytest.raises(HostError) as caught:
        await Server([Folder(root)], host=host, port=0).start()
    assert caught.value.message == message


async def test_a_name_that_does_not_resolve_is_said_plainly(root: Path) -> None:
    with pytest.raises(HostError, match=r"^listen on host\.invalid:0 → .*(known|resolution)"):
        await Server([Folder(root)], host="host.invalid", port=0).start()


async def test_stopping_twice_or_before_the_start_is_fine(root: Path) -> None:
    server = Server([Folder(root)], host="127.0.0.1", port=0)
    await server.stop()
    await server.start()
    await server.stop()
    await server.stop()
