"""Real firmware boots from the dnsmasq that Neutron's own DHCP driver configures: see docs/explanation/neutron.md.

The agent runs already when the port gets its options, as where Ironic sets them on a port that is bound.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ironic_httpboot.dhcp import export
from kit import neutron
from kit.board import Board, Provisions
from kit.commands import httpboot
from kit.network import SERVER4, SERVER6, Namespace, namespace

pytestmark = pytest.mark.firmware

_URL4, _URL6 = (f"http://{host}:8080/node.efi" for host in (SERVER4, f"[{SERVER6}]"))


@contextmanager
def published(folder: Path) -> Iterator[tuple[Namespace, Provisions]]:
    """A host on a switch that serves an image, and what the image's guest must find."""
    provisions = Provisions.make(folder)
    (folder / "www").mkdir()
    initrds = [word for path in provisions.initrds for word in ("--initrd", path)]
    httpboot(
        "compose", "--chain", "uki", "--kernel", provisions.kernel, *initrds, "--cmdline", provisions.cmdline,
        "-o", folder / "www" / "node.efi",
    )  # fmt: skip
    with namespace(bridge=(f"{SERVER4}/24", f"{SERVER6}/64")) as host:
        host.httpboot("serve", "--root", folder / "www", "--listen", ":8080").until("listening on")
        yield host, provisions


async def test_neutrons_agent_as_it_is_boots_firmware_over_ipv4(tmp_path: Path) -> None:
    """The tag of an operator's own line for dnsmasq keeps the options from whoever is not such firmware."""
    with published(tmp_path) as (host, provisions):
        host.tap("tap0")
        board = Board(tmp_path, host.name, "tap0")
        with neutron.neutron(host, board.mac, dnsmasq=neutron.ONLY_FIRMWARE) as network:
            network.start()
            network.set(neutron.http_boot(_URL4, tag="http"))
            async with board:
                await board.passes(provisions)
            log = network.log
        assert "Station IP address is 192.0.2.100" in board.console
        assert f"URI: {_URL4}" in board.console
        assert "vendor class: HTTPClient:Arch:00016:UNDI:003000" in log
        assert "option: 60 vendor-class  48:54:54:50:43:6c:69:65:6e:74" in log
        assert f"option: 67 bootfile-name  {_URL4}" in log


async def test_neutrons_agent_as_it_is_boots_firmware_over_ipv6_if_the_port_has_option_16(tmp_path: Path) -> None:
    """The options are those of `httpboot export neutron-json`."""
    with published(tmp_path) as (host, provisions):
        host.tap("tap0")
        board = Board(tmp_path, host.name, "tap0", version=6)
        with neutron.neutron(host, board.mac) as network:
            network.start()
            network.set(neutron.exported(network, export.Host(name="node", mac=board.mac, url4=_URL4, url6=_URL6)))
            async with board:
                await board.passes(provisions)
            log = network.log
        assert "Station IPv6 address is 2001:DB8:0:0:0:0:0:100" in board.console
        assert f"URI: {_URL6}" in board.console
        assert "option: 16 vendor-class  0000HTTPClient" in log
        assert f"option: 59 bootfile-url  {_URL6}" in log
