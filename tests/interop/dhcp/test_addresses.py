"""The server's own addresses: no machine gets one of them, and they may change while it runs."""

from __future__ import annotations

import time
from pathlib import Path

from ironic_httpboot.dhcp import message6
from ironic_httpboot.dhcp.iana import Option4, Option6
from ironic_httpboot.dhcp.message6 import encode as encode6
from kit.asker import ask4, ask6
from kit.dhcp import PXE, question4, question6
from kit.network import BRIDGE, SERVER4, SERVER6, Namespace, namespace
from kit.served import FILE, network, send, start


def offered4(client: Namespace, wanted: str = "0.0.0.0", number: int = 1) -> str:
    """The address that a machine is offered. number: which machine asks."""
    packed = bytes(map(int, wanted.split(".")))
    asked = question4(vendor=PXE, options={Option4.REQUESTED_ADDRESS: packed}, mac=b"\x02" + number.to_bytes(5))
    return str(ask4(client, asked).yiaddr)


def offered6(client: Namespace, wanted: str, number: int = 1) -> str:
    duid = b"\0\x03\0\x01\x02" + number.to_bytes(5)
    found = ask6(client, question6(duid=duid, address=wanted)).get(Option6.IA_NA) or b""
    return str(message6.decode_ia(found).addresses[0].address)


def test_no_machine_gets_an_address_of_the_servers_or_one_that_is_no_machines(tmp_path: Path) -> None:
    """Ranges hold them, and machines ask for them by name."""
    text = FILE.format(folder=tmp_path, more="").replace('router = "192.0.2.1"\n', "")
    text = text.replace("192.0.2.100-", "192.0.2.1-").replace("2001:db8::100-", "2001:db8::-")
    (tmp_path / "httpboot.toml").write_text(text)
    with namespace(bridge=(f"{SERVER4}/24", f"{SERVER6}/64")) as host, namespace() as client:
        host.cable("cable", client, "eth0", bridge=BRIDGE)
        host.address("lo", "192.0.2.3/32", "2001:db8::3/128")
        start(host, tmp_path)
        found4 = [offered4(client, wanted, number) for number, wanted in enumerate((SERVER4, "192.0.2.3", "0.0.0.0"))]
        assert found4 == ["192.0.2.2", "192.0.2.4", "192.0.2.5"]
        found6 = [offered6(client, wanted, number) for number, wanted in enumerate((SERVER6, "2001:db8::3", "::"))]
        assert found6 == ["2001:db8::2", "2001:db8::4", "2001:db8::5"], "nor that of all routers, which ends in ::"


def test_a_machine_file_with_an_address_that_no_machine_can_have_is_left_out_with_the_reason(tmp_path: Path) -> None:
    machines = tmp_path / "machines"
    machines.mkdir()
    wrong = {
        SERVER4: "is an address of this host",
        "2001:db8::": "is 2001:db8::/64's own address",
        "192.0.2.255": r"is 192\.0\.2\.0/24's broadcast address",
        "203.0.113.8": r"is inside no \[\[subnet\]\]",
    }
    text = '[[machine]]\nmac = "52:54:00:00:00:{number:02}"\naddresses = ["{address}"]\n'
    for number, address in enumerate((*wrong, "192.0.2.8")):
        (machines / f"{number}.toml").write_text(text.format(number=number, address=address))
    own = text.format(number=99, address=SERVER6)
    with network(tmp_path, f'machines = "{machines}"\n{own}') as (_, _, server):
        server.until(f"warning: machine 52-54-00-00-00-99: addresses: {SERVER6} is an address of this host")
        for number, (address, why) in enumerate(wrong.items()):
            server.until(rf"left out: {machines}/{number}\.toml: machine\.0\.addresses: {address} {why}")
        (machines / "0.toml").unlink()
        server.until("^reloaded")
        assert server.end().count("left out") == len(wrong)


def told4(client: Namespace) -> tuple[str, str]:
    """What firmware is told: the server's identifier and the URL."""
    options = ask4(client, question4()).by_code
    return ".".join(map(str, options[Option4.SERVER_ID])), options[Option4.BOOT_FILE].rstrip(b"\0").decode()


def told6(client: Namespace) -> str | None:
    url = ask6(client, question6()).get(Option6.BOOT_URL)
    return url.decode() if url is not None else None


def test_addresses_that_change_are_those_that_machines_are_told(tmp_path: Path) -> None:
    """Nor is a new one leased, though the ranges hold it."""
    with network(tmp_path) as (host, client, server):
        assert told4(client) == (SERVER4, f"http://{SERVER4}:8080/first.iso")
        assert told6(client) == f"http://[{SERVER6}]:8080/first.iso"
        host.address(BRIDGE, "192.0.2.101/24", "2001:db8::101/64", "fd00::1/64")
        time.sleep(1.1)
        assert (told4(client)[0], told6(client)) == (SERVER4, f"http://[{SERVER6}]:8080/first.iso"), "it is still there"
        assert offered4(client, "192.0.2.101", 2) != "192.0.2.101"
        assert offered6(client, "2001:db8::101", 2) != "2001:db8::101"
        host.run("sysctl", "-qw", f"net.ipv4.conf.{BRIDGE}.promote_secondaries=1")
        host.run("ip", "address", "delete", f"{SERVER4}/24", "dev", BRIDGE)
        host.run("ip", "address", "delete", f"{SERVER6}/64", "dev", BRIDGE)
        time.sleep(1.1)
        assert told4(client) == ("192.0.2.101", "http://192.0.2.101:8080/first.iso")
        assert told6(client) == "http://[2001:db8::101]:8080/first.iso", "and not that of a network that is not served"
        server.until(f"interface br0: its IPv4 address is 192.0.2.101 now; it was {SERVER4}")
        server.until(f"interface br0: its IPv6 address is 2001:db8::101 now; it was {SERVER6}")
        assert "Traceback" not in server.end()


def test_an_interface_that_is_taken_down_and_up_again_is_answered_again(tmp_path: Path) -> None:
    """Linux takes its IPv6 addresses away meanwhile, and its IPv4 addresses not."""
    with network(tmp_path) as (host, client, server):
        assert told6(client) == f"http://[{SERVER6}]:8080/first.iso"
        host.run("ip", "link", "set", BRIDGE, "down")
        host.run("ip", "link", "set", BRIDGE, "up")
        time.sleep(1.1)
        assert told4(client)[0] == SERVER4
        host.address(BRIDGE, f"{SERVER6}/64")
        time.sleep(1.1)
        assert told6(client) == f"http://[{SERVER6}]:8080/first.iso"
        host.run("ip", "address", "flush", "dev", BRIDGE)
        time.sleep(1.1)
        send(client, "ff02::1:2%eth0", 547, encode6(question6()))
        server.until(f"interface br0: its IPv4 address is gone; it was {SERVER4}")
        host.address(BRIDGE, f"{SERVER4}/24")
        time.sleep(1.1)
        assert told4(client)[0] == SERVER4
        assert "Traceback" not in server.end()


def test_a_family_that_gets_its_first_address_is_answered_from_then_on(tmp_path: Path) -> None:
    (tmp_path / "httpboot.toml").write_text(FILE.format(folder=tmp_path, more=""))
    with namespace(bridge=(f"{SERVER6}/64",)) as host, namespace() as client:
        host.cable("cable", client, "eth0", bridge=BRIDGE)
        server = host.httpboot("serve", "-c", tmp_path / "httpboot.toml")
        server.until(r"answering DHCP as server on br0 \(IPv6\)$")
        host.address(BRIDGE, f"{SERVER4}/24")
        server.until("interface br0: has got an address, and is answered over IPv4 too")
        assert told4(client) == (SERVER4, f"http://{SERVER4}:8080/first.iso")
        assert "Traceback" not in server.end()
