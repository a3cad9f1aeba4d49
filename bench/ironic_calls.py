"""Ironic's own way to boot a URL, `redfish-https`, without a conductor: `python -m bench.ironic_calls BMC SYSTEM URL`.

Of `RedfishHttpsBoot.prepare_ramdisk` what it asks the BMC, in its order, and the power on that follows; the image is
left out, and so are lock, database and notifications. Needs ironic, which `bench.requests` looks for.
"""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

from ironic import objects
from ironic.common import boot_devices, states
from ironic.conductor import task_manager
from ironic.conductor import utils as conductor
from ironic.conf import CONF
from ironic.drivers.modules import boot_mode_utils
from ironic.drivers.modules.redfish.boot import RedfishHttpsBoot
from ironic.drivers.modules.redfish.management import RedfishManagement
from ironic.drivers.modules.redfish.power import RedfishPower

_AS_DEPLOYED = {
    "provision_state": states.DEPLOYING,
    "power_state": states.POWER_OFF,
    "boot_mode": "uefi",
    "properties": {"capabilities": "boot_mode:uefi"},
}


class _Task(task_manager.TaskManager):  # type: ignore[misc]  # ironic has no types
    """A task that locks nothing."""

    def __init__(self, node: Any) -> None:
        self._node = node
        self.shared = False
        self.context = SimpleNamespace(ensure_thread_contain_context=lambda: None)
        self.ports: list[object] = []
        self.portgroups: list[object] = []
        self.driver = SimpleNamespace(management=RedfishManagement(), power=RedfishPower(), boot=RedfishHttpsBoot())

    def upgrade_lock(self, *_: object, **__: object) -> None:
        """Do nothing."""


def _node(bmc: str, system: str) -> Any:
    """A node that is in no database."""

    class Node(objects.Node):  # type: ignore[misc]  # exists once the objects are registered
        def save(self, *_: object, **__: object) -> None:
            """Do nothing."""

    node = Node()
    for name, field in Node.fields.items():
        if field.nullable:
            setattr(node, name, None)
    access = {"redfish_address": bmc, "redfish_system_id": system, "redfish_auth_type": "basic"}
    filled: dict[str, object] = {name: {} for name in ("driver_internal_info", "instance_info", "extra")}
    login = {"redfish_username": "operator", "redfish_password": "a password"}
    given = {**filled, **_AS_DEPLOYED, "driver_info": {**access, **login}, "id": 1, "driver": "redfish"}
    for name, value in {**given, "uuid": "11111111-2222-4333-8444-555555555555", "disable_power_off": False}.items():
        setattr(node, name, value)
    return node


def main() -> None:
    """Ask the BMC as Ironic does."""
    bmc, system, url = sys.argv[1:]
    CONF([], default_config_files=[])
    CONF.set_override("notification_level", None)
    objects.register_all()
    task = _Task(_node(bmc, system))
    conductor.node_power_action(task, states.POWER_OFF)
    boot_mode_utils.sync_boot_mode(task)
    RedfishHttpsBoot._set_boot_device(task, boot_devices.UEFIHTTP, http_boot_url=url)
    conductor.node_power_action(task, states.POWER_ON)


if __name__ == "__main__":
    main()
