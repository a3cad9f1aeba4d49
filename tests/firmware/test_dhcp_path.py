"""Real firmware asks DHCP what to boot: our server, our proxy beside another's server, relays, both families.

The guest's own verdict ends each boot: command line and appended files are those that were sent for it.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from kit import captures
from kit.board import Board, Provisions
from kit.network import BRIDGE, SERVER4, SERVER6, Namespace, Program, namespace

pytestmark = pytest.mark.firmware

_TAP = "tap0"
_SUBNETS = """
[[subnet]]
network = "192.0.2.0/24"
ranges = ["192.0.2.100-192.0.2.150"]
lease_seconds = 600

[[subnet]]
network = "2001:db8::/64"
ranges = ["2001:db8::100-2001:db8::1ff"]
lease_seconds = 600
"""


def serve(
    host: Namespace,
    folder: Path,
    board: Board,
    provisions: Provisions,
    *,
    mode: str,
    payload: str = "uki",
    interface: str = BRIDGE,
    subnets: str = _SUBNETS,
) -> Program:
    """`httpboot serve` as an operator starts it, with one machine whose image it composes."""
    file = folder / "httpboot.toml"
    file.write_text(
        f"""
[http]
listen = ":8080"

[dhcp]
interfaces = ["{interface}"]
mode = "{mode}"
lease_file = "{folder}/leases"
{subnets}
[[machine]]
name = "node"
mac = "{board.mac}"
payload = "{payload}"
{provisions.as_toml()}"""
    )
    program = host.httpboot("serve", "-c", file)
    program.until("listening on")
    return program


async def test_a_v4_server_leases_an_address_and_boots_the_image(tmp_path: Path) -> None:
    with namespace(bridge=(f"{SERVER4}/24",)) as host:
        host.tap(_TAP)
        provisions = Provisions.make(tmp_path)
        board = Board(tmp_path, host.name, _TAP)
        server = serve(host, tmp_path, board, provisions, mode="server")
        capture = host.capture(tmp_path / "server4.pcap")
        async with board:
            await board.passes(provisions)
        said = server.end()
        host.end_capture(capture)
        captures.keep(tmp_path / "server4.pcap")
        assert "node DISCOVER: HTTPClient x64 asks on br0" in said
        assert "node OFFER: address 192.0.2.100 and a URL" in said
        assert "node lease: 192.0.2.100" in said
        assert "Station IP address is 192.0.2.100" in board.console
        assert "192.0.2.100 bound" in (tmp_path / "leases").read_text()


async def test_a_v4_proxy_adds_the_url_to_what_dnsmasq_leases(tmp_path: Path) -> None:
    with namespace(bridge=(f"{SERVER4}/24",)) as host, namespace() as other:
        host.tap(_TAP)
        host.cable("cable", other, "eth0", "192.0.2.2/24", bridge=BRIDGE)
        other.start(
            "dnsmasq", "-k", "-p0", "--log-facility=-", "--interface=eth0", "--dhcp-range=192.0.2.200,192.0.2.220,600",
            "--dhcp-leasefile=/dev/null", "--user=root",
        ).until("started")  # fmt: skip
        provisions = Provisions.make(tmp_path)
        board = Board(tmp_path, host.name, _TAP)
        server = serve(host, tmp_path, board, provisions, mode="proxy", subnets="")
        capture = host.capture(tmp_path / "proxy4.pcap")
        async with board:
            await board.passes(provisions)
        said = server.end()
        host.end_capture(capture)
        captures.keep(tmp_path / "proxy4.pcap")
        assert "node OFFER: a URL" in said
        assert "Station IP address is 192.0.2.2" in board.console, "dnsmasq's address"
        assert "lease:" not in said


async def test_a_v6_server_leases_an_address_and_boots_the_image(tmp_path: Path) -> None:
    with namespace(bridge=(f"{SERVER4}/24", f"{SERVER6}/64")) as host:
        host.tap(_TAP)
        provisions = Provisions.make(tmp_path)
        board = Board(tmp_path, host.name, _TAP, version=6)
        server = serve(host, tmp_path, board, provisions, mode="server")
        capture = host.capture(tmp_path / "server6.pcap")
        async with board:
            await board.passes(provisions)
        said = server.end()
        host.end_capture(capture)
        captures.keep(tmp_path / "server6.pcap")
        assert "node DISCOVER: HTTPClient x64 asks on br0" in said
        assert "node lease: 2001:db8::1" in said


async def test_relays_pass_on_the_questions_of_another_network(tmp_path: Path) -> None:
    """dnsmasq relays from the machine's network to the one that our server is on."""
    with namespace(bridge=("198.51.100.1/24",)) as machines, namespace() as host:
        machines.tap(_TAP)
        machines.cable("uplink", host, "eth0", f"{SERVER4}/24")
        machines.address("uplink", "192.0.2.254/24")
        machines.run("sysctl", "-qw", "net.ipv4.ip_forward=1")
        host.run("ip", "route", "add", "198.51.100.0/24", "via", "192.0.2.254")
        machines.start(
            "dnsmasq", "-k", "-p0", "--log-facility=-", f"--dhcp-relay=198.51.100.1,{SERVER4}", "--user=root"
        ).until("started")
        provisions = Provisions.make(tmp_path)
        board = Board(tmp_path, machines.name, _TAP)
        subnets = """
[[subnet]]
network = "198.51.100.0/24"
ranges = ["198.51.100.50-198.51.100.60"]
router = "198.51.100.1"
"""
        server = serve(host, tmp_path, board, provisions, mode="server", interface="eth0", subnets=subnets)
        capture = host.capture(tmp_path / "relayed4.pcap", "eth0")
        async with board:
            await board.passes(provisions)
        said = server.end()
        host.end_capture(capture)
        captures.keep(tmp_path / "relayed4.pcap")
        assert "node lease: 198.51.100.50" in said


async def test_secure_boot_takes_an_iso_whose_url_comes_from_a_proxy(tmp_path: Path) -> None:
    """Two proxies say the same here, as where an operator runs a second one; neither is in the other's way."""
    with namespace(bridge=(f"{SERVER4}/24",)) as host, namespace() as other:
        host.tap(_TAP)
        host.cable("cable", other, "eth0", "192.0.2.2/24", bridge=BRIDGE)
        other.start(
            "dnsmasq", "-k", "-p0", "--log-facility=-", "--interface=eth0", "--dhcp-range=192.0.2.200,192.0.2.220,600",
            "--dhcp-leasefile=/dev/null", "--user=root",
        ).until("started")  # fmt: skip
        provisions = Provisions.make(tmp_path, iso=True)
        board = Board(tmp_path, host.name, _TAP, secure_boot=True)
        server = serve(host, tmp_path, board, provisions, mode="proxy", payload="image", subnets="")
        second = tmp_path / "second.toml"
        with namespace() as third:
            host.cable("cable3", third, "eth0", "192.0.2.3/24", bridge=BRIDGE)
            text = (tmp_path / "httpboot.toml").read_text().replace(BRIDGE, "eth0").replace("/leases", "/leases2")
            second.write_text(text)
            third.httpboot("serve", "-c", second).until("listening on")
            async with board:
                await board.passes(provisions)
        assert "node OFFER: a URL" in server.end()
