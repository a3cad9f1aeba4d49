"""A service that is aborted: the machine boots its instance again, by the calls that Ironic's conductor makes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from ironic.common import boot_devices, states
from ironic.conductor import servicing
from ironic.conductor import utils as manager_utils
from ironic.conf import CONF
from ironic.objects.node import Node

from ironic_httpboot.emulator.serve import Emulator
from ironic_httpboot.http.store import Store
from kit.conductor import FILES, SYSTEM, URL4, at_work
from kit.hardware import Relay
from kit.ironic import boot_of

INTERFACES = ["redfish-http-url", "httpboot"]
DEPLOYMENTS = [("ramdisk", "UefiHttp"), ("direct", "Hdd")]


@pytest.fixture(autouse=True)
def api() -> Iterator[None]:
    """An agent is told where Ironic's API is."""
    CONF.set_override("endpoint_override", "http://192.0.2.1:6385", group="service_catalog")
    yield
    CONF.clear_override("endpoint_override", group="service_catalog")


def deploy(node: Node, folder: Path, interface: str, deployment: str) -> None:
    given = {part: f"file://{folder}/{name}" for part, name in FILES}
    fields = {"instance_info": given, "boot_interface": interface, "deploy_interface": deployment}
    with at_work(node, states.DEPLOYING, **fields) as task:
        task.driver.boot.prepare_instance(task)
        manager_utils.node_power_action(task, states.POWER_ON)


def told(emulator: Emulator) -> tuple[str, str]:
    boot = boot_of(emulator.url, SYSTEM)
    return boot["BootSourceOverrideTarget"], boot["BootSourceOverrideEnabled"]


@pytest.mark.parametrize("interface", INTERFACES)
@pytest.mark.parametrize(("deployment", "target"), DEPLOYMENTS)
def test_after_an_aborted_service_the_instance_is_booted_and_no_more_the_agent(
    node: Node, folder: Path, emulator: Emulator, interface: str, deployment: str, target: str
) -> None:
    hardware = emulator.hardware(SYSTEM)
    assert isinstance(hardware, Relay)
    deploy(node, folder, interface, deployment)
    assert told(emulator) == (target, "Continuous")
    with at_work(node, states.SERVICING) as task:
        task.driver.deploy.prepare_service(task)
        assert hardware.boots[-1].target.value == "UefiHttp"
    with at_work(node, states.ACTIVE) as task:
        servicing.do_node_service_abort(task)
        assert "aborted" in task.node.last_error
        assert told(emulator) == (target, "Continuous")
    assert hardware.boots[-1].target.value == target


@pytest.mark.parametrize("interface", INTERFACES)
def test_a_conductor_that_takes_over_leaves_a_disks_boot_device_to_the_operator(
    node: Node, folder: Path, emulator: Emulator, interface: str
) -> None:
    deploy(node, folder, interface, "direct")
    for state in (states.ACTIVE, states.ADOPTING):
        with at_work(node, state) as task:
            manager_utils.node_set_boot_device(task, boot_devices.CDROM, persistent=True)
            task.driver.boot.prepare_instance(task)
            assert told(emulator) == ("Cd", "Continuous")


@pytest.mark.parametrize("payload", ["bmc", "image", "ipxe"])
def test_what_a_machine_was_switched_on_with_is_served_still_when_ironic_prepares_it_once_more(
    node: Node, folder: Path, emulator: Emulator, payload: str
) -> None:
    """So it does after an aborted service, with the machine in POST."""
    store = Store(folder / "store")
    by_dhcp = folder / "machines" / f"{node.uuid}.toml"
    interface, named = ("redfish-http-url", "image") if payload == "bmc" else ("httpboot", payload)
    deploy(node, folder, interface, "ramdisk")
    with at_work(node, states.ACTIVE, driver_info={**node.driver_info, "httpboot_payload": named}) as task:
        task.driver.boot.prepare_instance(task)
        published, machine = store.published(), payload != "bmc" and by_dhcp.read_text()
        task.driver.boot.prepare_instance(task)
        assert store.published() == published
        assert machine == (payload != "bmc" and by_dhcp.read_text())
        if payload == "bmc":
            assert boot_of(emulator.url, SYSTEM)["HttpBootUri"] == f"{URL4}{published[node.uuid][0].path}"
        store.withdraw(published[node.uuid][0])
        task.driver.boot.prepare_instance(task)
        assert len(store.published()[node.uuid]) == len(published[node.uuid])
    with at_work(node, states.DEPLOYING) as task:
        again = store.published()
        task.driver.boot.prepare_instance(task)
        assert not set(store.published()[node.uuid]) & set(again[node.uuid]), "a rebuild may boot something else"
