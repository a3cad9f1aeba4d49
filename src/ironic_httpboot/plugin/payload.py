"""What a node is to boot now: composed over the cached images and published, or the operator's own URL.

Knows a node's images, parameters and config drive. Refuses to know how its firmware is told.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from ironic.common import exception, states
from ironic.common import images as ironic_images
from ironic.conductor.task_manager import TaskManager
from ironic.conf import CONF
from ironic.drivers import utils as driver_utils
from ironic.drivers.modules import boot_mode_utils, deploy_utils, image_utils
from ironic.objects.node import Node
from oslo_log import log

from ironic_httpboot import config
from ironic_httpboot.blob import Blob, examine, whole
from ironic_httpboot.config import Payload
from ironic_httpboot.errors import BadRecipe, BadUrl, HostError, InputError, MalformedMessage
from ironic_httpboot.http.store import Publication
from ironic_httpboot.image import loaders, mkimage, netboot, pe
from ironic_httpboot.image.compose import check_loaders, compose
from ironic_httpboot.model import AppendedFile, Arch, BootRecipe, BootUrl, Chain, Container, ImageKind
from ironic_httpboot.plugin import configdrive, images, shelf, translate

LOG = log.getLogger(__name__)

_AGENT_CA = "etc/ironic-python-agent/ironic.crt"
_AGENT_CA_CONFIG = f"[DEFAULT]\ncafile = /{_AGENT_CA}\n"
_NETWORK_DATA = "mnt/config/openstack/latest/network_data.json"
"""glean reads it here, where it mounts a config drive if there is a device with one (glean 1.25, cmd.py)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is to be booted, before it is fetched. references: kernel and ramdisk, or iso → Ironic's image reference.

    seconds: how long it stays published, or None until it is withdrawn. field: of the node, where the ISO stands.
    """

    references: Mapping[str, str]
    field: str = ""
    cmdline: str = dataclasses.field(default="", repr=False)
    appended: tuple[AppendedFile, ...] = dataclasses.field(default=(), repr=False)
    seconds: int | None = None

    @property
    def iso(self) -> str | None:
        """The operator's own boot ISO."""
        return self.references.get("iso")


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """What DHCP tells a machine. then: what it tells the iPXE that asks again."""

    url: BootUrl
    then: BootUrl | None = None


def agent_iso(node: Node) -> str | None:
    """The operator's own ISO with an agent in it, for whatever the node is booted now."""
    found: str | None = driver_utils.get_agent_iso(node, mode=deploy_utils.rescue_or_deploy_mode(node))
    return found


def wanted_ramdisk(task: TaskManager, params: Mapping[str, str | None], mode: str | None = None) -> Wanted:
    """An agent ramdisk. mode: deploy or rescue, or what it is booted for now. Raises IronicException, InputError."""
    node = task.node
    seconds = CONF.httpboot.ramdisk_url_seconds
    mode = mode or deploy_utils.rescue_or_deploy_mode(node)
    if iso := driver_utils.get_agent_iso(node, mode=mode):
        return Wanted(references={"iso": iso}, field=f"driver_info/{mode}_iso", seconds=seconds)
    found = driver_utils.get_agent_kernel_ramdisk(node, mode)
    deploy_utils.check_for_missing_params(found, f"Node {node.uuid} cannot boot a {mode} ramdisk")
    references = {part: found[f"{mode}_{part}"] for part in ("kernel", "ramdisk")}
    options = image_utils.override_api_url(dict(params)) or {}
    appended = _agent_files(task)
    return Wanted(
        references=references, cmdline=translate.cmdline_of(node, options), appended=appended, seconds=seconds
    )


def wanted_instance(task: TaskManager, *, fetch: bool = True) -> Wanted:
    """A ramdisk instance, with its config drive. fetch: also one that is a URL. Raises IronicException, InputError."""
    node = task.node
    given = deploy_utils.get_image_instance_info(node)
    field = "instance_info/boot_iso"
    if source := given.get("image_source"):
        field = "instance_info/image_source"
        named = ironic_images.get_image_properties(task.context, source, ["boot_iso_id", "kernel_id", "ramdisk_id"])
        given = {name.removesuffix("_id"): value for name, value in named.items()}
    if given.get("boot_iso"):
        if node.instance_info.get("configdrive"):
            LOG.warning("Node %s boots an ISO: its config drive cannot be put into it and is left out", node.uuid)
        return Wanted(references={"iso": given["boot_iso"]}, field=field)
    references = {part: given.get(part) for part in ("kernel", "ramdisk")}
    deploy_utils.check_for_missing_params(references, f"Image {source} of node {node.uuid}")
    more = node.instance_info.get("ramdisk_kernel_arguments") or ""
    return Wanted(
        references=references,
        cmdline=translate.cmdline_of(node, {"root": "/dev/ram0", "text": None}, more),
        appended=_config_drive(task, fetch=fetch),
    )


def check(task: TaskManager, wanted: Wanted, payload: Payload) -> None:
    """See all that can be known before anything is fetched. Raises IronicException, HttpBootError."""
    for name, href in {**wanted.references, **_own_loader(task.node, wanted, payload)}.items():
        images.check(task, wanted.field if name == "iso" else name, href)
    translate.chain_of(task.node)
    if not wanted.iso:
        _check_loader(task.node, wanted, payload)
    if passed(task, wanted) is None:
        shelf.example_url(shelf.name_of(ImageKind.ISO))


def passed(task: TaskManager, wanted: Wanted) -> BootUrl | None:
    """The operator's own URL, where that is what a machine is given. Raises BadUrl, naming the field; InputError."""
    if not wanted.iso or not passes_through(task.node):
        return None
    try:
        return BootUrl.parse(wanted.iso)
    except BadUrl as error:
        hint = error.hint or 'a URL that the machine itself can fetch, or driver_info/httpboot_iso "serve"'
        raise BadUrl(f"{wanted.field}: {error.message.removeprefix('boot URL: ')}", hint=hint) from None


def families_of(url: BootUrl, wanted: Wanted) -> list[int]:
    """The IP versions over which a machine is told an operator's own URL: that of its address. Raises BadUrl."""
    served = shelf.families()
    if url.address is None:
        return served
    version = url.address.version
    if version not in served:
        missing = "url6" if version == 6 else "url"
        raise BadUrl(
            f"{wanted.field}: is at an IPv{version} address, and machines here ask over IPv{served[0]} alone",
            hint=f"set [httpboot]{missing} where they ask over both, or give a URL with a name or the other address",
        )
    return [version]


def _check_loader(node: Node, wanted: Wanted, payload: Payload) -> None:
    """See that this host has what stands before a node's kernel, where the operator gives none of it."""
    arch = translate.arch_of(node)
    own = _own_loader(node, wanted, payload)
    try:
        if own:
            _check_own(own["bootloader"], payload, arch)
        elif payload is Payload.GRUB:
            mkimage.find_parts(arch)
        elif payload is Payload.IPXE:
            loaders.find(loaders.Loader.IPXE, arch)
        else:
            check_loaders(_chain_of(node, payload), arch)
    except HostError as error:
        hint = f"{error.hint} on this conductor, " if error.hint else ""
        raise exception.InvalidParameterValue(
            f"Node {node.uuid}: {error.message} (hint: {hint}take another payload or chain, or your own bootloader)"
        ) from error


def _check_own(href: str, payload: Payload, arch: Arch) -> None:
    """See that a loader of the operator's that lies on this host is a program, where it has to be. Raises BadRecipe."""
    path = href.removeprefix("file://")
    if payload is not Payload.IPXE or path == href:
        return
    hint = "with iPXE it is the loader itself, a .efi; leave it out to boot through Debian's"
    try:
        with open(path, "rb") as stream:  # its head alone: what it is instead may be large
            machine = pe.decode(stream.read(pe.HEADER_BYTES)).machine
    except MalformedMessage as error:
        raise BadRecipe(f"driver_info/bootloader {path}: {error.message}", hint=hint) from error
    except OSError as error:
        raise BadRecipe(f"driver_info/bootloader {path}: read → {error.strerror}") from error
    if machine != arch.pe_machine:
        raise BadRecipe(f"driver_info/bootloader {path}: is no program for {arch.value}", hint=hint)


def check_signed(node: Node, wanted: Wanted, payload: Payload) -> None:
    """See that an instance's loader is signed where Secure Boot is asked for. Raises IronicException, InputError.

    No matter of agents: Ironic switches Secure Boot on for an instance, and off before an agent is booted again. The
    operator's own ISO or loader may be signed by whoever is in the firmware.
    """
    if wanted.iso or not boot_mode_utils.is_secure_boot_requested(node) or _own_loader(node, wanted, payload):
        return
    if payload is not Payload.IMAGE:
        name, value = "payload", payload.value
    elif (chain := translate.chain_of(node)) is not Chain.SHIM_GRUB:
        name, value = "chain", chain.value
    else:
        return
    field = f"driver_info/httpboot_{name}" if node.driver_info.get(f"httpboot_{name}") else f"[httpboot]{name}"
    where = f"boot_interface {node.boot_interface}" if node.boot_interface == "httpboot-ipxe" else f"{field} {value}"
    raise InputError(
        f"node {node.uuid}: instance_info/capabilities ask for Secure Boot, and with {where} the loader is not signed",
        hint="the boot interface httpboot or redfish-http-url, driver_info/httpboot_payload image and httpboot_chain "
        "shim+grub; or a signed instance_info/boot_iso of your own",
    )


def url_for(task: TaskManager, wanted: Wanted) -> BootUrl:
    """The URL that a node boots from: what it had before is withdrawn. Raises IronicException, HttpBootError."""
    shelf.withdraw(task.node.uuid)
    return passed(task, wanted) or shelf.url_of(publish(task, wanted))


def publish(task: TaskManager, wanted: Wanted) -> Publication:
    """Fetch, compose an ISO, publish it. On a failure nothing is left. Raises IronicException, HttpBootError."""
    with _all_or_nothing(task):
        files = _fetch(task, wanted, Payload.IMAGE)
        return _publish_whole(task, wanted, files, Container.ISO)


def offers_for(task: TaskManager, wanted: Wanted, payload: Payload) -> dict[int, Offer]:
    """What DHCP is to tell a node, by IP version: what it had before is withdrawn.

    Raises IronicException, HttpBootError.
    """
    uuid = task.node.uuid
    shelf.withdraw(uuid)
    if own := passed(task, wanted):
        return {version: Offer(url=own) for version in families_of(own, wanted)}
    with _all_or_nothing(task):
        files = _fetch(task, wanted, payload)
        if wanted.iso or payload in (Payload.IMAGE, Payload.UKI):
            container = Container.EFI if payload is Payload.UKI else Container.ISO
            whole_one = _publish_whole(task, wanted, files, container)
            return {version: Offer(url=shelf.url_of(whole_one, version)) for version in shelf.families()}
        # GRUB asks for its own address over IPv4 only (netboot.over_grub says so where there is no other).
        versions = [4] if payload is Payload.GRUB and 4 in shelf.families() else shelf.families()
        return {version: _in_pieces(task, wanted, files, payload, version) for version in versions}


def _in_pieces(task: TaskManager, wanted: Wanted, files: Mapping[str, Path], payload: Payload, version: int) -> Offer:
    """Pieces name each other by URLs, so that each family has its own."""

    def put(blob: Blob, name: str) -> BootUrl:
        return shelf.url_of(shelf.publish(task.node.uuid, blob, name, seconds=wanted.seconds), version)

    recipe = _recipe(task, wanted, files, Chain.GRUB, Container.ISO)
    loader = files.get("bootloader")
    if payload is Payload.GRUB:
        pieces = netboot.over_grub(recipe, put, config.made_folder())
    else:
        pieces = netboot.over_ipxe(recipe, put, loader)
    return Offer(url=pieces.loader, then=pieces.then)


def _publish_whole(task: TaskManager, wanted: Wanted, files: Mapping[str, Path], container: Container) -> Publication:
    if wanted.iso:
        blob, kind = Blob.of(whole(examine(files["iso"]))), ImageKind.ISO
    else:
        chain = _chain_of(task.node, Payload.UKI if container is Container.EFI else Payload.IMAGE)
        recipe = _recipe(task, wanted, files, chain, container)
        blob, kind = compose(replace(recipe, bootloader=files.get("bootloader"))), recipe.kind
    return shelf.publish(task.node.uuid, blob, shelf.name_of(kind), seconds=wanted.seconds)


def _recipe(
    task: TaskManager, wanted: Wanted, files: Mapping[str, Path], chain: Chain, container: Container
) -> BootRecipe:
    return BootRecipe(
        arch=translate.arch_of(task.node),
        chain=chain,
        container=container,
        kernel=files["kernel"],
        initrds=(files["ramdisk"],),
        appended=wanted.appended,
        cmdline=wanted.cmdline,
    )


def _fetch(task: TaskManager, wanted: Wanted, payload: Payload) -> dict[str, Path]:
    return images.fetch(task, {**wanted.references, **_own_loader(task.node, wanted, payload)})


def _chain_of(node: Node, payload: Payload) -> Chain:
    return Chain.UKI if payload is Payload.UKI else translate.chain_of(node)


def _own_loader(node: Node, wanted: Wanted, payload: Payload) -> dict[str, str]:
    """The operator's own loader, where one is used.

    What Ironic's configuration names is an image of an EFI system partition: good for an ISO, and no program for iPXE.
    """
    if wanted.iso or payload is Payload.GRUB or _chain_of(node, payload) is Chain.UKI:
        return {}
    loader = driver_utils.get_field(node, "bootloader", use_conf=payload is Payload.IMAGE)
    return {"bootloader": loader} if loader else {}


@contextmanager
def _all_or_nothing(task: TaskManager) -> Iterator[None]:
    try:
        yield
    except Exception:
        with suppress(HostError):  # what failed first is what the operator has to know
            shelf.withdraw(task.node.uuid)
        raise


def passes_through(node: Node) -> bool:
    """Whether a node is given an ISO of the operator's by its own URL. Raises InputError."""
    how = node.driver_info.get("httpboot_iso") or CONF.httpboot.boot_iso
    if how not in ("serve", "pass"):
        raise InputError(f"node {node.uuid}: driver_info/httpboot_iso is {how!r}", hint="it is serve or pass")
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


def _config_drive(task: TaskManager, *, fetch: bool) -> tuple[AppendedFile, ...]:
    node = task.node
    drive = node.instance_info.get("configdrive")
    if not drive:
        return ()
    if isinstance(drive, str) and "://" in drive[:10]:
        if not fetch:
            return ()
        drive = images.read(task, drive)
    return configdrive.files(drive, uuid=node.uuid, name=node.name)
