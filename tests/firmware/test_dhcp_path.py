"""Real firmware asks DHCP what to boot: our server, our proxy beside another's server, relays, both families.

The guest's own verdict ends each boot: command line and appended files are those that were sent for it.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from ironic_httpboot.model import Arch
from kit.board import Provisions
from kit.network import BRIDGE, SERVER4, SERVER6, namespace
from kit.shelf import files
from kit.site import NETWORKS, RELAY4, relayed_site, site

pytestmark = pytest.mark.firmware


async def test_a_v4_server_leases_an_address_and_boots_the_image(tmp_path: Path) -> None:
    """It is composed for one machine; another boots the operator's own, by a URL whose host is a name."""
    folder, provisions = files(tmp_path)
    with site(tmp_path) as here:
        here.networks = NETWORKS.replace("lease_seconds", f'dns = ["{SERVER4}"]\nlease_seconds', 1)
        names = ("--no-resolv", "--no-hosts", f"--address=/images.example/{SERVER4}")
        here.host.start("dnsmasq", "-k", "--log-facility=-", "--user=root", *names).until("started")
        board, named = here.board(), here.board("named")
        more = f"""
[[machine]]
name = "named"
mac = "{named.mac}"
addresses = ["192.0.2.9"]
url = "http://images.example:8080/secret/node.efi"
"""
        said = await here.boot(
            board, "server", "server4", http=f'folders = ["{folder}"]', more=more, also={named: provisions}
        )
        assert "node DISCOVER: HTTPClient x64 asks on br0" in said
        assert "node OFFER: address 192.0.2.100 and a URL" in said
        assert "node lease: 192.0.2.100" in said
        assert "Station IP address is 192.0.2.100" in board.console
        assert "192.0.2.100 bound" in (tmp_path / "leases").read_text()
        assert "named OFFER: address 192.0.2.9 and a URL" in said
        assert "192.0.2.9 GET /secret/node.efi → 200" in said


async def test_an_arm64_machine_with_secure_boot_gets_the_image_for_its_architecture(tmp_path: Path) -> None:
    """No [[machine]] names it; the x64 image beside its own would not start there."""
    with site(tmp_path) as here:
        images = tmp_path / "images"
        images.mkdir()
        provisions = Provisions.make(tmp_path, iso=True, arch=Arch.ARM64)
        provisions.as_image(images / "arm64.iso")
        (images / "x64.iso").write_bytes(b"for others")
        loaders = "".join(f'{arch.value} = "http://{{server}}:8080/{arch.value}.iso"\n' for arch in Arch)
        server = here.serve("server", http=f'folders = ["{images}"]', dhcp=f"[dhcp.loaders]\n{loaders}")
        board = here.board(arch=Arch.ARM64, secure_boot=True)
        with here.captured("arm64"):
            async with board:
                await board.passes(provisions)
            said = server.end()
        assert "Lockdown: " in board.console, "the kernel knows that Secure Boot is on"
        assert f"{board.mac} DISCOVER: HTTPClient arm64 asks on br0" in said
        assert "GET /arm64.iso → 200" in said
        assert "x64.iso" not in said


async def test_a_v4_proxy_adds_the_url_to_what_dnsmasq_leases(tmp_path: Path) -> None:
    with site(tmp_path) as here, here.other_server():
        board = here.board()
        said = await here.boot(board, "proxy", "proxy4")
        assert "node OFFER: a URL" in said
        assert "Station IP address is 192.0.2.2" in board.console, "dnsmasq's address"
        assert "lease:" not in said


async def test_a_v6_server_leases_an_address_and_boots_the_image(tmp_path: Path) -> None:
    with site(tmp_path) as here:
        said = await here.boot(here.board(version=6), "server", "server6", more='addresses = ["2001:db8::8"]\n')
        assert "node DISCOVER: HTTPClient x64 asks on br0" in said
        assert "node lease: 2001:db8::8" in said
        assert "2001:db8::8 GET " in said


async def test_a_v6_proxy_adds_the_url_to_what_dnsmasq_leases(tmp_path: Path) -> None:
    with site(tmp_path) as here, here.other_server(6):
        board = here.board(version=6)
        said = await here.boot(board, "proxy", "proxy6")
        assert "node OFFER: a URL" in said
        assert "Station IPv6 address is 2001:DB8:0:0:0:0:0:20" in board.console, "dnsmasq's address"
        assert "lease:" not in said


async def test_a_v4_relay_passes_on_the_questions_of_another_network(tmp_path: Path) -> None:
    relay = ("dnsmasq", "-k", "-p0", "--log-facility=-", f"--dhcp-relay={RELAY4},{SERVER4}", "--user=root")
    with relayed_site(tmp_path, *relay) as here:
        said = await here.boot(here.board(), "server", "relayed4")
        assert "node lease: 198.51.100.50" in said


async def test_a_v6_relay_passes_on_the_questions_of_another_network(tmp_path: Path) -> None:
    relay = ("dhcrelay", "-6", "-d", "-I", "-pf", tmp_path / "relay.pid", "-l", BRIDGE, "-u", f"{SERVER6}%uplink")
    with relayed_site(tmp_path, *relay) as here:
        said = await here.boot(here.board(version=6), "server", "relayed6")
        assert "node lease: 2001:db8:1::50" in said


async def test_secure_boot_takes_an_iso_whose_url_comes_from_a_proxy(tmp_path: Path) -> None:
    """Two proxies say the same here, as where an operator runs a second one; neither is in the other's way."""
    with site(tmp_path) as here, here.other_server(), namespace() as third:
        provisions = Provisions.make(tmp_path, iso=True)
        board = here.board(secure_boot=True)
        here.machines.cable("cable3", third, "eth0", "192.0.2.3/24", bridge=BRIDGE)
        machine = f'name = "node"\nmac = "{board.mac}"\npayload = "image"\n{provisions.as_toml()}'
        server = here.serve("proxy", machine=machine)
        second = tmp_path / "second.toml"
        text = (tmp_path / "httpboot.toml").read_text().replace(BRIDGE, "eth0").replace("/leases", "/leases2")
        second.write_text(text)
        third.httpboot("serve", "-c", second).until("listening on")
        async with board:
            await board.passes(provisions)
        assert "node OFFER: a URL" in server.end()
