"""Through Ironic's API alone: DHCP tells real firmware the URL, from machine files that `httpboot serve` watches."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from kit.ironic import boot_of, saw
from kit.network import Program
from kit.workbench import Bench, network_workbench

pytestmark = [pytest.mark.firmware, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Bench, Program]]:
    with network_workbench(tmp_path_factory.mktemp("network")) as made:
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
        assert boot_of(bench.bmc, "alpha").get("HttpBootUri") is None
