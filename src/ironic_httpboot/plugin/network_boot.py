"""The boot interfaces `httpboot` and `httpboot-ipxe`: DHCP tells firmware the URL.

Knows when Ironic boots what, and every way out, with any power and management interface. Refuses to know images, stores
and how a DHCP provider does its work.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial

from ironic.common import boot_devices, exception, network
from ironic.common.dhcp_factory import DHCPFactory
from ironic.conductor import periodics
from ironic.conductor import utils as manager_utils
from ironic.conductor.base_manager import BaseConductorManager
from ironic.conductor.task_manager import TaskManager
from ironic.conf import CONF
from ironic.dhcp.base import BaseDHCP
from ironic.drivers import base
from ironic.drivers import utils as driver_utils
from ironic.drivers.modules import boot_mode_utils, deploy_utils, pxe_base
from ironic.drivers.modules.redfish.management import RedfishManagement
from oslo_log import log

from ironic_httpboot.config import Payload
from ironic_httpboot.model import ImageKind
from ironic_httpboot.plugin import address, bmc, boot, dhcp_options, payload, shelf, translate, upkeep
from ironic_httpboot.plugin.translate import ironic_errors

LOG = log.getLogger(__name__)

_PROPERTIES = {
    **boot.PROPERTIES,
    "httpboot_payload": "What firmware downloads first: image, uki, grub or ipxe. Optional.",
}


_LONGEST_LOADER = "ipxeaa64.efi"
"""Of the names under which loaders are published that fetch the rest."""


class HTTPBoot(boot.AttachesMedia, pxe_base.PXEBaseMixin, base.BootInterface):
    """Boot from one HTTP(S) URL that DHCP tells, with vendor class HTTPClient."""

    http_boot_enabled = True

    capabilities: tuple[str, ...] = ("ramdisk_boot", "ramdisk_boot_configdrive", "pxe_boot")

    def __init__(self) -> None:
        super().__init__()
        self._given: shelf.Given[Mapping[int, payload.Offer]] = shelf.Given()

    def get_properties(self) -> dict[str, str]:
        """What can be set on a node."""
        return {**pxe_base.COMMON_PROPERTIES, **_PROPERTIES}

    def validate(self, task: TaskManager) -> None:
        """See all that can be known before anything is touched. Raises IronicException."""
        self._validate_node(task)
        _check_told(task, boot.check_images(task, self._payload(task)))

    def validate_rescue(self, task: TaskManager) -> None:
        """See that a rescue ramdisk can be booted. Raises IronicException."""
        self._validate_node(task)
        _check_told(task, [boot.check_ramdisk(task, "rescue", self._payload(task))])

    def validate_inspection(self, task: TaskManager) -> None:
        """See that an inspection ramdisk can be booted. Raises UnsupportedDriverExtension: it is then unmanaged."""
        try:
            self._validate_node(task)
            _check_told(task, [boot.check_ramdisk(task, kind=self._payload(task))])
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
            self._offer(task, self._made(task, payload.wanted_ramdisk(task, params)))
        boot_mode_utils.sync_boot_mode(task)
        self._node_set_boot_device_for_network_boot(task)

    def clean_up_ramdisk(self, task: TaskManager) -> None:
        """Take back what was prepared for a ramdisk. Raises IronicException."""
        if not boot.is_kept_running(task):
            self._take_back(task)

    def prepare_instance(self, task: TaskManager) -> None:
        """Have the node boot its instance: from disk, or a ramdisk at every power-on. Raises IronicException."""
        wants_device = boot.is_without_device(task.node)
        boot_mode_utils.sync_boot_mode(task)
        boot_mode_utils.configure_secure_boot_if_needed(task)
        if deploy_utils.is_ramdisk_deploy(task.node):
            with ironic_errors():
                offers = boot.once(task, self._given, lambda: self._made(task, payload.wanted_instance(task)))
                self._offer(task, offers)
            if wants_device:
                self._node_set_boot_device_for_network_boot(task, persistent=True)
        else:
            self._take_back(task)
            address.give(task)
            if wants_device:
                boot.from_disk(task)
        boot.has_its_device(task)

    def clean_up_instance(self, task: TaskManager) -> None:
        """Take back what was prepared for an instance. Raises IronicException."""
        boot.loses_its_device(task)
        try:
            self._take_back(task)
        finally:
            boot_mode_utils.deconfigure_secure_boot_if_needed(task)

    def _made(self, task: TaskManager, wanted: payload.Wanted) -> Mapping[int, payload.Offer]:
        return payload.offers_for(task, wanted, self._payload(task))

    def _offer(self, task: TaskManager, offers: Mapping[int, payload.Offer]) -> None:
        factory = DHCPFactory()
        name = CONF.dhcp.dhcp_provider
        options = dhcp_options.options(offers, name, tags=factory.provider.supports_ipxe_tag())
        factory.update_dhcp(task, [*options, *(dhcp_options.removals(options) if _keeps(factory.provider) else ())])

    def _payload(self, task: TaskManager) -> Payload:
        return translate.payload_of(task.node)

    def _take_back(self, task: TaskManager) -> None:
        try:
            with ironic_errors():
                shelf.withdraw(task.node.uuid)
        finally:
            try:
                self._take_back_options(task)
            finally:
                bmc.take_back(task)

    def _take_back_options(self, task: TaskManager) -> None:
        factory = DHCPFactory()
        address.clean(task)
        if _keeps(factory.provider) and any(network.get_node_vif_ids(task).values()):
            try:
                factory.update_dhcp(task, dhcp_options.removals())
            except exception.FailedToUpdateDHCPOptOnPort as error:
                LOG.warning("Node %s: its DHCP options stay, though their URL is withdrawn: %s", task.node.uuid, error)

    def _validate_node(self, task: TaskManager) -> None:
        boot.check_node(task.node)
        if not any(port.pxe_enabled for port in task.ports):
            raise exception.MissingParameterValue(
                f"Node {task.node.uuid} has no port with pxe_enabled: DHCP knows it by the MAC address of one"
            )
        with ironic_errors():
            in_pieces = self._payload(task) in (Payload.GRUB, Payload.IPXE)
            name = _LONGEST_LOADER if in_pieces else shelf.name_of(ImageKind.ISO)
            for version in shelf.families():
                url = shelf.example_url(name, version)
                dhcp_options.check(len(url.text), CONF.dhcp.dhcp_provider)

    def _node_set_boot_device_for_network_boot(self, task: TaskManager, persistent: bool = False) -> None:
        if isinstance(task.driver.management, RedfishManagement):
            bmc.mark(task.node)
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
        upkeep.sweep(manager, context)

    @periodics.periodic(spacing=CONF.httpboot.sweep_seconds)
    def _take_back_later(self, manager: BaseConductorManager, context: object) -> None:
        upkeep.take_back(manager, context)

    def _check_boot_status(self, task: TaskManager) -> None:
        """Called by the mixin's own periodic task."""
        upkeep.boot_again(task, self._ask_again)

    def _ask_again(self, task: TaskManager) -> Callable[[], None]:
        return partial(self._node_set_boot_device_for_network_boot, task)


def _check_told(task: TaskManager, every: Iterable[payload.Wanted]) -> None:
    """See that DHCP can tell an operator's own URL. Raises InvalidParameterValue, naming the field it stands in."""
    with ironic_errors():
        for wanted in every:
            if url := payload.passed(task, wanted):
                dhcp_options.check(len(url.text), CONF.dhcp.dhcp_provider, wanted.field)
                payload.families_of(url, wanted)


def _keeps(provider: BaseDHCP) -> bool:
    """Whether a provider's options stay until each of them is removed by name: Ironic's for Neutron cleans nothing."""
    return type(provider).clean_dhcp_opts is BaseDHCP.clean_dhcp_opts


class HTTPBootIPXE(HTTPBoot):
    """The same, through iPXE: beside `httpboot`, so that both can be used at once."""

    ipxe_enabled = True

    capabilities = ("ramdisk_boot", "ramdisk_boot_configdrive", "ipxe_boot", "pxe_boot")

    def _payload(self, task: TaskManager) -> Payload:
        return Payload.IPXE
