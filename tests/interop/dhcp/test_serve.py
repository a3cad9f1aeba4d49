"""Others' clients against our server, on a network of the test's own: both families, many at once."""

from __future__ import annotations

import os
import re
import signal
import time
from dataclasses import replace
from functools import partial
from ipaddress import IPv4Address
from pathlib import Path

from ironic_httpboot.demo import guest
from ironic_httpboot.dhcp import message6
from ironic_httpboot.dhcp.iana import Kind4, Kind6, Option4, Option6
from ironic_httpboot.dhcp.message4 import encode
from ironic_httpboot.dhcp.message6 import encode as encode6
from kit import captures
from kit.asker import ask4, ask6
from kit.dhcp import PXE, question4, question6
from kit.network import BRIDGE, SERVER4, SERVER6, Program, namespace
from kit.others import start_dnsmasq
from kit.served import FILE, dhclient, network, send, server_duid, start


def test_iscs_client_gets_addresses_of_both_families(tmp_path: Path) -> None:
    with network(tmp_path) as (_, client, server):
        capture = client.capture(tmp_path / "dhclient4.pcap", "eth0")
        said = dhclient(client, tmp_path, "-4")
        client.end_capture(capture)
        captures.keep(tmp_path / "dhclient4.pcap")
        assert "new_ip_address=192.0.2.100\n" in said
        assert "new_routers=192.0.2.1\n" in said
        assert "new_dhcp_lease_time=600\n" in said
        capture = client.capture(tmp_path / "dhclient6.pcap", "eth0")
        assert "new_ip6_address=2001:db8::100\n" in dhclient(client, tmp_path, "-6")
        client.end_capture(capture)
        captures.keep(tmp_path / "dhclient6.pcap")
        server.until("lease: 2001:db8::100")


def test_a_relay_that_is_told_no_server_finds_it_by_its_group(tmp_path: Path) -> None:
    """RFC 8415 §19: a relay sends to ff05::1:3 where it is told nothing else. This one passes on another's."""
    text = FILE.format(folder=tmp_path, more="").replace("2001:db8::", "2001:db8:2::")
    (tmp_path / "httpboot.toml").write_text(text)
    with namespace(bridge=(f"{SERVER4}/24", f"{SERVER6}/64")) as host, namespace() as near, namespace() as far:
        host.cable("cable", near, "uplink", "2001:db8::254/64", bridge=BRIDGE)
        near.cable("below", far, "uplink", "2001:db8:1::254/64")
        near.address("below", "2001:db8:1::1/64")
        with namespace() as client:
            far.cable("below", client, "eth0")
            far.address("below", "2001:db8:2::1/64")
            start(host, tmp_path)
            for relay, to in ((near, "uplink"), (far, "2001:db8:1::1%uplink")):
                relay.start("dhcrelay", "-6", "-d", "--no-pid", "-l", "below", "-u", to)
            said = dhclient(client, tmp_path, "-6")
            assert "new_ip6_address=2001:db8:2::100\n" in said


def test_a_reserved_ipv6_address_is_the_machines_whatever_its_firmware_and_systems_call_themselves(
    tmp_path: Path,
) -> None:
    """None of them gives it back: each is cut off, as by a reset."""
    with namespace(bridge=(f"{SERVER4}/24", f"{SERVER6}/64")) as host, namespace() as machine:
        host.cable("cable", machine, "eth0", bridge=BRIDGE)
        mac = machine.run("cat", "/sys/class/net/eth0/address").strip()
        more = f'[[machine]]\nname = "node"\nmac = "{mac}"\naddresses = ["2001:db8::8"]'
        (tmp_path / "httpboot.toml").write_text(FILE.format(folder=tmp_path, more="") + more)
        start(host, tmp_path)
        as_edk2 = question6(Kind6.REQUEST, duid=b"\0\x04" + bytes(range(16)), server=server_duid(machine))
        for kind in ("LL", "LLT"):
            (address,) = message6.decode_ia(ask6(machine, as_edk2).get(Option6.IA_NA) or b"").addresses
            assert str(address.address) == "2001:db8::8", "firmware"
            (tmp_path / kind).mkdir()
            assert "new_ip6_address=2001:db8::8\n" in dhclient(machine, tmp_path / kind, "-6", "-D", kind)
        assert "new_ip6_address=2001:db8::8\n" in dhclient(machine, tmp_path / "LL", "-6", "-D", "LL"), "again"


def test_busyboxs_client_gets_the_url_when_it_asks_as_firmware_does(tmp_path: Path) -> None:
    with network(tmp_path) as (_, client, _server):
        script = tmp_path / "script"
        script.write_text("#!/bin/sh\nenv\n")
        script.chmod(0o755)
        said = client.run(
            guest.find_parts().busybox, "udhcpc", "-f", "-n", "-q", "-i", "eth0", "-s", script,
            "-V", "HTTPClient:Arch:00016", "-O", "bootfile",
        )  # fmt: skip
        assert "boot_file=" in said or "bootfile=" in said, said
        assert "http://192.0.2.1:8080/first.iso" in said
        assert "ip=192.0.2.100\n" in said


def test_a_thousand_machines_at_once_get_an_address_each_though_nobody_reads_the_output(tmp_path: Path) -> None:
    with network(tmp_path) as (host, client, server):
        client.address("eth0", "10.9.0.9/16")
        host.address(BRIDGE, "10.9.0.1/16")
        said = client.run(
            "perfdhcp", "-4", "-l", "10.9.0.9", "-r", "200", "-R", "1000", "-n", "1000", "-W", "1000000", "10.9.0.1"
        )
        assert re.findall(r"drops: (\d+)", said) == ["0", "0"], said
        said = client.run(
            "perfdhcp", "-6", "-l", "eth0", "-r", "200", "-R", "1000", "-n", "1000", "-W", "1000000", "all"
        )
        assert re.findall(r"drops: (\d+)", said) == ["0", "0"], said
        server.until(r" lease: 10\.9\.1\.0$")
        said = server.end()
        lost = re.search(r"warning: standard output: (\d+) events were not shown", said)
        assert lost, said[-2000:]
        assert int(lost[1]) + len(re.findall(r"^\d\d:\d\d:\d\d ", said, re.MULTILINE)) >= 6000
        lines = [line.split() for line in (tmp_path / "leases").read_text().splitlines() if " bound " in line]
        assert len({line[0] for line in lines}) == len({line[3] for line in lines}) == 2000


def test_bad_messages_are_borne_and_the_reason_is_told(tmp_path: Path) -> None:
    with network(tmp_path) as (_, client, server):
        client.address("eth0", "192.0.2.50/24", "2001:db8::50/64")
        good = encode(question4(vendor=PXE))
        bad = [good[:length] for length in range(0, len(good), 7)] + [os.urandom(size) for size in range(0, 1200, 50)]
        loops = [encode(question4(hops=17)), encode(question4(giaddr="203.0.113.5"))]
        send(client, SERVER4, 67, *bad, *loops)
        good6 = encode6(question6())
        bad6 = [good6[:length] for length in range(0, len(good6), 3)] + [
            os.urandom(size) for size in range(0, 1200, 50)
        ]
        send(client, SERVER6, 547, *bad6)
        server.until(r"17 relays passed it on")
        server.until(r"relay 203\.0\.113\.5 is on none of our networks")
        assert "new_ip6_address=" in dhclient(client, tmp_path, "-6")
        assert "Traceback" not in server.end()


def test_a_flood_is_outlasted_and_others_are_served(tmp_path: Path) -> None:
    """What it may take at most: tests/unit/dhcp/test_serve.py."""
    with network(tmp_path, "", "-q") as (_, client, server):
        client.address("eth0", "192.0.2.50/24")
        before = resident_bytes(server)
        macs = (number.to_bytes(6) for number in range(1, 40_001))
        send(client, SERVER4, 67, *(encode(question4(mac=mac)) for mac in macs))
        assert "new_ip6_address=" in dhclient(client, tmp_path, "-6")
        assert resident_bytes(server) < before + 40_000_000
        assert "Traceback" not in server.end()


def test_one_client_that_repeats_itself_is_answered_so_often_and_no_more(tmp_path: Path) -> None:
    with network(tmp_path) as (_, client, server):
        client.address("eth0", "192.0.2.50/24")
        same = encode(question4())
        send(client, SERVER4, 67, *[same] * 500)
        time.sleep(1)
        offers = server.end().count("OFFER")
        assert 20 <= offers <= 40


def test_who_has_no_hardware_address_is_told_from_others_by_identifier_or_uuid(tmp_path: Path) -> None:
    """One of each that asks too much costs the others nothing, nor does one that shows nothing of itself."""
    with network(tmp_path) as (_, client, server):
        client.address("eth0", "192.0.2.50/24")
        named: dict[int, bytes] = {Option4.CLIENT_ID: b"\xff\0\0\0\x01quiet"}
        loud: dict[int, bytes] = {Option4.CLIENT_ID: b"\xff\0\0\0\x01loud"}
        uuid: dict[int, bytes] = {Option4.MACHINE_ID: b"\0" + b"quiet---machine-"}
        by_uuid = question4(options=uuid)
        shown = [question4(options=loud), question4(vendor=b"")]
        asked = [*[each for each in shown for _ in range(200)], question4(options=named), by_uuid]
        send(client, SERVER4, 67, *(encode(replace(each, htype=32, hlen=0)) for each in asked))
        for key in (named[Option4.CLIENT_ID], uuid[Option4.MACHINE_ID]):
            server.until(rf"{key.hex()} OFFER: address 192\.0\.2\.\d+ and a URL")
        said = server.end()
        assert 20 <= said.count(f"{loud[Option4.CLIENT_ID].hex()} OFFER") <= 30
        assert 20 <= said.count("ignored DISCOVER on br0: it names no hardware address") <= 30


def test_a_proxy_answers_nobody_elses_address_in_a_strangers_name(tmp_path: Path) -> None:
    """An INFORM with another's address: the answer is broadcast, as far as the link goes."""
    file = tmp_path / "httpboot.toml"
    file.write_text('[dhcp]\ninterfaces = ["br0"]\nfamilies = [4]\nurl = "http://{server}/a.iso"\n')
    with namespace(bridge=(f"{SERVER4}/24",)) as host, namespace() as client:
        host.cable("cable", client, "eth0", "192.0.2.50/24", bridge=BRIDGE)
        host.run("ip", "route", "add", "default", "via", "192.0.2.50")
        client.run("ip", "route", "add", "default", "dev", "eth0")
        server = host.httpboot("serve", "-c", file)
        server.until("answering DHCP as proxy")
        capture = client.capture(tmp_path / "inform.pcap", "eth0")
        everybody = "255.255.255.255"
        send(client, everybody, 67, encode(question4(Kind4.INFORM, ciaddr="198.51.100.9")))
        time.sleep(1)
        client.end_capture(capture)
        fields = ("-T", "fields", "-e", "ip.dst", "-e", "dhcp.option.dhcp")
        lines = client.run("tshark", "-r", tmp_path / "inform.pcap", *fields).splitlines()
        # 8 is INFORM, and 5 ACK.
        assert [line.split() for line in lines if line.strip()] == [[everybody, "8"], [everybody, "5"]]
        server.end()


def test_a_proxy_on_the_servers_own_host_takes_no_question_from_it(tmp_path: Path) -> None:
    """RENEW and RELEASE are sent to the server's address; of two programs there, the one that came last has them."""
    (tmp_path / "httpboot.toml").write_text('[dhcp]\ninterfaces = ["br0"]\nurl = "http://{server}/node.iso"\n')
    ranges = "dhcp-range=192.0.2.100,192.0.2.150,255.255.255.0\ndhcp-range=2001:db8::100,2001:db8::1ff"
    with namespace(bridge=(f"{SERVER4}/24", f"{SERVER6}/64")) as host, namespace() as client:
        host.cable("cable", client, "eth0", bridge=BRIDGE)
        start_dnsmasq(host, tmp_path, f"interface=br0\nbind-interfaces\ndhcp-authoritative\n{ranges}")
        proxy = host.httpboot("serve", "-c", tmp_path / "httpboot.toml")
        proxy.until("answering DHCP as proxy on br0 .IPv4., br0 .IPv6.")
        address = ask4(client, question4(vendor=b"")).yiaddr
        taken: dict[int, bytes] = {
            Option4.SERVER_ID: IPv4Address(SERVER4).packed,
            Option4.REQUESTED_ADDRESS: address.packed,
        }
        assert ask4(client, question4(Kind4.REQUEST, vendor=b"", options=taken)).kind == Kind4.ACK
        client.address("eth0", f"{address}/24")
        renewal = question4(Kind4.REQUEST, vendor=b"", ciaddr=str(address))
        assert ask4(client, renewal, server=SERVER4).kind == Kind4.ACK
        for ask in (partial(ask4, client, question4()), partial(ask6, client, question6())):
            ask()
            proxy.until("OFFER: a URL")
            proxy.printed = ""
        (tmp_path / "httpboot.toml").write_text(FILE.format(folder=tmp_path, more="").replace('"server"', '"proxy"'))
        proxy.signal(signal.SIGHUP)
        proxy.until(r"relays over IPv[46] are heard after a restart")


def test_two_proxies_on_one_network_answer_both_and_give_no_address(tmp_path: Path) -> None:
    with namespace(bridge=(f"{SERVER4}/24",)) as host, namespace() as client, namespace() as third:
        host.cable("cable", client, "eth0", "192.0.2.50/24", bridge=BRIDGE)
        host.cable("cable3", third, BRIDGE, "192.0.2.3/24", bridge=BRIDGE)
        file = tmp_path / "httpboot.toml"
        file.write_text('[dhcp]\ninterfaces = ["br0"]\nfamilies = [4]\nurl = "http://{server}/a.iso"\n')
        client.run("ip", "route", "add", "default", "dev", "eth0")
        both = [each.httpboot("serve", "-c", file) for each in (host, third)]
        for each in both:
            each.until("answering DHCP as proxy")
        send(client, "255.255.255.255", 67, encode(question4()), encode(question4(vendor=b"")))
        take: dict[int, bytes] = {
            Option4.REQUESTED_ADDRESS: bytes((192, 0, 2, 9)),
            Option4.SERVER_ID: bytes((192, 0, 2, 3)),
        }
        send(client, "255.255.255.255", 67, encode(question4(Kind4.REQUEST, options=take)))
        for each in both:
            each.until(r"OFFER: a URL")
            each.until(r"ignored DISCOVER on br0: a proxy answers HTTPClient and iPXE only: it has no option 60")
            each.until(r"ignored REQUEST on br0")


def resident_bytes(program: Program) -> int:
    status = Path(f"/proc/{program.process.pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) * 1024
