"""What goes wrong is said in last_error, in words that an operator can use; the state is right, and nothing is left."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
from openstack.baremetal.v1.node import Node

from ironic_httpboot.blob import Blob, literal
from ironic_httpboot.http.store import Store
from kit.disk import full_disk
from kit.ironic import boot_of, free_port, until
from kit.workbench import Bench, workbench


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    retry = {"boot_retry_timeout": "60", "boot_retry_check_interval": "2"}
    more = {
        "httpboot": {"sweep_seconds": "2"},
        "redfish": {"connection_attempts": "1"},
        "pxe": retry,
        "dhcp": {"dhcp_provider": "httpboot"},
    }
    with workbench(tmp_path_factory.mktemp("failures"), more) as made:
        yield made


@pytest.fixture
def node(bench: Bench) -> Iterator[Node]:
    node = bench.node("alpha")
    before = {"driver_info": dict(node.driver_info) | {"redfish_password": "correct horse"}}
    yield node
    bench.operator.api.update_node(node, **before)
    now = bench.operator.api.get_node(node)
    if now.provision_state != "available":
        bench.operator.api.set_node_provision_state(node, "deleted")
        deadline = time.monotonic() + 60
        while bench.operator.api.get_node(node).provision_state != "available":
            assert time.monotonic() < deadline, bench.operator.api.get_node(node).last_error
            time.sleep(0.3)


def fails(bench: Bench, node: Node, *, state: str = "deploy failed", **instance_info: str) -> str:
    """Deploy, which must fail; return the last error."""
    given = {"kernel": f"file://{bench.kernel}", "ramdisk": f"file://{bench.ramdisk}", **instance_info}
    bench.operator.api.update_node(node, instance_info=given)
    bench.operator.api.set_node_provision_state(node, "active")
    deadline = time.monotonic() + 90
    while True:
        now = bench.operator.api.get_node(node)
        if now.provision_state == state:
            return str(now.last_error)
        assert now.provision_state != "active"
        assert time.monotonic() < deadline, (now.provision_state, now.last_error)
        time.sleep(0.3)


def images_of(bench: Bench) -> list[str]:
    folder = bench.ironic.store.parent / "images"
    return sorted(path.name for path in folder.iterdir() if path.name != "cache") if folder.is_dir() else []


def test_validate_is_quick_and_never_asks_the_bmc(bench: Bench, node: Node) -> None:
    dead = {**node.driver_info, "redfish_address": f"http://127.0.0.1:{free_port()}", "redfish_password": "x"}
    given: dict[str, Any] = {"kernel": f"file://{bench.kernel}", "ramdisk": f"file://{bench.ramdisk}"}
    bench.operator.api.update_node(node, driver_info=dead, instance_info=given)
    began = time.monotonic()
    result = bench.operator.api.validate_node(node, required=None)
    assert time.monotonic() - began < 1
    assert result["boot"].result, result["boot"].reason


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"properties": {"capabilities": "boot_mode:bios"}}, "boot mode is bios, and HTTP boot is a matter of UEFI"),
        ({"properties": {"cpu_arch": "ppc64le"}}, "properties/cpu_arch is 'ppc64le', which cannot boot over HTTP"),
        ({"driver_info": {"httpboot_chain": "lilo"}}, "driver_info/httpboot_chain is 'lilo'"),
        ({"instance_info": {"kernel": "file:///nowhere"}}, "kernel: "),
        ({"instance_info": {"kernel": None}}, "kernel"),
    ],
)
def test_validate_says_what_is_wrong(bench: Bench, node: Node, change: dict[str, dict[str, Any]], said: str) -> None:
    plain = {
        "driver_info": {**node.driver_info, "redfish_password": "correct horse"},
        "properties": {"cpu_arch": "x86_64", "capabilities": "boot_mode:uefi"},
        "instance_info": {"kernel": f"file://{bench.kernel}", "ramdisk": f"file://{bench.ramdisk}"},
    }
    changed = {name: {**given, **change.get(name, {})} for name, given in plain.items()}
    try:
        bench.operator.api.update_node(node, **changed)
        result = bench.operator.api.validate_node(node, required=None)["boot"]
        assert not result.result
        assert said in result.reason
    finally:
        bench.operator.api.update_node(node, **plain)


def test_a_bmc_that_is_down_is_named(bench: Bench, node: Node) -> None:
    dead = free_port()
    info = {**node.driver_info, "redfish_address": f"http://127.0.0.1:{dead}", "redfish_password": "x"}
    bench.operator.api.update_node(node, driver_info=info)
    error = fails(bench, node)
    assert "127.0.0.1" in error
    assert "Connection refused" in error or "Unable to connect" in error or "connect" in error
    assert images_of(bench) == []
    assert bench.published() == {}


def test_a_missing_image_is_named_before_power_is_touched(bench: Bench, node: Node) -> None:
    given = {"kernel": f"file://{bench.folder}/no-kernel", "ramdisk": f"file://{bench.ramdisk}"}
    bench.operator.api.update_node(node, instance_info=given)
    with pytest.raises(Exception, match="no-kernel"):
        bench.operator.api.set_node_provision_state(node, "active")
    assert bench.operator.api.get_node(node).provision_state == "available"


def test_a_kernel_that_is_none_is_named(bench: Bench, node: Node) -> None:
    (bench.folder / "notes").write_text("no kernel at all")
    error = fails(bench, node, kernel=f"file://{bench.folder}/notes")
    assert "kernel" in error
    assert images_of(bench) == []
    assert boot_of(bench.bmc, "alpha")["BootSourceOverrideEnabled"] == "Disabled"


def test_a_store_that_takes_nothing_is_named(bench: Bench, node: Node) -> None:
    store = bench.ironic.store
    moved = store.with_name("moved")
    store.rename(moved)
    store.write_text("a file where the store was")
    try:
        error = fails(bench, node)
        assert f"store {store}" in error
        assert images_of(bench) == [] or images_of(bench) == [node.id]
    finally:
        store.unlink()
        moved.rename(store)


def test_a_full_disk_is_named_and_nothing_is_left(bench: Bench, node: Node) -> None:
    with full_disk(bench.ironic.store) as store:
        assert f"store {store}: manifest written → No space left on device" in fails(bench, node)
        assert [path.name for path in store.iterdir()] == ["taken"]
    assert images_of(bench) == [] or images_of(bench) == [node.id]
    assert boot_of(bench.bmc, "alpha")["BootSourceOverrideEnabled"] == "Disabled"
    bench.operator.provision(node, "deleted", "available")
    assert images_of(bench) == []
    assert bench.published() == {}


def test_a_dhcp_provider_that_fails_is_named(bench: Bench, node: Node) -> None:
    machines = bench.ironic.store.parent / "machines"
    machines.write_text("a file where the folder would be")
    bench.operator.api.update_node(node, boot_interface="httpboot")
    try:
        error = fails(bench, node)
        assert f"[httpboot]machines {machines}" in error
        assert "File exists" in error or "Not a directory" in error
        until(lambda: bench.published() == {} and images_of(bench) == [], seconds=20, what="nothing is left")
        assert boot_of(bench.bmc, "alpha")["BootSourceOverrideEnabled"] == "Disabled"
    finally:
        machines.unlink()
        bench.operator.provision(node, "deleted", "available")
        bench.operator.api.update_node(node, boot_interface="redfish-http-url")


@pytest.mark.firmware
def test_an_override_is_taken_back_from_a_bmc_that_was_down_when_its_node_was_deleted(bench: Bench, node: Node) -> None:
    before = {**node.driver_info, "redfish_password": "correct horse"}
    bench.operator.deploy(node, bench.kernel, bench.ramdisk)
    told = boot_of(bench.bmc, "alpha")
    (path,) = bench.published()[node.id]
    assert told["HttpBootUri"].endswith(path)
    bench.operator.api.update_node(
        node, driver_info={**before, "redfish_address": f"http://127.0.0.1:{free_port()}", "redfish_password": "x"}
    )
    bench.operator.api.set_node_provision_state(node, "deleted")
    failed = bench.operator.until(node, "error", seconds=90, whatever=True)
    assert "127.0.0.1" in failed.last_error
    until(lambda: bench.status(path) == "404", seconds=20, what="the URL is withdrawn, whatever its BMC says")
    bench.operator.api.update_node(node, driver_info=before)

    def cleared() -> bool:
        left = boot_of(bench.bmc, "alpha")
        return (left["BootSourceOverrideEnabled"], left.get("HttpBootUri")) == ("Disabled", None)

    until(cleared, seconds=60, what="the BMC, which is back, has forgotten the URL")


def test_what_is_left_of_a_node_that_nobody_knows_is_swept(bench: Bench) -> None:
    orphan = "00000000-0000-4000-8000-000000000000"
    Store(bench.ironic.store).publish(Blob.of(literal(b"x")), name="boot.iso", machine=orphan)
    folder = bench.ironic.store.parent / "images" / orphan
    folder.mkdir(parents=True)
    until(lambda: bench.published() == {} and not folder.exists(), seconds=20, what="the orphan is swept")


@pytest.mark.firmware
@pytest.mark.timeout(900)
def test_an_aborted_cleaning_leaves_neither_an_override_nor_a_url(bench: Bench, node: Node) -> None:
    given = {
        **node.driver_info,
        "redfish_password": "correct horse",
        "deploy_kernel": f"file://{bench.kernel}",
        "deploy_ramdisk": f"file://{bench.ramdisk}",
    }
    api = bench.operator.api
    api.update_node(node, driver_info=given, deploy_interface="direct")
    bench.operator.provision(node, "manage", "manageable")
    api.set_node_provision_state(node, "clean", clean_steps=[{"interface": "deploy", "step": "erase_devices_metadata"}])
    bench.operator.until(node, "clean wait", seconds=60)
    assert boot_of(bench.bmc, "alpha")["BootSourceOverrideTarget"] in ("UefiHttp", "None")
    (path,) = bench.published()[node.id]
    assert bench.status(path) == "200"
    said = bench.boots("alpha")
    token = api.get_node(node).driver_internal_info.get("agent_secret_token")
    assert token == "******"
    assert "ipa-agent-token=" in said
    assert "ipa-agent-token=" not in bench.ironic.log.read_text()

    # The guest is no agent and never calls: it is booted once more, by the same URL.
    again = bench.boots("alpha")
    assert "ipa-agent-token=" in again

    api.set_node_provision_state(node, "abort")

    def cleared() -> bool:
        left = boot_of(bench.bmc, "alpha")
        return (left["BootSourceOverrideEnabled"], left.get("HttpBootUri")) == ("Disabled", None)

    until(cleared, seconds=60, what="the BMC has forgotten the URL")
    until(lambda: not api.get_node(node).reservation, seconds=60, what="the abort is over")
    assert bench.status(path) == "404"
    assert bench.published() == {}
    bench.operator.provision(node, "manage", "manageable")
    api.unset_node_maintenance(node)
    api.update_node(node, deploy_interface="ramdisk")
    bench.operator.provision(node, "provide", "available")
