"""The boot interface `redfish-http-url`: the BMC is told the URL of an ISO.

Knows when Ironic boots what, and every way out. Refuses to know images, stores and Redfish.
"""

from __future__ import annotations

from collections.abc import Mapping

from ironic.common import boot_devices, exception, states
from ironic.conductor import periodics
from ironic.conductor import utils as manager_utils
from ironic.conductor.base_manager import BaseConductorManager
from ironic.conductor.task_manager import TaskManager
from ironic.conf import CONF
from ironic.drivers import base
from ironic.drivers import utils as driver_utils
from ironic.drivers.modules import boot_mode_utils, deploy_utils, pxe_base
from ironic.drivers.modules.redfish import utils as redfish_utils
from ironic.objects.node import Node
from oslo_log import log

from ironic_httpboot.plugin import bmc, payload, shelf, upkeep
from ironic_httpboot.plugin.translate import ironic_errors

LOG = log.getLogger(__name__)

PROPERTIES = {
    "httpboot_chain": "What stands between firmware and kernel: shim+grub, grub or uki. Optional.",
    "httpboot_iso": "Whether a boot ISO is given to the machine by its own URL (pass) or through us (serve). Optional.",
    "bootloader": "An EFI system partition image to boot through, instead of our own. Optional.",
}
_RETRY_STATES = pxe_base.PXEBaseMixin._RETRY_ALLOWED_STATES


class RedfishHTTPBoot(base.BootInterface):
    """Boot from one HTTP(S) URL that the BMC is told over Redfish."""

    capabilities = ("ramdisk_boot", "ramdisk_boot_configdrive")

    def get_properties(self) -> dict[str, str]:
        """What can be set on a node."""
        return {**pxe_base.COMMON_PROPERTIES, **PROPERTIES}

    def validate(self, task: TaskManager) -> None:
        """See all that can be known without asking the BMC. Raises IronicException."""
        self._validate_node(task)
        check_images(task)

    def validate_rescue(self, task: TaskManager) -> None:
        """See that a rescue ramdisk can be booted. Raises IronicException."""
        self._validate_node(task)
        check_rescue(task)

    def validate_inspection(self, task: TaskManager) -> None:
        """See that an inspection ramdisk can be booted. Raises IronicException."""
        self._validate_node(task)
        with ironic_errors():
            payload.check(task, payload.wanted_ramdisk(task, {}))

    def prepare_ramdisk(self, task: TaskManager, ramdisk_params: dict[str, str]) -> None:
        """Have the node boot its agent ramdisk once. Raises IronicException."""
        node = task.node
        if not driver_utils.need_prepare_ramdisk(node) or manager_utils.is_fast_track(task):
            return
        params = agent_params(task, ramdisk_params)
        manager_utils.node_power_action(task, states.POWER_OFF)
        with ironic_errors():
            bmc.ask(task, payload.url_for(task, payload.wanted_ramdisk(task, params)), persistent=False)

    def clean_up_ramdisk(self, task: TaskManager) -> None:
        """Take back what was prepared for a ramdisk. Raises IronicException."""
        if not manager_utils.is_fast_track(task):
            self._take_back(task)

    def prepare_instance(self, task: TaskManager) -> None:
        """Have the node boot its instance: from disk, or a ramdisk at every power-on. Raises IronicException."""
        node = task.node
        boot_mode_utils.configure_secure_boot_if_needed(task)
        if deploy_utils.get_boot_option(node) == "ramdisk":
            with ironic_errors():
                bmc.ask(task, payload.url_for(task, payload.wanted_instance(task)), persistent=True)
            return
        self._take_back(task)
        if node.provision_state not in (states.ACTIVE, states.ADOPTING):
            manager_utils.node_set_boot_device(task, boot_devices.DISK, persistent=True)

    def clean_up_instance(self, task: TaskManager) -> None:
        """Take back what was prepared for an instance. Raises IronicException."""
        self._take_back(task)
        boot_mode_utils.deconfigure_secure_boot_if_needed(task)

    @periodics.node_periodic(
        purpose="asking BMCs again to boot a URL",
        spacing=CONF.pxe.boot_retry_check_interval,
        enabled=bool(CONF.pxe.boot_retry_timeout),
        filters={
            "provision_state_in": _RETRY_STATES,
            "reserved": False,
            "maintenance": False,
            "provisioned_before": CONF.pxe.boot_retry_timeout,
        },
    )
    def _retry_boot(self, task: TaskManager, manager: BaseConductorManager, context: object) -> None:
        if not upkeep.is_silent(task.node):
            return
        task.upgrade_lock(purpose="retrying HTTP boot")
        if task.node.provision_state not in _RETRY_STATES or not upkeep.is_silent(task.node):
            return
        self.retry(task)

    def retry(self, task: TaskManager) -> None:
        """Boot the ramdisk of a node once more: its override was spent by a boot that led nowhere."""
        url = upkeep.url_again(task)
        if url is None:
            return
        LOG.info("Node %s has not called within %d s: it is booted again", task.node.uuid, CONF.pxe.boot_retry_timeout)
        manager_utils.node_power_action(task, states.POWER_OFF)
        with ironic_errors():
            bmc.ask(task, url, persistent=False)
        manager_utils.node_power_action(task, states.POWER_ON)

    @periodics.periodic(spacing=CONF.httpboot.sweep_seconds)
    def _sweep(self, manager: BaseConductorManager, context: object) -> None:
        upkeep.sweep(manager)

    @periodics.node_periodic(
        purpose="taking back boot overrides that a BMC did not let go",
        spacing=CONF.httpboot.sweep_seconds,
        filters={"provision_state_in": upkeep.AT_REST, "reserved": False},
        predicate_extra_fields=["driver_internal_info"],
        predicate=lambda node: bool((node.driver_internal_info or {}).get(bmc.MARK)),
    )
    def _take_back_later(self, task: TaskManager, manager: BaseConductorManager, context: object) -> None:
        task.upgrade_lock(purpose="taking back a boot override")
        if task.node.provision_state in upkeep.AT_REST:
            bmc.take_back(task)

    def _validate_node(self, task: TaskManager) -> None:
        redfish_utils.parse_driver_info(task.node)
        deploy_utils.validate_capabilities(task.node)
        check_boot_mode(task.node)

    def _take_back(self, task: TaskManager) -> None:
        with ironic_errors():
            shelf.withdraw(task.node.uuid)
        bmc.take_back(task)


def check_boot_mode(node: Node) -> None:
    """Raise InvalidParameterValue where a node does not boot in UEFI mode."""
    mode = boot_mode_utils.get_boot_mode(node)
    if mode != "uefi":
        raise exception.InvalidParameterValue(
            f"Node {node.uuid}: its boot mode is {mode}, and HTTP boot is a matter of UEFI "
            "(hint: properties/capabilities boot_mode:uefi)"
        )


def check_images(task: TaskManager) -> None:
    """See all that can be known of what a node is to boot. Raises IronicException."""
    node = task.node
    with ironic_errors():
        if deploy_utils.needs_agent_ramdisk(node, mode=deploy_utils.rescue_or_deploy_mode(node)):
            payload.check(task, payload.wanted_ramdisk(task, {}))
        if deploy_utils.is_ramdisk_deploy(node):
            payload.check(task, payload.wanted_instance(task))


def check_rescue(task: TaskManager) -> None:
    """Raise MissingParameterValue where a node has no rescue ramdisk."""
    found = driver_utils.get_agent_kernel_ramdisk(task.node, "rescue")
    if not driver_utils.get_agent_iso(task.node, mode="rescue"):
        deploy_utils.check_for_missing_params(found, f"Node {task.node.uuid} cannot boot a rescue ramdisk")


def agent_params(task: TaskManager, given: Mapping[str, str]) -> dict[str, str]:
    """The kernel parameters of an agent ramdisk: its token, which nobody else can read, and the card that boots."""
    node = task.node
    manager_utils.add_secret_token(node, pregenerated=True)
    node.save()
    params = {**given, "ipa-agent-token": node.driver_internal_info["agent_secret_token"]}
    mac = deploy_utils.get_single_nic_with_vif_port_id(task)
    return params if mac is None else {**params, "BOOTIF": mac}
