"""What is sent to a BMC, what it must show afterwards, what takes it back, and what it cannot do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from ironic_httpboot.errors import BmcRefused
from ironic_httpboot.model import BootUrl
from ironic_httpboot.redfish.capability import BiosSettings, Capability, Override, Place
from ironic_httpboot.redfish.plan import clear, plan, undo
from ironic_httpboot.redfish.quirks import QUIRKS, STANDARD
from ironic_httpboot.redfish.resources import System
from ironic_httpboot.redfish.steps import Await, Delete, Expect, Patch, Reset, Step, as_data, differences, in_words

URL = BootUrl.parse("http://192.0.2.1:8080/s3cr3t/x.iso")
PATH = "/redfish/v1/Systems/1"
WANTED = {
    "BootSourceOverrideEnabled": "Once",
    "BootSourceOverrideMode": "UEFI",
    "BootSourceOverrideTarget": "UefiHttp",
    "HttpBootUri": URL.text,
}
SYSTEM = System(
    path=PATH,
    etag='"1"',
    id="1",
    manufacturer="",
    model="",
    oem=(),
    power="Off",
    progress=None,
    boot={"HttpBootUri": None},
    enableds=None,
    targets=("None", "UefiHttp"),
    settings=None,
    bios=None,
    certificates=None,
    reset_path="/reset",
    reset_types=None,
)
ROWS = {row.name: row for row in (STANDARD, *QUIRKS)}


def capability(name: str = "standard", **changes: Any) -> Capability:
    """A row's BMC. changes: of the system, but for place, bios and boot_path."""
    place, bios = changes.pop("place", Place.SYSTEM), changes.pop("bios", None)
    path = changes.pop("boot_path", PATH)
    system = replace(SYSTEM, **changes)
    override = Override(path=path, etag=system.etag, boot=system.boot, targets=system.targets)
    return Capability(system=system, quirk=ROWS[name], place=place, override=override, bios=bios)


def bios(**attributes: str | None) -> BiosSettings:
    return BiosSettings(path=f"{PATH}/Bios/Settings", etag='W/"b"', attributes=attributes)


DELL = {"HttpDev1EnDis": "Disabled", "HttpDev1Uri": "", "HttpDev1TlsMode": "OneWay"}


def sent(steps: tuple[Step, ...]) -> list[dict[str, Any]]:
    return [dict(step.values) for step in steps if isinstance(step, Patch)]


def test_one_patch_a_reading_and_a_reset() -> None:
    patch, expect, reset = plan(capability(), URL).steps
    assert isinstance(patch, Patch)
    assert (patch.path, patch.body, patch.etag) == (PATH, {"Boot": WANTED}, '"1"')
    assert expect == Expect(path=PATH, part="Boot", values=WANTED)
    assert reset == Reset(path="/reset", kind="On", system=PATH, was="Off")


def test_persistent_is_continuous() -> None:
    assert sent(plan(capability(), URL, persistent=True).steps)[0]["BootSourceOverrideEnabled"] == "Continuous"


def test_without_a_reset_the_machine_is_left_alone() -> None:
    steps = plan(capability(reset_path=None), URL, reset=False).steps
    assert [type(step) for step in steps] == [Patch, Expect]


@pytest.mark.parametrize(
    ("power", "types", "kind"),
    [
        ("Off", None, "On"),
        ("Off", ("ForceOn", "ForceOff"), "ForceOn"),
        ("Off", ("PushPowerButton",), "PushPowerButton"),
        ("On", None, "ForceRestart"),
        ("On", ("On", "PowerCycle"), "PowerCycle"),
        ("On", ("GracefulRestart",), "GracefulRestart"),
        ("PoweringOff", None, "ForceRestart"),
        (None, None, "ForceRestart"),
    ],
)
def test_the_reset_suits_the_power_state(power: str | None, types: tuple[str, ...] | None, kind: str) -> None:
    *_, reset = plan(capability(power=power, reset_types=types), URL).steps
    assert reset == Reset(path="/reset", kind=kind, system=PATH, was=power)


@pytest.mark.parametrize(
    ("name", "changes", "said", "hint"),
    [
        ("standard", {"targets": ("None", "Pxe")}, "takes None, Pxe, not UefiHttp", "virtual media"),
        ("standard", {"targets": ()}, "takes nothing, not UefiHttp", "virtual media"),
        ("standard", {"place": Place.NOWHERE}, "no HttpBootUri", "DHCP"),
        ("standard", {"reset_path": None}, "no reset action", "--no-reset"),
        ("standard", {"reset_types": ("Nmi",)}, "takes Nmi, none of On", "--no-reset"),
        ("standard", {"enableds": ("Disabled",)}, "BootSourceOverrideEnabled takes Disabled, not Once", ""),
        ("openbmc", {"targets": ("None", "Pxe")}, "not UefiHttp", "https and smb only"),
        ("lenovo", {"targets": ("None", "Pxe")}, "not UefiHttp", "NetworkStackSettings_IPv4HTTPSupport=Enabled"),
        ("supermicro", {"targets": ("None",), "boot": {"BootSourceOverrideMode": "UEFI"}}, "not UefiHttp", "BIOS"),
    ],
)
def test_what_a_bmc_cannot_do_is_said_before_anything_is_sent(
    name: str, changes: dict[str, Any], said: str, hint: str
) -> None:
    with pytest.raises(BmcRefused, match=said) as failure:
        plan(capability(name, **changes), URL)
    assert hint in (failure.value.hint or "")


def test_a_bmc_that_does_not_list_its_targets_is_tried() -> None:
    assert len(plan(capability(targets=None), URL).steps) == 3


def test_a_settings_object_is_patched_itself() -> None:
    patch, expect, _ = plan(capability("ami-sd", place=Place.SETTINGS, boot_path=f"{PATH}/SD"), URL).steps
    assert isinstance(patch, Patch)
    assert isinstance(expect, Expect)
    assert patch.path == expect.path == f"{PATH}/SD"


def test_dells_attributes_are_set_in_order_and_a_job_applies_them() -> None:
    steps = plan(capability("dell", place=Place.BIOS, bios=bios(**DELL)), URL).steps
    assert sent(steps) == [
        {"HttpDev1EnDis": "Enabled"},
        {"HttpDev1Uri": URL.text, "HttpDev1TlsMode": "None"},
        {name: WANTED[name] for name in list(WANTED)[:3]},
    ]
    first, second = steps[:2]
    assert isinstance(first, Patch)
    assert isinstance(second, Patch)
    assert "@Redfish.SettingsApplyTime" not in first.body
    assert second.body["@Redfish.SettingsApplyTime"]["ApplyTime"] == "OnReset"


def test_https_keeps_dells_verification() -> None:
    steps = plan(
        capability("dell", place=Place.BIOS, bios=bios(**DELL)), BootUrl.parse("https://a.example/x.iso")
    ).steps
    assert sent(steps)[1] == {"HttpDev1Uri": "https://a.example/x.iso"}, "OneWay stands already"


def test_attributes_that_stand_already_are_not_sent_again() -> None:
    standing = bios(HttpDev1EnDis="Enabled", HttpDev1Uri=URL.text, HttpDev1TlsMode="None")
    steps = plan(capability("dell", place=Place.BIOS, bios=standing), URL).steps
    assert [step.path for step in steps[:2]] == [PATH, PATH], "a second job would be refused"


def test_hpe_gets_no_mode_and_no_uri() -> None:
    steps = plan(capability("hpe", place=Place.BIOS, bios=bios(UrlBootFile="")), URL).steps
    assert sent(steps) == [
        {"UrlBootFile": URL.text},
        {"BootSourceOverrideEnabled": "Once", "BootSourceOverrideTarget": "UefiHttp"},
    ]


def test_supermicro_is_brought_to_uefi_mode_first() -> None:
    legacy = capability(
        "supermicro", targets=("None", "Pxe"), boot={"BootSourceOverrideMode": "Legacy", "HttpBootUri": ""}
    )
    steps = plan(legacy, URL).steps
    assert [type(step) for step in steps] == [Patch, Expect, Reset, Await, Patch, Expect, Reset]
    assert sent(steps)[0] == {"BootSourceOverrideMode": "UEFI"}
    assert [step.kind for step in steps if isinstance(step, Reset)] == ["On", "ForceRestart"]
    with pytest.raises(BmcRefused, match="only after a boot in UEFI mode"):
        plan(legacy, URL, reset=False)


@pytest.mark.parametrize(
    ("name", "changes", "body"),
    [
        ("standard", {}, {"BootSourceOverrideTarget": "None", "HttpBootUri": None}),
        ("standard", {"targets": ("Pxe", "UefiHttp")}, {"HttpBootUri": None}),
        ("standard", {"boot": {"HttpBootUri": ""}}, {"BootSourceOverrideTarget": "None"}),
        (
            "supermicro",
            {"boot": {"BootSourceOverrideMode": "UEFI"}},
            {"BootSourceOverrideMode": "UEFI", "BootSourceOverrideTarget": "None", "HttpBootUri": None},
        ),
        ("hpe", {"place": Place.BIOS}, {}),
        ("dell", {"place": Place.BIOS}, {"BootSourceOverrideTarget": "None"}),
    ],
)
def test_what_takes_it_back(name: str, changes: dict[str, Any], body: dict[str, Any]) -> None:
    expected: dict[str, Any] = {"BootSourceOverrideEnabled": "Disabled", **body}
    assert sent(undo(capability(name, **changes))) == [expected]


def test_what_takes_it_back_is_not_bound_to_what_was_there_before() -> None:
    steps = plan(capability("dell", place=Place.BIOS, bios=bios(**DELL)), URL).undo
    assert [step.etag for step in steps if isinstance(step, Patch)] == [None] * 3
    assert [as_data(step).get("if_match") for step in undo(capability())] == [None, None]


def test_bios_attributes_are_emptied_before_the_device_is_disabled() -> None:
    left = bios(HttpDev1EnDis="Enabled", HttpDev1Uri=URL.text, HttpDev1TlsMode="None")
    steps = clear(capability("dell", place=Place.BIOS, bios=left, boot={"BootSourceOverrideEnabled": "Disabled"}))
    assert sent(steps) == [{"HttpDev1Uri": "", "HttpDev1TlsMode": "OneWay"}, {"HttpDev1EnDis": "Disabled"}]
    assert [step.on_reset for step in steps if isinstance(step, Patch)] == [False, True]


JOB = "/redfish/v1/Managers/1/Oem/Dell/Jobs/JID_7"
WAITS = {"HttpDev1EnDis": "Enabled", "HttpDev1Uri": URL.text, "HttpDev1TlsMode": "None"}


def waiting(standing: Mapping[str, str | None], *more: str) -> Capability:
    """A Dell whose job waits to set a URL, and some more."""
    settings = replace(bios(**WAITS), standing=standing, waiting=("HttpDev1EnDis", "HttpDev1Uri", *more))
    return capability("dell", place=Place.BIOS, bios=settings, boot={})


def test_a_job_that_waits_is_deleted_and_its_url_is_gone() -> None:
    deleted, expect = clear(waiting({**DELL}), JOB)
    assert deleted == Delete(path=JOB)
    assert isinstance(expect, Expect)
    assert (expect.path, expect.values) == (f"{PATH}/Bios/Settings", {"HttpDev1Uri": ""})
    assert (as_data(deleted), in_words(deleted)) == (
        {"method": "DELETE", "path": JOB},
        f"DELETE {JOB}: the job that waits for the next reset",
    )


@pytest.mark.parametrize("shown", [{}, {"HttpDev1Uri": "http://a.example/own.iso"}])
def test_with_its_job_a_boot_is_gone_and_what_the_owner_had_stands(shown: dict[str, str]) -> None:
    standing = {**WAITS, "HttpDev1Uri": "http://a.example/own.iso"}
    deleted, expect = clear(waiting(standing), JOB)
    assert deleted == Delete(path=JOB)
    assert isinstance(expect, Expect)
    assert differences(expect, shown) == []
    assert differences(expect, {"HttpDev1Uri": URL.text}) == ["HttpDev1Uri still holds a URL"]
    assert "own.iso" not in repr(expect)


def test_a_job_that_changes_more_is_its_owners() -> None:
    with pytest.raises(BmcRefused, match=f"Attributes/BootMode wait in one job with those of a URL: {JOB}") as failure:
        clear(waiting({**DELL}, "BootMode"), JOB)
    assert "delete that job" in str(failure.value.hint)


@pytest.mark.parametrize("boot", [{"HttpBootUri": None}, {"BootSourceOverrideEnabled": "Disabled", "HttpBootUri": ""}])
def test_nothing_is_sent_where_there_is_nothing_to_take_back(boot: dict[str, Any]) -> None:
    assert clear(capability(boot=boot)) == ()
    for tls in ("None", "OneWay"):
        untouched = bios(**{**DELL, "HttpDev1TlsMode": tls})
        assert clear(capability("dell", place=Place.BIOS, bios=untouched, boot={})) == ()


@pytest.mark.parametrize("boot", [{"BootSourceOverrideEnabled": "Once"}, {"HttpBootUri": "http://a.example/x.iso"}])
def test_what_was_left_is_taken_back(boot: dict[str, Any]) -> None:
    assert [type(step) for step in clear(capability(boot=boot))] == [Patch, Expect]


@pytest.mark.parametrize("target", ["UefiHttp", "None", None, "Hdd", "Pxe"])
def test_an_override_of_another_device_is_left_where_only_urls_are_to_be_taken_back(target: str | None) -> None:
    boot = {"BootSourceOverrideEnabled": "Continuous", "BootSourceOverrideTarget": target, "HttpBootUri": URL.text}
    found = capability(boot=boot)
    assert clear(found) != ()
    assert clear(found, only_urls=True) == (() if target in ("Hdd", "Pxe") else clear(found))
    left = bios(**{**DELL, "HttpDev1Uri": URL.text})
    at_bios = clear(capability("dell", place=Place.BIOS, bios=left, boot=boot), only_urls=True)
    assert any(isinstance(step, Patch) and step.part == "Attributes" for step in at_bios)


CD_ALWAYS = {"BootSourceOverrideEnabled": "Continuous", "BootSourceOverrideTarget": "Cd"}


def test_the_word_none_is_no_url_where_a_row_says_so_and_else_it_is_one() -> None:
    shown = {**CD_ALWAYS, "HttpBootUri": "None"}
    assert clear(capability("sushy-tools", boot=shown)) == ()
    assert clear(capability("standard", boot={**shown, "BootSourceOverrideEnabled": "Disabled"})) != ()


def test_what_a_row_shows_for_no_url_passes_when_it_is_taken_back_and_not_when_a_url_was_sent() -> None:
    holding = capability("sushy-tools", boot={**CD_ALWAYS, "HttpBootUri": URL.text})
    _, expect = clear(holding)
    assert isinstance(expect, Expect)
    assert differences(expect, {**CD_ALWAYS, "HttpBootUri": "None", "BootSourceOverrideTarget": "None"}) == []
    _, expect, _ = plan(holding, URL).steps
    assert isinstance(expect, Expect)
    found = {**WANTED, **CD_ALWAYS, "HttpBootUri": "None"}
    assert differences(expect, found) == ["HttpBootUri is another URL than the one that was sent"]


def test_what_is_shown_of_a_plan_holds_no_secret() -> None:
    whole = [plan(capability(), URL), plan(capability("dell", place=Place.BIOS, bios=bios(**DELL)), URL)]
    for each in whole:
        for step in (*each.steps, *each.undo):
            assert "s3cr3t" not in f"{step!r} {as_data(step)} {in_words(step)}"
