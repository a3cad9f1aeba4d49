"""Through Ironic's API alone, with its own DHCP provider `dnsmasq`: real firmware boots what a dnsmasq tells it."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from kit import ipmi
from kit.ironic import boot_order, saw
from kit.network import Program
from kit.workbench import Bench, network_workbench

pytestmark = [pytest.mark.firmware, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Bench, Program]]:
    with network_workbench(tmp_path_factory.mktemp("dnsmasq"), ipmi.OPTIONS, provider="dnsmasq") as made:
        yield made


def test_dnsmasq_tells_ipxe_from_firmware_over_ipv4_and_firmware_a_url_over_ipv6(
    network: tuple[Bench, Program],
) -> None:
    bench, dnsmasq = network
    node = bench.node("alpha", boot="httpboot-ipxe")
    bench.operator.deploy(node, bench.kernel, bench.ramdisk, config_drive={"meta_data": {"over": 4}})
    console = bench.boots("alpha")
    assert "iPXE" in console
    assert json.loads(saw(console, "/config-drive/openstack/latest/meta_data.json"))["over"] == 4
    bench.operator.provision(node, "deleted", "available")

    # A Redfish BMC asks for HTTP boot over IPv4. Over IPv6 it is the machine's own boot order that does.
    assert "HTTPv6" in boot_order(bench.bmc, "alpha", first=["HTTPv6"])[0]
    with ipmi.bmc(bench.folder / "ipmi", bench.bmc, "alpha") as bmc:
        info = {**node.driver_info, **bmc.driver_info, "httpboot_payload": "uki"}
        bench.operator.api.update_node(node, boot_interface="httpboot", driver_info=info, **ipmi.INTERFACES)
        bench.operator.deploy(node, bench.kernel, bench.ramdisk, config_drive={"meta_data": {"over": 6}})
        console = bench.boots("alpha")
        assert "Station IPv6 address" in console
        assert json.loads(saw(console, "/config-drive/openstack/latest/meta_data.json"))["over"] == 6
        bench.operator.provision(node, "deleted", "available")
    assert bench.published() == {}
    assert list((bench.folder / "dnsmasq-optsdir").iterdir()) == []
    said = dnsmasq.end()
    assert "option: 60 vendor-class  48:54:54:50:43:6c:69:65:6e:74" in said
    assert "option: 16 vendor-class  0000HTTPClient" in said
