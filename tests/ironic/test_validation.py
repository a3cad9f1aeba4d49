"""What can be known to be wrong with a node is said by `validate`, for whatever an operator may have given it."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

import pytest
from ironic.common import exception, states
from ironic.conf import CONF
from ironic.drivers.modules.redfish import utils as redfish_utils
from ironic.objects.node import Node
from ironic.objects.port import Port

from ironic_httpboot.config import Payload
from ironic_httpboot.plugin import payload
from kit.conductor import FILES, URL4, URL6, at_work


def given(node: Node, folder: Path, change: dict[str, dict[str, Any]]) -> dict[str, Any]:
    plain = {
        "instance_info": {part: f"file://{folder}/{name}" for part, name in FILES},
        "driver_info": node.driver_info,
        "properties": node.properties,
    }
    return {name: {**fields, **change.get(name, {})} for name, fields in plain.items()}


@pytest.mark.parametrize("interface", ["redfish-http-url", "httpboot"])
@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"instance_info": {"kernel": 5}}, "kernel: 5 is no image"),
        ({"instance_info": {"ramdisk": ["a"]}}, "ramdisk: .* is no image"),
        ({"instance_info": {"boot_iso": {"a": 1}}}, "instance_info/boot_iso: .* is no image"),
        ({"properties": {"cpu_arch": ["x86_64"]}}, "properties/cpu_arch"),
        (
            {"driver_info": {"force_persistent_boot_device": "always"}},
            "driver_info/force_persistent_boot_device is 'always' .*Default, Always or Never",
        ),
        ({"driver_info": {"bootloader": "file:///etc/shadow"}}, "bootloader: .*/etc is not permitted"),
    ],
)
def test_what_no_image_can_be_is_named(
    node: Node, folder: Path, interface: str, change: dict[str, dict[str, Any]], said: str
) -> None:
    with (
        at_work(node, states.AVAILABLE, boot_interface=interface, **given(node, folder, change)) as task,
        pytest.raises(exception.InvalidParameterValue, match=said),
    ):
        task.driver.boot.validate(task)
    with at_work(node, **given(node, folder, {"instance_info": {}})):
        pass


@pytest.mark.parametrize(
    ("name", "arch", "said"),
    [("ramdisk.cpio", "x86_64", "no EFI program"), ("vmlinuz", "aarch64", "is no program for arm64")],
)
def test_an_own_ipxe_that_is_no_program_for_the_node_is_named(
    node: Node, folder: Path, name: str, arch: str, said: str
) -> None:
    loader = f"file://{folder}/{name}"
    change = {"driver_info": {"bootloader": loader}, "properties": {"cpu_arch": arch}}
    with (
        at_work(node, states.AVAILABLE, boot_interface="httpboot-ipxe", **given(node, folder, change)) as task,
        pytest.raises(exception.InvalidParameterValue, match=f"driver_info/bootloader .*{name}: .*{said}.* a .efi"),
    ):
        task.driver.boot.validate(task)


SECURE = {"instance_info": {"capabilities": {"secure_boot": "true"}}}


@pytest.mark.parametrize(
    ("interface", "info", "said"),
    [
        ("httpboot-ipxe", {}, "boot_interface httpboot-ipxe"),
        ("httpboot", {"httpboot_payload": "ipxe"}, "driver_info/httpboot_payload ipxe"),
        ("httpboot", {"httpboot_payload": "grub"}, "driver_info/httpboot_payload grub"),
        ("httpboot", {"httpboot_payload": "uki"}, "driver_info/httpboot_payload uki"),
        ("httpboot", {"httpboot_chain": "grub"}, "driver_info/httpboot_chain grub"),
        ("redfish-http-url", {"httpboot_chain": "grub"}, "driver_info/httpboot_chain grub"),
        ("redfish-http-url", {"httpboot_chain": "uki"}, "driver_info/httpboot_chain uki"),
        ("redfish-http-url", {"httpboot_chain": "uki", "bootloader": "http://192.0.2.9/esp.img"}, "httpboot_chain uki"),
    ],
)
def test_an_instance_with_secure_boot_is_refused_a_loader_that_is_not_signed(
    node: Node, folder: Path, interface: str, info: dict[str, str], said: str
) -> None:
    fields = {"boot_interface": interface, **given(node, folder, {**SECURE, "driver_info": info})}
    with (
        at_work(node, states.AVAILABLE, **fields) as task,
        pytest.raises(
            exception.InvalidParameterValue, match=f"Secure Boot, and with .*{said} .*httpboot_payload image"
        ),
    ):
        task.driver.boot.validate(task)
    # An agent is booted before Ironic switches Secure Boot on.
    with at_work(node, deploy_interface="direct") as task:
        task.driver.boot.validate(task)
    plain = given(node, folder, {})["instance_info"]
    for unasked in (
        plain,
        {**plain, "capabilities": {"secure_boot": "false"}},
        {**own_iso(), **SECURE["instance_info"]},
    ):
        with at_work(node, deploy_interface="ramdisk", instance_info=unasked) as task:
            task.driver.boot.validate(task)


def own_iso() -> dict[str, str]:
    """An instance's ISO of the operator's own."""
    return {"boot_iso": "https://images.example/own.iso"}


@pytest.mark.parametrize(
    ("interface", "info"),
    [
        ("redfish-http-url", {}),
        ("httpboot", {}),
        ("httpboot", {"httpboot_chain": "grub", "bootloader": "http://192.0.2.9/esp.img"}),
        ("httpboot-ipxe", {"bootloader": "http://192.0.2.9/ipxe.efi"}),
    ],
)
def test_an_instance_with_secure_boot_is_given_the_signed_loader_or_the_operators_own(
    node: Node, folder: Path, interface: str, info: dict[str, str]
) -> None:
    fields = {"boot_interface": interface, **given(node, folder, {**SECURE, "driver_info": info})}
    with at_work(node, states.AVAILABLE, **fields) as task:
        task.driver.boot.validate(task)


def long(length: int) -> str:
    """A URL of so many bytes."""
    return "http://192.0.2.9/" + "a" * (length - len("http://192.0.2.9/.iso")) + ".iso"


@pytest.mark.parametrize(
    ("interface", "provider", "url", "said"),
    [
        ("redfish-http-url", "httpboot", long(255), None),
        ("redfish-http-url", "httpboot", long(256), "256 bytes, more than the 255 that firmware reads"),
        ("httpboot", "httpboot", long(254), None),
        ("httpboot", "httpboot", long(255), "255 bytes, more than the 254 that the DHCP provider httpboot takes"),
        ("httpboot", "dnsmasq", long(255), "255 bytes, more than the 254 that the DHCP provider dnsmasq takes"),
        ("httpboot", "neutron", long(255), None),
        ("redfish-http-url", "httpboot", "ftp://192.0.2.9/a.iso", "ftp"),
        ("httpboot", "httpboot", "file://{folder}/vmlinuz", "scheme is 'file', not http or https .*httpboot_iso"),
        ("httpboot", "httpboot", "http://someone:hunter2@192.0.2.9/a.iso", "holds a user name or password"),
    ],
)
@pytest.mark.parametrize("field", ["instance_info/boot_iso", "driver_info/deploy_iso", "driver_info/rescue_iso"])
def test_an_iso_that_is_passed_on_is_measured_and_its_field_is_named(
    node: Node, folder: Path, field: str, interface: str, provider: str, url: str, said: str | None
) -> None:
    group, _, name = field.partition("/")
    change: dict[str, dict[str, Any]] = {"driver_info": {"httpboot_iso": "pass"}}
    change.setdefault(group, {})[name] = url.format(folder=folder)
    CONF.set_override("automated_clean", True, group="conductor")
    CONF.set_override("dhcp_provider", provider, group="dhcp")
    try:
        with at_work(node, states.AVAILABLE, boot_interface=interface, **given(node, folder, change)) as task:
            validate = task.driver.boot.validate_rescue if "rescue" in name else task.driver.boot.validate
            if said is None:
                validate(task)
                return
            with pytest.raises(exception.InvalidParameterValue, match=f"{field}: .*{said}") as caught:
                validate(task)
            assert "hunter2" not in str(caught.value)
    finally:
        CONF.set_override("automated_clean", False, group="conductor")
        CONF.set_override("dhcp_provider", "httpboot", group="dhcp")


def test_an_iso_at_an_address_of_the_other_family_is_told_over_its_own_or_refused(node: Node, folder: Path) -> None:
    change = {"driver_info": {"httpboot_iso": "pass"}, "instance_info": {"boot_iso": "http://[2001:db8::9]/a.iso"}}
    fields = {"boot_interface": "httpboot", **given(node, folder, change)}
    with at_work(node, states.DEPLOYING, **fields) as task:
        task.driver.boot.validate(task)
        offers = payload.offers_for(task, payload.wanted_instance(task), Payload.IMAGE)
        assert {version: offer.url.text for version, offer in offers.items()} == {6: "http://[2001:db8::9]/a.iso"}
    CONF.set_override("url6", None, group="httpboot")
    try:
        with (
            at_work(node, states.AVAILABLE) as task,
            pytest.raises(
                exception.InvalidParameterValue, match=r"boot_iso: is at an IPv6 address, .*over IPv4 alone .*url6"
            ),
        ):
            task.driver.boot.validate(task)
    finally:
        CONF.set_override("url6", URL6, group="httpboot")
    with at_work(node, boot_interface="redfish-http-url") as task:
        task.driver.boot.validate(task)


@pytest.mark.parametrize(
    ("interface", "info", "package"),
    [
        ("redfish-http-url", {}, "shim-signed"),
        ("redfish-http-url", {"httpboot_chain": "grub"}, "grub-efi-arm64-bin"),
        ("redfish-http-url", {"httpboot_chain": "uki"}, "systemd-boot-efi"),
        ("httpboot", {}, "shim-signed"),
        ("httpboot", {"httpboot_payload": "uki"}, "systemd-boot-efi"),
        ("httpboot", {"httpboot_payload": "grub"}, "grub-"),
    ],
)
def test_a_loader_that_this_host_lacks_is_named_with_its_package(
    node: Node,
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    interface: str,
    info: dict[str, str],
    package: str,
) -> None:
    """Of arm64, as a host that is no such machine has its loaders nowhere else."""
    monkeypatch.setenv("HTTPBOOT_PARTS", str(tmp_path))
    change = {"properties": {"cpu_arch": "aarch64"}, "driver_info": info}
    fields = {"boot_interface": interface, **given(node, folder, change)}
    with (
        at_work(node, states.AVAILABLE, **fields) as task,
        pytest.raises(exception.InvalidParameterValue, match=f"install the package {package}.* on this conductor"),
    ):
        task.driver.boot.validate(task)
    served = {"boot_iso": "https://images.example/own.iso"}
    with at_work(node, instance_info=served, driver_info=node.driver_info) as task:
        task.driver.boot.validate(task)


def test_bmcs_are_verified_as_with_the_hardware_type_that_nodes_come_from(node: Node, folder: Path) -> None:
    CONF.set_override("verify_ca", str(folder), group="redfish")
    try:
        info = {**node.driver_info, "redfish_address": "https://192.0.2.7"}
        with at_work(node, driver_info=info) as task:
            assert redfish_utils.parse_driver_info(task.node)["verify_ca"] == str(folder)
    finally:
        CONF.clear_override("verify_ca", group="redfish")
    with at_work(node, driver_info=info) as task:
        assert redfish_utils.parse_driver_info(task.node)["verify_ca"] is True
    with at_work(node, driver_info=node.driver_info):
        pass


def test_dhcp_needs_a_port_that_boots(node: Node, folder: Path) -> None:
    (port,) = Port.list_by_node_id(node._context, node.id)
    port.pxe_enabled = False
    port.save()
    with (
        at_work(node, states.AVAILABLE, boot_interface="httpboot", **given(node, folder, {})) as task,
        pytest.raises(exception.MissingParameterValue, match="pxe_enabled"),
    ):
        task.driver.boot.validate(task)


def test_a_url_that_is_too_long_for_the_name_of_its_loader_is_refused_at_once(node: Node, folder: Path) -> None:
    host = ".".join(["a" * 40] * 6)[: 254 - len("http://:8080/") - 22 - len("/boot.iso")]
    CONF.set_override("url", f"http://{host}:8080", group="httpboot")
    CONF.set_override("url6", None, group="httpboot")
    try:
        with at_work(node, states.AVAILABLE, boot_interface="httpboot", **given(node, folder, {})) as task:
            task.driver.boot.validate(task)
        with (
            at_work(node, boot_interface="httpboot-ipxe") as task,
            pytest.raises(exception.InvalidParameterValue, match="258 bytes"),
        ):
            task.driver.boot.validate(task)
    finally:
        CONF.set_override("url", URL4, group="httpboot")
        CONF.set_override("url6", URL6, group="httpboot")


def test_a_machine_file_keeps_its_url_from_others(node: Node, folder: Path) -> None:
    (folder / "machines").mkdir(exist_ok=True)
    (folder / "machines").chmod(0o755)
    with at_work(node, states.DEPLOYING, boot_interface="httpboot", **given(node, folder, {})) as task:
        task.driver.boot.prepare_instance(task)
    assert stat.S_IMODE((folder / "machines" / f"{node.uuid}.toml").stat().st_mode) & 0o007 == 0
