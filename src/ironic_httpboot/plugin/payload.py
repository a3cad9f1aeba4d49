"""What a node is to boot now: composed over the cached images and published, or the operator's own URL.

Knows a node's images, parameters and config drive. Refuses to know how its firmware is told.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from ironic.common import exception, states
from ironic.common import images as ironic_images
from ironic.conductor.task_manager import TaskManager
from ironic.conf import CONF
from ironic.drivers import utils as driver_utils
from ironic.drivers.modules import deploy_utils, image_utils
from oslo_log import log

from ironic_httpboot.blob import Blob, examine, whole
from ironic_httpboot.errors import InputError
from ironic_httpboot.http.store import Publication
from ironic_httpboot.image.compose import compose
from ironic_httpboot.model import AppendedFile, BootRecipe, BootUrl, Container, ImageKind
from ironic_httpboot.plugin import configdrive, images, shelf, translate

LOG = log.getLogger(__name__)

_AGENT_CA = "etc/ironic-python-agent/ironic.crt"
_AGENT_CA_CONFIG = f"[DEFAULT]\ncafile = /{_AGENT_CA}\n"
_NETWORK_DATA = "openstack/latest/network_data.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is to be booted, before it is fetched. references: kernel and ramdisk, or iso → Ironic's image reference.

    seconds: how long it stays published, or None until it is withdrawn.
    """

    references: Mapping[str, str]
    cmdline: str = ""
    appended: tuple[AppendedFile, ...] = field(default=(), repr=False)
    seconds: int | None = None

    @property
    def iso(self) -> str | None:
        """The operator's own boot ISO."""
        return self.references.get("iso")


def wanted_ramdisk(task: TaskManager, params: Mapping[str, str | None]) -> Wanted:
    """An agent ramdisk, for whatever it is booted now. Raises IronicException, InputError."""
    node = task.node
    seconds = CONF.httpboot.ramdisk_url_seconds
    mode = deploy_utils.rescue_or_deploy_mode(node)
    if iso := driver_utils.get_agent_iso(node, mode=mode):
        return Wanted(references={"iso": iso}, seconds=seconds)
    found = driver_utils.get_agent_kernel_ramdisk(node, mode)
    deploy_utils.check_for_missing_params(found, f"Node {node.uuid} cannot boot a {mode} ramdisk")
    references = {part: found[f"{mode}_{part}"] for part in ("kernel", "ramdisk")}
    options = image_utils.override_api_url(dict(params)) or {}
    appended = _agent_files(task)
    return Wanted(
        references=references, cmdline=translate.cmdline_of(node, options), appended=appended, seconds=seconds
    )


def wanted_instance(task: TaskManager) -> Wanted:
    """A ramdisk instance, with its config drive. Raises IronicException, InputError."""
    node = task.node
    given = deploy_utils.get_image_instance_info(node)
    if given.get("boot_iso"):
        if node.instance_info.get("configdrive"):
            LOG.warning("Node %s boots an ISO: its config drive cannot be put into it and is left out", node.uuid)
        return Wanted(references={"iso": given["boot_iso"]})
    if given.get("kernel") and given.get("ramdisk"):
        references = {part: given[part] for part in ("kernel", "ramdisk")}
    else:
        found = ironic_images.get_image_properties(task.context, given["image_source"], ["kernel_id", "ramdisk_id"])
        references = {part: found.get(f"{part}_id") for part in ("kernel", "ramdisk")}
        deploy_utils.check_for_missing_params(references, f"Image {given['image_source']} of node {node.uuid}")
    more = node.instance_info.get("ramdisk_kernel_arguments") or ""
    return Wanted(
        references=references,
        cmdline=translate.cmdline_of(node, {"root": "/dev/ram0", "text": None}, more),
        appended=_config_drive(task),
    )


def check(task: TaskManager, wanted: Wanted) -> None:
    """See all that can be known before anything is fetched. Raises IronicException, HttpBootError."""
    for name, href in wanted.references.items():
        images.check(task, name, href)
    translate.arch_of(task.node)
    translate.chain_of(task.node)
    if wanted.iso and _passes_through(task):
        BootUrl.parse(wanted.iso)
    else:
        shelf.example_url(ImageKind.ISO)


def url_for(task: TaskManager, wanted: Wanted) -> BootUrl:
    """The URL that a node boots from: what it had before is withdrawn. Raises IronicException, HttpBootError."""
    shelf.withdraw(task.node.uuid)
    if wanted.iso and _passes_through(task):
        return BootUrl.parse(wanted.iso)
    return shelf.url_of(publish(task, wanted))


def publish(task: TaskManager, wanted: Wanted) -> Publication:
    """Fetch, compose, publish. On a failure nothing is left. Raises IronicException, HttpBootError."""
    node = task.node
    try:
        loader = driver_utils.get_field(node, "bootloader", use_conf=True)
        extra = {"bootloader": loader} if loader and not wanted.iso else {}
        files = images.fetch(task, {**wanted.references, **extra})
        if wanted.iso:
            blob = Blob.of(whole(examine(files["iso"])))
        else:
            recipe = BootRecipe(
                arch=translate.arch_of(node),
                chain=translate.chain_of(node),
                container=Container.ISO,
                kernel=files["kernel"],
                initrds=(files["ramdisk"],),
                appended=wanted.appended,
                cmdline=wanted.cmdline,
            )
            blob = compose(replace(recipe, bootloader=files.get("bootloader")))
        return shelf.publish(node.uuid, blob, ImageKind.ISO, seconds=wanted.seconds)
    except Exception:
        images.forget(node.uuid)
        raise


def _passes_through(task: TaskManager) -> bool:
    how = task.node.driver_info.get("httpboot_iso") or CONF.httpboot.boot_iso
    if how not in ("serve", "pass"):
        raise InputError(f"node {task.node.uuid}: driver_info/httpboot_iso is {how!r}", hint="it is serve or pass")
    return bool(how == "pass")


def _agent_files(task: TaskManager) -> tuple[AppendedFile, ...]:
    """What an agent finds in its ramdisk: the CA of the API, and the network's data."""
    found = []
    if CONF.agent.api_ca_file:
        try:
            with open(CONF.agent.api_ca_file, "rb") as stream:
                found.append(AppendedFile(path=_AGENT_CA, data=stream.read()))
        except OSError as error:
            raise exception.InvalidParameterValue(
                f"[agent]api_ca_file {CONF.agent.api_ca_file}: read → {error.strerror}"
            ) from error
        found.append(AppendedFile(path="etc/ironic-python-agent.d/ironic-tls.conf", data=_AGENT_CA_CONFIG.encode()))
    inspecting = task.node.provision_state in (states.INSPECTING, states.INSPECTWAIT)
    if not (inspecting and CONF.inspector.force_dhcp):
        network_data = task.driver.network.get_node_network_data(task)
        if network_data:
            found.append(AppendedFile(path=_NETWORK_DATA, data=json.dumps(network_data, indent=2).encode()))
    return tuple(found)


def _config_drive(task: TaskManager) -> tuple[AppendedFile, ...]:
    node = task.node
    drive = node.instance_info.get("configdrive")
    if not drive:
        return ()
    if isinstance(drive, str) and "://" in drive[:10]:
        drive = images.fetch(task, {"configdrive": drive})["configdrive"].read_bytes()
    return configdrive.files(drive, uuid=node.uuid, name=node.name)
