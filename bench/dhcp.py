"""How many DHCP exchanges one core answers: ours beside dnsmasq and Kea, each with its lease file.

Needs root, for network namespaces. perfdhcp stands for many machines, behind one relay (IPv4) or on the link (IPv6).
"""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.inputs import Inputs
from bench.process import CLIENT_CORE, HTTPBOOT, SERVER_CORE, Served, find
from bench.report import Finding, Goal
from kit.network import Namespace, namespace

_SECONDS = 3
_CLIENTS = 20_000
_FIRST_RATE, _LAST_RATE = 64, 32_000
_REFINEMENTS = (1.5, 1.25)
_MOST_LOST = 0.01
_KNOWN = 100_000
_MOST_BYTES = 200_000_000
_TIMES_DNSMASQ = 4.0

_OURS = """
[dhcp]
interfaces = ["eth0"]
mode = "{mode}"
lease_file = "{folder}/leases"
url = "http://{{server}}:8080/image.iso"

[[subnet]]
network = "10.9.0.0/16"
ranges = ["10.9.1.0-10.9.250.255"]

[[subnet]]
network = "2001:db8::/64"
ranges = ["2001:db8::1:0-2001:db8::2:ffff"]
"""
_KEA4 = """{{"Dhcp4": {{"interfaces-config": {{"interfaces": ["eth0"], "dhcp-socket-type": "udp"}},
"lease-database": {{"type": "memfile", "persist": true, "name": "{folder}/kea4.csv"}},
"multi-threading": {{"enable-multi-threading": false}},
"subnet4": [{{"subnet": "10.9.0.0/16", "pools": [{{"pool": "10.9.1.0-10.9.250.255"}}]}}]}}}}"""
_KEA6 = """{{"Dhcp6": {{"server-id": {{"type": "LL", "persist": false}},
"interfaces-config": {{"interfaces": ["eth0"]}},
"lease-database": {{"type": "memfile", "persist": true, "name": "{folder}/kea6.csv"}},
"multi-threading": {{"enable-multi-threading": false}},
"subnet6": [{{"subnet": "2001:db8::/64", "interface": "eth0",
"pools": [{{"pool": "2001:db8::1:0-2001:db8::2:ffff"}}]}}]}}}}"""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Contestant:
    """A server and how it is asked. command: takes the folder that it may write to."""

    name: str
    version: int
    command: Callable[[Path], list[str | Path]]
    proxy: bool = False


def _ours(mode: str) -> Callable[[Path], list[str | Path]]:
    def command(folder: Path) -> list[str | Path]:
        file = folder / "httpboot.toml"
        file.write_text(_OURS.format(mode=mode, folder=folder))
        return [HTTPBOOT, "serve", "-q", "-c", file]

    return command


def _kea(version: int) -> Callable[[Path], list[str | Path]]:
    def command(folder: Path) -> list[str | Path]:
        file = folder / f"kea{version}.json"
        file.write_text((_KEA4 if version == 4 else _KEA6).format(folder=folder))
        return [find(f"kea-dhcp{version}"), "-c", file]

    return command


def _dnsmasq(folder: Path) -> list[str | Path]:
    ranges = ("--dhcp-range=10.9.1.0,10.9.250.255,255.255.0.0,1h", "--dhcp-range=2001:db8::1:0,2001:db8::2:ffff,64,1h")
    limits = ("--dhcp-lease-max=100000", f"--dhcp-leasefile={folder}/dnsmasq.leases", "--no-ping")
    return [
        find("dnsmasq"),
        "-k",
        "-p0",
        "--user=root",
        "--interface=eth0",
        "--quiet-dhcp",
        "--quiet-dhcp6",
        *ranges,
        *limits,
    ]


_CONTESTANTS = (
    _Contestant(name="httpboot v4 server", version=4, command=_ours("server")),
    _Contestant(name="dnsmasq v4", version=4, command=_dnsmasq),
    _Contestant(name="Kea v4", version=4, command=_kea(4)),
    _Contestant(name="httpboot v4 proxy (DISCOVER, OFFER)", version=4, command=_ours("proxy"), proxy=True),
    _Contestant(name="httpboot v6 server", version=6, command=_ours("server")),
    _Contestant(name="dnsmasq v6", version=6, command=_dnsmasq),
    _Contestant(name="Kea v6", version=6, command=_kea(6)),
)


def run(inputs: Inputs) -> Finding:
    """Double the rate until more than one exchange in a hundred is lost."""
    found: dict[str, tuple[float, float]] = {}
    for contestant in _CONTESTANTS:
        folder = inputs.folder / re.sub(r"\W+", "-", contestant.name)
        folder.mkdir()
        found[contestant.name] = _measure(contestant, folder)
    before, after = _memory(inputs.folder)
    rates = {name: rate for name, (rate, _) in found.items()}
    goals = [
        _at_least(f"v{version} beside {peer}", rates[f"httpboot v{version} server"], rates[f"{peer} v{version}"], times)
        for version in (4, 6)
        for peer, times in (("dnsmasq", _TIMES_DNSMASQ), ("Kea", 1.0))
    ]
    goals.append(
        Goal(
            what=f"memory with {_KNOWN:,} machines",
            figure=f"{after / 1e6:.0f} MB",
            goal="≤ 200 MB",
            met=after <= _MOST_BYTES,
        )
    )
    return Finding(
        title="dhcp: exchanges, each server with its lease file",
        how=(
            f"perfdhcp on one core, {_CLIENTS:,} machines, {_SECONDS} s at each rate; the server on another core."
            f" The rate is doubled from {_FIRST_RATE}/s for as long as less than one exchange in a hundred is lost,"
            " and refined in the end. An exchange is four messages, a proxy's two."
        ),
        columns=("", "exchanges/s", "CPU µs per exchange"),
        rows=(
            *((name, f"{rate:,.0f}", f"{cost * 1e6:.0f}") for name, (rate, cost) in found.items()),
            (f"memory: no machine, {_KNOWN:,} machines", f"{before / 1e6:.0f} MB, {after / 1e6:.0f} MB", ""),
        ),
        goals=tuple(goals),
    )


def _at_least(what: str, ours: float, theirs: float, times: float) -> Goal:
    assert theirs, f"{what}: the peer holds no rate at all, so that there is nothing to compare with"
    ratio = ours / theirs
    return Goal(what=what, figure=f"{ratio:.1f} times", goal=f"≥ {times:g} times", met=ratio >= times)


def _measure(contestant: _Contestant, folder: Path) -> tuple[float, float]:
    """Exchanges a second, and CPU seconds for each."""
    best = (0.0, 0.0)
    with _network() as (host, client), _running(host, contestant.command(folder)) as server:
        rate = _FIRST_RATE
        while rate <= _LAST_RATE and (found := _holds(client, contestant, server, rate)):
            best = found
            rate *= 2
        for factor in _REFINEMENTS:
            if best[0] and (found := _holds(client, contestant, server, int(rate / 2 * factor))):
                return found
    return best


def _holds(client: Namespace, contestant: _Contestant, server: Served, rate: int) -> tuple[float, float] | None:
    """Exchanges a second and CPU seconds for each at a rate, or None where too many are lost."""
    cpu = server.cpu_seconds()
    asked, done = _burst(client, contestant, rate)
    spent = server.cpu_seconds() - cpu
    if done < asked * (1 - _MOST_LOST) or asked < rate * _SECONDS * 0.8:
        return None
    return done / _SECONDS, spent / done


def _burst(client: Namespace, contestant: _Contestant, rate: int) -> tuple[int, int]:
    """Exchanges that were begun, and those that came to their end."""
    where = ["-4", "-l", "10.9.0.9"] if contestant.version == 4 else ["-6", "-l", "eth0"]
    options = ["-r", str(rate), "-R", str(_CLIENTS), "-p", str(_SECONDS), "-W", "500000"]
    if contestant.proxy:
        options += ["-i", "-o", "60,48545450436C69656E743A417263683A3030303136"]
    server = "10.9.0.1" if contestant.version == 4 else "all"
    command = [find("ip"), "netns", "exec", client.name, find("taskset"), "-c", str(CLIENT_CORE), find("perfdhcp")]
    said = subprocess.run(
        [*command, *where, *options, server], capture_output=True, text=True, timeout=120, check=False
    )
    sent = [int(each) for each in re.findall(r"sent packets: (\d+)", said.stdout)]
    received = [int(each) for each in re.findall(r"received packets: (\d+)", said.stdout)]
    return (sent[0], received[-1]) if sent and received else (rate * _SECONDS, 0)


def _memory(folder: Path) -> tuple[int, int]:
    """Resident bytes of our server that knows no machine, and one that knows very many."""
    sizes = []
    for count in (0, _KNOWN):
        place = folder / f"known-{count}"
        place.mkdir()
        command = _ours("server")(place)
        with (place / "httpboot.toml").open("a") as stream:
            for number in range(count):
                mac = (0x020000000000 + number).to_bytes(6).hex(":")
                stream.write(f'[[machine]]\nmac = "{mac}"\nurl = "http://192.0.2.1/{number:032x}/image.iso"\n')
        with _network() as (host, _), _running(host, command) as server:
            sizes.append(server.resident_bytes())
    return sizes[0], sizes[1]


@contextmanager
def _network() -> Iterator[tuple[Namespace, Namespace]]:
    with namespace() as host, namespace() as client:
        client.cable("eth0", host, "eth0", "10.9.0.1/16", "2001:db8::1/64")
        client.address("eth0", "10.9.0.9/16")
        yield host, client


@contextmanager
def _running(host: Namespace, command: list[str | Path]) -> Iterator[Served]:
    """A server that has its sockets open. `ip netns exec` and taskset become it: the pid is its own."""
    inside = [find("ip"), "netns", "exec", host.name, find("taskset"), "-c", str(SERVER_CORE), *command]
    environment = {**os.environ, "KEA_PIDFILE_DIR": "/tmp", "KEA_LOCKFILE_DIR": "none"}
    process = subprocess.Popen(inside, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment)
    try:
        deadline = time.monotonic() + 120
        while not re.search(r":(?:67|547)\s", host.run("ss", "-Huln")):
            assert process.poll() is None, f"{command[0]} ended with {process.returncode}"
            assert time.monotonic() < deadline, f"{command[0]} opens no socket"
            time.sleep(0.2)
        time.sleep(1)
        yield Served(0, process.pid)
    finally:
        process.terminate()
        process.wait(20)
