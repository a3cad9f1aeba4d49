"""Other DHCP servers, configured by `httpboot export`, boot real firmware over both families."""

from __future__ import annotations

import asyncio
import uuid
from pathlib import Path

import pytest

from ironic_httpboot.dhcp import capture
from ironic_httpboot.dhcp.explain import explain
from kit.board import Board
from kit.network import BRIDGE, SERVER4, SERVER6, entered
from kit.others import EXPORTED
from kit.shelf import files, images
from kit.site import site

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
    for board, host in ((four, SERVER4), (six, f"[{SERVER6}]")):
        duid = f"0004{uuid.UUID(board.specification.uuid).bytes_le.hex()}"
        text += f'\n[[machine]]\nmac = "{board.mac}"\nduid = "{duid}"\nname = "{board.specification.id}"\n'
        text += f'url = "http://{host}:8080/secret/node.efi"\n'
    path = folder / "httpboot.toml"
    path.write_text(text)
    return path


@pytest.mark.parametrize("server", EXPORTED)
async def test_another_server_boots_what_was_exported_over_dhcpv4_and_dhcpv6(server: str, tmp_path: Path) -> None:
    """Each machine starts what it has fetched, and `explain` agrees with the firmware."""
    folder, _ = files(tmp_path)
    # The neighbour is always plugged in: a bridge is "not running" as long as no machine is on, and then Kea does not
    # listen.
    with site(tmp_path) as here, here.neighbour(), entered(here.host):
        four, six = here.board("four"), here.board("six", version=6)
        EXPORTED[server](here.host, write(tmp_path, four, six))
        async with images(folder) as requests:
            with here.host.capturing(tmp_path / "dhcp.pcap") as file:
                async with four, six:
                    await asyncio.gather(*(board.until("BdsDxe: starting Boot") for board in (four, six)))
        assert {each.path.rpartition("/")[2] for each in requests} == {"node.efi"}
        assert {":" in each.peer for each in requests} == {False, True}, "over either family"
    booted = [each for each in explain(capture.read(file.read_bytes())) if each.choice.rank is not None]
    assert sorted(each.family for each in booted) == [4, 6]
    for each in booted:
        assert each.accepted in {verdict.offer.server for verdict in each.choice.verdicts if verdict.rule is None}
        assert each.unanswered_releases == 0
