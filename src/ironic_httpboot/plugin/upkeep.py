"""What a conductor does beside Ironic's own calls: boot silent machines again, sweep and take back what is left over.

Knows provision states, locks and what crashes leave behind. Refuses to know how machines are told.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from ironic.common import exception, states
from ironic.conductor import task_manager
from ironic.conductor import utils as manager_utils
from ironic.conductor.base_manager import BaseConductorManager
from ironic.conductor.task_manager import TaskManager
from ironic.conf import CONF
from ironic.drivers.modules import pxe_base
from ironic.objects.node import Node
from oslo_log import log
from oslo_utils import uuidutils

from ironic_httpboot.errors import HostError
from ironic_httpboot.model import BootUrl
from ironic_httpboot.plugin import bmc, dhcp, images, payload, shelf

LOG = log.getLogger(__name__)

AT_REST = frozenset(
    {
        states.ENROLL,
        states.MANAGEABLE,
        states.AVAILABLE,
        states.ADOPTFAIL,
        states.CLEANFAIL,
        states.DEPLOYFAIL,
        states.ERROR,
        states.INSPECTFAIL,
        states.RESCUEFAIL,
        states.SERVICEFAIL,
        states.UNRESCUEFAIL,
    }
)
"""States in which no node needs an image of ours."""


RETRIED = pxe_base.PXEBaseMixin._RETRY_ALLOWED_STATES
"""States in which a node's agent is waited for."""

_POLLED = ("cleaning_polling", "deployment_polling", "servicing_polling")


def is_silent(node: Node) -> bool:
    """Whether a node's agent should have called by now, and has not.

    Not while Ironic polls its BMC for the end of a step: no agent calls then, and firmware may be written.

    Ironic's own rule never says so of a node whose token was made in advance, as ours are (pxe_base, 39.0).
    """
    info = node.driver_internal_info
    if info.get("agent_url") or any(info.get(name) for name in _POLLED):
        return False
    limit = CONF.pxe.boot_retry_timeout
    named = ("agent_last_heartbeat", "last_power_state_change")
    return not any(manager_utils.value_within_timeout(info.get(name), limit) for name in named)


def boot_again(task: TaskManager, find: Callable[[TaskManager], Callable[[], None] | None]) -> None:
    """Boot the ramdisk of a silent node once more. find: what has it boot the same again, if that is there still.

    Where it is not, the machine is left as it is. A failure is this node's alone: others are looked at after it.
    """
    if not is_silent(task.node):
        return
    task.upgrade_lock(purpose="retrying HTTP boot")
    node = task.node
    if node.maintenance or node.provision_state not in RETRIED or not is_silent(node):
        return
    said = f"Node {node.uuid} has not called within {CONF.pxe.boot_retry_timeout} s"
    try:
        ask = find(task)
        if ask is None:
            LOG.info("%s: it is left as it is, since nothing that it could boot is served from here any more", said)
            return
        LOG.info("%s: it is booted again", said)
        if not node.disable_power_off:
            manager_utils.node_power_action(task, states.POWER_OFF)
        ask()
        manager_utils.node_power_action(task, states.REBOOT if node.disable_power_off else states.POWER_ON)
    except exception.IronicException as error:
        LOG.warning("Node %s could not be booted again: %s", node.uuid, error)


def url_again(task: TaskManager) -> BootUrl | None:
    """The URL that a node's BMC was told, None where it is none any more.

    What is published for a BMC is one image, with a URL of whichever family payload.url_for takes.
    """
    node = task.node
    served = shelf.served(node.uuid)
    if served:
        return shelf.url_of(served[0])
    iso = payload.agent_iso(node)
    return BootUrl.parse(iso) if iso and payload.passes_through(node) else None


_SWEEPING = threading.Lock()
"""Each enabled interface brings the same periodic task."""


def sweep(manager: BaseConductorManager, context: object) -> None:
    """Withdraw what is published for nodes that need it no more: deleted, at rest, or another conductor's by now.

    What is not called by a UUID is no node's, and stays: machines that `httpboot serve` publishes itself in the same
    store, machine files and folders of an operator's own.
    """
    if not _SWEEPING.acquire(blocking=False):
        return
    try:
        _sweep(manager, context)
    except (HostError, OSError) as error:
        LOG.warning("Not swept: %s", error)
    finally:
        _SWEEPING.release()


def _sweep(manager: BaseConductorManager, context: object) -> None:
    found = set(shelf.store().published()) | images.remembered() | dhcp.remembered()
    machines = {name for name in found if uuidutils.is_uuid_like(name)}
    if not machines:
        return
    columns = ["uuid", "driver", "conductor_group", "conductor_affinity", "provision_state", "reservation"]
    nodes = {row[0]: row for row in manager.dbapi.get_nodeinfo_list(columns=columns)}
    for uuid in machines:
        if uuid not in nodes:
            _forget(uuid)
            continue
        *served_by, state, reservation = nodes[uuid]
        if not needs(state, reservation, elsewhere=_is_elsewhere(manager, *served_by)):
            _forget_locked(manager, context, uuid)


def _forget_locked(manager: BaseConductorManager, context: object, uuid: str) -> None:
    """Withdraw with the node's lock, and look again: it may have been deployed since, and needs what is there now."""
    try:
        with task_manager.acquire(
            context, uuid, shared=False, purpose="sweeping boot images", retry=False, load_driver=False
        ) as task:
            node = task.node
            elsewhere = _is_elsewhere(manager, uuid, node.driver, node.conductor_group, node.conductor_affinity)
            if not needs(node.provision_state, None, elsewhere=elsewhere):
                _forget(uuid)
    except (exception.NodeLocked, exception.NodeNotFound):
        LOG.debug("Node %s is being worked on, and is not swept now", uuid)


def _forget(uuid: str) -> None:
    LOG.info("Withdrawing what is published for node %s: nobody needs it", uuid)
    try:
        shelf.withdraw(uuid)
        dhcp.forget(uuid)
    except (HostError, OSError) as error:
        LOG.warning("Node %s: %s", uuid, error)


def needs(state: str | None, reservation: str | None, *, elsewhere: bool) -> bool:
    """Whether a conductor still needs what it has published for a node, by the node's fields in the database.

    elsewhere: it is another conductor that serves the node.
    """
    if reservation is not None:
        return True
    taken_over = state == states.ACTIVE and elsewhere
    return not (taken_over or state in AT_REST or state is None)


def _is_elsewhere(manager: BaseConductorManager, uuid: str, driver: str, group: str, affinity: int | None) -> bool:
    """Whether another conductor serves a node.

    Affinity alone does not tell: Ironic notes it at a deployment and a takeover, but not at the end of a rescue or a
    service, where whoever the node is mapped to by then publishes (conductor/deployments.py, manager.py, 39.0).
    """
    if affinity in (None, manager.conductor.id):
        return False
    return not manager._mapped_to_this_conductor(uuid, driver, group)


_ASKING = threading.Lock()
_SECONDS_BETWEEN = 3600
"""The most that a BMC which does not answer is left in peace: each time costs the node's lock for some seconds."""

_unanswered: dict[str, tuple[float, float]] = {}
"""Nodes whose BMC kept its override: when it is asked again, and how long was waited for that."""


def take_back(manager: BaseConductorManager, context: object) -> None:
    """Ask BMCs again to forget what they did not let go, for nodes at rest, whatever boots them by now."""
    if not _ASKING.acquire(blocking=False):
        return
    try:
        _take_back(manager, context)
    finally:
        _ASKING.release()


def _take_back(manager: BaseConductorManager, context: object) -> None:
    filters = {"provision_state_in": AT_REST, "reserved": False, "maintenance": False}
    for uuid, _, _, info in manager.iter_nodes(fields=["driver_internal_info"], filters=filters):
        due, waited = _unanswered.get(uuid, (0.0, 0.0))
        if not (info or {}).get(bmc.MARK) or time.monotonic() < due:
            continue
        if _take_back_locked(context, uuid):
            _unanswered.pop(uuid, None)
        else:
            seconds = min(max(2 * waited, CONF.httpboot.sweep_seconds), _SECONDS_BETWEEN)
            _unanswered[uuid] = (time.monotonic() + seconds, seconds)


def _take_back_locked(context: object, uuid: str) -> bool:
    """Whether a node's BMC holds nothing of ours any more, or is asked by someone else."""
    try:
        with task_manager.acquire(
            context, uuid, shared=False, purpose="taking back a boot override", retry=False, load_driver=False
        ) as task:
            node = task.node
            return node.maintenance or node.provision_state not in AT_REST or bmc.take_back(task)
    except (exception.NodeLocked, exception.NodeNotFound):
        return True
