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
from kit.site import NETWORKS

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
"""
_SERVE_DHCP = """
[dhcp]
interfaces = ["{bridge}"]
families = [{families}]
mode = "server"
lease_file = "{folder}/leases"
machines = "{machines}"
"""


def _dnsmasq(folder: Path) -> tuple[list[str | Path], dict[str, str]]:
    """dnsmasq as Ironic's documentation has an operator run it, with a range of each family, and [dnsmasq]."""
    folders = {f"dhcp_{name}": folder / f"dnsmasq-{name}" for name in ("hostsdir", "optsdir")}
    for each in folders.values():
        each.mkdir()
    leases = folder / "dnsmasq.leases"
    command: list[str | Path] = [
        "dnsmasq", "-k", "-p0", "--log-facility=-", "--log-dhcp", "--user=root", "--conf-file=/dev/null",
        f"--interface={BRIDGE}", f"--dhcp-leasefile={leases}", "--dhcp-match=set:ipxe,175",
        "--dhcp-match=set:ipxe6,option6:user-class,iPXE",
        "--dhcp-range=192.0.2.100,192.0.2.150,600", "--dhcp-range=2001:db8::100,2001:db8::1ff,64,600",
    ]  # fmt: skip
    command += [f"--{name.replace('_', '-')}={path}" for name, path in folders.items()]
    return command, {name: str(path) for name, path in {**folders, "dhcp_leasefile": leases}.items()}


@contextmanager
def network_workbench(
    folder: Path,
    options: Mapping[str, Mapping[str, str]] | None = None,
    families: str = "4, 6",
    provider: str = "httpboot",
) -> Iterator[tuple[Bench, Program]]:
    """The same with a network that has DHCP, in a namespace that this thread is in until it ends; and who serves DHCP.

    provider: of DHCP: httpboot, which is our server, or dnsmasq.
    """
    kernel, ramdisk = write_guest(folder)
    state = folder / "conductor-1" / "state" / "httpboot"
    file = folder / "serve.toml"
    given = {"store": state / "store", "machines": state / "machines", "folder": folder}
    text = _SERVE.format(**given)
    if provider == "httpboot":
        text += _SERVE_DHCP.format(bridge=BRIDGE, families=families, **given) + NETWORKS
    file.write_text(text)
    # The very first action must not be IPv6: firmware's own address is not ready then (OVMF 2022.11).
    machines = [
        {"id": name, "mac": mac, "memory_mib": 768, "network": f"tap:tap-{name}", "splash_ms": 4000}
        for name, mac in MACHINES.items()
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
            "dhcp": {"dhcp_provider": provider},
        }
        if provider == "dnsmasq":
            command, plain["dnsmasq"] = _dnsmasq(folder)
            serve = host.start(*command)
            serve.until("started")
        for group, named in (options or {}).items():
            plain.setdefault(group, {}).update(named)
        ironic = stack.enter_context(Ironic(folder / "conductor-1", url=f"http://{SERVER4}:8080", options=plain))
        yield Bench(folder, ironic, Operator(ironic), "http://127.0.0.1:8000", 8080, kernel, ramdisk), serve
