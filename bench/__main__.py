"""Runs all benches, or those that are named, shows what they find, and writes their sections of RESULTS.md anew."""

from __future__ import annotations

import importlib.metadata
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from bench import choices, composing, dhcp, ironic, large, memory, requests, small
from bench.inputs import Inputs, make
from bench.process import find
from bench.report import Finding, markdown, merged

BENCHES: dict[str, Callable[[Inputs], Finding]] = {
    "composing": composing.run,
    "large": large.run,
    "small": small.run,
    "memory": memory.run,
    "choices": choices.run,
    "requests": requests.run,
    "dhcp": dhcp.run,
    "ironic": ironic.run,
}
RESULTS = Path(__file__).with_name("RESULTS.md")

_PREFACE = """# Results

Written by `make bench`; `python -m bench NAME` writes one section anew: {names}.

Compare ratios and CPU times. Requests a second and everything else by the clock depend on what else the machine does.

{host}
"""


def main() -> int:
    """Exit code 0 where all goals are met."""
    names = sys.argv[1:] or list(BENCHES)
    unknown = [name for name in names if name not in BENCHES]
    if unknown:
        print(f"bench: no {', '.join(unknown)}; there are {', '.join(BENCHES)}", file=sys.stderr)
        return 2
    findings = []
    with tempfile.TemporaryDirectory(prefix="httpboot-bench-") as folder:
        inputs = make(Path(folder))
        for name in names:
            finding = BENCHES[name](inputs)
            findings.append(finding)
            print(markdown(finding), flush=True)
    preface = _PREFACE.format(names=", ".join(BENCHES), host=_host())
    before = RESULTS.read_text("utf-8") if RESULTS.exists() else ""
    today = time.strftime("Measured on %Y-%m-%d.")
    sections = merged(before, [markdown(replace(each, how=f"{each.how} {today}")) for each in findings])
    RESULTS.write_text("\n".join((preface, *(sections[name] for name in BENCHES if name in sections))), "utf-8")
    print(f"written to {RESULTS}")
    return 0 if all(goal.met for finding in findings for goal in finding.goals) else 1


def _host() -> str:
    """What this ran on."""
    processor = next(
        (line.partition(":")[2].strip() for line in _lines(Path("/proc/cpuinfo")) if line.startswith("model name")),
        platform.machine(),
    )
    cores = sum(line.startswith("processor") for line in _lines(Path("/proc/cpuinfo")))
    versions = [
        f"Linux {platform.release()}",
        f"Python {platform.python_version()}",
        f"aiohttp {importlib.metadata.version('aiohttp')}",
        _first_line("nginx", "-v").replace("nginx version: ", "").replace("/", " "),
        " ".join(_first_line("wrk", "-v").split()[:2]),
        " ".join(_first_line("xorriso", "-version").split()[:2]),
    ]
    return f"{processor}, {cores} cores · {' · '.join(versions)}"


def _lines(path: Path) -> list[str]:
    return path.read_text().splitlines()


def _first_line(*command: str) -> str:
    done = subprocess.run([find(command[0]), *command[1:]], capture_output=True, text=True, check=False)
    return (done.stdout + done.stderr).strip().splitlines()[0]


if __name__ == "__main__":
    sys.exit(main())
