"""Other DHCP servers, configured by `httpboot export`, boot real firmware over both families."""

from __future__ import annotations

import asyncio
import json
import re
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest

from ironic_httpboot.dhcp import capture
from ironic_httpboot.dhcp.explain import explain
from kit.board import Board
from kit.commands import httpboot
from kit.shelf import files, images
from kit.wire import BRIDGE, HOST4, HOST6, Network

pytestmark = pytest.mark.firmware

FILE = f"""
[dhcp]
interfaces = ["{BRIDGE}"]

[[subnet]]
network = "192.0.2.0/24"
ranges = ["192.0.2.10-192.0.2.99"]
router = "192.0.2.1"

[[subnet]]
network = "2001:db8::/64"
ranges = ["2001:db8::10-2001:db8::99"]
"""


def write(folder: Path, four: Board, six: Board) -> Path:
    """The file for two machines, one of each family."""
    text = FILE
    for board, host in ((four, HOST4), (six, f"[{HOST6}]")):
        duid = f"0004{uuid.UUID(board.specification.uuid).bytes_le.hex()}"
        text += f'\n[[machine]]\nmac = "{board.mac}"\nduid = "{duid}"\nname = "{board.specification.id}"\n'
        text += f'url = "http://{host}:8080/secret/node.efi"\n'
    path = folder / "httpboot.toml"
    path.write_text(text)
    return path


def start_dnsmasq(network: Network, file: Path) -> None:
    network.dnsmasq(httpboot("export", "dnsmasq", "-c", file))


def start_kea(network: Network, file: Path) -> None:
    for version in (4, 6):
        text = httpboot("export", f"kea{version}", "-c", file)
        content = json.loads(re.sub(r"^//.*$", "", text, flags=re.MULTILINE))
        # Its leases and its identity, which it would keep below /var, are no part of the test.
        content[f"Dhcp{version}"]["lease-database"] = {"type": "memfile", "persist": False}
        if version == 6:
            content["Dhcp6"]["server-id"] = {"type": "LL", "persist": False}
        made = network.folder / f"kea{version}.json"
        made.write_text(json.dumps(content))
        network.start(f"kea-dhcp{version}", "-c", made, ready=rf"DHCP{version}_STARTED")


def start_isc(network: Network, file: Path) -> None:
    for version, form in ((4, "isc"), (6, "isc6")):
        made, leases = network.folder / f"dhcpd{version}.conf", network.folder / f"dhcpd{version}.leases"
        made.write_text(httpboot("export", form, "-c", file))
        leases.touch()
        arguments = (f"-{version}", "-f", "-d", "--no-pid", "-cf", made, "-lf", leases, BRIDGE)
        network.start("dhcpd", *arguments, ready="Server starting service")


@pytest.mark.parametrize("start", [start_dnsmasq, start_kea, start_isc], ids=["dnsmasq", "kea", "isc"])
async def test_another_server_boots_what_was_exported_over_dhcpv4_and_dhcpv6(
    start: Callable[[Network, Path], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each machine starts what it has fetched, and `explain` agrees with the firmware."""
    for variable in ("KEA_PIDFILE_DIR", "KEA_LOCKFILE_DIR"):
        monkeypatch.setenv(variable, str(tmp_path))
    folder, _ = files(tmp_path)
    with Network(tmp_path) as network:
        four = Board(tmp_path, "", network.tap().partition(":")[2], name="four")
        six = Board(tmp_path, "", network.tap().partition(":")[2], name="six", version=6)
        start(network, write(tmp_path, four, six))
        async with images(folder) as requests:
            with network.capture(tmp_path / "dhcp.pcap") as file:
                async with four, six:
                    await asyncio.gather(*(board.until("BdsDxe: starting Boot") for board in (four, six)))
        assert {each.path.rpartition("/")[2] for each in requests} == {"node.efi"}
        assert {":" in each.peer for each in requests} == {False, True}, "over either family"
    booted = [each for each in explain(capture.read(file.read_bytes())) if each.choice.rank is not None]
    assert sorted(each.family for each in booted) == [4, 6]
    for each in booted:
        assert each.accepted in {verdict.offer.server for verdict in each.choice.verdicts if verdict.rule is None}
        assert each.unanswered_releases == 0
