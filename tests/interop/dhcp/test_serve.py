"""Others' clients against our server, on a network of the test's own: both families, many at once."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ironic_httpboot.demo import guest
from ironic_httpboot.dhcp.iana import Kind4, Option4, Option6
from ironic_httpboot.dhcp.message4 import encode
from ironic_httpboot.dhcp.message6 import Message6
from ironic_httpboot.dhcp.message6 import decode as decode6
from ironic_httpboot.dhcp.message6 import encode as encode6
from ironic_httpboot.image import loaders
from ironic_httpboot.model import Arch
from kit import captures
from kit.commands import httpboot
from kit.dhcp import PXE, question4, question6
from kit.network import BRIDGE, SERVER4, SERVER6, Namespace, Program, namespace

_FILE = """
[dhcp]
interfaces = ["br0"]
mode = "server"
lease_file = "{folder}/leases"
url = "http://{{server}}:8080/first.iso"
{more}

[[subnet]]
network = "192.0.2.0/24"
ranges = ["192.0.2.100-192.0.2.199"]
router = "192.0.2.1"
lease_seconds = 600

[[subnet]]
network = "10.9.0.0/16"
ranges = ["10.9.1.0-10.9.200.255"]

[[subnet]]
network = "2001:db8::/64"
ranges = ["2001:db8::100-2001:db8::ffff"]
"""
_SEND = """
import socket, sys
one = socket.socket(socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET, socket.SOCK_DGRAM)
one.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
for line in sys.stdin:
    one.sendto(bytes.fromhex(line), (sys.argv[1], int(sys.argv[2])))
"""


_ASK = """
import socket, sys
one = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
one.settimeout(10)
one.bind(("", 546))
one.sendto(bytes.fromhex(sys.argv[1]), ("ff02::1:2", 547, 0, socket.if_nametoindex("eth0")))
print(one.recvfrom(2000)[0].hex())
"""


@contextmanager
def network(folder: Path, more: str = "", *options: str) -> Iterator[tuple[Namespace, Namespace, Program]]:
    """A server on a switch, and a client with a cable to it."""
    (folder / "httpboot.toml").write_text(_FILE.format(folder=folder, more=more))
    with namespace(bridge=(f"{SERVER4}/24", f"{SERVER6}/64")) as host, namespace() as client:
        host.cable("cable", client, "eth0", bridge=BRIDGE)
        yield host, client, start(host, folder, *options)


def start(host: Namespace, folder: Path, *options: str) -> Program:
    program = host.httpboot("serve", "-c", folder / "httpboot.toml", *options)
    program.until(r"answering DHCP as server on br0 \(IPv4\), br0 \(IPv6\)")
    return program


def dhclient(client: Namespace, folder: Path, *options: str) -> str:
    """ISC's client; returns what it was given, as the variables for its script."""
    script = folder / "script"
    script.write_text("#!/bin/sh\nenv | grep ^new_ || true\n")
    script.chmod(0o755)
    files = ("-lf", folder / "dhclient.leases", "-pf", folder / "dhclient.pid", "-sf", script)
    program = client.start("dhclient", *options, "-1", "-v", "-d", *files, "eth0")
    program.until(r"bound to \S+ --|Renewal event scheduled")
    return program.end()


def send(client: Namespace, to: str, port: int, *datagrams: bytes) -> None:
    """Send datagrams from a port that is no client's."""
    program = ["ip", "netns", "exec", client.name, sys.executable, "-c", _SEND, to, str(port)]
    lines = "".join(f"{each.hex()}\n" for each in datagrams)
    subprocess.run(program, input=lines, text=True, check=True, timeout=60)


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


def test_leases_are_there_again_after_kill_9(tmp_path: Path) -> None:
    with network(tmp_path) as (host, client, server):
        dhclient(client, tmp_path, "-4")
        server.signal(signal.SIGKILL)
        server.end()
        start(host, tmp_path)
        said = dhclient(client, tmp_path, "-4")
        assert "DHCPREQUEST for 192.0.2.100" in said
        assert "DHCPACK of 192.0.2.100" in said


@pytest.mark.parametrize(("mode", "lease_file"), [("server", True), ("proxy", False)])
def test_the_server_is_the_same_one_after_a_restart_with_another_hardware_address(
    tmp_path: Path, mode: str, lease_file: bool
) -> None:
    file = tmp_path / "httpboot.toml"
    text = _FILE.format(folder=tmp_path, more="").replace('mode = "server"', f'mode = "{mode}"')
    file.write_text(text if lease_file else re.sub(r"lease_file = .*\n", "", text))
    with namespace(bridge=(f"{SERVER4}/24", f"{SERVER6}/64")) as host, namespace() as client:
        host.cable("cable", client, "eth0", bridge=BRIDGE)
        identities = []
        for number in range(2):
            host.run("ip", "link", "set", BRIDGE, "address", f"02:00:00:00:00:0{number}")
            server = host.httpboot("serve", "-c", file)
            server.until("answering DHCP")
            said = client.run(sys.executable, "-c", _ASK, encode6(question6()).hex())
            answer = decode6(bytes.fromhex(said))
            assert isinstance(answer, Message6)
            identities.append(answer.get(Option6.SERVER_ID))
            server.end()
        assert identities[0] == identities[1]
        assert identities[0]


def test_a_reload_changes_what_is_answered_and_keeps_leases(tmp_path: Path) -> None:
    with network(tmp_path) as (_, client, server):
        dhclient(client, tmp_path, "-4")
        file = tmp_path / "httpboot.toml"
        good = file.read_text()
        file.write_text(good.replace("192.0.2.199", "203.0.113.9"))
        server.signal(signal.SIGHUP)
        server.until(r"not reloaded: .*httpboot\.toml, line \d+: subnet\.0: range .* is not inside")
        file.write_text(good.replace("192.0.2.100-", "192.0.2.90-").replace("600", "700"))
        server.signal(signal.SIGHUP)
        server.until("^reloaded")
        said = dhclient(client, tmp_path, "-4")
        assert "DHCPACK of 192.0.2.100" in said
        assert "new_dhcp_lease_time=700\n" in said


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


def test_a_flood_takes_bounded_memory_and_others_are_served(tmp_path: Path) -> None:
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


def open_to_everybody(folder: Path) -> None:
    folder.chmod(0o777)
    for parent in folder.parents:
        if parent.stat().st_uid == os.geteuid() and str(parent).startswith("/tmp/"):
            parent.chmod(0o755)


def test_root_is_given_up_once_the_ports_are_open(tmp_path: Path) -> None:
    open_to_everybody(tmp_path)
    with network(tmp_path, 'user = "nobody"') as (_, client, server):
        server.signal(signal.SIGHUP)
        server.until("^reloaded")
        status = Path(f"/proc/{server.process.pid}/status").read_text()
        assert re.search(r"^Uid:\s+65534\s+65534\s+65534\s+65534$", status, re.MULTILINE)
        assert "new_ip_address=192.0.2.100\n" in dhclient(client, tmp_path, "-4")
        assert "192.0.2.100 bound" in (tmp_path / "leases").read_text()


def test_where_the_user_may_not_write_the_leases_folder_it_is_said_and_leases_are_kept(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    with network(tmp_path, 'user = "nobody"') as (_, client, server):
        assert f"warning: {tmp_path}: is not writable, so that leases is made short at a restart only" in server.printed
        assert "hint: let nobody write there" in server.printed
        assert "new_ip_address=192.0.2.100\n" in dhclient(client, tmp_path, "-4")
        assert "192.0.2.100 bound" in (tmp_path / "leases").read_text()


def with_kernel(folder: Path, monkeypatch: pytest.MonkeyPatch, store: str = "") -> str:
    """More for the file: an image is composed for a machine, of copies that everybody may read."""
    stub = loaders.find(loaders.Loader.EFI_STUB, Arch.X64).path
    copy = folder / "parts" / "usr/lib/systemd/boot/efi" / stub.name
    copy.parent.mkdir(parents=True)
    copy.write_bytes(stub.read_bytes())
    (folder / "vmlinuz").write_bytes(guest.find_parts().kernel.read_bytes())
    monkeypatch.setenv("HTTPBOOT_PARTS", str(folder / "parts"))
    monkeypatch.setenv("TMPDIR", str(folder))
    return (
        f'user = "nobody"\n[http]\nlisten = ":8080"\n{store}\n'
        f'[[machine]]\nname = "one"\nmac = "52:54:00:12:34:56"\nkernel = "{folder}/vmlinuz"\npayload = "uki"\n'
    )


@pytest.mark.parametrize("given", [False, True])
def test_a_user_serves_what_root_composed_and_takes_it_away_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: bool
) -> None:
    open_to_everybody(tmp_path)
    more = with_kernel(tmp_path, monkeypatch, f'store = "{tmp_path}/store"' if given else "")
    with network(tmp_path, more) as (_, client, server):
        client.address("eth0", "192.0.2.50/24")
        send(client, SERVER4, 67, encode(question4(Kind4.DISCOVER)))
        server.until("one OFFER: address .* and a URL")
        (manifest,) = tmp_path.glob("store/*.json" if given else "httpboot-store-*/*.json")
        url = f"http://{SERVER4}:8080/{manifest.stem}/one.efi"
        asked = client.run("curl", "-sS", "-o", tmp_path / "fetched", "-w", "%{http_code} %{size_download}", url)
        assert asked.startswith("200 ")
        assert (tmp_path / "fetched").stat().st_size > (tmp_path / "vmlinuz").stat().st_size
        (tmp_path / "httpboot.toml").write_text((tmp_path / "httpboot.toml").read_text().replace('"one"', '"other"'))
        server.signal(signal.SIGHUP)
        server.until("^reloaded")
        assert "Traceback" not in server.end()
    assert list(tmp_path.glob("httpboot-store-*")) == []


def test_images_that_no_machine_reaches_are_warned_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    open_to_everybody(tmp_path)
    more = with_kernel(tmp_path, monkeypatch)
    with network(tmp_path, more.replace('listen = ":8080"', "")) as (_, _, server):
        said = "warning: machine.kernel: images are served on 127.0.0.1:8080, which no machine reaches"
        assert said in server.printed
    with network(tmp_path, more.replace('listen = ":8080"', ""), "--listen", ":8080") as (_, _, server):
        assert "which no machine reaches" not in server.printed


def test_machines_are_answered_while_the_file_is_read_again(tmp_path: Path) -> None:
    with network(tmp_path) as (_, client, server):
        client.address("eth0", "192.0.2.50/24")
        file = tmp_path / "httpboot.toml"
        text = file.read_text().replace("first.iso", "second.iso")
        file.unlink()
        os.mkfifo(file)
        server.signal(signal.SIGHUP)
        with file.open("w") as slow:  # from here the server reads, until this is closed
            send(client, SERVER4, 67, encode(question4()))
            server.until("OFFER: address")
            assert "reloaded" not in server.printed
            slow.write(text)
        server.until("^reloaded")


def test_what_the_user_cannot_read_is_named_at_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    open_to_everybody(tmp_path)
    more = with_kernel(tmp_path, monkeypatch)
    (tmp_path / "httpboot.toml").write_text(_FILE.format(folder=tmp_path, more=more))
    (tmp_path / "vmlinuz").chmod(0o600)
    with namespace(bridge=(f"{SERVER4}/24", f"{SERVER6}/64")) as host:
        refused = host.httpboot("serve", "-c", tmp_path / "httpboot.toml")
        refused.until(rf"error: {tmp_path}/vmlinuz: is not readable for dhcp.user nobody")
        assert refused.process.wait(20) == 3
        (tmp_path / "vmlinuz").chmod(0o644)
        (tmp_path / "httpboot.toml").chmod(0o600)
        server = start(host, tmp_path)
        assert "httpboot.toml: is not readable for dhcp.user nobody: SIGHUP will fail" in server.printed
    assert list(tmp_path.glob("httpboot-store-*")) == []


def test_what_cannot_be_opened_is_named(tmp_path: Path) -> None:
    file = tmp_path / "httpboot.toml"
    file.write_text('[dhcp]\ninterfaces = ["nothere0"]\n')
    assert "interface nothere0: looked up" in httpboot("serve", "-c", file, code=3)


def resident_bytes(program: Program) -> int:
    status = Path(f"/proc/{program.process.pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) * 1024
