"""Faults by count: always the same, and never twice in a row for one who tries again."""

from __future__ import annotations

import itertools

import pytest

from ironic_httpboot.emulator.faults import befalling, manners_for
from ironic_httpboot.emulator.kept import Enabled
from ironic_httpboot.emulator.personalities import PERSONALITIES, STANDARD, Fault
from ironic_httpboot.emulator.state import State
from kit.bmc import ask, message_id, one

A = "/redfish/v1/Systems/a"
FLAKY = PERSONALITIES["flaky"]
CHANGE = {"Boot": {"BootSourceOverrideEnabled": "Once", "BootSourceOverrideTarget": "UefiHttp"}}


def test_readings_meet_a_busy_bmc_and_a_lost_connection_by_turns() -> None:
    state, seen = one("flaky"), []
    for _ in range(8):
        outcome = ask(state, "GET", A)
        state = outcome.state
        seen.append("lost" if outcome.lost else outcome.answer.status)
    assert seen == [200, 503, 200, "lost"] * 2


def test_a_busy_bmc_says_when_to_come_back() -> None:
    busy = ask(ask(one("flaky"), "GET", A).state, "GET", A).answer
    assert (busy.headers["Retry-After"], message_id(busy)) == ("1", "ServiceTemporarilyUnavailable")


def test_a_change_is_refused_at_first_and_made_at_the_second_try() -> None:
    first = ask(one("flaky"), "PATCH", A, CHANGE)
    assert (first.answer.status, message_id(first.answer)) == (412, "PreconditionFailed")
    assert first.state.systems == one("flaky").systems
    second = ask(first.state, "PATCH", A, CHANGE)
    assert second.answer.status == 200


def test_a_change_may_be_made_and_its_answer_be_lost() -> None:
    state = one("flaky")
    lost = []
    for _ in range(6):
        outcome = ask(state, "PATCH", A, CHANGE)
        state = outcome.state
        lost.append(outcome.lost)
        if outcome.lost:
            assert state.systems["a"].override.enabled is Enabled.ONCE
    assert lost.count(True) == 1


def test_logging_in_and_out_always_works() -> None:
    state = one("flaky")
    for _ in range(4):
        outcome = ask(state, "POST", "/redfish/v1/SessionService/Sessions", {"UserName": "a", "Password": "b"})
        assert outcome.answer.status == 201
        state = outcome.state


@pytest.mark.parametrize("method", ["GET", "PATCH", "POST"])
def test_trying_again_helps(method: str) -> None:
    bad = {Fault.BUSY, Fault.STALE, Fault.DROPPED}
    falls = [befalling(FLAKY, method, count) for count in range(1, 25)]
    assert not any(one in bad and other in bad for one, other in itertools.pairwise(falls))


def test_others_are_well() -> None:
    assert ask(one("standard"), "GET", A).state.counts == {}


def test_paths_of_no_machine_have_the_manners_that_all_machines_share() -> None:
    mixed = State(uuid="u", systems={"a": one("dell").systems["a"], "b": one("hpe").systems["a"]})
    assert manners_for(one("dell"), "/redfish/v1").name == "dell"
    assert manners_for(mixed, "/redfish/v1") is STANDARD
    assert manners_for(mixed, "/redfish/v1/Managers/b/VirtualMedia").name == "hpe"
