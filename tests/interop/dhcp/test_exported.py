"""What arrives at clients of other servers that `httpboot export` has configured: two networks, named and unnamed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from ironic_httpboot.dhcp import message6
from ironic_httpboot.dhcp.iana import IPXE_USER_CLASS, Kind6, Option4, Option6
from kit.asker import ask4, ask6
from kit.dhcp import HTTP, PXE, question4, question6
from kit.network import Namespace, namespace
from kit.others import EXPORTED

SITE = "http://boot.example/v=1,2"
FILE = f"""
[dhcp]
interfaces = ["br0", "br1"]
url = "{SITE}/every,one=3.iso"
script = "{SITE}/every,one.ipxe"

[[subnet]]
network = "192.0.2.0/24"
ranges = ["192.0.2.100-192.0.2.150"]
router = "192.0.2.254"
dns = ["192.0.2.53"]

[[subnet]]
network = "198.51.100.0/24"
ranges = ["198.51.100.100-198.51.100.150"]
router = "198.51.100.254"
dns = ["198.51.100.53"]

[[subnet]]
network = "2001:db8::/64"
ranges = ["2001:db8::100-2001:db8::1ff"]
dns = ["2001:db8::53"]

[[machine]]
mac = "52:54:00:00:00:01"
duid = "00:03:00:01:52:54:00:00:00:01"
addresses = ["192.0.2.8", "2001:db8::8"]
url = "{SITE}/no,name=4.iso"
script = "{SITE}/no,name.ipxe"

[[machine]]
name = "two"
mac = "52:54:00:00:00:02"
addresses = ["198.51.100.8"]
url = "{SITE}/two,b=4.iso"
"""
NAMELESS, TWO, STRANGER = (bytes.fromhex(f"5254000000{number}") for number in ("01", "02", "99"))
NETWORKS = {"eth0": "192.0.2", "eth1": "198.51.100"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Given4:
    """What a client was told. address: without its network."""

    url: str
    vendor_class: bytes
    router: str
    dns: str
    address: str


@contextmanager
def served(server: str, folder: Path) -> Iterator[Namespace]:
    """A client with a card on each of the server's two networks."""
    file = folder / "httpboot.toml"
    file.write_text(FILE)
    with namespace() as host, namespace() as client:
        for number, (card, network) in enumerate(NETWORKS.items()):
            six = ("2001:db8::1/64",) if number == 0 else ()
            host.bridge(f"{network}.1/24", *six, name=f"br{number}")
            host.cable(f"cable{number}", client, card, bridge=f"br{number}")
        EXPORTED[server](host, file)
        yield client


def given4(client: Namespace, mac: bytes, card: str, vendor: bytes = HTTP, user_class: bytes = b"") -> Given4:
    """What a DISCOVER is answered, which asks for all that firmware asks for."""
    wanted: dict[int, bytes] = {55: bytes((1, 3, 6, 15, 43, 60, 66, 67))}
    if user_class:
        wanted[Option4.USER_CLASS] = user_class
    found = ask4(client, question4(vendor=vendor, options=wanted, mac=mac), interface=card)
    network, _, address = str(found.yiaddr).rpartition(".")
    assert network == NETWORKS[card]
    options = found.by_code
    return Given4(
        url=options.get(Option4.BOOT_FILE, found.file).rstrip(b"\0").decode(),
        vendor_class=options.get(Option4.VENDOR_CLASS, b"")[:10],
        router=".".join(map(str, options[Option4.ROUTERS])).removeprefix(f"{network}."),
        dns=".".join(map(str, options[Option4.DNS_SERVERS])).removeprefix(f"{network}."),
        address=address,
    )


@pytest.mark.parametrize("server", EXPORTED)
def test_each_machine_gets_its_url_whole_on_its_network(server: str, tmp_path: Path) -> None:
    with served(server, tmp_path) as client:
        firmware = {
            (NAMELESS, "eth0"): "no,name=4.iso",
            (TWO, "eth1"): "two,b=4.iso",
            (STRANGER, "eth0"): "every,one=3.iso",
            (STRANGER, "eth1"): "every,one=3.iso",
        }
        for (mac, card), url in firmware.items():
            given = given4(client, mac, card)
            assert (given.url, given.vendor_class) == (f"{SITE}/{url}", b"HTTPClient")
            assert (given.router, given.dns) == ("254", "53"), "of this network"
            assert (given.address == "8") == (mac != STRANGER)
        loaded = {
            (NAMELESS, "eth0"): "no,name.ipxe",
            (TWO, "eth1"): "every,one.ipxe",
            (STRANGER, "eth1"): "every,one.ipxe",
        }
        for (mac, card), url in loaded.items():
            assert given4(client, mac, card, PXE, b"iPXE").url == f"{SITE}/{url}"
        for mac in (NAMELESS, STRANGER):
            system = given4(client, mac, "eth0", b"")
            assert (system.url, system.vendor_class) == ("", b"")


@pytest.mark.parametrize("server", EXPORTED)
def test_each_machine_gets_its_url_whole_over_dhcpv6(server: str, tmp_path: Path) -> None:
    with served(server, tmp_path) as client:
        for mac, url, address in ((STRANGER, "every,one=3.iso", None), (NAMELESS, "no,name=4.iso", "2001:db8::8")):
            client.run("ip", "link", "set", "eth0", "down", "address", mac.hex(":"))
            client.run("ip", "link", "set", "eth0", "up")
            asked = message6.Option(Option6.REQUESTED_OPTIONS, bytes.fromhex("003b 003c 0017 0010"))
            found = ask6(client, question6(Kind6.SOLICIT, asked, duid=b"\0\x03\0\x01" + mac))
            assert (found.get(Option6.BOOT_URL) or b"").decode() == f"{SITE}/{url}"
            assert (found.get(Option6.VENDOR_CLASS) or b"")[6:16] == b"HTTPClient"
            (lent,) = message6.decode_ia(found.get(Option6.IA_NA) or b"").addresses
            assert address in (None, str(lent.address))
            plain = ask6(client, question6(Kind6.SOLICIT, vendor=b"", duid=b"\0\x03\0\x01" + mac))
            assert plain.get(Option6.IA_NA)
            ipxe = (asked, message6.Option(Option6.USER_CLASS, message6.encode_classes([IPXE_USER_CLASS])))
            loaded = ask6(client, question6(Kind6.SOLICIT, *ipxe, vendor=PXE, duid=b"\0\x03\0\x01" + mac))
            script = url.partition("=")[0] + ".ipxe"
            assert (loaded.get(Option6.BOOT_URL) or b"").decode() == f"{SITE}/{script}"
            system = ask6(client, question6(Kind6.SOLICIT, asked, vendor=b"", duid=b"\0\x03\0\x01" + mac))
            assert system.get(Option6.BOOT_URL) is None
