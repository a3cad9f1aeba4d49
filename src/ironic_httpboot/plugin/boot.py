"""The boot interface `redfish-http-url`: the BMC is told the URL of an ISO.

Knows when Ironic boots what, and every way out. Refuses to know images, stores and Redfish.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

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

from ironic_httpboot.config import Payload
from ironic_httpboot.model import BootUrl
from ironic_httpboot.plugin import address, bmc, payload, shelf, upkeep
from ironic_httpboot.plugin.translate import arch_of, ironic_errors, persistence_of

LOG = log.getLogger(__name__)

PROPERTIES = {
    "httpboot_chain": "What stands between firmware and kernel: shim+grub, grub or uki. Optional.",
    "httpboot_iso": "Whether a boot ISO is given to the machine by its own URL (pass) or through us (serve). Optional.",
    "bootloader": "An EFI system partition image to boot through, instead of our own. Optional.",
}


class AttachesMedia:
    """What Ironic 39 asks of a node's boot interface when virtual media is attached or detached (image_utils.py:
    ImageHandler): the same as of its own for Redfish. Releases before ask for the hardware type's name instead."""

    @property
    def image_publisher_settings(self) -> base.ImagePublisherSettings | None:
        """Where such an image is put: looked up when it is asked for, as [redfish] may change."""
        if not hasattr(base, "ImagePublisherSettings"):  # before 39 each property is read, and this one is not used
            return None
        redfish = CONF.redfish
        return base.ImagePublisherSettings(
            swift_enabled=redfish.use_swift,
            container=redfish.swift_container,
            timeout=redfish.swift_object_expiry_timeout,
            image_subdir="redfish",
            file_permission=redfish.file_permission,
            kernel_params=redfish.kernel_append_params,
        )


class RedfishHTTPBoot(AttachesMedia, base.BootInterface):
    """Boot from one HTTP(S) URL that the BMC is told over Redfish."""

    capabilities = ("ramdisk_boot", "ramdisk_boot_configdrive")

    def __init__(self) -> None:
        super().__init__()
        self._given: shelf.Given[BootUrl] = shelf.Given()

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
        check_ramdisk(task, "rescue")

    def validate_inspection(self, task: TaskManager) -> None:
        """See that an inspection ramdisk can be booted. Raises IronicException."""
        self._validate_node(task)
        check_ramdisk(task)

    def prepare_ramdisk(self, task: TaskManager, ramdisk_params: dict[str, str]) -> None:
        """Have the node boot its agent ramdisk once. Raises IronicException."""
        node = task.node
        if not driver_utils.need_prepare_ramdisk(node) or manager_utils.is_fast_track(task):
            return
        params = agent_params(task, ramdisk_params)
        if not node.disable_power_off:
            manager_utils.node_power_action(task, states.POWER_OFF)
        address.give(task)
        with ironic_errors():
            bmc.ask(task, payload.url_for(task, payload.wanted_ramdisk(task, params)), persistent=False)

    def clean_up_ramdisk(self, task: TaskManager) -> None:
        """Take back what was prepared for a ramdisk. Raises IronicException."""
        if not is_kept_running(task):
            self._take_back(task)

    def prepare_instance(self, task: TaskManager) -> None:
        """Have the node boot its instance: from disk, or a ramdisk at every power-on. Raises IronicException."""
        if deploy_utils.is_ramdisk_deploy(task.node):
            boot_mode_utils.configure_secure_boot_if_needed(task)
            address.give(task)
            with ironic_errors():
                url = once(task, self._given, lambda: payload.url_for(task, payload.wanted_instance(task)))
                bmc.ask(task, url, persistent=True)
            has_its_device(task)
            return
        self._take_back(task)
        address.give(task)
        wants_device = is_without_device(task.node)
        if wants_device:
            # The override brought its own mode with it; a disk is booted in the mode that the machine is in.
            boot_mode_utils.sync_boot_mode(task)
        boot_mode_utils.configure_secure_boot_if_needed(task)
        if wants_device:
            from_disk(task)
        has_its_device(task)

    def clean_up_instance(self, task: TaskManager) -> None:
        """Take back what was prepared for an instance. Raises IronicException."""
        loses_its_device(task)
        try:
            self._take_back(task)
        finally:
            boot_mode_utils.deconfigure_secure_boot_if_needed(task)

    @periodics.node_periodic(
        purpose="asking BMCs again to boot a URL",
        spacing=CONF.pxe.boot_retry_check_interval,
        enabled=bool(CONF.pxe.boot_retry_timeout),
        filters={
            "provision_state_in": upkeep.RETRIED,
            "reserved": False,
            "maintenance": False,
            "provisioned_before": CONF.pxe.boot_retry_timeout,
        },
    )
    def _retry_boot(self, task: TaskManager, manager: BaseConductorManager, context: object) -> None:
        upkeep.boot_again(task, self._ask_again)

    def _ask_again(self, task: TaskManager) -> Callable[[], None] | None:
        """A node's override was spent by a boot that led nowhere."""
        with ironic_errors():
            url = upkeep.url_again(task)
        if url is None:
            return None

        def ask() -> None:
            with ironic_errors():
                bmc.ask(task, url, persistent=False)

        return ask

    @periodics.periodic(spacing=CONF.httpboot.sweep_seconds)
    def _sweep(self, manager: BaseConductorManager, context: object) -> None:
        upkeep.sweep(manager, context)

    # No node_periodic: that leaves out nodes which have another boot interface by now.
    @periodics.periodic(spacing=CONF.httpboot.sweep_seconds)
    def _take_back_later(self, manager: BaseConductorManager, context: object) -> None:
        upkeep.take_back(manager, context)

    def _validate_node(self, task: TaskManager) -> None:
        redfish_utils.parse_driver_info(task.node)
        check_node(task.node)

    def _take_back(self, task: TaskManager) -> None:
        try:
            with ironic_errors():
                shelf.withdraw(task.node.uuid)
        finally:
            bmc.take_back(task)


def is_kept_running(task: TaskManager) -> bool:
    """Whether an agent runs on for what comes next (fast track): not where its BMC does not say that it is on."""
    try:
        return bool(manager_utils.is_fast_track(task))
    except exception.IronicException as error:
        LOG.warning("Node %s is taken to be off, so that its agent's image is withdrawn: %s", task.node.uuid, error)
        return False


def once(task: TaskManager, given: shelf.Given[shelf.T], make: Callable[[], shelf.T]) -> shelf.T:
    """What an instance boots: what it was given since its node is active, if it was, or else made anew.

    An aborted service prepares an instance twice, and switches the machine on between (conductor/servicing.py, 39.0):
    what is made anew would take away what the firmware has just been told.
    """
    node = task.node
    return given.again(node.uuid, node.provision_updated_at, make) if node.provision_state == states.ACTIVE else make()


_GONE = "httpboot_device_gone"
"""In driver_internal_info from when an instance gives way to a service until it is prepared again."""


def is_without_device(node: Node) -> bool:
    """Whether a machine must be told what its instance boots from: not where its node only changes conductors.

    An aborted service is active before its instance is prepared again, as a node that is taken over is, and nothing of
    Ironic's tells them apart: agent_start_attempted is gone since the power-off (conductor/servicing.py, 39.0).
    """
    if node.provision_state == states.ACTIVE:
        return bool(node.driver_internal_info.get(_GONE))
    return bool(node.provision_state != states.ADOPTING)


def loses_its_device(task: TaskManager) -> None:
    """Note that a machine boots something else than its instance from now on, where it is to boot it again."""
    if task.node.provision_state == states.SERVICING:
        task.node.set_driver_internal_info(_GONE, True)
        task.node.save()


def has_its_device(task: TaskManager) -> None:
    """Note that a machine boots its instance from now on."""
    task.node.del_driver_internal_info(_GONE)
    task.node.save()


def from_disk(task: TaskManager) -> None:
    """Have a machine boot its disk from now on. Raises IronicException."""
    node = task.node
    if node.provision_state == states.DEPLOYING and str(node.properties.get("vendor") or "").lower() == "lenovo":
        # A boot device that is set now would undo what the agent has just written into its firmware's boot entries
        # (pxe_base.prepare_instance, https://bugs.launchpad.net/ironic/+bug/2053064).
        return
    manager_utils.node_set_boot_device(task, boot_devices.DISK, persistent=True)


def check_node(node: Node) -> None:
    """Raise InvalidParameterValue where a node does not boot in UEFI mode, or is none that is booted here."""
    deploy_utils.validate_capabilities(node)
    with ironic_errors():
        arch_of(node)
        persistence_of(node, asked=False)
    if deploy_utils.get_boot_option(node) == "kickstart":
        raise exception.InvalidParameterValue(
            f"Node {node.uuid}: {node.get_interface('boot')} boots no kickstart "
            "(hint: a deploy interface other than anaconda, or a boot interface of Ironic's)"
        )
    mode = boot_mode_utils.get_boot_mode(node)
    if mode != "uefi":
        raise exception.InvalidParameterValue(
            f"Node {node.uuid}: its boot mode is {mode}, and HTTP boot is a matter of UEFI "
            "(hint: properties/capabilities boot_mode:uefi)"
        )


def check_images(task: TaskManager, kind: Payload = Payload.IMAGE) -> list[payload.Wanted]:
    """See all that can be known of what a node is to boot, and return it. Raises IronicException."""
    node = task.node
    wanted = []
    with ironic_errors():
        if deploy_utils.needs_agent_ramdisk(node, mode=deploy_utils.rescue_or_deploy_mode(node)):
            wanted.append(payload.wanted_ramdisk(task, {}))
        if deploy_utils.is_ramdisk_deploy(node):
            wanted.append(payload.wanted_instance(task, fetch=False))
            payload.check_signed(node, wanted[-1], kind)
        for each in wanted:
            payload.check(task, each, kind)
    return wanted


def check_ramdisk(task: TaskManager, mode: str | None = None, kind: Payload = Payload.IMAGE) -> payload.Wanted:
    """See that an agent's ramdisk can be booted, and return it. mode: as for wanted_ramdisk. Raises IronicException."""
    with ironic_errors():
        wanted = payload.wanted_ramdisk(task, {}, mode)
        payload.check(task, wanted, kind)
        return wanted


def agent_params(task: TaskManager, given: Mapping[str, str]) -> dict[str, str]:
    """The kernel parameters of an agent ramdisk: its token, which nobody else can read, and the card that boots."""
    node = task.node
    if payload.agent_iso(node):
        # An ISO is not opened: its agent cannot be told a token, and is given one when it first asks. Ironic gives none
        # where it sees one (conductor/manager.py: get_node_with_token).
        for name in ("agent_secret_token", "agent_secret_token_pregenerated"):
            node.del_driver_internal_info(name)
        node.save()
        return dict(given)
    manager_utils.add_secret_token(node, pregenerated=True)
    node.save()
    params = {**given, "ipa-agent-token": node.driver_internal_info["agent_secret_token"]}
    mac = deploy_utils.get_single_nic_with_vif_port_id(task)
    return params if mac is None else {**params, "BOOTIF": mac}
