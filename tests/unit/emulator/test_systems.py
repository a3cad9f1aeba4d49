"""The boot override: what it takes, what it refuses, and that each system has its own."""

from __future__ import annotations

import pytest

from ironic_httpboot.emulator.state import Enabled, Override, Reset, ResetMachine, Target
from kit.bmc import OPEN, ask, message_id

A = "/redfish/v1/Systems/a"
URI = "http://192.0.2.1/x.iso"
WHOLE = {
    "BootSourceOverrideEnabled": "Once",
    "BootSourceOverrideMode": "UEFI",
    "BootSourceOverrideTarget": "UefiHttp",
    "HttpBootUri": URI,
}


def test_one_patch_sets_the_whole_override_of_one_system() -> None:
    outcome = ask(OPEN, "PATCH", A, {"Boot": WHOLE})
    assert outcome.answer.status == 200
    assert outcome.answer.body is not None
    assert WHOLE.items() <= outcome.answer.body["Boot"].items()
    assert outcome.state.systems["a"].override == Override(enabled=Enabled.ONCE, target=Target.UEFI_HTTP, uri=URI)
    assert outcome.state.systems["b"].override == Override()
    assert outcome.effects == ()


def test_disabling_it_clears_the_target_and_null_clears_the_uri() -> None:
    state = ask(OPEN, "PATCH", A, {"Boot": WHOLE}).state
    outcome = ask(state, "PATCH", A, {"Boot": {"BootSourceOverrideEnabled": "Disabled", "HttpBootUri": None}})
    assert outcome.state.systems["a"].override == Override()


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"Boot": {"BootSourceOverrideTarget": "Floppy"}}, "PropertyValueNotInList"),
        ({"Boot": {"BootSourceOverrideEnabled": ["Once"]}}, "PropertyValueNotInList"),
        ({"Boot": {"BootSourceOverrideMode": "Legacy"}}, "PropertyValueNotInList"),
        ({"Boot": {"HttpBootUri": "ftp://h/x"}}, "PropertyValueFormatError"),
        ({"Boot": {"HttpBootUri": "http://[h/x"}}, "PropertyValueFormatError"),
        ({"Boot": {"HttpBootUri": "http://h/" + "a" * 70_000}}, "StringValueTooLong"),
        ({"Boot": {"HttpBootUri": 7}}, "PropertyValueTypeError"),
        ({"Boot": {"Color": "red"}}, "PropertyUnknown"),
        ({"Boot": "Once"}, "PropertyValueTypeError"),
        ({"Name": "other"}, "PropertyNotWritable"),
        ({"Color": "red"}, "PropertyUnknown"),
        ([], "MalformedJSON"),
        (None, "MalformedJSON"),
    ],
)
def test_what_it_refuses_it_names_and_nothing_changes(body: object, said: str) -> None:
    outcome = ask(OPEN, "PATCH", A, body)
    assert (outcome.answer.status, message_id(outcome.answer)) == (400, said)
    assert outcome.state == OPEN


def test_a_change_to_a_resource_that_was_changed_meanwhile_is_refused() -> None:
    etag = ask(OPEN, "GET", A).answer.headers["ETag"]
    changed = ask(OPEN, "PATCH", A, {"Boot": WHOLE}, if_match=etag)
    assert changed.answer.status == 200
    refused = ask(changed.state, "PATCH", A, {"Boot": {"HttpBootUri": None}}, if_match=etag)
    assert (refused.answer.status, message_id(refused.answer)) == (412, "PreconditionFailed")
    assert ask(changed.state, "PATCH", A, {"Boot": {"HttpBootUri": None}}, if_match="*").answer.status == 200


@pytest.mark.parametrize("kind", list(Reset))
def test_each_reset_type_that_is_offered_is_taken(kind: Reset) -> None:
    offered = ask(OPEN, "GET", A).answer.body
    assert offered is not None
    action = offered["Actions"]["#ComputerSystem.Reset"]
    assert kind.value in action["ResetType@Redfish.AllowableValues"]
    outcome = ask(OPEN, "POST", action["target"], {"ResetType": kind.value})
    assert outcome.answer.status == 204
    assert outcome.effects == (ResetMachine(system_id="a", reset=kind),)


def test_a_reset_of_no_known_type_is_refused() -> None:
    outcome = ask(OPEN, "POST", f"{A}/Actions/ComputerSystem.Reset", {"ResetType": "Explode"})
    assert (outcome.answer.status, message_id(outcome.answer)) == (400, "ActionParameterValueNotInList")
    assert outcome.effects == ()


def test_a_system_that_is_not_there_is_not_found() -> None:
    assert ask(OPEN, "GET", "/redfish/v1/Systems/c").answer.status == 404
