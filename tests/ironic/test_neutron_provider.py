"""With Ironic's own DHCP provider `neutron` a port gets what firmware boots by (tests/firmware/test_neutron.py)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from ironic.common import states
from ironic.common.dhcp_factory import DHCPFactory
from ironic.conf import CONF
from ironic.objects.node import Node

from ironic_httpboot.http.store import Store
from kit import neutron
from kit.conductor import FILES, URL4, URL6, at_work
from kit.neutron_api import Port, neutron_api

OWN = {"opt_name": "26", "opt_value": "1450", "ip_version": 4}
"""An option of the operator's own."""


@pytest.fixture
def port(folder: Path) -> Iterator[Port]:
    """A port of Neutron's, while its provider is the conductor's."""
    made = Port(neutron.PORT, [OWN])
    with neutron_api(made) as endpoint:
        given = {"auth_type": "none", "endpoint_override": endpoint, "timeout": 10}
        for name, value in given.items():
            CONF.set_override(name, value, group="neutron")
        CONF.set_override("dhcp_provider", "neutron", group="dhcp")
        DHCPFactory._dhcp_provider = None  # it is chosen once for a process
        try:
            yield made
        finally:
            CONF.set_override("dhcp_provider", "httpboot", group="dhcp")
            DHCPFactory._dhcp_provider = None


def test_a_ports_options_follow_the_boot_and_are_gone_after_it(node: Node, folder: Path, port: Port) -> None:
    instance = {part: f"file://{folder}/{name}" for part, name in FILES}
    changes = {"instance_info": instance, "network_interface": "flat"}

    def told() -> dict[str, object]:
        return {option["opt_name"]: option["opt_value"] for option in port.options}

    def paths(suffix: str) -> list[str]:
        found = Store(folder / "store").published()[node.uuid]
        return [each.path for each in found if each.path.endswith(suffix)]

    with at_work(node, states.DEPLOYING, boot_interface="httpboot", **changes) as task:
        task.ports[0].internal_info = {"tenant_vif_port_id": port.id}
        task.driver.boot.prepare_instance(task)
        (path,) = paths("boot.iso")
        urls = [*neutron.http_boot(f"{URL4}{path}"), *neutron.http_boot(f"{URL6}{path}")]
        assert sorted(port.options, key=str) == sorted([OWN, *urls], key=str)

    with at_work(node, states.DEPLOYING, boot_interface="httpboot-ipxe", **changes) as task:
        task.ports[0].internal_info = {"tenant_vif_port_id": port.id}
        task.driver.boot.prepare_instance(task)
        scripts = {f"{url}{path}" for url in (URL4, URL6) for path in paths("boot.ipxe")}
        assert {told()["tag:ipxe,67"], told()["tag:ipxe6,59"]} < scripts
        assert {"67", "59"}.isdisjoint(told()), "a plain option beside one with a tag is told to iPXE as well"

        task.driver.boot.clean_up_instance(task)
        assert port.options == [OWN]
        task.ports[0].internal_info = {}
        task.driver.boot.clean_up_instance(task)
    assert port.changes == 3, "a node without a port of Neutron's is not asked about"
