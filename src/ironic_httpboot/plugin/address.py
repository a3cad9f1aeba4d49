"""What DHCP tells a machine that it tells no URL: an address, or nothing.

Knows that Ironic's provider for dnsmasq has it ignore a machine when its options are cleaned. Refuses to know boots.
"""

from __future__ import annotations

from ironic.common import exception
from ironic.common.dhcp_factory import DHCPFactory
from ironic.conductor.task_manager import TaskManager
from ironic.conf import CONF


def give(task: TaskManager) -> None:
    """Have a machine get an address and nothing to boot. Raises FailedToUpdateDHCPOptOnPort.

    With dnsmasq, what was cleaned says "ignore" until options are written again (ironic/dhcp/dnsmasq.py): a system on
    disk would get no address, nor would firmware whose BMC was told the URL. Other providers take options only.
    """
    if CONF.dhcp.dhcp_provider != "dnsmasq":
        return
    try:
        DHCPFactory().update_dhcp(task, [])
    except OSError as error:
        raise exception.FailedToUpdateDHCPOptOnPort(
            f"Node {task.node.uuid}: [dnsmasq] {error.filename}: written → {error.strerror}"
        ) from error


def clean(task: TaskManager) -> None:
    """Have DHCP forget what it was to tell a machine. Raises FailedToCleanDHCPOpts."""
    try:
        DHCPFactory().clean_dhcp(task)
    except OSError as error:
        raise exception.FailedToCleanDHCPOpts(
            f"Node {task.node.uuid}: [{CONF.dhcp.dhcp_provider}] {error.filename}: written → {error.strerror}"
        ) from error
