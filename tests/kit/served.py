"""`httpboot serve` as a DHCP server on a switch, and a client with a cable to it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ironic_httpboot.dhcp.iana import Option6
from kit.asker import ask6
from kit.dhcp import question6
from kit.network import BRIDGE, SERVER4, SERVER6, Namespace, Program, namespace

FILE = """
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


@contextmanager
def network(folder: Path, more: str = "", *options: str) -> Iterator[tuple[Namespace, Namespace, Program]]:
    """A server on a switch, and a client with a cable to it."""
    (folder / "httpboot.toml").write_text(FILE.format(folder=folder, more=more))
    with namespace(bridge=(f"{SERVER4}/24", f"{SERVER6}/64")) as host, namespace() as client:
        host.cable("cable", client, "eth0", bridge=BRIDGE)
        yield host, client, start(host, folder, *options)


def start(host: Namespace, folder: Path, *options: str) -> Program:
    """Start the server by the folder's file."""
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


def server_duid(client: Namespace) -> bytes:
    """The server's DUID, as a client hears it."""
    return ask6(client, question6()).get(Option6.SERVER_ID) or b""
