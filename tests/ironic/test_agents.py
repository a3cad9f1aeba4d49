"""What an agent is told, what it must not be told, and what stands in the way of its boot."""

from __future__ import annotations

from pathlib import Path

import pytest
from ironic.common import boot_devices, states
from ironic.conductor import utils as manager_utils
from ironic.objects.node import Node

from ironic_httpboot.emulator.serve import Emulator
from ironic_httpboot.http.store import Store
from kit.conductor import SYSTEM, Requests, at_work
from kit.ironic import boot_of


@pytest.mark.parametrize("interface", ["redfish-http-url", "httpboot"])
def test_an_agent_in_an_iso_of_the_operators_asks_for_its_token(node: Node, folder: Path, interface: str) -> None:
    (folder / "agent.iso").write_bytes(b"an agent" * 1000)
    info = {**node.driver_info, "deploy_iso": f"file://{folder}/agent.iso"}
    before = {"agent_secret_token": "of an earlier boot", "agent_secret_token_pregenerated": True}
    with at_work(
        node, states.CLEANING, driver_info=info, driver_internal_info=before, boot_interface=interface
    ) as task:
        task.driver.boot.prepare_ramdisk(task, {})
        assert not manager_utils.is_agent_token_present(task.node)
        assert not manager_utils.is_agent_token_pregenerated(task.node)
        task.driver.boot.clean_up_ramdisk(task)
        manager_utils.node_set_boot_device(task, boot_devices.DISK, persistent=True)


def test_a_device_that_ironic_sets_at_each_power_on_does_not_take_the_place_of_the_url(node: Node) -> None:
    noted = {"redfish_boot_device": "disk"}
    with at_work(node, states.CLEANING, driver_internal_info=noted) as task:
        task.driver.boot.prepare_ramdisk(task, {})
        with Requests() as switched:
            manager_utils.node_power_action(task, states.POWER_ON)
        assert [request for request in switched.made if request.startswith("PATCH")] == []
        manager_utils.node_power_action(task, states.POWER_OFF)


def test_a_machine_that_must_not_be_switched_off_is_asked_all_the_same(node: Node, emulator: Emulator) -> None:
    with at_work(node, states.CLEANING, disable_power_off=True) as task:
        task.driver.boot.prepare_ramdisk(task, {})
        assert boot_of(emulator.url, SYSTEM)["BootSourceOverrideTarget"] == "UefiHttp"
    with at_work(node, disable_power_off=False, boot_interface="redfish-http-url"):
        pass


def test_an_agent_finds_the_networks_data_where_glean_looks(node: Node, folder: Path) -> None:
    data = {"links": [], "networks": [{"id": "static"}], "services": []}
    with at_work(node, states.CLEANING, network_data=data) as task:
        task.driver.boot.prepare_ramdisk(task, {})
        (published,) = Store(folder / "store").published()[node.uuid]
        found = Store(folder / "store").find((published.token, published.name))
        assert found is not None
        image = found.blob.read_at(0, found.blob.size_bytes)
        name = image.index(b"mnt/config/openstack/latest/network_data.json\0")
        assert b'"id": "static"' in image[name : name + 1000]
