"""How many DHCP exchanges one core answers, and what each costs: ours beside dnsmasq and Kea, each with its lease file.

Needs root, for network namespaces. perfdhcp stands for many machines, behind one relay (IPv4) or on the link (IPv6).
Each server keeps leases as Debian ships it: dnsmasq in its lease file, Kea in a memory file that is persisted. None
writes a line for each message: we run with -q, dnsmasq with --quiet-dhcp, Kea logs warnings only. Ours is what pip
installs, in which the codecs and decisions are compiled; the sources are shown beside it.

It wants a machine with two cores that does nothing else, and takes some ten minutes: `python -m bench dhcp`. All
servers are measured in one run and what counts is how ours compares with a peer's there. CPU time is what the kernel
counts for the server's threads, and moves less than the rate does where something else runs after all.
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
from kit import wheel
from kit.network import Namespace, namespace

_SECONDS = 3
_CLIENTS = 20_000
_DUID = "000100012c000000020000000000"
"""Of the first machine. By itself perfdhcp takes the time into it, so that each burst would be of other machines."""
_COMMON_RATE = 100
"""A rate that each of them holds: there the cost of an exchange is compared, with as many leases in each file."""
_FIRST_RATE, _LAST_RATE = 125, 32_000
_REFINEMENTS = (1.5, 1.25)
_MOST_LOST = 0.01
_LEAST_SENT = 0.9
"""Of what was to be asked: below that, perfdhcp is at its own limit and shows nothing of the server's."""
_TRIES = 2
"""A rate has failed when it did so twice: the machine may have had something else to do."""
_KNOWN = 100_000
_MOST_BYTES = 200_000_000
_TIMES = {"dnsmasq": 4.0, "Kea": 1.0}
"""How many times a peer's rate ours is to be."""

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
"loggers": [{{"name": "kea-dhcp4", "severity": "WARN", "output_options": [{{"output": "stderr"}}]}}],
"subnet4": [{{"subnet": "10.9.0.0/16", "pools": [{{"pool": "10.9.1.0-10.9.250.255"}}]}}]}}}}"""
_KEA6 = """{{"Dhcp6": {{"server-id": {{"type": "LL", "persist": false}},
"interfaces-config": {{"interfaces": ["eth0"]}},
"lease-database": {{"type": "memfile", "persist": true, "name": "{folder}/kea6.csv"}},
"multi-threading": {{"enable-multi-threading": false}},
"loggers": [{{"name": "kea-dhcp6", "severity": "WARN", "output_options": [{{"output": "stderr"}}]}}],
"subnet6": [{{"subnet": "2001:db8::/64", "interface": "eth0",
"pools": [{{"pool": "2001:db8::1:0-2001:db8::2:ffff"}}]}}]}}}}"""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Contestant:
    """A server and how it is asked. command: takes the folder that it may write to. offers: DISCOVER and OFFER only.

    installed: whether it is ours as pip installs it.
    """

    peer: str
    version: int
    command: Callable[[Path], list[str | Path]]
    offers: bool = False
    installed: bool = False

    @property
    def name(self) -> str:
        return f"{self.peer} v{self.version}{', offers only' if self.offers else ''}"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Measured:
    """What a server did. rate: the highest that it held. limited: perfdhcp could ask no more, so that it may hold more.

    cost: CPU seconds for an exchange at that rate. common_cost: the same at the common rate.
    """

    rate: float
    cost: float
    common_cost: float
    limited: bool


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
    _Contestant(peer="httpboot", version=4, command=_ours("server"), installed=True),
    _Contestant(peer="httpboot, its sources", version=4, command=_ours("server")),
    _Contestant(peer="dnsmasq", version=4, command=_dnsmasq),
    _Contestant(peer="Kea", version=4, command=_kea(4)),
    _Contestant(peer="httpboot proxy", version=4, command=_ours("proxy"), offers=True, installed=True),
    _Contestant(peer="dnsmasq", version=4, command=_dnsmasq, offers=True),
    _Contestant(peer="Kea", version=4, command=_kea(4), offers=True),
    _Contestant(peer="httpboot", version=6, command=_ours("server"), installed=True),
    _Contestant(peer="httpboot, its sources", version=6, command=_ours("server")),
    _Contestant(peer="dnsmasq", version=6, command=_dnsmasq),
    _Contestant(peer="Kea", version=6, command=_kea(6)),
)


def run(inputs: Inputs) -> Finding:
    """Double the rate until more than one exchange in a hundred is lost."""
    site = wheel.install(inputs.folder / "installed")
    found: dict[_Contestant, _Measured] = {}
    for contestant in _CONTESTANTS:
        folder = inputs.folder / re.sub(r"\W+", "-", contestant.name)
        folder.mkdir()
        found[contestant] = _measure(contestant, folder, site if contestant.installed else None)
    before, after = _memory(inputs.folder, site)
    goals = [_goal(found, version, peer) for version in (4, 6) for peer in _TIMES]
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
            " and refined in the end; a rate fails when it did so twice. An exchange is four messages; “offers only”"
            " is DISCOVER and OFFER, which is all that a proxy does, and writes no lease. Ours is what pip installs, in"
            " which codecs and decisions are compiled by mypyc; “its sources” is the same without."
            " ≥: perfdhcp could ask no more. Where ours and a peer's rate are both at that limit, the CPU time decides."
        ),
        columns=("", "exchanges/s", "CPU µs per exchange at that rate", f"at {_COMMON_RATE}/s"),
        rows=(
            *(_row(contestant, measured) for contestant, measured in found.items()),
            (f"memory: no machine, {_KNOWN:,} machines", f"{before / 1e6:.0f} MB, {after / 1e6:.0f} MB", "", ""),
        ),
        goals=tuple(goals),
    )


def _row(contestant: _Contestant, measured: _Measured) -> tuple[str, ...]:
    rate = f"{'≥ ' if measured.limited else ''}{measured.rate:,.0f}"
    return contestant.name, rate, f"{measured.cost * 1e6:.0f}", f"{measured.common_cost * 1e6:.0f}"


def _goal(found: dict[_Contestant, _Measured], version: int, peer: str) -> Goal:
    """How many times a peer's rate ours is, and how many times less CPU time an exchange takes."""

    def of(name: str) -> _Measured:
        return next(
            measured
            for contestant, measured in found.items()
            if (contestant.peer, contestant.version, contestant.offers) == (name, version, False)
        )

    ours, theirs, times = of("httpboot"), of(peer), _TIMES[peer]
    what, goal = f"v{version} beside {peer}", f"≥ {times:g} times the rate"
    if not (ours.rate and theirs.rate):
        figure = f"not to be compared: ours held {ours.rate:.0f}/s, {peer} {theirs.rate:.0f}/s (does the machine rest?)"
        return Goal(what=what, figure=figure, goal=goal, met=False)
    by_rate, by_cost = ours.rate / theirs.rate, theirs.cost / ours.cost
    return Goal(
        what=what,
        figure=f"{'≥ ' if ours.limited else ''}{by_rate:.1f} times the rate, {by_cost:.1f} times less CPU",
        goal=goal,
        met=by_rate >= times or (ours.limited and by_cost >= times),
    )


def _measure(contestant: _Contestant, folder: Path, site: Path | None) -> _Measured:
    """What a server holds, and at what cost."""
    with _network() as (host, client), _running(host, contestant.command(folder), site) as server:
        done, spent, _ = _burst(client, contestant, server, _COMMON_RATE)
        common_cost = spent / done if done else 0.0
        best = _Measured(rate=0, cost=0, common_cost=common_cost, limited=False)
        rate = _FIRST_RATE
        while rate <= _LAST_RATE:
            found = _holds(client, contestant, server, rate, common_cost)
            if found is None:
                break
            best = found
            if found.limited:
                return best
            rate *= 2
        for factor in _REFINEMENTS:
            if best.rate and (found := _holds(client, contestant, server, int(rate / 2 * factor), common_cost)):
                return found
    return best


def _holds(
    client: Namespace, contestant: _Contestant, server: Served, rate: int, common_cost: float
) -> _Measured | None:
    """What a server does at a rate, or None where too many exchanges are lost."""
    for _ in range(_TRIES):
        done, spent, sent = _burst(client, contestant, server, rate)
        if done >= sent * (1 - _MOST_LOST) and done:
            limited = sent < rate * _SECONDS * _LEAST_SENT
            return _Measured(rate=done / _SECONDS, cost=spent / done, common_cost=common_cost, limited=limited)
    return None


def _burst(client: Namespace, contestant: _Contestant, server: Served, rate: int) -> tuple[int, float, int]:
    """Exchanges that came to their end, the server's CPU seconds for them, and exchanges that were begun."""
    where = ["-4", "-l", "10.9.0.9"] if contestant.version == 4 else ["-6", "-l", "eth0", "-b", f"duid={_DUID}"]
    options = ["-r", str(rate), "-R", str(_CLIENTS), "-p", str(_SECONDS), "-W", "500000"]
    if contestant.offers:
        options += ["-i", "-o", "60,48545450436C69656E743A417263683A3030303136"]
    target = "10.9.0.1" if contestant.version == 4 else "all"
    command = [find("ip"), "netns", "exec", client.name, find("taskset"), "-c", str(CLIENT_CORE), find("perfdhcp")]
    before = server.exact_cpu_seconds()
    said = subprocess.run(
        [*command, *where, *options, target], capture_output=True, text=True, timeout=120, check=False
    )
    spent = server.exact_cpu_seconds() - before
    sent = [int(each) for each in re.findall(r"sent packets: (\d+)", said.stdout)]
    received = [int(each) for each in re.findall(r"received packets: (\d+)", said.stdout)]
    assert sent, f"perfdhcp → {said.stderr.strip() or said.stdout.strip()}"
    return received[-1], spent, sent[0]


def _memory(folder: Path, site: Path) -> tuple[int, int]:
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
        with _network() as (host, _), _running(host, command, site) as server:
            sizes.append(server.resident_bytes())
    return sizes[0], sizes[1]


@contextmanager
def _network() -> Iterator[tuple[Namespace, Namespace]]:
    with namespace() as host, namespace() as client:
        client.cable("eth0", host, "eth0", "10.9.0.1/16", "2001:db8::1/64")
        client.address("eth0", "10.9.0.9/16")
        yield host, client


@contextmanager
def _running(host: Namespace, command: list[str | Path], site: Path | None) -> Iterator[Served]:
    """A server that has its sockets open. `ip netns exec` and taskset become it: the pid is its own.

    site: what is imported from there comes from nowhere else.
    """
    inside = [find("ip"), "netns", "exec", host.name, find("taskset"), "-c", str(SERVER_CORE), *command]
    environment = {**os.environ, "KEA_PIDFILE_DIR": "/tmp", "KEA_LOCKFILE_DIR": "none"}
    if site is not None:
        environment["PYTHONPATH"] = str(site)
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
