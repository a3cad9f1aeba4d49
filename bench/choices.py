"""The decisions in http/ that rest on figures, each beside its alternative."""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack
from statistics import median

from bench.inputs import Inputs
from bench.large import ONE, SIXTY_FOUR, cost_per_gb
from bench.process import python_server
from bench.report import Finding
from bench.small import hammer

_ROUNDS = 5
_HAMMER = "wrk"
_LARGE = {
    "sending with little unsent in the kernel and a pump of our own": "as_it_is",
    "… with as much in the kernel as it takes": "unsent_without_limit",
    "… with asyncio's sendfile": "sendfile_of_asyncio",
}
_SMALL = {
    "small files from memory, in one write": "as_it_is",
    "… opened for each request": "small_files_from_disk",
    "… aiohttp's own response, constant": "plain_aiohttp",
}


def run(inputs: Inputs) -> Finding:
    """Take turns, each variant in a process of its own."""
    root = inputs.folder / "choices"
    root.mkdir()
    os.link(inputs.ramdisk, root / "large.img")
    (root / "small.efi").write_bytes(os.urandom(1024))
    costs: dict[tuple[str, str], list[float]] = {}
    with ExitStack() as running:
        servers = {
            name: running.enter_context(python_server(sys.executable, "-m", "bench.variants", name, root))
            for name in {*_LARGE.values(), *_SMALL.values()}
        }
        for _ in range(_ROUNDS):
            for what, name in _LARGE.items():
                for load in (ONE, SIXTY_FOUR):
                    cost = cost_per_gb(servers[name], "/large.img", load)
                    costs.setdefault((what, load.clients), []).append(cost.server)
            for what, name in _SMALL.items():
                costs.setdefault((what, _HAMMER), []).append(hammer(servers[name], "/small.efi")[1])
    rows = [
        (what, load.clients, f"{median(costs[what, load.clients]):.3f} CPU s per GB")
        for load in (ONE, SIXTY_FOUR)
        for what in _LARGE
    ]
    rows += [(what, _HAMMER, f"{median(costs[what, _HAMMER]) * 1e6:.0f} CPU µs per request") for what in _SMALL]
    return Finding(
        title="choices: what the server does, beside what it could do instead",
        how=f"A plain file of 288 MB to clients in curl, and `wrk` on one of 1 KiB; medians of {_ROUNDS} rounds.",
        columns=("", "clients", "cost"),
        rows=tuple(rows),
    )
