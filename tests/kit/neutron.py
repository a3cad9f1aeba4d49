"""A network of Neutron's with its DHCP agent's real driver, in namespaces of the test's own.

The agent has its own namespace, as Neutron names it, with a cable to the switch that the machine is on. What Neutron's
server would have stored (network, subnets, ports) is given here; everything after that is Neutron's: see
`kit.neutron_agent`.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ironic_httpboot.dhcp import export
from ironic_httpboot.dhcp.export_neutron import neutron_json
from kit.network import BRIDGE, Namespace, namespace

ROOT = Path(__file__).parents[2]
PYTHON = ROOT / ".venv-neutron" / "bin" / "python"
AGENT4, AGENT6 = "192.0.2.2", "2001:db8::2"
_AGENT_MAC = "fa:16:3e:00:00:02"
MACHINE = ("192.0.2.100", "2001:db8::100")
PORT, AGENT_PORT, SUBNET4, SUBNET6 = (
    "11111111-0000-4000-8000-000000000001",
    "22222222-0000-4000-8000-000000000000",
    "44444444-0000-4000-8000-000000000000",
    "66666666-0000-4000-8000-000000000000",
)
"""The same in every test, so that what Neutron writes can be compared."""

VENDOR_CLASS6 = "0000HTTPClient"
"""dnsmasq puts a length of two bytes before it, so that HTTPClient stands in bytes 6 to 15, where EDK2 looks."""

_CONFIGURATION = """
[DEFAULT]
interface_driver = null
state_path = {folder}
dhcp_confs = {folder}/dhcp
dnsmasq_base_log_dir = {folder}/log
dnsmasq_config_file = {folder}/dnsmasq.conf
[agent]
root_helper = env
check_child_processes_interval = 0
[oslo_concurrency]
lock_path = {folder}
"""
"""An agent's configuration file: root needs no sudo, the cable is there already, and nothing starts dnsmasq again."""

ONLY_FIRMWARE = """
dhcp-vendorclass=set:http,HTTPClient
dhcp-vendorclass=set:http,enterprise:343,HTTPClient
"""
"""What an operator adds to dnsmasq's own configuration to have a tag for firmware that asks for HTTP boot."""

Options = Sequence[dict[str, object]]


def option(name: str, value: str, version: int) -> dict[str, object]:
    """One of a port's extra_dhcp_opts, as the API has it."""
    return {"opt_name": name, "opt_value": value, "ip_version": version}


def http_boot(url: str, *, tag: str = "") -> Options:
    """What a port needs for HTTP boot over the URL's family. tag: only for clients that dnsmasq has given this tag."""
    before = f"tag:{tag}," if tag else ""
    if "://[" in url:
        return (option(f"{before}59", url, 6), option(f"{before}16", VENDOR_CLASS6, 6))
    return (option(f"{before}67", url, 4), option(f"{before}60", "HTTPClient", 4))


class Driver:
    """The program under `.venv-neutron`. Use `neutron`, which ends it."""

    def __init__(self, *files: Path) -> None:
        assert PYTHON.is_file(), f"{PYTHON} is missing: run `make setup-test`"
        program = Path(__file__).with_name("neutron_agent.py")
        self._process = subprocess.Popen(
            # -P: `neutron` is theirs, not the module beside the program. -W: eventlet warns that it is deprecated.
            [PYTHON, "-P", "-W", "ignore", program],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.ask("configure", files=[str(file) for file in files])

    def ask(self, do: str, **arguments: object) -> Any:
        """Have it do something; what it answers."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"do": do, **arguments}) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:  # its threads may go on
            self._process.terminate()
        assert line, f"Neutron's driver ended at {do!r}:\n{self._process.communicate(timeout=10)[1][-4000:]}"
        return json.loads(line)["answer"]

    def end(self) -> None:
        """End it, and what it has started; it may have ended by itself."""
        if self._process.stdin is not None and self._process.stdin.closed:
            return
        try:
            said = self._process.communicate(timeout=30)[1]
        except subprocess.TimeoutExpired:
            self._process.kill()
            raise
        assert self._process.returncode == 0, said[-4000:]


class Neutron:
    """One network, one machine's port on it, and the agent. Use `neutron`. driver: Neutron's code itself."""

    def __init__(self, neutron: Driver, folder: Path, mac: str, identity: str) -> None:
        self.id = identity
        self.driver = neutron
        self._folder = folder
        self._mac = mac
        self._device_id = neutron.ask("device_id", network=self.id)

    @property
    def interface(self) -> str:
        """The name of the agent's interface, as Neutron's drivers make it from the port's ID."""
        return f"tap{AGENT_PORT}"[:14]

    def start(self, options: Options = ()) -> None:
        """The agent hears of the network: it writes its files and starts dnsmasq."""
        assert self.driver.ask("enable", network=self._network(options)) == self.interface

    def set(self, options: Options = ()) -> None:
        """The agent hears that the machine's port has other extra_dhcp_opts."""
        self.driver.ask("reload", network=self._network(options))

    def restart(self, options: Options = ()) -> None:
        """The same, and dnsmasq is started anew: that of Debian 12 does not outlive `set` once it has given a lease."""
        self.driver.ask("restart", network=self._network(options))

    def hang_up(self) -> bool:
        """Have dnsmasq read its files again, as `set` does; whether it still runs then."""
        pid = int(self.wrote("pid"))
        os.kill(pid, signal.SIGHUP)
        time.sleep(1)
        return _command(pid) != b""

    def wrote(self, kind: str) -> str:
        """What the agent's driver wrote: the file "opts", "host" or "leases" for dnsmasq."""
        return (self._folder / "dhcp" / self.id / kind).read_text()

    @property
    def log(self) -> str:
        """What dnsmasq has said."""
        return (self._folder / "log" / self.id / "dhcp_dns_log").read_text()

    def _network(self, options: Options) -> dict[str, object]:
        """As the agent gets it from Neutron's server (get_network_info)."""
        return {
            "id": self.id,
            "project_id": "project",
            "mtu": 1500,
            "subnets": [
                _subnet(SUBNET4, "192.0.2.0/24", 4, None),
                _subnet(SUBNET6, "2001:db8::/64", 6, "dhcpv6-stateful"),
            ],
            "non_local_subnets": [],
            "ports": [
                _port(AGENT_PORT, _AGENT_MAC, "network:dhcp", self._device_id, (AGENT4, AGENT6), ()),
                _port(PORT, self._mac, "baremetal:none", "node", MACHINE, options),
            ],
        }


def _subnet(identity: str, cidr: str, version: int, mode: str | None) -> dict[str, object]:
    return {
        "id": identity,
        "cidr": cidr,
        "ip_version": version,
        "enable_dhcp": True,
        "gateway_ip": None,
        "dns_nameservers": [],
        "host_routes": [],
        "ipv6_address_mode": mode,
        "ipv6_ra_mode": mode,
    }


def _port(
    identity: str, mac: str, owner: str, device: str, addresses: tuple[str, str], options: Options
) -> dict[str, object]:
    fixed = [
        {"subnet_id": subnet, "ip_address": address}
        for subnet, address in zip((SUBNET4, SUBNET6), addresses, strict=True)
    ]
    return {
        "id": identity,
        "mac_address": mac,
        "device_owner": owner,
        "device_id": device,
        "fixed_ips": fixed,
        "extra_dhcp_opts": list(options),
    }


def exported(network: Neutron, host: export.Host) -> Options:
    """What `httpboot export neutron-json` says of a machine, as Neutron's API has taken it."""
    site = export.Site(interfaces=("",), subnets=(), hosts=(host,))
    (port,) = json.loads(neutron_json(site))["ports"]
    taken: Options = network.driver.ask("validate", options=port["extra_dhcp_opts"])
    assert isinstance(taken, list), taken
    return taken


@contextmanager
def neutron(host: Namespace, mac: str, *, dnsmasq: str = "") -> Iterator[Neutron]:
    """The agent on a host's switch. dnsmasq: what stands in its `dnsmasq_config_file`."""
    identity = str(uuid.uuid4())  # its own, as the namespace's name is made of it
    # dnsmasq reads its files again as the user nobody, who may not enter pytest's own folders.
    with tempfile.TemporaryDirectory(prefix="httpboot-neutron-") as name, namespace(name=f"qdhcp-{identity}") as agent:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "dnsmasq.conf").write_text(dnsmasq)
        (folder / "agent.ini").write_text(_CONFIGURATION.format(folder=folder))
        program = Driver(folder / "agent.ini")
        try:
            made = Neutron(program, folder, mac, identity)
            host.cable("neutron", agent, made.interface, bridge=BRIDGE)
            yield made
        finally:
            _end(program, folder / "dhcp" / identity / "pid")


def _end(program: Driver, pid_file: Path) -> None:
    """End the agent, and dnsmasq with it: here where the agent cannot, so that a failed test leaves nothing."""
    pid = int(pid_file.read_text()) if pid_file.is_file() else 0
    try:
        program.end()
    finally:
        if pid and _command(pid).startswith(b"dnsmasq\0"):
            os.kill(pid, signal.SIGKILL)


def _command(pid: int) -> bytes:
    try:
        return Path("/proc", str(pid), "cmdline").read_bytes()
    except OSError:
        return b""
