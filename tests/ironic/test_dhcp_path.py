"""Through Ironic's API alone: DHCP tells real firmware the URL, from machine files that `httpboot serve` watches."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from kit import ipmi
from kit.ironic import boot_of, boot_order, saw
from kit.network import Program
from kit.workbench import Bench, network_workbench

pytestmark = [pytest.mark.firmware, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Bench, Program]]:
    with network_workbench(tmp_path_factory.mktemp("network"), ipmi.OPTIONS) as made:
        yield made


def test_one_node_is_toggled_between_the_interfaces_and_each_boots_and_leaves_nothing(
    network: tuple[Bench, Program],
) -> None:
    bench, _ = network
    state = bench.ironic.store.parent
    for interface in ("httpboot", "httpboot-ipxe", "redfish-http-url"):
        node = bench.node("alpha")
        bench.operator.api.update_node(node, boot_interface=interface)
        bench.operator.deploy(node, bench.kernel, bench.ramdisk, config_drive={"meta_data": {"by": interface}})
        console = bench.boots("alpha")
        meta = json.loads(saw(console, "/config-drive/openstack/latest/meta_data.json"))
        assert meta == {"uuid": node.id, "name": "alpha", "by": interface}
        assert ("iPXE" in console) == (interface == "httpboot-ipxe")
        paths = bench.published()[node.id]
        assert {bench.status(path) for path in paths} == {"200"}
        files = list((state / "machines").glob("*.toml"))
        assert [file.stem for file in files] == ([] if interface == "redfish-http-url" else [node.id])

        bench.operator.provision(node, "deleted", "available")
        assert {bench.status(path) for path in paths} == {"404"}
        assert bench.published() == {}
        assert list((state / "machines").glob("*")) == []
        left = boot_of(bench.bmc, "alpha")
        assert (left["BootSourceOverrideEnabled"], left.get("HttpBootUri")) == ("Disabled", None)


def test_a_machine_behind_ipmi_boots_over_ipv6_beside_one_that_boots_grub(network: tuple[Bench, Program]) -> None:
    """IPMI has no word for HTTP boot: the operator is told so, and the machine's own boot order has it first."""
    bench, _ = network
    api = bench.operator.api
    alpha, beta = bench.node("alpha"), bench.node("beta", boot="httpboot", driver_info={"httpboot_payload": "grub"})
    order = boot_order(bench.bmc, "alpha", first=["HTTPv6"])
    assert "HTTPv6" in order[0]
    with ipmi.bmc(bench.folder / "ipmi", bench.bmc, "alpha") as bmc:
        info = {**alpha.driver_info, **bmc.driver_info, "httpboot_payload": "uki"}
        api.update_node(alpha, boot_interface="httpboot", driver_info=info, **ipmi.INTERFACES)
        for node in (alpha, beta):
            bench.operator.deploy(node, bench.kernel, bench.ramdisk, config_drive={"meta_data": {"for": node.name}})
        assert bmc.asked.count("set boot pxe") == 1
        said = "its management interface ipmitool cannot ask for UEFI HTTP boot. The machine's own boot order must have"
        assert f"Node {alpha.id}: {said}" in bench.ironic.log.read_text()

        for node in (alpha, beta):
            console = bench.boots(node.name)
            meta = json.loads(saw(console, "/config-drive/openstack/latest/meta_data.json"))
            assert meta == {"uuid": node.id, "name": node.name, "for": node.name}
            assert ("Station IPv6 address" in console) == (node.name == "alpha")
            assert ("BOOT_IMAGE=" in console) == (node.name == "beta"), "only GRUB says so to a kernel"

        for node in (alpha, beta):
            bench.operator.provision(node, "deleted", "available")
        assert "set power 0" in bmc.asked
    assert bench.published() == {}
    assert list((bench.ironic.store.parent / "machines").glob("*")) == []
