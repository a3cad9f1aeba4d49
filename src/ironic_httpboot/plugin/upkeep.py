"""What a conductor does beside Ironic's own calls: find machines that stay silent, sweep what is left over.

Knows provision states and what crashes leave behind. Refuses to know how machines are told.
"""

from __future__ import annotations

from ironic.common import states
from ironic.conductor import utils as manager_utils
from ironic.conductor.base_manager import BaseConductorManager
from ironic.conductor.task_manager import TaskManager
from ironic.conf import CONF
from ironic.drivers import utils as driver_utils
from ironic.drivers.modules import deploy_utils
from ironic.objects.node import Node
from oslo_log import log

from ironic_httpboot.errors import HostError
from ironic_httpboot.model import BootUrl
from ironic_httpboot.plugin import dhcp, images, shelf

LOG = log.getLogger(__name__)

AT_REST = frozenset(
    {
        states.ENROLL,
        states.MANAGEABLE,
        states.AVAILABLE,
        states.CLEANFAIL,
        states.DEPLOYFAIL,
        states.ERROR,
        states.INSPECTFAIL,
        states.RESCUEFAIL,
    }
)
"""States in which no node needs an image of ours."""


def is_silent(node: Node) -> bool:
    """Whether a node's agent should have called by now, and has not.

    Ironic's own rule never says so of a node whose token was made in advance, as ours are (pxe_base, 39.0).
    """
    info = node.driver_internal_info
    if info.get("agent_url"):
        return False
    limit = CONF.pxe.boot_retry_timeout
    named = ("agent_last_heartbeat", "last_power_state_change")
    return not any(manager_utils.value_within_timeout(info.get(name), limit) for name in named)


def url_again(task: TaskManager) -> BootUrl | None:
    """The URL that a node was told, None where it is none any more."""
    node = task.node
    published = shelf.store().published().get(node.uuid)
    if published:
        return shelf.url_of(published[0])
    iso = driver_utils.get_agent_iso(node, mode=deploy_utils.rescue_or_deploy_mode(node))
    return BootUrl.parse(iso) if iso and "://" in iso else None


def sweep(manager: BaseConductorManager) -> None:
    """Withdraw what is published for nodes that need it no more: deleted, at rest, or another conductor's by now."""
    try:
        machines = set(shelf.store().published()) | images.remembered() | dhcp.remembered()
    except HostError as error:
        LOG.warning("Not swept: %s", error.message)
        return
    if not machines:
        return
    columns = ["uuid", "provision_state", "reservation", "conductor_affinity"]
    nodes = {row[0]: row[1:] for row in manager.dbapi.get_nodeinfo_list(columns=columns)}
    for uuid in machines:
        if uuid in nodes and needs(*nodes[uuid], conductor=manager.conductor.id):
            continue
        LOG.info("Withdrawing what is published for node %s: nobody needs it", uuid)
        try:
            shelf.withdraw(uuid)
            dhcp.forget(uuid)
        except (HostError, OSError) as error:
            LOG.warning("Node %s: %s", uuid, error)


def needs(state: str | None, reservation: str | None, affinity: int | None, *, conductor: int) -> bool:
    """Whether a conductor still needs what it has published for a node, by the node's fields in the database."""
    if reservation is not None:
        return True
    taken_over = state == states.ACTIVE and affinity not in (None, conductor)
    return not (taken_over or state in AT_REST or state is None)
