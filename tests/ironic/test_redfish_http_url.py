"""Through Ironic's API alone: enroll, deploy, boot real firmware from a URL that the BMC was told, undeploy."""

from __future__ import annotations

import json
import signal

import pytest

from kit.ironic import boot_of, saw
from kit.workbench import Bench

pytestmark = [pytest.mark.firmware, pytest.mark.timeout(900)]


def test_a_node_boots_a_ramdisk_with_its_config_drive_and_leaves_nothing_behind(bench: Bench) -> None:
    node = bench.node("alpha")
    drive = {"meta_data": {"hostname": "alpha.example"}, "user_data": "#cloud-config\n"}
    bench.operator.deploy(node, bench.kernel, bench.ramdisk, config_drive=drive)

    console = bench.boots("alpha")
    meta = json.loads(saw(console, "/config-drive/openstack/latest/meta_data.json"))
    assert meta == {"uuid": node.id, "name": "alpha", "hostname": "alpha.example"}
    assert saw(console, "/config-drive/openstack/latest/user_data") == "#cloud-config\n"
    assert boot_of(bench.bmc, "alpha")["BootSourceOverrideTarget"] == "UefiHttp"
    (path,) = bench.published()[node.id]
    assert bench.status(path) == "200"

    bench.operator.provision(node, "deleted", "available")
    left = boot_of(bench.bmc, "alpha")
    assert (left["BootSourceOverrideEnabled"], left.get("HttpBootUri")) == ("Disabled", None)
    assert bench.status(path) == "404"
    assert bench.published() == {}
    assert list((bench.ironic.store.parent / "images").iterdir()) == [bench.ironic.store.parent / "images" / "cache"]


def test_two_nodes_at_once_each_boot_their_own_also_through_a_conductor_that_is_killed(bench: Bench) -> None:
    nodes = {name: bench.node(name) for name in ("alpha", "beta")}
    given = {"kernel": f"file://{bench.kernel}", "ramdisk": f"file://{bench.ramdisk}"}
    for name, node in nodes.items():
        bench.operator.api.update_node(node, instance_info=given)
        bench.operator.api.set_node_provision_state(node, "active", config_drive={"user_data": f"for {name}"})
    for node in nodes.values():
        bench.operator.until(node, "active", seconds=120)
    before = bench.published()

    # What was published is served while there is no conductor, and is found again by the next one.
    bench.ironic.stop(signal.SIGKILL)
    for name, node in nodes.items():
        console = bench.boots(name, seconds=300)
        assert saw(console, "/config-drive/openstack/latest/user_data") == f"for {name}"
        assert json.loads(saw(console, "/config-drive/openstack/latest/meta_data.json"))["uuid"] == node.id
    bench.ironic.start()
    assert bench.published() == before

    for node in nodes.values():
        bench.operator.api.set_node_provision_state(node, "deleted")
    for name, node in nodes.items():
        bench.operator.until(node, "available", seconds=120)
        assert boot_of(bench.bmc, name)["BootSourceOverrideEnabled"] == "Disabled"
    assert bench.published() == {}
