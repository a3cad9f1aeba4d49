"""What sending 300 MB costs, to one client and to 64: a composed image from ours, a plain file from nginx."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

from bench.inputs import Inputs
from bench.process import Served, children_seconds, find, httpboot, nginx, on_client_core
from bench.report import Finding, Goal
from ironic_httpboot.http.store import Store
from ironic_httpboot.image.compose import write


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """Who takes the image. take: from a port and a path, how many bytes came. Only some have a goal."""

    clients: str
    take: Callable[[int, str], int]
    rounds: int = 9
    has_goal: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """CPU seconds for each GB, and seconds by the clock."""

    server: float
    clients: float
    elapsed: float


def _curl(at_once: int, times: int) -> Callable[[int, str], int]:
    def take(port: int, path: str) -> int:
        target = ("-o", "/dev/null", f"http://127.0.0.1:{port}{path}")
        options = ("-sS", "--no-progress-meter", "-w", "%{size_download}\n", "-Z", "--parallel-max", str(at_once))
        said = on_client_core(find("curl"), *options, *target * (at_once * times))
        return sum(map(int, said.split()))

    return take


def _reader(at_once: int) -> Callable[[int, str], int]:
    def take(port: int, path: str) -> int:
        return int(on_client_core(sys.executable, "-m", "bench.reader", str(port), path, str(at_once)))

    return take


ONE = Load(clients="1 in curl", take=_curl(1, 10))
SIXTY_FOUR = Load(clients="64 in curl", take=_curl(64, 1))
LOADS = (
    ONE,
    SIXTY_FOUR,
    Load(clients="64 in bench.reader", take=_reader(64), rounds=3, has_goal=False),
)


def run(inputs: Inputs) -> Finding:
    """Take turns, so that a busy moment of this machine strikes both."""
    blob = inputs.image(0)
    plain = inputs.folder / "plain"
    plain.mkdir()
    write(blob, plain / "image.iso")
    publication = Store(inputs.folder / "large-store").publish(blob, name="image.iso")
    rows = []
    goals = []
    with (
        httpboot("--store", inputs.folder / "large-store") as ours,
        nginx(plain, inputs.folder / "nginx-large") as theirs,
    ):
        for load in LOADS:
            ours_each, theirs_each = [], []
            for _ in range(load.rounds):
                ours_each.append(cost_per_gb(ours, publication.path, load))
                theirs_each.append(cost_per_gb(theirs, "/image.iso", load))
            ratio = median(b.server / a.server for a, b in zip(ours_each, theirs_each, strict=True))
            for name, each, beside in (
                ("httpboot serve, composed", ours_each, ratio),
                ("nginx, plain file", theirs_each, 1.0),
            ):
                alone = median(cost.server for cost in each)
                both = median(cost.server + cost.clients for cost in each)
                rate = 1 / median(cost.elapsed for cost in each)
                figures = (f"{alone:.3f}", f"{1 / alone:.1f}", f"{beside:.2f}", f"{both:.3f}", f"{rate:.1f}")
                rows.append((name, load.clients, *figures))
            if load.has_goal:
                what = f"bytes per CPU second beside nginx, {load.clients}:"
                goals.append(Goal(what=what, figure=f"{ratio:.2f}", goal="≥ 1.0", met=ratio >= 1.0))
    (plain / "image.iso").unlink()
    return Finding(
        title="large: sending a 300 MB image over plain HTTP",
        how=(
            "CPU time (user and system) of the server process for each GB sent, one core for the server, one for"
            " the clients. Medians of up to 9 rounds in turns; beside nginx: the median of the rounds' own ratios."
            " nginx: one worker, sendfile on, no log. Together: with what clients spend, as each side can leave work"
            " to the other. bench.reader takes its connections in turns and is slower than both servers: most of what"
            " nginx has handed to its larger send buffers then leaves in the clients' time."
        ),
        columns=("", "clients", "CPU s per GB", "GB per CPU s", "beside nginx", "together, CPU s per GB", "GB/s"),
        rows=tuple(rows),
        goals=tuple(goals),
    )


def cost_per_gb(server: Served, path: str, load: Load) -> Cost:
    """What each side spends on a GB that the clients take."""
    server_before, clients_before, began = server.cpu_seconds(), children_seconds(), time.monotonic()
    sent_gb = load.take(server.port, path) / 1e9
    return Cost(
        server=(server.cpu_seconds() - server_before) / sent_gb,
        clients=(children_seconds() - clients_before) / sent_gb,
        elapsed=(time.monotonic() - began) / sent_gb,
    )
