"""What a boot costs a conductor: our interface beside Ironic's own redfish-https, with an emulated BMC."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.inputs import Inputs
from bench.report import Finding, Goal
from ironic_httpboot.emulator.serve import Emulator

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

_MIB = 1024 * 1024
_CASES = ((60, 1), (60, 10), (60, 100), (300, 1), (300, 10), (300, 100))
"""MB of ramdisk, and nodes."""
_MOST_WRITTEN_MIB = 20_000
"""More than this is not asked of Ironic's own interface, which writes twice the ramdisk for each node: 64 GB for 100
nodes with 300 MB."""
_MOST_REQUESTS = 8
_WORKERS = 8
_OURS, _PEER = "redfish-http-url", "redfish-https"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Phase:
    """What one thing took, done for all nodes."""

    seconds: float
    cpu_seconds: float
    written: int
    requests: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Cost:
    prepared: _Phase
    switched: _Phase
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
    systems = [f"node-{each}" for each in range(max(number for _, number in _CASES))]
    costs: dict[tuple[int, int, str], _Cost] = {}
    with conductor.emulated(folder / "bmc", systems) as emulator:
        fleet = _Fleet(emulator, folder, kernel)
        for interface in (_OURS, _PEER):
            fleet.cost(folder / "ramdisk.cpio", 1, interface)  # what is done once
        for size, number in _CASES:
            ramdisk = folder / f"ramdisk-{size}"
            if not ramdisk.exists():
                ramdisk.write_bytes(os.urandom(size * _MIB))
            costs[size, number, _OURS] = fleet.cost(ramdisk, number, _OURS)
            if 2 * size * number <= _MOST_WRITTEN_MIB:
                costs[size, number, _PEER] = fleet.cost(ramdisk, number, _PEER)
    return _finding(costs)


def _finding(costs: dict[tuple[int, int, str], _Cost]) -> Finding:
    rows = [_row(*key, cost) for key, cost in costs.items()]
    worst = max(
        (cost.prepared.requests + cost.switched.requests) // number
        for (_, number, interface), cost in costs.items()
        if interface == _OURS
    )
    both = [(cost.prepared, costs[size, number, _PEER].prepared) for size, number, cost in _beside(costs)]
    cpu = min(theirs.cpu_seconds / ours.cpu_seconds for ours, theirs in both)
    return Finding(
        title="ironic: preparing a ramdisk instance and switching it on",
        how=(
            f"One conductor, real tasks, {_WORKERS} at once; an emulated BMC in the same process, whose CPU time counts"
            " for both. Seconds are for all nodes together; requests, CPU time and what is written are per node. What"
            " is held at the end is for all: images, store, and Ironic's http_root, hard links counted once. Switching"
            " on is Ironic's own for both: most of it is waiting for a second, and hashing the BMC's password 600,000"
            " times for each access. Ironic's own interface is told its boot loader as instance_info, which works."
            " It is not asked to write 64 GB, for 100 nodes with 300 MB: each would cost what it costs with 10."
        ),
        columns=(
            *("", "ramdisk MB", "nodes", "BMC requests", "s to prepare", "and to switch on"),
            *("CPU s to prepare", "and to switch on", "MB written", "MB held"),
        ),
        rows=tuple(rows),
        goals=(
            Goal(what="BMC requests", figure=str(worst), goal=f"≤ {_MOST_REQUESTS}", met=worst <= _MOST_REQUESTS),
            Goal(
                what="CPU time to prepare", figure=f"{cpu:.1f} times less than Ironic's own", goal="≥ 1", met=cpu >= 1
            ),
        ),
    )


def _beside(costs: dict[tuple[int, int, str], _Cost]) -> list[tuple[int, int, _Cost]]:
    """Our costs where there are Ironic's own for the same."""
    return [
        (size, number, cost)
        for (size, number, interface), cost in costs.items()
        if interface == _OURS and (size, number, _PEER) in costs
    ]


def _row(size: int, number: int, interface: str, cost: _Cost) -> tuple[str, ...]:
    phases = cost.prepared, cost.switched
    requests = str(sum(phase.requests for phase in phases) // number)
    seconds = [f"{phase.seconds:.1f}" for phase in phases]
    cpu = [f"{phase.cpu_seconds / number:.2f}" for phase in phases]
    written = f"{sum(phase.written for phase in phases) / number / _MIB:.1f}"
    return interface, str(size), str(number), requests, *seconds, *cpu, written, f"{cost.held / _MIB:.1f}"


class _Fleet:
    """Nodes, each with a machine of its own behind one BMC."""

    def __init__(self, emulator: Emulator, folder: Path, kernel: Path) -> None:
        self._emulator = emulator
        self._folder = folder
        self._kernel = kernel

    def cost(self, ramdisk: Path, number: int, interface: str) -> _Cost:
        """Prepare all, then switch all on."""
        from ironic.common import states
        from ironic.conductor import utils as manager_utils
        from ironic.conductor.task_manager import TaskManager
        from ironic.objects.node import Node

        from kit import conductor

        given: dict[str, Any] = {"kernel": f"file://{self._kernel}", "ramdisk": f"file://{ramdisk}"}
        if interface == _PEER:
            given["bootloader"] = f"file://{self._folder}/esp.img"
        nodes = [
            conductor.create_node(
                self._emulator.url,
                system=f"node-{each}",
                mac=conductor.mac_of(each),
                boot_interface=interface,
                instance_info=given,
                provision_state=states.DEPLOYING,
            )
            for each in range(number)
        ]

        def prepare(task: TaskManager) -> None:
            task.driver.boot.prepare_instance(task)

        def switch_on(task: TaskManager) -> None:
            manager_utils.node_power_action(task, states.POWER_ON)

        def take_back(task: TaskManager) -> None:
            task.driver.boot.clean_up_instance(task)

        def for_all(act: Callable[[TaskManager], None]) -> _Phase:
            def on(node: Node) -> None:
                with conductor.at_work(node) as task:
                    act(task)

            return _measured(nodes, on)

        prepared, switched = for_all(prepare), for_all(switch_on)
        held = _held(self._folder)
        for_all(take_back)
        for each, node in enumerate(nodes):
            conductor.remove(node)
            conductor.switch_off(self._emulator, f"node-{each}")
        return _Cost(prepared=prepared, switched=switched, held=held)


def _measured(nodes: Sequence[object], on: Callable[[Any], None]) -> _Phase:
    from kit import conductor

    began, began_cpu, began_bytes = time.monotonic(), _cpu(), _written()
    with conductor.Requests() as made, ThreadPoolExecutor(_WORKERS) as workers:
        for _ in workers.map(on, nodes):
            pass
    return _Phase(
        seconds=time.monotonic() - began,
        cpu_seconds=_cpu() - began_cpu,
        written=_written() - began_bytes,
        requests=len(made.made),
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
