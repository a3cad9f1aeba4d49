"""Networks of the test's own: namespaces, bridges, cables, and programs inside them. All of it goes when a test ends.

Needs root, as DHCP's ports do. Nothing reaches the host's own network: the namespaces have no way out.
"""

from __future__ import annotations

import ctypes
import itertools
import os
import re
import selectors
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kit.commands import HTTPBOOT
from kit.judges import judge

SERVER4, SERVER6 = "192.0.2.1", "2001:db8::1"
BRIDGE = "br0"
_NEW_NETWORK = 0x40000000
"""CLONE_NEWNET of setns(2)."""

_NUMBERS = itertools.count()


class Program:
    """A program in a namespace, watched through what it prints on both outputs."""

    def __init__(self, namespace: str, *command: str | Path) -> None:
        self.command = " ".join(map(str, command))
        self.printed = ""
        self.process = subprocess.Popen(
            ["ip", "netns", "exec", namespace, *command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, "NO_COLOR": "1", "PYTHONUNBUFFERED": "1"},
        )

    def until(self, pattern: str, *, seconds: float = 30) -> re.Match[str]:
        """Read on until what is waited for was printed. Fails with all that was."""
        deadline = time.monotonic() + seconds
        assert self.process.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(self.process.stdout, selectors.EVENT_READ)
            while (match := re.search(pattern, self.printed, re.MULTILINE)) is None:
                ready = selector.select(max(0, deadline - time.monotonic()))
                assert ready, f"{pattern!r} not within {seconds:g} s of {self.command}:\n{self.printed}"
                piece = os.read(self.process.stdout.fileno(), 65536)
                assert piece, f"{self.command} ended before {pattern!r}:\n{self.printed}"
                self.printed += piece.decode(errors="replace")
        return match

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self.process.send_signal(number)

    def end(self, *, seconds: float = 20) -> str:
        """Ask it to end; return all that it printed."""
        if self.process.poll() is None:
            self.process.terminate()
        try:
            rest, _ = self.process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            rest, _ = self.process.communicate()
        self.printed += rest.decode(errors="replace")
        return self.printed


class Namespace:
    """One host of a network. Use `namespace`, which removes it."""

    def __init__(self, name: str = "") -> None:
        self.name = name or f"httpboot-{os.getpid()}-{next(_NUMBERS)}"
        self._programs: list[Program] = []
        judge("ip", "netns", "add", self.name)
        self.run("ip", "link", "set", "lo", "up")

    def run(self, *command: str | Path, code: int = 0) -> str:
        """Run a program to its end inside; what it printed."""
        return judge("ip", "netns", "exec", self.name, *command, code=code).decode()

    def start(self, *command: str | Path) -> Program:
        """Start a program inside, which ends with the namespace."""
        program = Program(self.name, *command)
        self._programs.append(program)
        return program

    def httpboot(self, *arguments: str | Path) -> Program:
        """Start our own command inside."""
        return self.start(HTTPBOOT, *arguments)

    def bridge(self, *addresses: str, name: str = BRIDGE) -> None:
        """A switch that this host is on, with these addresses."""
        self.run("ip", "link", "add", name, "type", "bridge", "mcast_snooping", "0", "forward_delay", "0")
        self._up(name, addresses)

    def tap(self, name: str, *, bridge: str = BRIDGE) -> None:
        """A socket for a virtual machine on the switch."""
        self.run("ip", "tuntap", "add", name, "mode", "tap")
        self.run("ip", "link", "set", name, "master", bridge)
        self._up(name, ())

    def cable(self, name: str, other: Namespace, other_name: str, *addresses: str, bridge: str = "") -> None:
        """A cable to another host, where the addresses go. bridge: here it goes into the switch."""
        self.run("ip", "link", "add", name, "type", "veth", "peer", "name", other_name, "netns", other.name)
        if bridge:
            self.run("ip", "link", "set", name, "master", bridge)
        self._up(name, ())
        other._up(other_name, addresses)

    def address(self, name: str, *addresses: str) -> None:
        """Give an interface addresses."""
        for each in addresses:
            self.run("ip", "address", "add", each, "dev", name, *(("nodad",) if ":" in each else ()))

    @contextmanager
    def capturing(self, target: Path, interface: str = BRIDGE) -> Iterator[Path]:
        """Capture until the with statement ends."""
        program = self.capture(target, interface)
        yield target
        self.end_capture(program)

    def capture(self, target: Path, interface: str = BRIDGE) -> Program:
        """Write down the DHCP that passes an interface; returns when it has begun."""
        ports = "udp port 67 or udp port 68 or udp port 546 or udp port 547 or udp port 4011"
        program = self.start("dumpcap", "-q", "-P", "-i", interface, "-f", ports, "-w", target)
        program.until(r"File: ")
        return program

    def end_capture(self, program: Program) -> None:
        """End a capture when all that has passed is written down: dumpcap takes it from the kernel once a second."""
        time.sleep(2)
        program.end()

    def remove(self) -> None:
        """End what runs inside, and the namespace."""
        for program in reversed(self._programs):
            program.end()
        judge("ip", "netns", "delete", self.name)

    def _up(self, name: str, addresses: tuple[str, ...]) -> None:
        # Without duplicate address detection, which would keep a server's address unusable for the first seconds.
        self.run("sysctl", "-qw", f"net.ipv6.conf.{name}.accept_dad=0", f"net.ipv6.conf.{name}.accept_ra=0")
        self.run("ip", "link", "set", name, "up")
        self.address(name, *addresses)


@contextmanager
def entered(host: Namespace) -> Iterator[None]:
    """Have this thread, and what it starts, be inside a namespace for a while."""
    libc = ctypes.CDLL(None, use_errno=True)
    with open("/proc/thread-self/ns/net", "rb") as outside, open(f"/run/netns/{host.name}", "rb") as inside:
        assert libc.setns(inside.fileno(), _NEW_NETWORK) == 0, os.strerror(ctypes.get_errno())
        try:
            yield
        finally:
            assert libc.setns(outside.fileno(), _NEW_NETWORK) == 0, os.strerror(ctypes.get_errno())


@contextmanager
def namespace(*, bridge: tuple[str, ...] = (), name: str = "") -> Iterator[Namespace]:
    """A host, with a switch where addresses for it are given. name: where another program must find it by that."""
    host = Namespace(name)
    try:
        if bridge:
            host.bridge(*bridge)
        yield host
    finally:
        host.remove()
