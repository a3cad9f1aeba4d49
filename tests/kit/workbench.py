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
from kit.network import BRIDGE, SERVER4, SERVER6, Program, entered, namespace

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
    read: dict[str, int] = field(default_factory=dict)

    def node(self, name: str, **more: Any) -> Node:
        """A node in front of a machine, enrolled when it is first asked for."""
        if name not in self.nodes:
            self.nodes[name] = self.operator.enroll(name, bmc=self.bmc, system=name, mac=MACHINES[name], **more)
        found: Node = self.operator.api.get_node(self.nodes[name])
        return found

    def console(self, name: str) -> str:
        """What a machine's console has said since the last boot that was waited for."""
        path = self.folder / "bmc" / name / "console.log"
        return path.read_bytes()[self.read.get(name, 0) :].decode("utf-8", "replace") if path.exists() else ""

    def boots(self, name: str, *, seconds: float = 240) -> str:
        """Wait for a guest, and return what the console has said of its boot."""
        try:
            until(lambda: READY in self.console(name), seconds=seconds, what=f"the guest of {name} is ready")
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.console(name)[-3000:]}") from None
        said = self.console(name)
        self.read[name] = (self.folder / "bmc" / name / "console.log").stat().st_size
        return said

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


_SERVE = """
[http]
listen = ":8080"
store = "{store}"

[dhcp]
interfaces = ["{bridge}"]
families = [{families}]
mode = "server"
lease_file = "{folder}/leases"
machines = "{machines}"

[[subnet]]
network = "192.0.2.0/24"
ranges = ["192.0.2.100-192.0.2.150"]
lease_seconds = 600

[[subnet]]
network = "2001:db8::/64"
ranges = ["2001:db8::100-2001:db8::1ff"]
lease_seconds = 600
"""


@contextmanager
def network_workbench(
    folder: Path, options: Mapping[str, Mapping[str, str]] | None = None, families: str = "4, 6"
) -> Iterator[tuple[Bench, Program]]:
    """The same with a network that has our server for DHCP, in a namespace that this thread is in until it ends."""
    kernel, ramdisk = write_guest(folder)
    state = folder / "conductor-1" / "state" / "httpboot"
    file = folder / "serve.toml"
    given = {"store": state / "store", "machines": state / "machines", "folder": folder}
    file.write_text(_SERVE.format(bridge=BRIDGE, families=families, **given))
    machines = [
        {"id": name, "mac": mac, "memory_mib": 768, "network": f"tap:tap-{name}"} for name, mac in MACHINES.items()
    ]
    with ExitStack() as stack:
        host = stack.enter_context(namespace(bridge=(f"{SERVER4}/24", f"{SERVER6}/64")))
        for name in MACHINES:
            host.tap(f"tap-{name}")
        serve = host.httpboot("serve", "-c", file)
        serve.until("listening on")
        host.httpboot("emulate", "-c", emulator_file(folder, machines, 8000)).until("Ctrl-C stops")
        stack.enter_context(entered(host))
        plain: dict[str, dict[str, str]] = {
            "httpboot": {"url6": f"http://[{SERVER6}]:8080"},
            "dhcp": {"dhcp_provider": "httpboot"},
        }
        for group, named in (options or {}).items():
            plain.setdefault(group, {}).update(named)
        ironic = stack.enter_context(Ironic(folder / "conductor-1", url=f"http://{SERVER4}:8080", options=plain))
        yield Bench(folder, ironic, Operator(ironic), "http://127.0.0.1:8000", 8080, kernel, ramdisk), serve
