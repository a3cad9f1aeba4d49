"""BIOS attributes: what stands, what waits, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from ironic_httpboot.emulator.state import State
from kit.bmc import ask, message_id, one, powered_on

A = "/redfish/v1/Systems/a"


def body_of(state: State, path: str) -> dict[str, Any]:
    body = ask(state, "GET", path).answer.body
    assert body is not None
    return body


def test_a_change_waits_for_the_next_reset() -> None:
    link = body_of(one("standard"), f"{A}/Bios")["@Redfish.Settings"]["SettingsObject"]["@odata.id"]
    state = ask(one("standard"), "PATCH", link, {"Attributes": {"IPv4HTTPSupport": "Disabled"}}).state
    assert body_of(state, f"{A}/Bios")["Attributes"] == {"IPv4HTTPSupport": "Enabled"}
    assert body_of(state, link)["Attributes"] == {"IPv4HTTPSupport": "Disabled"}
    state, _ = powered_on(state)
    assert body_of(state, f"{A}/Bios")["Attributes"] == {"IPv4HTTPSupport": "Disabled"}
    reset = ask(state, "POST", f"{A}/Bios/Actions/Bios.ResetBios", {})
    assert body_of(reset.state, link)["Attributes"] == {"IPv4HTTPSupport": "Enabled"}


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ({"Color": "red"}, "PropertyUnknown"),
        ({"HttpDev1EnDis": 1}, "PropertyValueTypeError"),
        ({"HttpDev1EnDis": "Maybe"}, "PropertyValueNotInList"),
        ({"HttpDev1Uri": "http://h/x.iso"}, "PropertyNotWritable"),
        ({"HttpDev1EnDis": "Enabled", "HttpDev1Uri": "http://h/é"}, "PropertyValueFormatError"),
        ({"HttpDev1EnDis": "Enabled", "HttpDev1Uri": "http://h/" + "a" * 70_000}, "StringValueTooLong"),
        (7, "PropertyValueTypeError"),
    ],
)
def test_what_is_refused_is_named_and_not_kept(wanted: object, said: str) -> None:
    outcome = ask(one("dell"), "PATCH", f"{A}/Bios/Settings", {"Attributes": wanted})
    assert (outcome.answer.status, message_id(outcome.answer)) == (400, said)
    assert outcome.state == one("dell")


def test_the_registry_describes_every_attribute_and_what_it_depends_on() -> None:
    state = one("dell")
    name = body_of(state, f"{A}/Bios")["AttributeRegistry"]
    (location,) = body_of(state, f"/redfish/v1/Registries/{name}")["Location"]
    entries = body_of(state, location["Uri"])["RegistryEntries"]
    described = [each["AttributeName"] for each in entries["Attributes"]]
    assert described == list(body_of(state, f"{A}/Bios")["Attributes"])
    assert "HttpDev1Uri" in {each["DependencyFor"] for each in entries["Dependencies"]}
