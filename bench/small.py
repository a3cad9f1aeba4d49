"""How many requests for small files one core answers: ours beside nginx."""

from __future__ import annotations

import os
import re
from statistics import median

from bench.inputs import Inputs
from bench.process import HTTPBOOT as PROGRAM
from bench.process import Served, find, httpboot, nginx, on_client_core, python_server
from bench.report import Finding, Goal

ROUNDS = 5
_SECONDS = 4
_LEAST_PER_SECOND = 10_000


def run(inputs: Inputs) -> Finding:
    """Take turns, so that a busy moment of this machine strikes all."""
    root = inputs.folder / "small"
    root.mkdir()
    (root / "file.efi").write_bytes(os.urandom(1024))
    measured: dict[str, list[tuple[float, float]]] = {}
    with (
        httpboot("--root", root) as ours,
        python_server(PROGRAM, "serve", "--root", root) as talking,
        nginx(root, inputs.folder / "nginx-small") as theirs,
    ):
        for _ in range(ROUNDS):
            for name, server in (("httpboot serve -q", ours), ("httpboot serve", talking), ("nginx", theirs)):
                measured.setdefault(name, []).append(hammer(server, "/file.efi"))
    rates = {name: median(rate for rate, _ in each) for name, each in measured.items()}
    costs = {name: median(cost for _, cost in each) for name, each in measured.items()}
    rate = rates["httpboot serve -q"]
    return Finding(
        title="small: 1 KiB files from a folder",
        how=(
            f"`wrk -t1 -c32 -d{_SECONDS}` on one core, the server on another; medians of {ROUNDS} rounds in turns."
            " Without -q, httpboot writes a line for each request, here to /dev/null."
        ),
        columns=("", "requests/s", "CPU µs per request", "requests per CPU s"),
        rows=tuple(
            (name, f"{rates[name]:,.0f}", f"{costs[name] * 1e6:.0f}", f"{1 / costs[name]:,.0f}") for name in measured
        ),
        goals=(Goal(what="requests/s", figure=f"{rate:,.0f}", goal="≥ 10,000", met=rate >= _LEAST_PER_SECOND),),
    )


def hammer(server: Served, path: str) -> tuple[float, float]:
    """Requests a second, and CPU seconds a request."""
    before = server.cpu_seconds()
    url = f"http://127.0.0.1:{server.port}{path}"
    said = on_client_core(find("wrk"), "-t1", "-c32", f"-d{_SECONDS}", url)
    spent = server.cpu_seconds() - before
    assert "Non-2xx" not in said, said
    requests = re.search(r"(\d+) requests in", said)
    rate = re.search(r"Requests/sec:\s+([\d.]+)", said)
    assert requests
    assert rate
    return float(rate[1]), spent / int(requests[1])
