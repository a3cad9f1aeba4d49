"""A node's BMC over the session that Ironic has with it.

Knows how Ironic keeps sessions, and notes on the node that its BMC holds an override of ours. Refuses to know what is
booted. That no request is made but those of our own client is what makes it quick: see bench/RESULTS.md.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import lru_cache
from urllib.parse import urlsplit

import sushy.exceptions
from ironic.common import exception
from ironic.conductor.task_manager import TaskManager
from ironic.drivers.modules.redfish import utils as redfish_utils
from ironic.objects.node import Node
from oslo_log import log
from sushy.connector import Connector

from ironic_httpboot.errors import BmcAccessDenied, BmcUnreachable, HttpBootError
from ironic_httpboot.model import BootUrl
from ironic_httpboot.plugin.translate import in_words, persistence_of
from ironic_httpboot.redfish import Report, Transport, boot, clear

LOG = log.getLogger(__name__)

MARK = "httpboot_override"
"""In driver_internal_info while the BMC may hold an override that we asked for."""

_LOGIN_HINT = "driver_info/redfish_username and redfish_password"


def ask(task: TaskManager, url: BootUrl, *, persistent: bool) -> None:
    """Have the BMC boot a URL at the next power-on, and see that it understood.

    persistent: also at those after it, where the node does not say otherwise. Raises IronicException, HttpBootError.
    """
    node = task.node
    persistent = persistence_of(node, asked=persistent)
    node.set_driver_internal_info(MARK, True)
    # Ironic's own note of a device that it sets again at each power-on, where a BMC took it for one boot only
    # (redfish/management.py: restore_boot_device): it would take the place of what is asked now.
    node.del_driver_internal_info("redfish_boot_device")
    node.save()
    report = _with(
        node,
        lambda transport, system: boot(transport, url, system_id=system, persistent=persistent, reset=False),
    )
    LOG.info("The BMC of node %s will boot %s, system %s", node.uuid, url.redacted, report.system)


def mark(node: Node) -> None:
    """Note that the BMC may hold an override from now on."""
    node.set_driver_internal_info(MARK, True)
    node.save()


def take_back(task: TaskManager) -> bool:
    """Have the BMC forget what we asked of it; whether it did. Where it did not, it is tried again later.

    A device that Ironic or an operator has set since then stays.
    """
    node = task.node
    if not node.driver_internal_info.get(MARK):
        return True
    try:
        _with(node, lambda transport, system: clear(transport, system_id=system, only_urls=True))
    except (HttpBootError, exception.IronicException) as error:
        words = in_words(error) if isinstance(error, HttpBootError) else str(error)
        LOG.warning("The BMC of node %s keeps its boot override, and is asked again later: %s", node.uuid, words)
        return False
    node.del_driver_internal_info(MARK)
    node.save()
    return True


def _with(node: Node, work: Callable[[Transport, str | None], Report]) -> Report:
    """Work over Ironic's own session, with the system's path. Raises IronicException, HttpBootError.

    sushy logs in again by itself where a BMC has forgotten a session, but a BMC that has just started may refuse that
    once; a session that was kept from before is no proof of a wrong password.
    """
    info = redfish_utils.parse_driver_info(node)
    name = urlsplit(info["address"]).hostname or "BMC"
    sessions = _sessions(json.dumps(info))
    for kept in (sessions._session_key in sessions._sessions, False):
        connector = _logged_in(sessions, name, info.get("username"))
        try:
            return work(Transport.over(connector, name=name), info["system_id"])
        except BmcUnreachable:
            # As Ironic does when a request of its own fails so.
            sessions._sessions.pop(sessions._session_key, None)
            raise
        except BmcAccessDenied as error:
            sessions._sessions.pop(sessions._session_key, None)
            if not kept:
                raise BmcAccessDenied(error.message, hint=_LOGIN_HINT) from None
            LOG.info("%s: the session that was kept is refused: logging in anew for node %s", name, node.uuid)
    raise AssertionError("the second session was none that was kept")


def _logged_in(sessions: redfish_utils.SessionCache, name: str, username: str | None) -> Connector:
    try:
        with sessions as session:
            return session._conn
    except sushy.exceptions.AccessError as error:
        raise exception.RedfishError(f"{name}: log in as {username!r} → refused (hint: {_LOGIN_HINT})") from error
    except sushy.exceptions.SushyError as error:
        raise exception.RedfishConnectionError(
            f"{name}: log in → {error} (hint: check the BMC's address, its network and its power)"
        ) from error


@lru_cache(maxsize=1024)
def _sessions(info: str) -> redfish_utils.SessionCache:
    """Ironic's sessions of a login, in JSON, made once: whenever it is made it hashes the password 600,000 times.

    That is 0.4 s of CPU, three quarters of what preparing a boot costs without it (bench/RESULTS.md). The password is
    no better kept for it: the session, which is found by the hash, has it in plain.
    """
    return redfish_utils.SessionCache(json.loads(info))
