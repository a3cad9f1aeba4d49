"""A BMC that has forgotten the session which a conductor keeps: after a restart of its own, or an hour of silence."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from ironic.common import states
from ironic.drivers.modules.redfish.utils import SessionCache
from ironic.objects.node import Node

from ironic_httpboot.emulator import bmc as emulated
from ironic_httpboot.emulator.serve import Emulator
from ironic_httpboot.emulator.state import Request
from ironic_httpboot.errors import BmcAccessDenied
from ironic_httpboot.model import BootUrl
from ironic_httpboot.plugin import bmc
from kit.bmc import CLOSED
from kit.conductor import SYSTEM, at_work
from kit.ironic import boot_of
from kit.scripted import Asked, Say, ScriptedBmc

URL = BootUrl.parse("http://192.0.2.1:8080/a/boot.iso")


class Bmc:
    """An emulated BMC that takes sessions alone, and can be restarted. busy: logins that it refuses after that."""

    def __init__(self) -> None:
        self.state = CLOSED
        self.logins = 0
        self.busy = 0

    def restart(self, *, busy: int) -> None:
        self.state = replace(self.state, sessions=())
        self.busy = busy

    def __call__(self, asked: Asked) -> Say:
        if "authorization" in asked.headers:
            return Say(401)
        if asked.method == "POST" and asked.path.endswith("/Sessions"):
            self.logins += 1
            if self.busy:
                self.busy -= 1
                return Say(503)
        request = Request(method=asked.method, path=asked.path, headers=asked.headers, body=asked.body)
        outcome = emulated.handle(self.state, request, now=0, fresh_token=f"token-{self.logins}")
        self.state = outcome.state
        return Say(outcome.answer.status, outcome.answer.body, outcome.answer.headers)


@pytest.fixture
def restarting(node: Node) -> Iterator[Bmc]:
    """The BMC of the node, for a while."""
    script, before = Bmc(), node.driver_info
    with ScriptedBmc(script) as scripted:
        there = {"redfish_address": scripted.url, "redfish_system_id": "/redfish/v1/Systems/a"}
        with at_work(node, driver_info={**before, **there}):
            pass
        yield script
        # sushy logs out when a session is forgotten: while there is somebody to log out at.
        SessionCache._sessions.clear()
        gc.collect()
    with at_work(node, driver_info=before, driver_internal_info={}):
        pass


def test_a_session_that_a_bmc_has_forgotten_is_made_anew(node: Node, emulator: Emulator, folder: Path) -> None:
    with at_work(node, states.CLEANING) as task:
        bmc.ask(task, URL, persistent=False)
        emulator._state = replace(emulator._state, sessions=())
        assert bmc.take_back(task)
        assert boot_of(emulator.url, SYSTEM)["BootSourceOverrideEnabled"] == "Disabled"


def test_a_bmc_that_refuses_a_login_after_its_restart_is_logged_in_at_once_more(node: Node, restarting: Bmc) -> None:
    with at_work(node, states.CLEANING) as task:
        bmc.ask(task, URL, persistent=False)
        restarting.restart(busy=1)
        bmc.ask(task, URL, persistent=True)
        override = restarting.state.systems["a"].kept.override
        assert (override.uri, override.enabled.value) == (URL.text, "Continuous")
        restarting.restart(busy=1)
        assert bmc.take_back(task)
        assert restarting.logins == 5


def test_a_bmc_that_refuses_each_login_is_not_asked_for_ever(node: Node, restarting: Bmc) -> None:
    with at_work(node, states.CLEANING) as task:
        bmc.ask(task, URL, persistent=False)
        restarting.restart(busy=100)
        with pytest.raises(BmcAccessDenied, match=r"401(.|\n)*driver_info/redfish_username and redfish_password"):
            bmc.ask(task, URL, persistent=False)
        assert restarting.logins <= 5
        restarting.busy = 0
        bmc.ask(task, URL, persistent=False)
