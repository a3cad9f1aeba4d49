"""Each personality: how one boots a URL on it, and what it does not let pass."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ironic_httpboot.emulator.handover import Wish
from ironic_httpboot.emulator.kept import Enabled, Mode, Override, Target
from ironic_httpboot.emulator.personalities import PERSONALITIES
from ironic_httpboot.emulator.state import Answer, Power, State
from kit.bmc import ask, message_id, one, powered_on

A = "/redfish/v1/Systems/a"
URI = "http://192.0.2.1/x.iso"
SECURE = "https://192.0.2.1/x.iso"
ONCE = {"BootSourceOverrideEnabled": "Once", "BootSourceOverrideTarget": "UefiHttp"}
WHOLE = {**ONCE, "BootSourceOverrideMode": "UEFI", "HttpBootUri": URI}
BOOTED = Wish(target=Target.UEFI_HTTP, uri=URI)


def body_of(state: State, path: str) -> dict[str, Any]:
    body = ask(state, "GET", path).answer.body
    assert body is not None
    return body


def patched(state: State, path: str, body: object, **headers: str) -> State:
    """The state after a change that is accepted."""
    outcome = ask(state, "PATCH", path, body, 0, **headers)
    assert outcome.answer.status in (200, 202, 204), outcome.answer.body
    return outcome.state


def refused(state: State, path: str, body: object, **headers: str) -> tuple[int, str]:
    """Status and message of a change that is refused and not made."""
    outcome = ask(state, "PATCH", path, body, 0, **headers)
    assert outcome.answer.status >= 400
    assert outcome.state.systems == state.systems
    return outcome.answer.status, message_id(outcome.answer)


def _by_system(state: State) -> State:
    return patched(state, A, {"Boot": WHOLE})


def _by_settings(state: State) -> State:
    return patched(state, f"{A}/Settings", {"Boot": WHOLE})


def _by_sd(state: State) -> State:
    etag = ask(state, "GET", f"{A}/SD").answer.headers["ETag"]
    return patched(state, f"{A}/SD", {"Boot": WHOLE}, if_match=etag)


def _by_supermicro(state: State) -> State:
    state = patched(state, A, {"Boot": {"BootSourceOverrideMode": "UEFI"}})
    state, _ = powered_on(state)
    return patched(state, A, {"Boot": WHOLE})


def _by_hpe(state: State) -> State:
    state = patched(state, f"{A}/Bios/settings", {"Attributes": {"UrlBootFile": URI}})
    return patched(state, A, {"Boot": ONCE})


def _by_dell(state: State) -> State:
    wanted = {"HttpDev1EnDis": "Enabled", "HttpDev1Uri": URI, "HttpDev1TlsMode": "None"}
    job = {"Attributes": wanted, "@Redfish.SettingsApplyTime": {"ApplyTime": "OnReset"}}
    state = patched(state, f"{A}/Bios/Settings", job)
    return patched(state, A, {"Boot": ONCE})


@pytest.mark.parametrize(
    ("personality", "way"),
    [
        ("standard", _by_system),
        ("bare", _by_system),
        ("slow", _by_system),
        ("settings", _by_settings),
        ("ami-sd", _by_sd),
        ("supermicro", _by_supermicro),
        ("hpe", _by_hpe),
        ("dell", _by_dell),
    ],
)
def test_done_its_own_way_the_machine_boots_the_url_once(personality: str, way: Callable[[State], State]) -> None:
    state, wish = powered_on(way(one(personality)))
    assert wish == BOOTED
    assert not state.systems["a"].override.is_set
    _, again = powered_on(state)
    assert again == Wish()


@pytest.mark.parametrize("personality", list(PERSONALITIES))
def test_a_new_machine_boots_the_firmwares_own_way_and_shows_no_secret(personality: str) -> None:
    state = one(personality)
    assert powered_on(state)[1] == Wish()
    boot = body_of(state, A)["Boot"]
    assert (boot["BootSourceOverrideEnabled"], boot["BootSourceOverrideTarget"]) == ("Disabled", "None")


def test_settings_shows_on_the_system_what_stands_and_beside_it_what_waits() -> None:
    state = _by_settings(one("settings"))
    link = body_of(state, A)["@Redfish.Settings"]["SettingsObject"]["@odata.id"]
    assert body_of(state, A)["Boot"]["BootSourceOverrideTarget"] == "None"
    assert WHOLE.items() <= body_of(state, link)["Boot"].items()
    assert refused(state, A, {"Boot": {"HttpBootUri": URI}}) == (400, "PropertyUnknown")
    lists = [body_of(state, at)["Boot"]["BootSourceOverrideTarget@Redfish.AllowableValues"] for at in (A, link)]
    assert "UefiHttp" not in lists[0]
    assert "UefiHttp" in lists[1]
    assert set(lists[0]) - set(lists[1]) == {"Hdd", "Cd"}, "each has what the other lacks"


def test_ami_takes_changes_beside_the_system_only_and_whole() -> None:
    state = one("ami-sd")
    assert refused(state, A, {"Boot": WHOLE}) == (400, "OperationSupportedInFutureStateURI")
    etag = ask(state, "GET", f"{A}/SD").answer.headers["ETag"]
    for name in ("BootSourceOverrideEnabled", "BootSourceOverrideMode", "BootSourceOverrideTarget"):
        part = {key: value for key, value in WHOLE.items() if key != name}
        assert refused(state, f"{A}/SD", {"Boot": part}, if_match=etag) == (400, "PropertyMissing")


def test_supermicro_wants_the_mode_echoed_and_offers_http_after_a_start_in_uefi_mode() -> None:
    state = one("supermicro")
    assert refused(state, A, {"Boot": ONCE}) == (400, "PropertyMissing")
    assert refused(state, A, {"Boot": WHOLE}) == (400, "PropertyValueNotInList")
    state = patched(state, A, {"Boot": {"BootSourceOverrideMode": "UEFI"}})
    assert refused(state, A, {"Boot": WHOLE}) == (400, "PropertyValueNotInList"), "not before the reset"
    state, _ = powered_on(state)
    assert "UefiHttp" in body_of(state, A)["Boot"]["BootSourceOverrideTarget@Redfish.AllowableValues"]
    pxe = {**ONCE, "BootSourceOverrideTarget": "Pxe", "BootSourceOverrideMode": "UEFI"}
    state = patched(state, A, {"Boot": pxe})
    assert body_of(state, A)["Boot"]["BootSourceOverrideTarget"] == "UefiBootNext"


def test_hpe_refuses_what_it_does_not_know_in_its_own_words() -> None:
    state = one("hpe")
    for boot in ({"HttpBootUri": URI}, {**ONCE, "HttpBootUri": URI}, {"BootSourceOverrideMode": "UEFI"}):
        assert refused(state, A, {"Boot": boot}) == (400, "PropertyNotWritableOrUnknown")
    assert "HttpBootUri" not in body_of(state, A)["Boot"]
    assert refused(state, A, {"Boot": {"BootSourceOverrideEnabled": "Once"}}) == (400, "PropertyValueIncompatible")
    state = patched(state, A, {"Boot": ONCE})
    cleared = {"BootSourceOverrideEnabled": "Disabled", "BootSourceOverrideTarget": "None"}
    assert refused(state, A, {"Boot": cleared}) == (400, "PropertyValueIncompatible")
    state = patched(state, A, {"Boot": {"BootSourceOverrideEnabled": "Disabled"}})
    assert state.systems["a"].override == Override()


def test_hpe_refuses_changes_during_post() -> None:
    state = one("hpe")
    posting = replace(state.systems["a"], power=Power.ON, progress="PrimaryProcessorInitializationStarted")
    state = replace(state, systems={"a": posting})
    assert refused(state, A, {"Boot": ONCE}) == (400, "UnableToModifyDuringSystemPOST")
    bios = {"Attributes": {"UrlBootFile": URI}}
    assert refused(state, f"{A}/Bios/settings", bios) == (400, "UnableToModifyDuringSystemPOST")
    booted = replace(state, systems={"a": replace(posting, progress="OSBootStarted")})
    patched(booted, A, {"Boot": ONCE})


@pytest.mark.parametrize(("uri", "boots"), [(URI, False), (SECURE, True)])
def test_dell_boots_https_only_as_long_as_nobody_says_otherwise(uri: str, boots: bool) -> None:
    wanted = {"HttpDev1EnDis": "Enabled", "HttpDev1Uri": uri}
    job = {"Attributes": wanted, "@Redfish.SettingsApplyTime": {"ApplyTime": "OnReset"}}
    state = patched(patched(one("dell"), f"{A}/Bios/Settings", job), A, {"Boot": ONCE})
    wish = powered_on(state)[1]
    assert (wish.target is Target.UEFI_HTTP) is boots
    assert bool(wish.trouble) is not boots


def test_dell_has_no_uri_on_the_system_and_a_settings_object_for_the_order_only() -> None:
    state = one("dell")
    assert refused(state, A, {"Boot": WHOLE}) == (400, "PropertyUnknown")
    assert refused(state, f"{A}/Settings", {"Boot": ONCE}) == (400, "PropertyUnknown")
    patched(state, f"{A}/Settings", {"Boot": {"BootSourceOverrideMode": "UEFI"}})
    state = patched(state, A, {"Boot": ONCE})
    assert powered_on(state)[1].trouble, "there is no HTTP device yet"


def test_lenovo_asks_dhcp_once_its_switch_is_on() -> None:
    state = one("lenovo")
    assert refused(state, A, {"Boot": WHOLE}) == (400, "PropertyValueNotInList")
    assert refused(state, A, {"Boot": {"BootSourceOverrideEnabled": "Continuous"}}) == (400, "PropertyValueNotInList")
    assert refused(state, A, {"Boot": {"HttpBootUri": URI}}) == (400, "PropertyUnknown")
    pxe = {**ONCE, "BootSourceOverrideTarget": "Pxe"}
    assert powered_on(patched(state, A, {"Boot": pxe}))[1] == Wish(target=Target.PXE)
    switch = {"Attributes": {"NetworkStackSettings_IPv4HTTPSupport": "Enabled"}}
    state = patched(patched(state, f"{A}/Bios/Pending", switch), A, {"Boot": pxe})
    assert powered_on(state)[1] == Wish(target=Target.UEFI_HTTP, uri="")


def test_openbmc_offers_neither_the_target_nor_the_url() -> None:
    state = one("openbmc")
    assert refused(state, A, {"Boot": ONCE}) == (400, "PropertyValueNotInList")
    assert refused(state, A, {"Boot": {"HttpBootUri": URI}}) == (400, "PropertyUnknown")
    assert "Bios" not in body_of(state, A)
    assert ask(state, "GET", f"{A}/Bios").answer.status == 404


def test_bare_says_nothing_of_what_it_allows() -> None:
    boot = body_of(one("bare"), A)["Boot"]
    assert [name for name in boot if "Allowable" in name] == []
    assert "HttpBootUri" in boot


def test_one_liar_accepts_and_changes_nothing() -> None:
    state = one("liar-204")
    outcome = ask(state, "PATCH", A, {"Boot": WHOLE})
    assert (outcome.answer, outcome.state) == (Answer(status=204), state)


def test_the_other_liar_refuses_and_changes() -> None:
    outcome = ask(one("liar-400"), "PATCH", A, {"Boot": WHOLE})
    assert (outcome.answer.status, message_id(outcome.answer)) == (400, "GeneralError")
    override = Override(enabled=Enabled.ONCE, target=Target.UEFI_HTTP, uri=URI)
    assert outcome.state.systems["a"].override == override
    assert ask(one("liar-400"), "PATCH", A, {"Boot": {"Color": 1}}).state.systems == one("liar-400").systems


def test_slow_says_how_long_it_takes() -> None:
    assert ask(one("slow"), "GET", A).delay_seconds == 0.5
    assert ask(one("standard"), "GET", A).delay_seconds == 0


def test_first_modes_are_modes_that_are_offered() -> None:
    for personality in PERSONALITIES.values():
        assert personality.at_first.override.mode in personality.modes
        assert Mode.UEFI in personality.modes


def test_each_is_described_as_the_data_say() -> None:
    page = (Path(__file__).parents[3] / "docs" / "how-to" / "emulate-a-bmc.md").read_text()
    for each in PERSONALITIES.values():
        assert f"| `{each.name}` | {each.summary} | {each.evidence} |" in page
