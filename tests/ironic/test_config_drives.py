"""A config drive that is given by URL: it is secret, and lies nowhere but in what the node boots."""

from __future__ import annotations

import base64
import gzip
import stat
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from ironic.common import states
from ironic.objects.node import Node

from ironic_httpboot.http.store import Store
from kit.conductor import FILES, at_work

SECRET = b"an image with a password in it"


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """A URL, and the methods by which it was asked for."""

    url: str
    asked: list[str]


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    (tmp_path / "drive").write_bytes(base64.b64encode(gzip.compress(SECRET)))
    asked = []

    class Recording(SimpleHTTPRequestHandler):
        def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
            asked.append(self.command)

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Recording, directory=str(tmp_path)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield Served(url=f"http://127.0.0.1:{server.server_port}/drive", asked=asked)
    server.shutdown()
    thread.join()
    server.server_close()


def test_it_is_fetched_when_it_is_booted_and_kept_in_no_file(node: Node, folder: Path, served: Served) -> None:
    given = {part: f"file://{folder}/{name}" for part, name in FILES}
    with at_work(node, states.DEPLOYING, instance_info={**given, "configdrive": served.url}) as task:
        task.driver.boot.validate(task)
        assert served.asked == []
        task.driver.boot.prepare_instance(task)
        assert served.asked != []
        (published,) = Store(folder / "store").published()[node.uuid]
        found = Store(folder / "store").find((published.token, published.name))
        assert found is not None
        assert SECRET in found.blob.read_at(0, found.blob.size_bytes)
    images = [path for path in (folder / "images").rglob("*") if path.is_file()]
    assert {path.name for path in images} >= {"kernel", "ramdisk"}
    encoded = base64.b64encode(gzip.compress(SECRET))[:8]
    assert [path for path in images if path.read_bytes()[:8] == encoded] == []
    assert stat.S_IMODE((folder / "images").stat().st_mode) == 0o700
