"""Our client against a BMC emulator that is not ours: that of sushy-tools, with its fake driver, as a process.

The DMTF's mockup server would be another, but it is in no package registry: `pip index versions` finds nothing as
redfish-mockup-server, redfishMockupServer or DMTF-Redfish-Mockup-Server (looked for in November 2026). It answers
from files, without behaviour; so does kit/mockups.py, over real sockets, from tests/golden/bmc, which is made by hand:
no hardware's dump is free to be kept here.
"""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ironic_httpboot.errors import BmcRefused, InputError
from ironic_httpboot.model import BootUrl
from ironic_httpboot.redfish import Place, Transport, boot, clear, probe

URL = BootUrl.parse("http://127.0.0.1:9/x.iso")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("sushy-tools")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    (folder / "config").write_text(f"SUSHY_EMULATOR_STATE_DIR = {str(folder)!r}\n")
    command = [str(Path(sys.executable).parent / "sushy-emulator"), "--fake", "--config", str(folder / "config")]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([*command, "-i", "127.0.0.1", "-p", str(port)], stdout=log, stderr=log, cwd=folder)
    try:
        deadline = time.monotonic() + 60
        while not _listens(port):
            assert process.poll() is None, (folder / "log").read_text()
            assert time.monotonic() < deadline, (folder / "log").read_text()
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(10)


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def test_a_probe_finds_where_the_url_goes(server: str) -> None:
    with Transport(server) as bmc:
        found = probe(bmc)
    assert (found.place, found.system.power) == (Place.SYSTEM, "Off")
    assert found.quirk.name == "sushy-tools"
    assert found.override.boot["HttpBootUri"] == "None"
    assert not found.holds_url, "its “None” is no URL"


def test_where_it_shows_no_url_there_is_nothing_to_take_back(server: str) -> None:
    with Transport(server) as bmc:
        assert clear(bmc).steps == ()


def test_a_url_that_it_refuses_is_told_as_refused_and_nothing_is_reset(server: str) -> None:
    with Transport(server) as bmc:
        with pytest.raises(BmcRefused, match=r"PATCH .*400"):
            boot(bmc, URL)
        assert probe(bmc).system.power == "Off"


def test_a_system_that_it_does_not_have_is_named(server: str) -> None:
    with Transport(server) as bmc, pytest.raises(InputError, match="node-9"):
        probe(bmc, system_id="node-9")
