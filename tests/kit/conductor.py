"""What a conductor works with, without its processes: nodes on SQLite, real tasks, real drivers, an emulated BMC.

Nothing of Ironic is replaced. The hardware behind the BMC switches at once.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ironic.objects
from ironic.common import context as ironic_context
from ironic.common import states
from ironic.common.service import prepare_command
from ironic.conductor import task_manager
from ironic.conf import CONF
from ironic.db.sqlalchemy import models
from ironic.drivers.modules.redfish.utils import SessionCache
from ironic.objects.node import Node
from ironic.objects.port import Port
from oslo_db.sqlalchemy import enginefacade

from ironic_httpboot.emulator.serve import Emulator, Settings
from ironic_httpboot.http.store import Store
from ironic_httpboot.plugin import conf
from kit.hardware import Relay
from kit.lab import ACCOUNT, machine

SYSTEM, MAC = "node-1", "52:54:00:0c:00:01"
URL4, URL6 = "http://192.0.2.1:8080", "http://[2001:db8::1]:8080"
FILES = (("kernel", "vmlinuz"), ("ramdisk", "ramdisk.cpio"))
"""What a node boots, and what it is called in the folder of a guest."""
_INTERFACES = {
    "hardware_types": ["redfish-httpboot", "ipmi-httpboot"],
    "boot_interfaces": ["redfish-http-url", "httpboot", "httpboot-ipxe", "redfish-https", "http"],
    "deploy_interfaces": ["ramdisk", "direct", "anaconda"],
    "management_interfaces": ["redfish", "noop"],
    "power_interfaces": ["redfish", "ipmitool"],
    "network_interfaces": ["noop", "flat"],
    "inspect_interfaces": ["no-inspect", "agent"],
    "rescue_interfaces": ["no-rescue", "agent"],
    "bios_interfaces": ["no-bios"],
    "firmware_interfaces": ["no-firmware"],
    "raid_interfaces": ["no-raid"],
    "vendor_interfaces": ["no-vendor"],
    "console_interfaces": ["no-console"],
    "storage_interfaces": ["noop"],
}


def configure(folder: Path) -> None:
    """Give this process Ironic's configuration and an empty database: once, as a conductor has it."""
    conf.register(CONF)
    with _logging_as_it_was():
        prepare_command(["test", "--config-file", "/dev/null"])
    for name, value in _INTERFACES.items():
        CONF.set_override(f"enabled_{name}", value)
    given: dict[str, dict[str, Any]] = {
        "DEFAULT": {"host": "here", "state_path": str(folder), "tempdir": str(folder)},
        "database": {"connection": f"sqlite:///{folder}/ironic.sqlite"},
        "conductor": {"file_url_allowed_paths": [str(folder.parent)], "automated_clean": False},
        "dhcp": {"dhcp_provider": "httpboot"},
        "deploy": {"http_url": "http://192.0.2.1:8081", "http_root": str(folder / "http")},
        "pxe": {"tftp_root": str(folder / "tftp"), "tftp_master_path": str(folder / "masters")},
        "httpboot": {"url": URL4, "url6": URL6, "images": str(folder / "images"), "machines": str(folder / "machines")},
        "oslo_concurrency": {"lock_path": str(folder)},
    }
    for group, named in given.items():
        for name, value in named.items():
            CONF.set_override(name, value, group=None if group == "DEFAULT" else group)
    use_store(folder / "store")
    ironic.objects.register_all()
    models.Base.metadata.create_all(enginefacade.writer.get_engine())


@contextmanager
def _logging_as_it_was() -> Iterator[None]:
    """Take back what Ironic does to the logging of the whole process: other tests in it look at what is logged."""
    root, hook = logging.getLogger(), sys.excepthook
    handlers, level = list(root.handlers), root.level
    try:
        yield
    finally:
        root.handlers[:], sys.excepthook = handlers, hook
        root.setLevel(level)


def use_store(path: Path) -> Store:
    """Be a conductor with this store."""
    CONF.set_override("store", str(path), group="httpboot")
    return Store(path)


@contextmanager
def emulated(
    folder: Path, systems: Sequence[str] = (SYSTEM,), install: Callable[..., Relay] = Relay
) -> Iterator[Emulator]:
    """A BMC in a thread of its own, in front of one machine or several. install: makes each machine's hardware."""
    loop = asyncio.new_event_loop()
    machines = [machine(system, mac=MAC if system == SYSTEM else mac_of(each)) for each, system in enumerate(systems)]
    settings = Settings(machines=machines, state=folder, port=0, account=ACCOUNT)
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    async def start() -> Emulator:
        made = Emulator(settings, install=install)
        await made.start()
        return made

    emulator = asyncio.run_coroutine_threadsafe(start(), loop).result(30)
    try:
        yield emulator
    finally:
        # sushy logs out when a session is forgotten, and tries for half a minute where the BMC is gone by then.
        SessionCache._sessions.clear()
        gc.collect()
        asyncio.run_coroutine_threadsafe(emulator.stop(), loop).result(30)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def switch_off(emulator: Emulator, system: str) -> None:
    """Have the machine behind a BMC be off, which nobody is told."""
    asyncio.run(emulator.hardware(system).stop())


def mac_of(number: int) -> str:
    """An address for a machine of many."""
    return f"52:54:00:0d:{number >> 8:02x}:{number & 255:02x}"


def create_node(bmc: str, *, system: str = SYSTEM, mac: str = MAC, **fields: Any) -> Node:
    """A node with one port, in the database."""
    driver_info = {
        "redfish_address": bmc,
        "redfish_system_id": f"/redfish/v1/Systems/{system}",
        "redfish_username": ACCOUNT.username,
        "redfish_password": ACCOUNT.password,
        **fields.pop("driver_info", {}),
    }
    named = {f"{kind.removesuffix('_interfaces')}_interface": names[0] for kind, names in _INTERFACES.items()}
    del named["hardware_types_interface"]
    plain = {
        "driver": "redfish-httpboot",
        "driver_info": driver_info,
        "properties": {"cpu_arch": "x86_64", "capabilities": "boot_mode:uefi"},
        "power_state": states.POWER_OFF,
        **named,
    }
    node = Node(ironic_context.get_admin_context(), **{**plain, **fields})
    node.create()
    Port(node._context, node_id=node.id, address=mac, pxe_enabled=True).create()
    return node


@contextmanager
def at_work(node: Node, state: str | None = None, **fields: Any) -> Iterator[task_manager.TaskManager]:
    """A real task with the node's lock. state: a provision state that Ironic has brought it to."""
    changes: Mapping[str, Any] = {**fields, **({"provision_state": state} if state else {})}
    fresh = Node.get_by_uuid(node._context, node.uuid)
    for name, value in changes.items():
        setattr(fresh, name, value)
    fresh.save()
    with task_manager.acquire(node._context, node.uuid, shared=False, purpose="test") as task:
        yield task


def remove(node: Node) -> None:
    """Take a node out of the database."""
    fresh = Node.get_by_uuid(node._context, node.uuid)
    for port in Port.list_by_node_id(node._context, fresh.id):
        port.destroy()
    fresh.provision_state = states.AVAILABLE
    fresh.save()
    fresh.destroy()


class Requests(logging.Handler):
    """Counts the requests that this process makes, by method. Use it in a with statement."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.made: list[str] = []
        self._logger = logging.getLogger("urllib3.connectionpool")

    def emit(self, record: logging.LogRecord) -> None:
        """urllib3 writes a line for each answer: host "GET /path HTTP/1.1" status size."""
        text = record.getMessage()
        if " HTTP/1." in text:
            self.made.append(text.partition('"')[2].partition(" HTTP/")[0])

    def __enter__(self) -> Requests:
        self._before = self._logger.level
        self._logger.setLevel(logging.DEBUG)
        self._logger.addHandler(self)
        return self

    def __exit__(self, *exception: object) -> None:
        self._logger.removeHandler(self)
        self._logger.setLevel(self._before)
