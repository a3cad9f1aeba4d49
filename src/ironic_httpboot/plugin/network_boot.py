"""The boot interfaces `httpboot` and `httpboot-ipxe`: DHCP tells firmware the URL.

Knows when Ironic boots what, and every way out, with any power and management interface. Refuses to know images, stores
and how a DHCP provider does its work.
"""

from __future__ import annotations

from ironic.common import boot_devices, exception, states
from ironic.common.dhcp_factory import DHCPFactory
from ironic.conductor import periodics
from ironic.conductor import utils as manager_utils
from ironic.conductor.base_manager import BaseConductorManager
from ironic.conductor.task_manager import TaskManager
from ironic.conf import CONF
from ironic.drivers import base
from ironic.drivers import utils as driver_utils
from ironic.drivers.modules import boot_mode_utils, deploy_utils, pxe_base
from oslo_log import log

from ironic_httpboot.config import Payload
from ironic_httpboot.model import ImageKind
from ironic_httpboot.plugin import boot, dhcp_options, payload, shelf, translate, upkeep
from ironic_httpboot.plugin.translate import ironic_errors

LOG = log.getLogger(__name__)

_PROPERTIES = {
    **boot.PROPERTIES,
    "httpboot_payload": "What firmware downloads first: image, uki, grub or ipxe. Optional.",
}


class HTTPBoot(pxe_base.PXEBaseMixin, base.BootInterface):
    """Boot from one HTTP(S) URL that DHCP tells, with vendor class HTTPClient."""

    http_boot_enabled = True

    capabilities: tuple[str, ...] = ("ramdisk_boot", "ramdisk_boot_configdrive", "pxe_boot")

    def get_properties(self) -> dict[str, str]:
        """What can be set on a node."""
        return {**pxe_base.COMMON_PROPERTIES, **_PROPERTIES}

    def validate(self, task: TaskManager) -> None:
        """See all that can be known before anything is touched. Raises IronicException."""
        self._validate_node(task)
        boot.check_images(task)

    def validate_rescue(self, task: TaskManager) -> None:
        """See that a rescue ramdisk can be booted. Raises IronicException."""
        self._validate_node(task)
        boot.check_rescue(task)

    def validate_inspection(self, task: TaskManager) -> None:
        """See that an inspection ramdisk can be booted. Raises UnsupportedDriverExtension: it is then unmanaged."""
        try:
            self._validate_node(task)
            with ironic_errors():
                payload.check(task, payload.wanted_ramdisk(task, {}))
        except exception.MissingParameterValue as error:
            raise exception.UnsupportedDriverExtension(
                f"Insufficient information for managed inspection: {error}"
            ) from error

    def prepare_ramdisk(self, task: TaskManager, ramdisk_params: dict[str, str]) -> None:
        """Have the node boot its agent ramdisk once. Raises IronicException."""
        if not driver_utils.need_prepare_ramdisk(task.node) or manager_utils.is_fast_track(task):
            return
        params = boot.agent_params(task, ramdisk_params)
        with ironic_errors():
            self._offer(task, payload.wanted_ramdisk(task, params))
        boot_mode_utils.sync_boot_mode(task)
        self._node_set_boot_device_for_network_boot(task)

    def clean_up_ramdisk(self, task: TaskManager) -> None:
        """Take back what was prepared for a ramdisk. Raises IronicException."""
        if not manager_utils.is_fast_track(task):
            self._take_back(task)

    def prepare_instance(self, task: TaskManager) -> None:
        """Have the node boot its instance: from disk, or a ramdisk at every power-on. Raises IronicException."""
        node = task.node
        at_work = node.provision_state in (states.ACTIVE, states.ADOPTING)
        boot_mode_utils.sync_boot_mode(task)
        boot_mode_utils.configure_secure_boot_if_needed(task)
        if deploy_utils.get_boot_option(node) == "ramdisk":
            with ironic_errors():
                self._offer(task, payload.wanted_instance(task))
            if not at_work:
                self._node_set_boot_device_for_network_boot(task, persistent=True)
            return
        self._take_back(task)
        if not at_work:
            manager_utils.node_set_boot_device(task, boot_devices.DISK, persistent=True)

    def clean_up_instance(self, task: TaskManager) -> None:
        """Take back what was prepared for an instance. Raises IronicException."""
        self._take_back(task)
        boot_mode_utils.deconfigure_secure_boot_if_needed(task)

    def _offer(self, task: TaskManager, wanted: payload.Wanted) -> None:
        factory = DHCPFactory()
        offers = payload.offers_for(task, wanted, self._payload(task))
        name = CONF.dhcp.dhcp_provider
        factory.update_dhcp(task, dhcp_options.options(offers, name, tags=factory.provider.supports_ipxe_tag()))

    def _payload(self, task: TaskManager) -> Payload:
        return translate.payload_of(task.node)

    def _take_back(self, task: TaskManager) -> None:
        with ironic_errors():
            shelf.withdraw(task.node.uuid)
        DHCPFactory().clean_dhcp(task)

    def _validate_node(self, task: TaskManager) -> None:
        boot.check_boot_mode(task.node)
        deploy_utils.validate_capabilities(task.node)
        if not driver_utils.get_node_mac_addresses(task):
            raise exception.MissingParameterValue(
                f"Node {task.node.uuid} has no port: DHCP knows it by its MAC address"
            )
        with ironic_errors():
            self._payload(task)
            for version in shelf.families():
                url = shelf.example_url(ImageKind.ISO, version)
                dhcp_options.check(len(url.text), CONF.dhcp.dhcp_provider)

    def _node_set_boot_device_for_network_boot(self, task: TaskManager, persistent: bool = False) -> None:
        try:
            manager_utils.node_set_boot_device(task, boot_devices.UEFIHTTP, persistent=persistent)
        except (exception.InvalidParameterValue, exception.UnsupportedDriverExtension):
            LOG.warning(
                "Node %s: its management interface %s cannot ask for UEFI HTTP boot. The machine's own boot order must "
                "have HTTP boot before PXE and disk; a network boot is asked for.",
                task.node.uuid,
                task.node.get_interface("management"),
            )
            manager_utils.node_set_boot_device(task, boot_devices.PXE, persistent=persistent)

    @periodics.periodic(spacing=CONF.httpboot.sweep_seconds)
    def _sweep(self, manager: BaseConductorManager, context: object) -> None:
        upkeep.sweep(manager)

    def _check_boot_status(self, task: TaskManager) -> None:
        """Called by the mixin's own periodic task."""
        if not upkeep.is_silent(task.node):
            return
        task.upgrade_lock(purpose="retrying HTTP boot")
        if task.node.provision_state not in self._RETRY_ALLOWED_STATES or not upkeep.is_silent(task.node):
            return
        LOG.info("Node %s has not called within %d s: it is booted again", task.node.uuid, CONF.pxe.boot_retry_timeout)
        manager_utils.node_power_action(task, states.POWER_OFF)
        self._node_set_boot_device_for_network_boot(task)
        manager_utils.node_power_action(task, states.POWER_ON)


class HTTPBootIPXE(HTTPBoot):
    """The same, through iPXE: beside `httpboot`, so that both can be used at once."""

    ipxe_enabled = True

    capabilities = ("ramdisk_boot", "ramdisk_boot_configdrive", "ipxe_boot", "pxe_boot")

    def _payload(self, task: TaskManager) -> Payload:
        return Payload.IPXE
