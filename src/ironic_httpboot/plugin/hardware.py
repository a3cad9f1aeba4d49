"""Hardware types: Ironic's own, with our boot interfaces before theirs.

Knows that Ironic takes only interfaces whose very class its hardware type names. Refuses to know what they do.
"""

from __future__ import annotations

from ironic.drivers.base import BootInterface
from ironic.drivers.ipmi import IPMIHardware
from ironic.drivers.redfish import RedfishHardware

from ironic_httpboot.plugin.boot import RedfishHTTPBoot
from ironic_httpboot.plugin.network_boot import HTTPBoot, HTTPBootIPXE


class RedfishHTTPBootHardware(RedfishHardware):
    """`redfish-httpboot`: the BMC can be told a URL."""

    @property
    def supported_boot_interfaces(self) -> list[type[BootInterface]]:
        """Ours first."""
        return [RedfishHTTPBoot, HTTPBoot, HTTPBootIPXE, *super().supported_boot_interfaces]


class IPMIHTTPBootHardware(IPMIHardware):
    """`ipmi-httpboot`: DHCP tells the URL."""

    @property
    def supported_boot_interfaces(self) -> list[type[BootInterface]]:
        """Ours first."""
        return [HTTPBoot, HTTPBootIPXE, *super().supported_boot_interfaces]
