"""Images for the CD drive, fetched from a real server."""

from __future__ import annotations

from pathlib import Path

import pytest
from aiohttp import web

from ironic_httpboot.emulator import drive
from ironic_httpboot.errors import HostError


async def test_an_image_is_fetched_whole_or_not_at_all(tmp_path: Path) -> None:
    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        if request.path != "/s3cr3t/x.iso":
            return web.Response(status=404)
        return web.Response(body=b"image" * 1000)

    runner = web.ServerRunner(web.Server(answer, access_log=None))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        fetched = await drive.fetch(f"{url}/s3cr3t/x.iso", tmp_path)
        assert fetched.read_bytes() == b"image" * 1000
        with pytest.raises(HostError, match="GET → 404") as failure:
            await drive.fetch(f"{url}/s3cr3t/y.iso", tmp_path)
        assert "s3cr3t" not in str(failure.value)
    finally:
        await runner.cleanup()
    assert list(tmp_path.iterdir()) == [fetched]
    drive.clear(tmp_path)
    assert list(tmp_path.iterdir()) == []


async def test_a_local_image_is_taken_where_it_lies(tmp_path: Path) -> None:
    image = tmp_path / "my image.iso"
    image.write_bytes(bytes(32769) + b"CD001")
    assert await drive.fetch(image.as_uri(), tmp_path) == image
    other = tmp_path / "passwords"
    other.write_text("root:" * 9000)
    with pytest.raises(HostError, match=r"passwords: .* is no CD image"):
        await drive.fetch(other.as_uri(), tmp_path)
    with pytest.raises(HostError, match="not there"):
        await drive.fetch("file:///nowhere/x.iso", tmp_path)
