"""What one more machine costs: composing and publishing its image, beside xorriso writing one."""

from __future__ import annotations

import time
from pathlib import Path
from statistics import median

from bench.inputs import Inputs
from bench.process import cost_of, find
from bench.report import Finding, Goal
from ironic_httpboot.http.store import Store
from ironic_httpboot.image.compose import write

_MACHINES = 50
_ROUNDS = 3
_MOST_SECONDS = 0.005
_MOST_BYTES = 16 * 1024


def run(inputs: Inputs) -> Finding:
    """Compose and publish for many machines; write the same tree with xorriso."""
    inputs.image(0)  # from here on the files are known
    store = Store(inputs.folder / "composing-store")
    costs = []
    for number in range(1, _MACHINES + 1):
        began = time.process_time()
        blob = inputs.image(number)
        store.publish(blob, name=f"machine-{number}.iso", machine=f"machine-{number}")
        costs.append(time.process_time() - began)
    manifest_bytes = max(path.stat().st_size for path in (inputs.folder / "composing-store").iterdir())
    cost = median(costs)
    peer_cost, peer_bytes = _xorriso(inputs)
    return Finding(
        title="composing: one more machine, from 300 MB of kernel and ramdisk",
        how=(
            f"CPU time of compose and publish, once the files are known: median of {_MACHINES} machines, each with a"
            f" command line and a file of its own. xorriso writes the same tree as an ISO: median of {_ROUNDS}."
        ),
        columns=("", "CPU ms", "bytes written", "times ours"),
        rows=(
            ("compose + publish", f"{cost * 1000:.1f}", f"{manifest_bytes:,}", "1"),
            ("xorriso -as mkisofs", f"{peer_cost * 1000:.0f}", f"{peer_bytes:,}", f"{peer_cost / cost:.0f}"),
        ),
        goals=(
            Goal(what="CPU", figure=f"{cost * 1000:.1f} ms", goal="≤ 5 ms", met=cost <= _MOST_SECONDS),
            Goal(
                what="bytes written",
                figure=f"{manifest_bytes:,}",
                goal="≤ 16 KiB",
                met=manifest_bytes <= _MOST_BYTES,
            ),
        ),
    )


def _xorriso(inputs: Inputs) -> tuple[float, int]:
    """CPU seconds and size of an ISO with the tree of one of our images."""
    ours, theirs, tree = (inputs.folder / name for name in ("ours.iso", "theirs.iso", "tree"))
    write(inputs.image(0), ours)
    xorriso = find("xorriso")
    cost_of(xorriso, "-osirrox", "on", "-indev", ours, "-extract", "/", tree)
    ours.unlink()
    costs = []
    for _ in range(_ROUNDS):
        theirs.unlink(missing_ok=True)
        costs.append(cost_of(xorriso, *_options(theirs), tree))
    size = theirs.stat().st_size
    theirs.unlink()
    cost_of("rm", "-rf", tree)
    return median(costs), size


def _options(target: Path) -> list[str | Path]:
    efi = ["-e", "boot/grub/efi.img", "-no-emul-boot"]
    return ["-as", "mkisofs", "-quiet", "-R", "-J", "-V", "HTTPBOOT", *efi, "-o", target]
