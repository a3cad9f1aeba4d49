"""Through Ironic's API alone: enroll, deploy, boot real firmware from a URL that the BMC was told, undeploy."""

from __future__ import annotations

import json

import pytest

from kit.ironic import boot_of, saw
from kit.workbench import Bench

pytestmark = pytest.mark.firmware


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
