"""A workbench for Ironic: a conductor, our server, a BMC with real firmware behind it, a guest."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from openstack.baremetal.v1.node import Node

from ironic_httpboot.http.store import Store
from kit.commands import Running
from kit.ironic import READY, Ironic, Operator, emulator_file, free_port, server_of, until, write_guest
from kit.judges import judge

MACHINES = {"alpha": "52:54:00:0a:00:01", "beta": "52:54:00:0a:00:02"}


@dataclass
class Bench:
    """What a test works at."""

    folder: Path
    ironic: Ironic
    operator: Operator
    bmc: str
    port: int
    kernel: Path
    ramdisk: Path
    nodes: dict[str, Node] = field(default_factory=dict)

    def node(self, name: str, **more: Any) -> Node:
        """A node in front of a machine, enrolled when it is first asked for."""
        if name not in self.nodes:
            self.nodes[name] = self.operator.enroll(name, bmc=self.bmc, system=name, mac=MACHINES[name], **more)
        found: Node = self.operator.api.get_node(self.nodes[name])
        return found

    def console(self, name: str) -> str:
        """All that a machine's console has said."""
        path = self.folder / "bmc" / name / "console.log"
        return path.read_text("utf-8", "replace") if path.exists() else ""

    def boots(self, name: str, *, seconds: float = 240) -> str:
        """Wait for the guest, and return what its console said since it was switched on."""
        until(lambda: READY in self.console(name), seconds=seconds, what=f"the guest of {name} is ready")
        return self.console(name)

    def published(self) -> dict[str, list[str]]:
        """Paths of what is in the store, by node."""
        found = Store(self.ironic.store).published()
        return {machine: [each.path for each in publications] for machine, publications in found.items()}

    def status(self, path: str) -> str:
        """What the server answers for a path."""
        url = f"http://127.0.0.1:{self.port}{path}"
        return judge("curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", url).decode()


@contextmanager
def workbench(folder: Path, options: Mapping[str, Mapping[str, str]] | None = None) -> Iterator[Bench]:
    """Start all of it. options: for ironic.conf, over what stands there."""
    kernel, ramdisk = write_guest(folder)
    port = free_port()
    machines = [{"id": name, "mac": mac, "memory_mib": 768} for name, mac in MACHINES.items()]
    with ExitStack() as stack:
        store = folder / "conductor-1" / "state" / "httpboot" / "store"
        served, url = stack.enter_context(server_of(store))
        emulator = stack.enter_context(Running("emulate", "-c", emulator_file(folder, machines, port)))
        emulator.until("Ctrl-C stops")
        ironic = stack.enter_context(Ironic(folder / "conductor-1", url=url, options=options))
        yield Bench(folder, ironic, Operator(ironic), f"http://127.0.0.1:{port}", served, kernel, ramdisk)
