"""Neutron's own DHCP driver as its agent uses it, told by lines of JSON what Neutron's server would tell the agent.

Runs under `.venv-neutron`, where Neutron is; `kit.neutron` starts it. All that it stands in for is the server at the
other end of the agent's RPC. One line in, one line out: {"do": METHOD, …} → {"answer": …}.
"""

from __future__ import annotations

import json
import sys

from neutron import privileged
from neutron.agent.dhcp_agent import register_options
from neutron.agent.linux import dhcp, external_process
from neutron.common import utils
from neutron.common.ovn import utils as ovn
from neutron.conf.plugins.ml2.drivers.ovn import ovn_conf
from neutron_lib.api import validators
from neutron_lib.api.definitions import extra_dhcp_opt
from neutron_lib.exceptions import InvalidInput
from oslo_config import cfg

_CONTEXTS = ("default", "namespace_cmd", "link_cmd", "dhcp_release_cmd")


class Server:
    """What the agent asks Neutron's server by RPC while its port and its device are there already: nothing to add."""

    def get_networks(self) -> list[object]:
        """No other network."""
        return []

    def get_ports(self, port_filters: object) -> list[object]:
        """No port of OVN's metadata agent."""
        return []


class Agent:
    """One agent with one network."""

    def __init__(self) -> None:
        self._conf = cfg.CONF
        register_options(self._conf)
        ovn_conf.register_opts()
        for name in _CONTEXTS:  # root already: no helper process
            getattr(privileged, name).set_client_mode(False)
        self._driver: dhcp.Dnsmasq | None = None

    def configure(self, files: list[str]) -> None:
        """Read what stands in the agent's configuration file."""
        self._conf(["--config-file", *files], project="neutron")

    def device_id(self, network: str) -> str:
        """The device_id of the port that the agent itself has on a network."""
        return str(utils.get_dhcp_agent_device_id(network, self._conf.host))

    def enable(self, network: dict[str, object]) -> str:
        """Write the files and start dnsmasq; the interface that it answers on."""
        monitor = external_process.ProcessMonitor(config=self._conf, resource_type="dhcp")
        self._driver = dhcp.Dnsmasq(self._conf, dhcp.NetModel(network), monitor, plugin=Server())
        # What enable() repeats for five minutes where it fails; here the first failure is wanted.
        assert self._driver._enable(), "dnsmasq did not start"
        return str(self._driver.interface_name)

    def reload(self, network: dict[str, object]) -> None:
        """A port has changed: write the files anew and have dnsmasq read them (agent: reload_allocations)."""
        assert self._driver is not None
        self._driver.network = dhcp.NetModel(network)
        self._driver.reload_allocations()

    def restart(self, network: dict[str, object]) -> None:
        """End dnsmasq and start it anew, as the agent does where a reload has failed (agent: sync_state)."""
        self.disable()
        self.enable(network)

    def disable(self) -> None:
        """End dnsmasq."""
        if self._driver is not None:
            self._driver.disable(retain_port=True, block=True)

    def validate(self, options: list[dict[str, object]]) -> list[dict[str, object]] | str:
        """What the API makes of extra_dhcp_opts, or why it refuses them."""
        rules = extra_dhcp_opt.RESOURCE_ATTRIBUTE_MAP["ports"]["extra_dhcp_opts"]["validate"]
        ((rule, specifications),) = rules.items()
        try:
            said = validators.get_validator(rule)(options, specifications)
        except InvalidInput as refused:
            return str(refused)
        return options if said is None else str(said)

    def ovn(self, options: list[dict[str, object]], version: int) -> dict[str, object]:
        """What the OVN mechanism driver makes of extra_dhcp_opts, where ovn-controller answers DHCP and no agent."""
        port = {"id": "port", "device_owner": "baremetal:none", "extra_dhcp_opts": options}
        _, found = ovn.get_lsp_dhcp_opts({**port, "binding:vnic_type": "baremetal"}, version)
        return dict(found)


def main() -> None:
    """Answer until the input ends; dnsmasq ends with it."""
    agent = Agent()
    try:
        for line in sys.stdin:
            asked = json.loads(line)
            answer = getattr(agent, asked.pop("do"))(**asked)
            print(json.dumps({"answer": answer}), flush=True)  # noqa: T201 – this program's output
    finally:
        agent.disable()


if __name__ == "__main__":
    main()
