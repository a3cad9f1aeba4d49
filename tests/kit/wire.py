"""A network of a test's own: a namespace with a bridge, machines' taps on it, DHCP servers in it, and a capture of it.

Root is needed. While a network is entered, the calling thread is in its namespace, and so is whatever that starts.
"""

from __future__ import annotations

import ctypes
import itertools
import os
import re
import selectors
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import IPv4Address
from pathlib import Path
from types import TracebackType

from ironic_httpboot.dhcp import message4
from ironic_httpboot.dhcp.iana import CLIENT_PORT4, SERVER_PORT4, Kind4, Option4
from kit.dhcp import PXE, question4

BRIDGE = "br0"
HOST4, HOST6 = "192.0.2.1", "2001:db8::1"
"""This host's addresses on the bridge; the prefixes are /24 and /64."""

_NAMESPACES = Path("/run/netns")
_CLONE_NEWNET = 0x4000_0000
_numbers = itertools.count()


def ip(*arguments: str) -> str:
    """Run ip(8) in the namespace of the calling thread."""
    program = shutil.which("ip")
    assert program, "ip is missing: run `make setup-test`"
    done = subprocess.run([program, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"ip {' '.join(arguments)} → {done.stderr.strip()}"
    return done.stdout


def _enter(namespace: Path) -> None:
    """Take the calling thread into a namespace."""
    descriptor = os.open(namespace, os.O_RDONLY)
    try:
        if ctypes.CDLL(None, use_errno=True).setns(descriptor, _CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), f"setns to {namespace}")
    finally:
        os.close(descriptor)


class Running:
    """A program that goes on. printed: what it said so far, on both outputs."""

    def __init__(self, command: list[str | Path], folder: Path) -> None:
        program = shutil.which(str(command[0]), path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
        assert program, f"{command[0]} is missing: run `make setup-test`"
        self.name = Path(program).name
        self.process = subprocess.Popen(
            [program, *command[1:]], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        self.printed = ""

    def until(self, pattern: str, *, seconds: float = 20) -> None:
        """Read on until it says what is waited for. Fails with all that it said."""
        deadline = time.monotonic() + seconds
        while re.search(pattern, self.printed) is None:
            assert self._read(deadline - time.monotonic()), f"{self.name} did not say {pattern!r}:\n{self.printed}"

    def _read(self, seconds: float) -> bool:
        assert self.process.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(self.process.stdout, selectors.EVENT_READ)
            if not selector.select(max(0, seconds)):
                return False
            piece = os.read(self.process.stdout.fileno(), 65536)
        self.printed += piece.decode(errors="replace")
        return bool(piece)

    def stop(self) -> str:
        """End it; return all that it said."""
        if self.process.poll() is None:
            self.process.terminate()
        try:
            rest, _ = self.process.communicate(timeout=10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            rest, _ = self.process.communicate()
        self.printed += rest.decode(errors="replace")
        return self.printed


class Network:
    """Use it in a with statement; at its end every program that it started is ended, and the namespace is gone."""

    def __init__(self, folder: Path) -> None:
        """folder: for the files of the programs."""
        self.folder = folder
        self._name = f"httpboot-{os.getpid()}-{next(_numbers)}"
        self._running: list[Running] = []
        self._taps = itertools.count()
        self._neighbours: list[str] = []

    def __enter__(self) -> Network:
        assert os.geteuid() == 0, "a network of its own needs root"
        ip("netns", "add", self._name)
        self._before = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        _enter(_NAMESPACES / self._name)
        ip("link", "set", "lo", "up")
        ip("link", "add", BRIDGE, "type", "bridge", "mcast_snooping", "0", "forward_delay", "0")
        # Kea opens no socket on an address that duplicate address detection has not passed yet.
        Path(f"/proc/sys/net/ipv6/conf/{BRIDGE}/accept_dad").write_text("0")
        ip("address", "add", f"{HOST4}/24", "dev", BRIDGE)
        ip("address", "add", f"{HOST6}/64", "dev", BRIDGE, "nodad")
        ip("link", "set", BRIDGE, "up")
        # Something that is always plugged in: a bridge is "not running" as long as no machine is on, and then Kea does
        # not listen.
        ip("link", "add", "idle0", "type", "veth", "peer", "name", "idle1")
        ip("link", "set", "idle1", "up")
        ip("link", "set", "idle0", "master", BRIDGE, "up")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for program in reversed(self._running):
            said = program.stop()
            (self.folder / f"{program.name}-{program.process.pid}.log").write_text(said)
        _enter(Path(f"/proc/self/fd/{self._before}"))
        os.close(self._before)
        for name in (*self._neighbours, self._name):
            ip("netns", "delete", name)

    def neighbour(self, *addresses: str) -> str:
        """Another host on the bridge, by its card eth0, with these addresses; the name of its namespace."""
        number = len(self._neighbours)
        name = f"{self._name}-{number}"
        ip("netns", "add", name)
        self._neighbours.append(name)
        ip("link", "add", f"host{number}", "type", "veth", "peer", "name", "eth0", "netns", name)
        ip("link", "set", f"host{number}", "master", BRIDGE, "up")
        for each in addresses:
            ip("-n", name, "address", "add", each, "dev", "eth0", *(("nodad",) if ":" in each else ()))
        ip("-n", name, "link", "set", "eth0", "up")
        return name

    def tap(self) -> str:
        """A new tap on the bridge, as a machine's network: "tap:NAME"."""
        name = f"tap{next(self._taps)}"
        ip("tuntap", "add", "dev", name, "mode", "tap")
        ip("link", "set", name, "master", BRIDGE, "up")
        return f"tap:{name}"

    def start(self, *command: str | Path, ready: str) -> Running:
        """Start a program; return when it said that it is ready."""
        program = Running(list(command), self.folder)
        self._running.append(program)
        program.until(ready)
        return program

    def dnsmasq(self, configuration: str, neighbour: str = "") -> Running:
        """Start dnsmasq with a configuration, as far as that says; names are answered where it has a `port`.

        neighbour: where to, if not on this host.
        """
        file = self.folder / f"dnsmasq-{len(self._running)}.conf"
        file.write_text(configuration)
        options = ["--keep-in-foreground", "--log-facility=-", "--log-dhcp", "--no-resolv", "--no-hosts", "--user=root"]
        if "\nport=" not in f"\n{configuration}":
            options.append("--port=0")
        leases = f"--dhcp-leasefile={self.folder / f'dnsmasq-{len(self._running)}.leases'}"
        # The process number 0 of --pid-file= means none.
        program = ["ip", "netns", "exec", neighbour, "dnsmasq"] if neighbour else ["dnsmasq"]
        return self.start(*program, f"--conf-file={file}", "--pid-file=", leases, *options, ready=r"started, |DHCP, ")

    @contextmanager
    def capture(self, target: Path) -> Iterator[Path]:
        """Write every DHCP packet on the bridge to a file, until the end of the with statement."""
        ports = "udp port 67 or udp port 68 or udp port 546 or udp port 547"
        program = self.start(
            "dumpcap", "-q", "-P", "-i", BRIDGE, "-f", f"{ports} or vlan", "-w", target, ready=r"File: "
        )
        try:
            yield target
        finally:
            program.stop()
            self._running.remove(program)


def pxe_offers(*, seconds: float = 3) -> list[str]:
    """Ask on the bridge as PXE firmware does; the servers that make an offer, in order."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, BRIDGE.encode())
        client.bind(("", CLIENT_PORT4))
        client.sendto(message4.encode(question4(vendor=PXE)), ("255.255.255.255", SERVER_PORT4))
        found: list[str] = []
        deadline = time.monotonic() + seconds
        while not found:
            client.settimeout(max(0.01, deadline - time.monotonic()))
            try:
                data, _ = client.recvfrom(65536)
            except TimeoutError:
                break
            answer = message4.decode(data)
            if answer.kind == Kind4.OFFER:
                found.append(str(IPv4Address(answer.by_code[Option4.SERVER_ID])))
        return found
