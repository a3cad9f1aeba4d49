"""What a boot costs a conductor: our interface beside Ironic's own redfish-https, with an emulated BMC."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.inputs import Inputs
from bench.report import Finding, Goal

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

_MIB = 1024 * 1024
_CASES = ((60, 1), (300, 1))
"""MB of ramdisk, and nodes. Ironic's own takes minutes for more."""
_MOST_REQUESTS = 8
_INTERFACES = ("redfish-http-url", "redfish-https")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Cost:
    requests: int
    seconds: float
    cpu_seconds: float
    written: int
    held: int


def run(inputs: Inputs) -> Finding:
    """Prepare and switch on some nodes at each interface, and see what that took."""
    from kit import conductor
    from kit.ironic import write_guest

    folder = inputs.folder / "ironic"
    folder.mkdir()
    conductor.configure(folder)
    for handler in logging.getLogger().handlers:
        handler.setLevel(logging.ERROR)
    kernel, _ = write_guest(folder)
    (folder / "http").mkdir(exist_ok=True)
    (folder / "esp.img").write_bytes(bytes(4 * _MIB))
    costs: dict[tuple[int, int, str], _Cost] = {}
    with conductor.emulated(folder / "bmc") as emulator:
        _prepared(emulator.url, folder, kernel, folder / "ramdisk.cpio", 1, _INTERFACES[0])  # what is done once
        for size, number in _CASES:
            ramdisk = folder / f"ramdisk-{size}"
            if not ramdisk.exists():
                ramdisk.write_bytes(os.urandom(size * _MIB))
            for each in _INTERFACES:
                costs[size, number, each] = _prepared(emulator.url, folder, kernel, ramdisk, number, each)
    rows = [_row(*key, cost) for key, cost in costs.items()]
    worst = max(cost.requests for (_, _, interface), cost in costs.items() if interface == _INTERFACES[0])
    return Finding(
        title="ironic: preparing a ramdisk instance and switching it on",
        how=(
            "One conductor, real tasks, one after the other; an emulated BMC in the same process, whose CPU time counts"
            " for both. Ironic's own interface is told its boot loader in a way that works (instance_info). Per node,"
            " but for what is held at the end: images, store, and Ironic's http_root, hard links counted once."
        ),
        columns=("", "ramdisk MB", "nodes", "BMC requests", "seconds", "CPU s", "MB written", "MB held"),
        rows=tuple(rows),
        goals=(Goal(what="BMC requests", figure=str(worst), goal=f"≤ {_MOST_REQUESTS}", met=worst <= _MOST_REQUESTS),),
    )


def _row(size: int, number: int, interface: str, cost: _Cost) -> tuple[str, ...]:
    figures = f"{cost.requests}", f"{cost.seconds:.2f}", f"{cost.cpu_seconds:.2f}"
    return interface, str(size), str(number), *figures, f"{cost.written / _MIB:.1f}", f"{cost.held / _MIB:.1f}"


def _prepared(bmc: str, folder: Path, kernel: Path, ramdisk: Path, number: int, interface: str) -> _Cost:
    from ironic.common import states
    from ironic.conductor import utils as manager_utils

    from kit import conductor

    given: dict[str, Any] = {"kernel": f"file://{kernel}", "ramdisk": f"file://{ramdisk}"}
    if interface == "redfish-https":
        given["bootloader"] = f"file://{folder}/esp.img"
    requests, seconds, cpu, written, nodes = 0, 0.0, 0.0, 0, []
    for each in range(number):
        node = conductor.create_node(bmc, boot_interface=interface, mac=f"52:54:00:0d:00:{each:02x}")
        nodes.append(node)
        with conductor.at_work(node, states.DEPLOYING, instance_info=given) as task:
            manager_utils.node_power_action(task, states.POWER_OFF)
            began, began_cpu, began_bytes = time.monotonic(), _cpu(), _written()
            with conductor.Requests() as made:
                task.driver.boot.prepare_instance(task)
                manager_utils.node_power_action(task, states.POWER_ON)
            seconds, cpu = seconds + time.monotonic() - began, cpu + _cpu() - began_cpu
            written += _written() - began_bytes
            requests += len(made.made)
    held = _held(folder)
    for node in nodes:
        with conductor.at_work(node) as task:
            task.driver.boot.clean_up_instance(task)
        conductor.remove(node)
    return _Cost(
        requests=requests // number,
        seconds=seconds / number,
        cpu_seconds=cpu / number,
        written=written // number,
        held=held,
    )


def _cpu() -> float:
    spent = os.times()
    return spent.user + spent.system + spent.children_user + spent.children_system


def _written() -> int:
    """Bytes that this process and the ended ones that it started wrote to files on a disk, or will."""
    lines = Path("/proc/self/io").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("write_bytes")).split()[1])


def _held(folder: Path) -> int:
    folders = [folder / name for name in ("images", "store", "http") if (folder / name).is_dir()]
    said = subprocess.run(["du", "-scB1", *folders], capture_output=True, text=True, check=True).stdout
    return int(said.splitlines()[-1].split()[0])
