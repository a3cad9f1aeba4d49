"""What a conductor sweeps and asks again beside Ironic's calls, and what it leaves alone."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ironic.common import boot_devices, exception, states
from ironic.conductor import utils as manager_utils
from ironic.conductor.base_manager import BaseConductorManager
from ironic.conductor.task_manager import TaskManager
from ironic.conf import CONF
from ironic.db import api as dbapi
from ironic.objects.conductor import Conductor
from ironic.objects.node import Node
from oslo_utils import uuidutils

from ironic_httpboot.blob import Blob, literal
from ironic_httpboot.emulator.serve import Emulator
from ironic_httpboot.http.store import Store
from ironic_httpboot.plugin import bmc, conf, shelf, upkeep
from kit.conductor import FILES, SYSTEM, at_work, use_store
from kit.hardware import Relay
from kit.ironic import boot_of, free_port


def manager_of(node: Node, *, mapped: bool = True) -> BaseConductorManager:
    """A conductor's manager as a periodic task gets it, without its threads. mapped: whether all nodes are to it."""
    manager = BaseConductorManager("here", "test")
    manager._mapped_to_this_conductor = lambda *of_node: mapped
    manager.dbapi = dbapi.get_instance()
    manager.conductor = Conductor(node._context, id=1, hostname="here")
    return manager


def publish(folder: Path, machine: str, *, expires_at: float | None = None) -> None:
    Store(folder / "store").publish(Blob.of(literal(b"x")), name="boot.iso", machine=machine, expires_at=expires_at)


def test_what_is_no_nodes_stays_and_what_a_node_left_goes(node: Node, folder: Path) -> None:
    orphan = uuidutils.generate_uuid()
    others = ["", "..", "rack-1"]
    for machine in (*others, orphan):
        publish(folder, machine)
    (folder / "images").mkdir(mode=0o700, exist_ok=True)
    for name in (orphan, "an-operators"):
        (folder / "images" / name).mkdir()
    (folder / "machines").mkdir(exist_ok=True)
    own = folder / "machines" / "rack-1.toml"
    own.write_text("")
    upkeep.sweep(manager_of(node), node._context)
    left = Store(folder / "store").published()
    assert sorted(left) == others
    assert (folder / "images" / "an-operators").is_dir()
    assert not (folder / "images" / orphan).exists()
    assert own.exists()
    own.unlink()
    (folder / "images" / "an-operators").rmdir()
    for each in left.values():
        Store(folder / "store").withdraw(each[0])


def test_a_node_that_is_deployed_while_it_is_to_be_swept_keeps_what_it_boots(node: Node, folder: Path) -> None:
    manager = manager_of(node)
    publish(folder, node.uuid)
    rows = manager.dbapi.get_nodeinfo_list

    def look_before_a_deployment_begins(columns: list[str]) -> list[tuple[object, ...]]:
        found: list[tuple[object, ...]] = rows(columns=columns)
        with at_work(node, states.DEPLOYING):
            pass
        return found

    with at_work(node, states.AVAILABLE):
        pass
    manager.dbapi.get_nodeinfo_list = look_before_a_deployment_begins
    try:
        upkeep.sweep(manager, node._context)
    finally:
        manager.dbapi.get_nodeinfo_list = rows
    assert node.uuid in Store(folder / "store").published()

    with at_work(node, states.AVAILABLE):
        upkeep._forget_locked(manager, node._context, node.uuid)
        assert node.uuid in Store(folder / "store").published()
    upkeep.sweep(manager, node._context)
    assert Store(folder / "store").published() == {}


@pytest.mark.parametrize("mapped", [True, False])
def test_what_was_published_after_a_rescue_stays_although_another_conductor_had_deployed_the_node(
    node: Node, folder: Path, mapped: bool
) -> None:
    """Ironic notes a conductor at a deployment and a takeover, and not at the end of a rescue."""
    manager = manager_of(node, mapped=mapped)
    here, other = (
        manager.dbapi.register_conductor({"hostname": name, "drivers": []}, update_existing=True).id
        for name in ("here", "other")
    )
    manager.conductor = Conductor(node._context, id=here, hostname="here")
    given = {part: f"file://{folder}/{name}" for part, name in FILES}
    with at_work(node, states.UNRESCUING, conductor_affinity=other, instance_info=given) as task:
        task.driver.boot.prepare_instance(task)
    with at_work(node, states.ACTIVE):
        pass
    upkeep.sweep(manager, node._context)
    assert (node.uuid in Store(folder / "store").published()) == mapped


def marked(node: Node) -> bool:
    return bmc.MARK in Node.get_by_uuid(node._context, node.uuid).driver_internal_info


def test_an_override_is_taken_back_also_where_the_node_has_another_boot_interface(
    node: Node, emulator: Emulator
) -> None:
    with at_work(node, states.CLEANING) as task:
        task.driver.boot.prepare_ramdisk(task, {})
    with at_work(node, states.AVAILABLE, boot_interface="httpboot", maintenance=True):
        pass
    upkeep.take_back(manager_of(node), node._context)
    assert boot_of(emulator.url, SYSTEM)["BootSourceOverrideEnabled"] == "Once", "a node in maintenance is left alone"
    with at_work(node, maintenance=False):
        upkeep.take_back(manager_of(node), node._context)
        assert boot_of(emulator.url, SYSTEM)["BootSourceOverrideEnabled"] == "Once", "a locked node is left alone"
    upkeep.take_back(manager_of(node), node._context)
    assert boot_of(emulator.url, SYSTEM)["BootSourceOverrideEnabled"] == "Disabled"
    assert not marked(node)


@pytest.mark.parametrize("interface", ["redfish-http-url", "httpboot"])
def test_a_device_that_was_set_since_is_not_taken_back_with_the_override(
    node: Node, emulator: Emulator, interface: str
) -> None:
    """As after a BMC that did not let an override go when it was to be taken back."""
    with at_work(node, states.CLEANING, boot_interface=interface, deploy_interface="direct") as task:
        task.driver.boot.prepare_ramdisk(task, {})
    with at_work(node, states.ACTIVE) as task:
        manager_utils.node_set_boot_device(task, boot_devices.DISK, persistent=True)
        assert marked(node)
        task.driver.boot.prepare_instance(task)
        assert boot_of(emulator.url, SYSTEM)["BootSourceOverrideTarget"] == "Hdd"
        assert not marked(node)
    with at_work(node, states.MANAGEABLE, driver_internal_info={bmc.MARK: True}) as task:
        manager_utils.node_set_boot_device(task, boot_devices.PXE, persistent=True)
    upkeep.take_back(manager_of(node), node._context)
    boot = boot_of(emulator.url, SYSTEM)
    assert (boot["BootSourceOverrideTarget"], boot["BootSourceOverrideEnabled"]) == ("Pxe", "Continuous")
    assert not marked(node)


def test_a_bmc_that_does_not_answer_is_asked_more_and_more_seldom(node: Node) -> None:
    dead = {**node.driver_info, "redfish_address": f"http://127.0.0.1:{free_port()}"}
    with at_work(node, states.AVAILABLE, driver_info=dead, driver_internal_info={bmc.MARK: True}):
        pass
    upkeep.take_back(manager_of(node), node._context)
    with at_work(node, driver_info=node.driver_info):
        pass
    upkeep.take_back(manager_of(node), node._context)
    assert marked(node), "it is asked again before its time"
    upkeep._unanswered.clear()
    upkeep.take_back(manager_of(node), node._context)
    assert not marked(node)


@pytest.fixture
def impatient() -> Iterator[None]:
    """An Ironic that boots silent nodes again."""
    CONF.set_override("boot_retry_timeout", 60, group="pxe")
    yield
    CONF.clear_override("boot_retry_timeout", group="pxe")


@pytest.mark.parametrize(
    ("fields", "asked"),
    [
        ({}, True),
        ({"maintenance": True}, False),
        ({"driver_internal_info": {"cleaning_polling": True}}, False),
        ({"driver_internal_info": {"agent_url": "http://192.0.2.7:9999"}}, False),
        ({"provision_state": states.CLEANFAIL}, False),
    ],
)
def test_a_silent_node_is_booted_again_unless_somebody_works_on_it(
    node: Node, impatient: None, fields: dict[str, Any], asked: bool
) -> None:
    seen = []

    def find(task: TaskManager) -> None:
        seen.append(task.node.uuid)
        raise exception.RedfishError("its BMC says no")

    with at_work(node, **{"provision_state": states.CLEANWAIT, **fields}) as task:
        upkeep.boot_again(task, find)
    assert seen == ([node.uuid] if asked else [])
    with at_work(node, maintenance=False):
        pass


@pytest.mark.parametrize("interface", ["redfish-http-url", "httpboot"])
def test_a_silent_node_is_booted_by_the_same_url_again(
    node: Node, impatient: None, emulator: Emulator, interface: str
) -> None:
    hardware = emulator.hardware(SYSTEM)
    assert isinstance(hardware, Relay)
    with at_work(node, states.CLEANING, boot_interface=interface) as task:
        manager_utils.node_power_action(task, states.POWER_OFF)
        task.driver.boot.prepare_ramdisk(task, {})
        manager_utils.node_power_action(task, states.POWER_ON)
        silent(task)
        task.node.provision_state = states.CLEANWAIT
        upkeep.boot_again(task, task.driver.boot._ask_again)
    first, second = hardware.boots[-2:]
    assert (second.target, second.uri) == (first.target, first.uri)


@pytest.mark.parametrize("gone", ["expired", "another conductor's"])
def test_a_silent_node_whose_url_is_served_no_more_is_left_switched_on(
    node: Node, folder: Path, impatient: None, emulator: Emulator, gone: str
) -> None:
    """Its agent may yet call, and a machine that was switched off would not be switched on again."""
    hardware = emulator.hardware(SYSTEM)
    assert isinstance(hardware, Relay)
    with at_work(node, states.CLEANING) as task:
        try:
            task.driver.boot.prepare_ramdisk(task, {})
            manager_utils.node_power_action(task, states.POWER_ON)
            silent(task)
            task.node.provision_state = states.CLEANWAIT
            if gone == "expired":
                shelf.withdraw(node.uuid)
                publish(folder, node.uuid, expires_at=time.time() - 1)
            else:
                use_store(folder / "another")
            boots = len(hardware.boots)
            upkeep.boot_again(task, task.driver.boot._ask_again)
        finally:
            use_store(folder / "store")
        assert task.driver.power.get_power_state(task) == states.POWER_ON
        assert len(hardware.boots) == boots


def silent(task: TaskManager) -> None:
    """Have a node's power be as it is for hours."""
    task.node.set_driver_internal_info("last_power_state_change", "2000-01-01T00:00:00.000000")
    task.node.save()


def test_an_override_is_taken_back_although_the_store_cannot_be_read(node: Node, emulator: Emulator) -> None:
    before = CONF.httpboot.store
    with at_work(node, states.CLEANING) as task:
        task.driver.boot.prepare_ramdisk(task, {})
        CONF.set_override("store", "/proc/nowhere", group=conf.GROUP)
        try:
            with pytest.raises(exception.ImageCreationFailed, match="/proc/nowhere"):
                task.driver.boot.clean_up_instance(task)
        finally:
            CONF.set_override("store", before, group=conf.GROUP)
        assert boot_of(emulator.url, SYSTEM)["BootSourceOverrideEnabled"] == "Disabled"


@pytest.mark.parametrize("interface", ["redfish-http-url", "httpboot"])
def test_with_fast_track_an_agents_image_is_withdrawn_although_the_bmc_is_down(
    node: Node, folder: Path, interface: str
) -> None:
    with at_work(node, states.CLEANING, boot_interface=interface) as task:
        task.driver.boot.prepare_ramdisk(task, {})
    assert Store(folder / "store").published()
    dead = {**node.driver_info, "redfish_address": f"http://127.0.0.1:{free_port()}"}
    CONF.set_override("fast_track", True, group="deploy")
    CONF.set_override("connection_attempts", 1, group="redfish")
    try:
        with at_work(node, driver_info=dead) as task:
            task.driver.boot.clean_up_ramdisk(task)
        assert Store(folder / "store").published() == {}
        assert marked(node), "its BMC is asked again later"
    finally:
        CONF.clear_override("fast_track", group="deploy")
        CONF.clear_override("connection_attempts", group="redfish")
        with at_work(node, driver_info=node.driver_info):
            pass
