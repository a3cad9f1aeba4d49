"""Every mode in which Ironic boots a node, and every way out: real tasks on SQLite, and a BMC that is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ironic.common import exception, states
from ironic.conductor import utils as manager_utils
from ironic.conf import CONF
from ironic.drivers.modules import image_utils
from ironic.objects.node import Node

from ironic_httpboot import config
from ironic_httpboot.emulator.serve import Emulator
from ironic_httpboot.http.store import Store
from ironic_httpboot.plugin import bmc, upkeep
from kit import conductor
from kit.conductor import FILES, SYSTEM, URL4, URL6, at_work
from kit.ironic import boot_of


def instance(folder: Path) -> dict[str, Any]:
    return {part: f"file://{folder}/{name}" for part, name in FILES}


def paths(folder: Path) -> list[str]:
    return [each.path for published in Store(folder / "store").published().values() for each in published]


MODES = [states.DEPLOYING, states.CLEANING, states.RESCUING, states.INSPECTING, states.SERVICING]


@pytest.mark.parametrize("state", MODES)
def test_an_agents_ramdisk_is_booted_once_in_every_mode_and_taken_back(
    node: Node, folder: Path, emulator: Emulator, state: str
) -> None:
    with at_work(node, state) as task:
        task.driver.boot.prepare_ramdisk(task, {"ipa-api-url": "http://192.0.2.1:6385"})
        boot = boot_of(emulator.url, SYSTEM)
        (path,) = paths(folder)
        assert (boot["BootSourceOverrideEnabled"], boot["BootSourceOverrideTarget"]) == ("Once", "UefiHttp")
        assert (boot["BootSourceOverrideMode"], boot["HttpBootUri"]) == ("UEFI", f"{URL4}{path}")
        task.driver.boot.clean_up_ramdisk(task)
        assert boot_of(emulator.url, SYSTEM)["BootSourceOverrideEnabled"] == "Disabled"
        assert paths(folder) == []
        assert bmc.MARK not in task.node.driver_internal_info


def test_a_conductor_that_takes_over_does_not_prepare_a_ramdisk(node: Node, folder: Path) -> None:
    with at_work(node, states.ACTIVE) as task:
        task.driver.boot.prepare_ramdisk(task, {})
        assert paths(folder) == []


def test_a_disk_is_booted_after_the_override_is_taken_back(node: Node, folder: Path, emulator: Emulator) -> None:
    with at_work(node, states.DEPLOYING, deploy_interface="direct") as task:
        task.driver.boot.prepare_ramdisk(task, {})
        task.driver.boot.prepare_instance(task)
        boot = boot_of(emulator.url, SYSTEM)
        assert (boot["BootSourceOverrideTarget"], boot.get("HttpBootUri")) == ("Hdd", None)
        assert paths(folder) == []


def test_an_iso_of_the_operators_is_served_or_passed_on(node: Node, folder: Path, emulator: Emulator) -> None:
    (folder / "own.iso").write_bytes(b"an image" * 1000)
    with at_work(node, states.DEPLOYING, instance_info={"boot_iso": f"file://{folder}/own.iso"}) as task:
        task.driver.boot.prepare_instance(task)
        (path,) = paths(folder)
        assert boot_of(emulator.url, SYSTEM)["HttpBootUri"] == f"{URL4}{path}"
    given = {"boot_iso": "https://images.example/own.iso"}
    info = {**node.driver_info, "httpboot_iso": "pass"}
    with at_work(node, states.DEPLOYING, instance_info=given, driver_info=info) as task:
        task.driver.boot.validate(task)
        task.driver.boot.prepare_instance(task)
        assert boot_of(emulator.url, SYSTEM)["HttpBootUri"] == "https://images.example/own.iso"
        assert paths(folder) == []


def test_a_second_conductor_publishes_anew_and_the_first_one_withdraws(
    node: Node, folder: Path, emulator: Emulator
) -> None:
    with at_work(node, states.DEPLOYING, instance_info=instance(folder)) as task:
        task.driver.boot.prepare_instance(task)
    second = conductor.use_store(folder / "second")
    try:
        with at_work(node, states.ACTIVE) as task:
            task.driver.deploy.prepare(task)
            (published,) = second.published()[node.uuid]
            assert boot_of(emulator.url, SYSTEM)["HttpBootUri"] == f"{URL4}{published.path}"
            second.withdraw(published)
    finally:
        conductor.use_store(folder / "store")
    assert len(paths(folder)) == 1
    assert upkeep.needs(states.ACTIVE, None, elsewhere=False)
    assert not upkeep.needs(states.ACTIVE, None, elsewhere=True)


def test_three_requests_prepare_a_boot_and_four_of_ironics_own_switch_the_machine_on(node: Node, folder: Path) -> None:
    system = f"/redfish/v1/Systems/{SYSTEM}"
    with at_work(node, states.DEPLOYING, instance_info=instance(folder)) as task:
        manager_utils.node_power_action(task, states.POWER_OFF)
        with conductor.Requests() as prepared:
            task.driver.boot.prepare_instance(task)
        with conductor.Requests() as switched:
            manager_utils.node_power_action(task, states.POWER_ON)
    assert prepared.made == [f"{method} {system}" for method in ("GET", "PATCH", "GET")]
    assert len(switched.made) == 4


@pytest.mark.parametrize("length", [90, 190])
def test_the_length_of_a_url_is_looked_at_before_anything_is_touched(node: Node, folder: Path, length: int) -> None:
    name = ".".join(["a" * 40] * 6)[: length - len("http://:8080")]
    CONF.set_override("url", f"http://{name}:8080", group="httpboot")
    try:
        with at_work(node, states.AVAILABLE, instance_info=instance(folder), boot_interface="httpboot") as task:
            task.driver.boot.validate(task)
        CONF.set_override("url", f"http://{'.'.join(['a' * 40] * 6)}:8080", group="httpboot")
        with (
            at_work(node, boot_interface="httpboot") as task,
            pytest.raises(exception.InvalidParameterValue, match="255"),
        ):
            task.driver.boot.validate(task)
    finally:
        CONF.set_override("url", URL4, group="httpboot")
        with at_work(node, boot_interface="redfish-http-url"):
            pass


@pytest.mark.parametrize(
    ("payload", "files"),
    [
        ("image", ["boot.iso"]),
        ("uki", ["boot.efi"]),
        ("grub", ["grub.cfg", "grubx64.efi", "initrd-0.img", "vmlinuz.efi"]),
        ("ipxe", ["boot.ipxe", "initrd-0.img", "ipxex64.efi", "vmlinuz.efi"] * 2),
    ],
)
def test_each_payload_is_told_by_dhcp_and_taken_back(
    node: Node, folder: Path, emulator: Emulator, payload: str, files: list[str]
) -> None:
    given = {**node.driver_info, "httpboot_payload": payload}
    with at_work(
        node, states.DEPLOYING, instance_info=instance(folder), driver_info=given, boot_interface="httpboot"
    ) as task:
        task.driver.boot.validate(task)
        task.driver.boot.prepare_instance(task)
        assert sorted(path.rpartition("/")[2] for path in paths(folder)) == sorted(files)
        (machine,) = config.read(folder / "machines" / f"{node.uuid}.toml", config.MachinesFile).machine
        assert machine.url is not None
        assert machine.url.startswith("http://{server}:8080/")
        assert (machine.script is not None) == (payload == "ipxe")
        scripts = {URL4: machine.script, URL6: machine.script6} if payload == "ipxe" else {}
        for url, script in scripts.items():
            found = Store(folder / "store").find((str(script).split("/")[3], "boot.ipxe"))
            assert found is not None
            assert f" {url}/".encode() in found.blob.read_at(0, found.blob.size_bytes)
        assert boot_of(emulator.url, SYSTEM)["BootSourceOverrideTarget"] == "UefiHttp"
        task.driver.boot.clean_up_instance(task)
        assert (paths(folder), list((folder / "machines").iterdir())) == ([], [])


def test_a_bootloader_of_the_operators_own_is_in_the_image(node: Node, folder: Path) -> None:
    (folder / "esp.img").write_bytes(b"an EFI system partition of the operator's own" * 100)
    given = {**node.driver_info, "bootloader": f"file://{folder}/esp.img"}
    with at_work(node, states.DEPLOYING, instance_info=instance(folder), driver_info=given) as task:
        task.driver.boot.prepare_instance(task)
        (path,) = paths(folder)
        found = Store(folder / "store").find((path.split("/")[1], "boot.iso"))
        assert found is not None
        assert "bootloader" in {file.path.name for file in found.blob.files()}


@pytest.mark.parametrize("option", ["bootloader", "bootloader_by_arch"])
def test_ipxe_is_debians_where_ironics_configuration_names_an_image_of_a_partition(
    node: Node, folder: Path, option: str
) -> None:
    (folder / "esp.img").write_bytes(bytes(4 << 20))
    loader = f"file://{folder}/esp.img"
    CONF.set_override(option, loader if option == "bootloader" else {"x86_64": loader}, group="conductor")
    try:
        with at_work(node, states.DEPLOYING, instance_info=instance(folder), boot_interface="httpboot-ipxe") as task:
            task.driver.boot.validate(task)
            task.driver.boot.prepare_instance(task)
    finally:
        CONF.clear_override(option, group="conductor")
    loaders = [each.split("/")[1:] for each in paths(folder) if each.endswith("/ipxex64.efi")]
    found = [Store(folder / "store").find((token, name)) for token, name in loaders]
    assert {file.path.name for each in found if each for file in each.blob.files()} == {"snponly.efi"}


@pytest.mark.parametrize("info", [{"httpboot_payload": "grub"}, {"httpboot_payload": "uki"}, {"httpboot_chain": "uki"}])
def test_a_loader_that_nothing_boots_through_is_not_fetched(node: Node, folder: Path, info: dict[str, str]) -> None:
    given = {**node.driver_info, "bootloader": "http://127.0.0.1:9/esp.img", **info}
    with at_work(
        node, states.DEPLOYING, instance_info=instance(folder), driver_info=given, boot_interface="httpboot"
    ) as task:
        task.driver.boot.validate(task)
        task.driver.boot.prepare_instance(task)
        assert paths(folder)


def test_a_dhcp_provider_that_fails_is_named_and_nothing_is_left(node: Node, folder: Path) -> None:
    CONF.set_override("machines", "/proc/nowhere", group="httpboot")
    try:
        with (
            at_work(node, states.DEPLOYING, instance_info=instance(folder), boot_interface="httpboot") as task,
            pytest.raises(exception.FailedToUpdateDHCPOptOnPort, match="/proc/nowhere"),
        ):
            task.driver.boot.prepare_instance(task)
    finally:
        CONF.set_override("machines", str(folder / "machines"), group="httpboot")
    with at_work(node) as task:
        task.driver.boot.clean_up_instance(task)
    assert paths(folder) == []


@pytest.mark.parametrize("interface", ["redfish-http-url", "httpboot", "httpboot-ipxe"])
def test_virtual_media_is_published_and_withdrawn_as_with_ironics_own_interfaces(
    node: Node, folder: Path, interface: str
) -> None:
    """As `baremetal node vmedia attach` does it, before it asks the BMC."""
    (folder / "http" / "redfish").mkdir(parents=True, exist_ok=True)
    with at_work(node, states.ACTIVE, boot_interface=interface) as task:
        image_utils.cleanup_remote_image(task, "x.iso")
        image = f"file://{folder}/vmlinuz"
        url = image_utils.prepare_remote_image(task, image, file_name="x.iso", download_source="local")
        assert url == "http://192.0.2.1:8081/redfish/x.iso"
        assert (folder / "http" / "redfish" / "x.iso").exists()
        image_utils.cleanup_remote_image(task, "x.iso")
        assert not (folder / "http" / "redfish" / "x.iso").exists()
