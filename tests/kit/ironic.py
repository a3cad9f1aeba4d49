"""A stock all-in-one Ironic on SQLite, as one starts it without OpenStack, and what a node of it boots.

API and conductor in one process, no Keystone, no message bus. Everything listens on loopback, and ends with the test.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import openstack
import requests
from openstack.baremetal.v1.node import Node
from openstack.connection import Connection

from ironic_httpboot.blob import Blob, examine, literal, whole
from ironic_httpboot.demo import guest
from ironic_httpboot.image import compose, cpio
from ironic_httpboot.redfish import Transport
from kit.lab import ACCOUNT, HOST_AS_SEEN_BY_GUEST

PROGRAMS = Path(os.environ.get("HTTPBOOT_IRONIC", Path(sys.executable).parent))
"""The folder of Ironic's programs: those of another release, if the environment names it."""

OLDEST = Path(__file__).parents[2] / ".venv-ironic-oldest" / "bin"
"""The programs of the oldest release that is supported."""

_READY_SECONDS = 90
_MARK = "ironic-guest:"
_INIT = f"""{guest.INIT_BEGINNING}\
echo "{_MARK} cmdline $(cat /proc/cmdline)"
for file in $(find /config-drive* /etc/ironic-python-agent* /openstack -type f 2>/dev/null | sort); do
    echo "{_MARK} $file $(base64 -w0 "$file" | head -c 4000)"
done
echo "{_MARK} ready"
while true; do sleep 3600; done
"""


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


def write_guest(folder: Path) -> tuple[Path, Path]:
    """Kernel and ramdisk of a guest that says what it was given, and goes on; both in the folder."""
    parts = guest.find_parts()
    kernel, ramdisk = folder / "vmlinuz", folder / "ramdisk.cpio"
    kernel.write_bytes(parts.kernel.read_bytes())
    members = [
        cpio.file("init", literal(_INIT.encode()), 0o755),
        cpio.file("bin/busybox", whole(examine(parts.busybox)), 0o755),
        cpio.character_device("dev/console", 5, 1),
        *(cpio.directory(name) for name in ("proc", "sys")),
    ]
    compose.write(Blob.of(cpio.archive(members)), ramdisk)
    return kernel, ramdisk


def saw(console: str, path: str) -> str:
    """The content of a file, as the newest guest on a console printed it."""
    import base64

    found = re.findall(rf"{_MARK} {re.escape(path)} (\S+)", console)
    assert found, f"the guest has no {path}:\n{console[-2000:]}"
    return base64.b64decode(found[-1]).decode()


READY = f"{_MARK} ready"


class Ironic:
    """One conductor with its API. Use it in a with statement; start and stop are for tests of restarts."""

    def __init__(
        self,
        folder: Path,
        *,
        url: str,
        host: str = "conductor-1",
        database: Path | None = None,
        options: Mapping[str, Mapping[str, str]] | None = None,
        programs: Path = PROGRAMS,
    ) -> None:
        """url: where machines reach our server. options: group → name → value, over what stands here."""
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self.database = database or folder / "ironic.sqlite"
        self.store = folder / "state" / "httpboot" / "store"
        self.log = folder / "ironic.log"
        self._options = _options(self, url, host, options or {})
        self._programs = programs
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Ironic:
        self.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()

    @property
    def endpoint(self) -> str:
        """Where its API is."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Write the file, make the database if there is none, start, and wait until the API and a conductor answer."""
        file = self.folder / "ironic.conf"
        lines = []
        for group, named in self._options.items():
            lines += [f"[{group}]", *(f"{name} = {value}" for name, value in named.items())]
        file.write_text("\n".join(lines) + "\n")
        if not self.database.exists():
            self._run("ironic-dbsync", "--config-file", file, "create_schema")
        self._from = self.log.stat().st_size if self.log.exists() else 0
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [self._programs / "ironic", "--config-file", file],
                stdout=log,
                stderr=log,
                start_new_session=True,
                env=_env(self._programs),
            )
        try:
            until(self._answers, seconds=_READY_SECONDS, what="Ironic answers", log=self.log)
        except BaseException:
            self.stop()
            raise

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """End it, or kill it."""
        process, self._process = self._process, None
        if process is None:
            return
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def connect(self) -> Connection:
        """A client, as openstacksdk makes it for a standalone Ironic."""
        return openstack.connection.Connection(auth_type="none", baremetal_endpoint_override=self.endpoint)

    def _answers(self) -> bool:
        assert self._process is not None
        ended = (
            self._process.poll() is not None
            or "Forking too fast" in self.log.read_text("utf-8", "replace")[self._from :]
        )
        assert not ended, self.log.read_text()[-3000:]
        try:
            found = requests.get(f"{self.endpoint}/v1/drivers", timeout=10)
        except requests.RequestException:
            return False
        return found.ok and any(driver["name"] == "redfish-httpboot" for driver in found.json()["drivers"])

    def _run(self, *command: str | Path) -> None:
        done = subprocess.run(
            [self._programs / str(command[0]), *map(str, command[1:])],
            capture_output=True,
            timeout=120,
            env=_env(self._programs),
            check=False,
        )
        assert done.returncode == 0, done.stderr.decode()[-3000:]


def _env(programs: Path) -> dict[str, str]:
    return {**os.environ, "PYTHONWARNINGS": "ignore", "PATH": f"{programs}:{os.environ['PATH']}"}


def _options(ironic: Ironic, url: str, host: str, more: Mapping[str, Mapping[str, str]]) -> dict[str, dict[str, str]]:
    state = ironic.folder / "state"
    for name in ("tmp", "tftp", "http", "tftp-cache", "images", "instances"):
        (state / name).mkdir(parents=True, exist_ok=True)
    plain = {
        "DEFAULT": {
            # What an operator adds for us: a hardware type, its boot interface, and the two lines of [httpboot].
            "enabled_hardware_types": "redfish-httpboot",
            "enabled_boot_interfaces": "redfish-http-url,httpboot,httpboot-ipxe,redfish-https",
            "enabled_deploy_interfaces": "ramdisk,direct",
            "enabled_management_interfaces": "redfish",
            "enabled_power_interfaces": "redfish",
            "enabled_network_interfaces": "noop",
            "enabled_inspect_interfaces": "no-inspect,redfish,agent",
            "enabled_rescue_interfaces": "no-rescue,agent",
            "enabled_bios_interfaces": "no-bios",
            "enabled_firmware_interfaces": "no-firmware",
            "enabled_raid_interfaces": "no-raid",
            "enabled_vendor_interfaces": "no-vendor",
            "enabled_console_interfaces": "no-console",
            "enabled_storage_interfaces": "noop",
            "auth_strategy": "noauth",
            "rpc_transport": "none",
            "host": host,
            "my_ip": "127.0.0.1",
            "state_path": str(state),
            "tempdir": str(state / "tmp"),
            "debug": "false",
        },
        "httpboot": {"url": url, "store": str(ironic.store)},
        "database": {"connection": f"sqlite:///{ironic.database}"},
        "api": {"host_ip": "127.0.0.1", "port": str(ironic.port), "api_workers": "1"},
        "conductor": {
            "automated_clean": "false",
            "file_url_allowed_paths": str(ironic.folder.parent),
            "sync_power_state_interval": "-1",
            "check_provision_state_interval": "5",
            "heartbeat_timeout": "20",
            "heartbeat_interval": "4",
            "sync_local_state_interval": "5",
            "power_state_change_timeout": "60",
        },
        "deploy": {"http_url": url, "http_root": str(state / "http")},
        "dhcp": {"dhcp_provider": "none"},
        "pxe": {
            "tftp_root": str(state / "tftp"),
            "tftp_master_path": str(state / "tftp-cache"),
            "images_path": str(state / "images"),
            "instance_master_path": str(state / "instances"),
        },
        "service_catalog": {"endpoint_override": ironic.endpoint},
        "oslo_concurrency": {"lock_path": str(state / "tmp")},
    }
    for group, named in more.items():
        plain.setdefault(group, {}).update(named)
    return plain


def until(condition: Callable[[], bool], *, seconds: float, what: str, log: Path | None = None) -> None:
    """Wait until a condition, asked again and again, holds. Fails with the words given, and the end of a log."""
    deadline = time.monotonic() + seconds
    while not condition():
        late = time.monotonic() > deadline
        assert not late, f"not within {seconds:g} s: {what}\n{log.read_text()[-4000:] if log else ''}"
        time.sleep(0.3)


class Operator:
    """What an operator does through the API, with openstacksdk."""

    def __init__(self, ironic: Ironic, *, pause_seconds: float = 0.3) -> None:
        """pause_seconds: before a node is asked for again that is waited for; many at once keep the API busy."""
        self._ironic = ironic
        self._pause_seconds = pause_seconds
        self.api: Any = ironic.connect().baremetal

    def enroll(self, name: str, *, bmc: str, system: str, mac: str, **more: Any) -> Node:
        """Enroll a node, have it managed and made available."""
        node = self.create(name, bmc=bmc, system=system, mac=mac, **more)
        self.provision(node, "manage", "manageable")
        self.provision(node, "provide", "available")
        return node

    def create(
        self, name: str, *, bmc: str, system: str, mac: str, boot: str = "redfish-http-url", **more: Any
    ) -> Node:
        """Enroll a node, with one port."""
        driver_info = {
            "redfish_address": bmc,
            "redfish_system_id": f"/redfish/v1/Systems/{system}",
            "redfish_username": ACCOUNT.username,
            "redfish_password": ACCOUNT.password,
            **more.pop("driver_info", {}),
        }
        properties = {"cpu_arch": "x86_64", "capabilities": "boot_mode:uefi"}
        node: Node = self.api.create_node(
            name=name,
            driver_info=driver_info,
            properties=properties,
            **{"driver": "redfish-httpboot", "boot_interface": boot, "deploy_interface": "ramdisk", **more},
        )
        self.api.create_port(node_id=node.id, address=mac, is_pxe_enabled=True)
        return node

    def provision(self, node: Node, verb: str, state: str, *, seconds: float = 90, **more: Any) -> None:
        """Ask for a change of state and wait for it. Fails with the node's last error."""
        self.api.set_node_provision_state(node, verb, **more)
        self.until(node, state, seconds=seconds)

    def until(self, node: Node, state: str, *, seconds: float = 90, whatever: bool = False) -> Node:
        """Wait for a state. Fails with the node's last error. whatever: an error on the way there is none."""
        deadline = time.monotonic() + seconds
        while True:
            now: Node = self.api.get_node(node)
            if now.provision_state == state:
                return now
            over = now.target_provision_state is None or now.provision_state.endswith("failed")
            failed = now.last_error is not None and over and not whatever
            if failed or time.monotonic() > deadline:
                log = self._ironic.log.read_text()[-3000:]
                raise AssertionError(f"{now.provision_state}, not {state}: {now.last_error}\n{log}")
            time.sleep(self._pause_seconds)

    def deploy(self, node: Node, kernel: Path, ramdisk: Path, *, config_drive: Mapping[str, Any] | None = None) -> None:
        """Deploy a ramdisk instance."""
        given = {"kernel": f"file://{kernel}", "ramdisk": f"file://{ramdisk}"}
        self.api.update_node(node, instance_info=given)
        more = {"config_drive": config_drive} if config_drive else {}
        self.provision(node, "active", "active", seconds=240, **more)


@contextmanager
def server_of(store: Path) -> Iterator[tuple[int, str]]:
    """`httpboot serve` for a store: its port, and the URL at which machines in QEMU's user network reach it."""
    from kit.commands import Running

    with Running("serve", "--store", store, "--listen", "127.0.0.1:0") as running:
        port = int(running.until(r"listening on \S+:(\d+)")[1])
        yield port, f"http://{HOST_AS_SEEN_BY_GUEST}:{port}"


def emulator_file(folder: Path, machines: Sequence[Mapping[str, object]], port: int) -> Path:
    """The file for `httpboot emulate -c`."""
    (folder / "password").write_text(ACCOUNT.password)
    text = f"""[emulator]
listen = "127.0.0.1:{port}"
state = "{folder}/bmc"
username = "{ACCOUNT.username}"
password_file = "{folder}/password"
"""
    for machine in machines:
        text += "\n[[machine]]\n" + "".join(
            f"{name} = {value if isinstance(value, int) else chr(34) + str(value) + chr(34)}\n"
            for name, value in machine.items()
        )
    file = folder / "emulate.toml"
    file.write_text(text)
    return file


def boot_of(bmc: str, system: str) -> dict[str, Any]:
    """The Boot object of a system, as the BMC shows it."""
    with Transport(bmc) as transport:
        transport.use_password(ACCOUNT.username, ACCOUNT.password)
        body = transport.request("GET", f"/redfish/v1/Systems/{system}").body
    boot: dict[str, Any] = body["Boot"]
    return boot


def boot_order(bmc: str, system: str, *, first: Sequence[str] = ()) -> list[str]:
    """The names of a machine's boot entries in their order. first: put these before the others, as an operator may."""
    path = f"/redfish/v1/Systems/{system}"
    with Transport(bmc) as transport:
        transport.use_password(ACCOUNT.username, ACCOUNT.password)
        members = transport.request("GET", f"{path}/BootOptions").body["Members"]
        entries = [transport.request("GET", each["@odata.id"]).body for each in members]
        named = {str(each["BootOptionReference"]): str(each["DisplayName"]) for each in entries}
        order = [str(each) for each in transport.request("GET", path).body["Boot"]["BootOrder"]]
        if first:
            wanted = [reference for name in first for reference in order if name in named[reference]]
            order = [*wanted, *(each for each in order if each not in wanted)]
            answer = transport.request("PATCH", path, {"Boot": {"BootOrder": order}})
            assert answer.status < 300, answer
    return [named[each] for each in order]
