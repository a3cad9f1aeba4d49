"""A node that boots its disk, and one that dnsmasq gives no more than an address."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from ironic.common import boot_devices, exception, states
from ironic.common.dhcp_factory import DHCPFactory
from ironic.conductor import utils as manager_utils
from ironic.conf import CONF
from ironic.objects.node import Node

from ironic_httpboot.emulator.serve import Emulator
from kit.conductor import FILES, MAC, SYSTEM, at_work
from kit.ironic import boot_of

INTERFACES = ["redfish-http-url", "httpboot"]


@pytest.fixture
def hosts(tmp_path: Path) -> Iterator[Path]:
    """The folder of hosts that dnsmasq reads, where Ironic has it as its DHCP provider."""
    given = {"dhcp_provider": ("dhcp", "dnsmasq")}
    given |= {name: ("dnsmasq", str(tmp_path / name)) for name in ("dhcp_optsdir", "dhcp_hostsdir")}
    for name in ("dhcp_optsdir", "dhcp_hostsdir"):
        (tmp_path / name).mkdir()
    before, DHCPFactory._dhcp_provider = DHCPFactory._dhcp_provider, None
    for name, (group, value) in given.items():
        CONF.set_override(name, value, group=group)
    yield tmp_path / "dhcp_hostsdir"
    CONF.set_override("dhcp_provider", "httpboot", group="dhcp")
    CONF.clear_override("dhcp_optsdir", group="dnsmasq")
    CONF.clear_override("dhcp_hostsdir", group="dnsmasq")
    DHCPFactory._dhcp_provider = before


@pytest.mark.parametrize("interface", INTERFACES)
def test_a_system_on_disk_gets_an_address_from_dnsmasq(node: Node, hosts: Path, interface: str) -> None:
    with at_work(node, states.DEPLOYING, deploy_interface="direct", boot_interface=interface) as task:
        DHCPFactory().clean_dhcp(task)
        assert (hosts / f"ironic-{MAC}.conf").read_text() == f"{MAC},ignore\n"
        task.driver.boot.prepare_instance(task)
        said = (hosts / f"ironic-{MAC}.conf").read_text()
        assert said.startswith(f"{MAC},set:")
        options = (hosts.parent / "dhcp_optsdir" / f"ironic-{node.uuid}.conf").read_text()
        assert options.strip() == ""


def test_firmware_whose_bmc_is_told_the_url_gets_an_address_from_dnsmasq(node: Node, hosts: Path, folder: Path) -> None:
    given = {part: f"file://{folder}/{name}" for part, name in FILES}
    with at_work(node, states.CLEANING) as task:
        DHCPFactory().clean_dhcp(task)
        task.driver.boot.prepare_ramdisk(task, {})
        assert "ignore" not in (hosts / f"ironic-{MAC}.conf").read_text()
    with at_work(node, states.DEPLOYING, instance_info=given) as task:
        DHCPFactory().clean_dhcp(task)
        task.driver.boot.prepare_instance(task)
        assert "ignore" not in (hosts / f"ironic-{MAC}.conf").read_text()


def test_a_hosts_folder_that_is_missing_is_named(node: Node, hosts: Path) -> None:
    hosts.rmdir()
    with (
        at_work(node, states.CLEANING) as task,
        pytest.raises(exception.FailedToUpdateDHCPOptOnPort, match="dhcp_hostsdir"),
    ):
        task.driver.boot.prepare_ramdisk(task, {})


def test_an_override_is_taken_back_although_dnsmasqs_folder_is_missing(
    node: Node, hosts: Path, emulator: Emulator
) -> None:
    with at_work(node, states.CLEANING, boot_interface="httpboot") as task:
        task.driver.boot.prepare_ramdisk(task, {})
        shutil.rmtree(hosts)
        with pytest.raises(exception.FailedToCleanDHCPOpts, match="dhcp_hostsdir"):
            task.driver.boot.clean_up_ramdisk(task)
        assert boot_of(emulator.url, SYSTEM)["BootSourceOverrideEnabled"] == "Disabled"


@pytest.mark.parametrize("interface", INTERFACES)
def test_the_mode_in_which_a_disk_is_booted_is_the_bmcs_where_the_node_says_none(
    node: Node, emulator: Emulator, interface: str
) -> None:
    given = {"properties": {"cpu_arch": "x86_64"}, "driver_internal_info": {}, "boot_interface": interface}
    with at_work(node, states.DEPLOYING, deploy_interface="direct", **given) as task:
        task.driver.boot.prepare_instance(task)
        assert task.node.driver_internal_info["deploy_boot_mode"] == "uefi"
        assert boot_of(emulator.url, SYSTEM)["BootSourceOverrideTarget"] == "Hdd"


@pytest.mark.parametrize("interface", INTERFACES)
def test_lenovos_own_boot_entries_are_left_alone(node: Node, emulator: Emulator, interface: str) -> None:
    lenovo = {**node.properties, "vendor": "Lenovo"}
    with at_work(
        node, states.DEPLOYING, deploy_interface="direct", properties=lenovo, boot_interface=interface
    ) as task:
        manager_utils.node_set_boot_device(task, boot_devices.PXE, persistent=True)
        task.driver.boot.prepare_instance(task)
        assert boot_of(emulator.url, SYSTEM)["BootSourceOverrideTarget"] == "Pxe"


@pytest.mark.parametrize("interface", INTERFACES)
def test_kickstart_is_refused_before_anything_is_touched(node: Node, interface: str) -> None:
    with (
        at_work(node, states.AVAILABLE, deploy_interface="anaconda", boot_interface=interface) as task,
        pytest.raises(exception.InvalidParameterValue, match=f"{interface} boots no kickstart"),
    ):
        task.driver.boot.validate(task)
