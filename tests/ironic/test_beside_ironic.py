"""Ironic's own HTTP boot beside ours, in what docs/explanation/why-not-upstream.md says that it lacks.

Real tasks on SQLite, an emulated BMC.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from ironic.common import exception, pxe_utils, states
from ironic.conf import CONF
from ironic.objects.node import Node

from ironic_httpboot.config import Payload
from ironic_httpboot.emulator.serve import Emulator
from ironic_httpboot.http.store import Store
from ironic_httpboot.plugin import bmc, dhcp, dhcp_options, payload
from kit import conductor
from kit.conductor import FILES, SYSTEM, URL4, URL6, at_work
from kit.ironic import boot_of

_CHANGED = "driver", "driver_info", "boot_interface", "deploy_interface", "management_interface", "power_interface"
PARAMS = {"ipa-api-url": "http://192.0.2.1:6385"}


@contextmanager
def booted_as(node: Node, folder: Path, interface: str, state: str = states.CLEANING, **more: Any) -> Iterator[Any]:
    """A task with the node's lock, at one of the boot interfaces, its own or ours."""
    (folder / "esp.img").write_bytes(bytes(4 << 20))
    for name in ("http", "tftp", "masters"):
        (folder / name).mkdir(exist_ok=True)
    info = {**node.driver_info, **({"bootloader": f"file://{folder}/esp.img"} if interface == "redfish-https" else {})}
    try:
        with at_work(
            node, state, **{"deploy_interface": "direct", **more}, boot_interface=interface, driver_info=info
        ) as task:
            yield task
            task.driver.boot.clean_up_ramdisk(task)
            task.driver.boot.clean_up_instance(task)
    finally:
        with at_work(node, **{name: getattr(node, name) for name in _CHANGED}) as task:
            # What Ironic's own leaves: its override, and what DHCP was told.
            task.node.set_driver_internal_info(bmc.MARK, True)
            bmc.take_back(task)
            dhcp.forget(node.uuid)


def files(folder: Path) -> dict[str, Path]:
    """The files below a folder, by name."""
    return {path.name: path for path in folder.rglob("*") if path.is_file()}


def test_after_clean_up_the_bmc_of_ironics_own_holds_a_url_that_is_gone_and_ours_none(
    node: Node, folder: Path, emulator: Emulator
) -> None:
    left = {}
    for interface in ("redfish-https", "redfish-http-url"):
        with booted_as(node, folder, interface) as task:
            task.driver.boot.prepare_ramdisk(task, dict(PARAMS))
            task.driver.boot.clean_up_ramdisk(task)
            left[interface] = boot_of(emulator.url, SYSTEM)
    theirs, ours = left.values()
    assert theirs["BootSourceOverrideEnabled"] == "Once"
    assert theirs["HttpBootUri"].endswith(f"/redfish/boot-{node.uuid}.iso")
    assert f"boot-{node.uuid}.iso" not in files(folder / "http")
    assert (ours["BootSourceOverrideEnabled"], ours.get("HttpBootUri")) == ("Disabled", None)


def test_an_image_of_ironics_own_is_for_everybody_who_knows_the_node_and_ours_is_under_a_secret(
    node: Node, folder: Path
) -> None:
    with booted_as(node, folder, "redfish-https") as task:
        task.driver.boot.prepare_ramdisk(task, dict(PARAMS))
        theirs = folder / "http" / "redfish" / f"boot-{node.uuid}.iso"
        token = task.node.driver_internal_info["agent_secret_token"]
        assert theirs.stat().st_mode & 0o004
        assert f"ipa-agent-token={token}".encode() in theirs.read_bytes()
    with booted_as(node, folder, "redfish-http-url") as task:
        task.driver.boot.prepare_ramdisk(task, dict(PARAMS))
        (ours,) = Store(folder / "store").published()[node.uuid]
        assert re.fullmatch(r"/[A-Za-z0-9_-]{22}/boot\.iso", ours.path)
        assert not (folder / "store").stat().st_mode & 0o077


def test_the_loader_of_ironics_own_finds_no_configuration_where_firmware_fetches_it_from(
    node: Node, folder: Path
) -> None:
    given = {part: f"file://{folder}/{name}" for part, name in FILES}
    as_ramdisk = {"instance_info": given, "deploy_interface": "ramdisk"}
    with (
        booted_as(node, folder, "http", states.DEPLOYING, **as_ramdisk) as task,
        pytest.raises(exception.ImageDownloadFailed, match=f"to {folder}/tftp/{node.uuid}/kernel, error:"),
    ):
        task.driver.boot.prepare_instance(task)
    with booted_as(node, folder, "http") as task:
        task.driver.boot.prepare_ramdisk(task, dict(PARAMS))
        told = pxe_utils.dhcp_options_for_instance(task, ip_version=4, http_boot_enabled=True)
        assert told[0]["opt_value"] == f"{CONF.deploy.http_url}/bootx64.efi"
        served = files(folder / "http")
        assert set(served) == {"deploy_kernel", "deploy_ramdisk", "grub.cfg"}
        assert f"source {folder}/tftp/$net_default_mac.conf" in served["grub.cfg"].read_text()
        assert f"{task.ports[0].address}.conf" in files(folder / "tftp")


def test_over_ipv6_ironics_own_gives_the_ipv4_url_without_a_vendor_class_and_ours_gives_both(
    node: Node, folder: Path
) -> None:
    with booted_as(node, folder, "http") as task:
        theirs = pxe_utils.dhcp_options_for_instance(task, ip_version=6, http_boot_enabled=True)
    assert [option["opt_name"] for option in theirs] == ["59"]
    assert theirs[0]["opt_value"].startswith("http://192.0.2.1:")
    with booted_as(node, folder, "httpboot") as task:
        offers = payload.offers_for(task, payload.wanted_ramdisk(task, PARAMS), Payload.IMAGE)
    for provider, prefix in (("neutron", ""), ("dnsmasq", "option6:"), ("httpboot", "")):
        ours = {each["opt_name"]: each["opt_value"] for each in dhcp_options.options(offers, provider, tags=False)}
        assert list(ours) == ["67", "60", f"{prefix}59", f"{prefix}16"]
        assert ours["67"].startswith(f"{URL4}/")
        assert ours[f"{prefix}59"].startswith(f"{URL6}/")


def test_a_url_of_more_than_64_characters_is_refused_by_ironics_own_when_power_is_touched(
    node: Node, folder: Path
) -> None:
    CONF.set_override("http_url", f"http://{'a' * 50}.example:8080", group="deploy")
    try:
        with (
            booted_as(node, folder, "http") as task,
            pytest.raises(exception.InvalidParameterValue, match="exceeds Neutron limitations"),
        ):
            task.driver.boot.prepare_ramdisk(task, dict(PARAMS))
    finally:
        CONF.set_override("http_url", "http://192.0.2.1:8081", group="deploy")


def test_ours_rescues_and_takes_a_config_drive_and_ironics_own_does_not(node: Node, folder: Path) -> None:
    with booted_as(node, folder, "redfish-https") as task:
        with pytest.raises(exception.UnsupportedDriverExtension):
            task.driver.boot.validate_rescue(task)
        assert "ramdisk_boot_configdrive" not in task.driver.boot.capabilities
        assert not hasattr(task.driver.boot, "_retry_boot")
    with booted_as(node, folder, "redfish-http-url") as task:
        task.driver.boot.validate_rescue(task)
        assert "ramdisk_boot_configdrive" in task.driver.boot.capabilities


def test_validate_of_ironics_own_asks_the_bmc_and_ours_does_not(node: Node, folder: Path) -> None:
    asked = {}
    for interface in ("redfish-https", "redfish-http-url"):
        with (
            booted_as(node, folder, interface) as task,
            conductor.Requests() as made,
        ):
            task.driver.boot.validate(task)
            asked[interface] = len(made.made)
    assert asked["redfish-https"] > 0
    assert asked["redfish-http-url"] == 0


@pytest.mark.parametrize("state", [states.CLEANING, states.INSPECTING])
def test_dhcp_options_of_ironics_own_stay_and_ours_go_with_the_ramdisk(node: Node, folder: Path, state: str) -> None:
    machine = folder / "machines" / f"{node.uuid}.toml"
    left = {}
    for interface in ("http", "httpboot"):
        with booted_as(node, folder, interface, state) as task:
            task.driver.boot.prepare_ramdisk(task, dict(PARAMS))
            assert machine.exists()
            task.driver.boot.clean_up_ramdisk(task)
            left[interface] = machine.exists()
            machine.unlink(missing_ok=True)
    assert left == {"http": True, "httpboot": False}


@pytest.mark.parametrize("where", ["driver_info", "bootloader", "bootloader_by_arch"])
def test_a_ramdisk_instance_boots_through_the_loader_that_is_configured_with_ours_alone(
    node: Node, folder: Path, where: str
) -> None:
    loader = f"file://{folder}/esp.img"
    given = {part: f"file://{folder}/{name}" for part, name in FILES}
    as_ramdisk: dict[str, Any] = {"instance_info": given, "deploy_interface": "ramdisk"}
    options: dict[str, Any] = {"bootloader": loader, "bootloader_by_arch": {"x86_64": loader}}
    with ExitStack() as stack:
        if where == "driver_info":
            info = {**node.driver_info, "bootloader": loader}
        else:
            info = node.driver_info
            CONF.set_override(where, options[where], group="conductor")
            stack.callback(CONF.clear_override, where, group="conductor")
        with (
            booted_as(node, folder, "redfish-https", states.DEPLOYING, **as_ramdisk) as task,
            pytest.raises(exception.ImageCreationFailed, match="Neither deploy ISO nor ESP image configured"),
        ):
            task.driver.boot.prepare_instance(task)
        properties = {**node.properties, "cpu_arch": "x86_64"}
        changed = {**as_ramdisk, "driver_info": info, "properties": properties}
        with at_work(node, states.DEPLOYING, **changed) as task:
            task.driver.boot.prepare_instance(task)
            (ours,) = Store(folder / "store").published()[node.uuid]
            found = Store(folder / "store").find((ours.token, ours.name))
            assert found is not None
            assert "bootloader" in {file.path.name for file in found.blob.files()}


def test_where_management_cannot_ask_for_http_boot_it_is_said_what_the_machine_needs(
    node: Node, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    by_ipmi = {"driver": "ipmi-httpboot", "power_interface": "ipmitool", "management_interface": "noop"}
    with booted_as(node, folder, "httpboot", **by_ipmi) as task:
        task.driver.boot.prepare_ramdisk(task, dict(PARAMS))
    assert "boot order must have HTTP boot before PXE and disk" in caplog.text
