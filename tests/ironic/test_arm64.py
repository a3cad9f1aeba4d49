"""A node whose architecture is arm64: kernel, ramdisk and loader are those of its own, among nodes of x64."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ironic.common import exception, states
from ironic.conf import CONF
from ironic.objects.node import Node

from ironic_httpboot.demo import guest
from ironic_httpboot.http.store import Store
from ironic_httpboot.model import Arch
from kit.conductor import at_work

PROPERTIES = {"cpu_arch": "aarch64", "capabilities": "boot_mode:uefi"}


@pytest.fixture
def kernel(folder: Path) -> Path:
    made = folder / "vmlinuz-arm64"
    made.write_bytes(guest.find_parts(Arch.ARM64).kernel.read_bytes())
    return made


def published(folder: Path, node: Node) -> dict[str, set[str]]:
    """What is published for a node, and the names of the files that each is made of."""
    store = Store(folder / "store")
    found = {}
    for each in store.published()[node.uuid]:
        _, token, name = each.path.split("/")
        publication = store.find((token, name))
        assert publication is not None
        found[name] = {file.path.name for file in publication.blob.files()}
    return found


def test_an_agent_of_the_nodes_own_architecture_is_booted(node: Node, folder: Path, kernel: Path) -> None:
    info = {name: value for name, value in node.driver_info.items() if not name.startswith("deploy_")}
    by_arch = {"kernel": f"file://{kernel}", "ramdisk": f"file://{folder}/ramdisk.cpio"}
    for part, href in by_arch.items():
        CONF.set_override(f"deploy_{part}_by_arch", {"aarch64": href, "x86_64": "file:///none"}, group="conductor")
    try:
        with at_work(node, states.CLEANING, driver_info=info, properties=PROPERTIES) as task:
            task.driver.boot.prepare_ramdisk(task, {})
            assert {"shimaa64.efi.signed", "gcdaa64.efi.signed"} < published(folder, node)["boot.iso"]
            fetched = folder / "images" / node.uuid / "kernel"
            assert fetched.read_bytes() == kernel.read_bytes()
            task.driver.boot.clean_up_ramdisk(task)
    finally:
        for part in by_arch:
            CONF.clear_override(f"deploy_{part}_by_arch", group="conductor")


def told_by_dhcp(node: Node, folder: Path, kernel: Path, payload: str) -> dict[str, Any]:
    """The fields of a node that boots an arm64 kernel over the DHCP path."""
    return {
        "instance_info": {"kernel": f"file://{kernel}", "ramdisk": f"file://{folder}/ramdisk.cpio"},
        "driver_info": {**node.driver_info, "httpboot_payload": payload},
        "properties": PROPERTIES,
        "boot_interface": "httpboot",
    }


@pytest.mark.parametrize(
    ("payload", "name", "loaders"),
    [
        ("image", "boot.iso", {"shimaa64.efi.signed", "gcdaa64.efi.signed"}),
        ("uki", "boot.efi", {"linuxaa64.efi.stub"}),
        ("grub", "grubaa64.efi", set()),
    ],
)
def test_dhcp_tells_the_loader_of_the_nodes_own_architecture(
    node: Node, folder: Path, kernel: Path, payload: str, name: str, loaders: set[str]
) -> None:
    with at_work(node, states.DEPLOYING, **told_by_dhcp(node, folder, kernel, payload)) as task:
        task.driver.boot.validate(task)
        task.driver.boot.prepare_instance(task)
        assert loaders <= published(folder, node)[name]


def test_validate_says_that_there_is_no_ipxe_for_an_architecture(node: Node, folder: Path, kernel: Path) -> None:
    with (
        at_work(node, states.AVAILABLE, **told_by_dhcp(node, folder, kernel, "ipxe")) as task,
        pytest.raises(exception.InvalidParameterValue, match="for arm64: Debian 12 has none"),
    ):
        task.driver.boot.validate(task)
