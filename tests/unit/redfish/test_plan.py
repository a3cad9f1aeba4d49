"""What is sent to a BMC, what it must show afterwards, and what it cannot do."""

from __future__ import annotations

from typing import Any

import pytest

from ironic_httpboot.errors import BmcRefused
from ironic_httpboot.model import BootUrl
from ironic_httpboot.redfish.plan import Expect, Patch, Reset, differences, plan
from ironic_httpboot.redfish.resources import System

URL = BootUrl.parse("http://192.0.2.1:8080/s3cr3t/x.iso")
WANTED = {
    "BootSourceOverrideEnabled": "Once",
    "BootSourceOverrideMode": "UEFI",
    "BootSourceOverrideTarget": "UefiHttp",
    "HttpBootUri": URL.text,
}


def system(**changes: Any) -> System:
    plain: dict[str, Any] = {
        "path": "/redfish/v1/Systems/1",
        "etag": '"1"',
        "id": "1",
        "model": "",
        "power": "Off",
        "boot": {"HttpBootUri": None},
        "targets": ("None", "UefiHttp"),
        "reset_path": "/reset",
        "reset_types": None,
    }
    return System(**{**plain, **changes})


def test_one_patch_a_reading_and_a_reset() -> None:
    patch, expect, reset = plan(system(), URL)
    assert isinstance(patch, Patch)
    assert (patch.path, patch.body, patch.etag) == ("/redfish/v1/Systems/1", {"Boot": WANTED}, '"1"')
    assert expect == Expect(path="/redfish/v1/Systems/1", boot=WANTED)
    assert reset == Reset(path="/reset", kind="On")


def test_persistent_is_continuous() -> None:
    patch, *_ = plan(system(), URL, persistent=True)
    assert isinstance(patch, Patch)
    assert patch.body["Boot"]["BootSourceOverrideEnabled"] == "Continuous"


def test_without_a_reset_the_machine_is_left_alone() -> None:
    assert [type(step) for step in plan(system(reset_path=None), URL, reset=False)] == [Patch, Expect]


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
    *_, reset = plan(system(power=power, reset_types=types), URL)
    assert reset == Reset(path="/reset", kind=kind)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"targets": ("None", "Pxe")}, "takes None, Pxe, not UefiHttp"),
        ({"targets": ()}, "takes nothing, not UefiHttp"),
        ({"boot": {}}, "no HttpBootUri"),
        ({"reset_path": None}, "no reset action"),
        ({"reset_types": ("Nmi",)}, "takes Nmi, none of On"),
    ],
)
def test_what_a_bmc_cannot_do_is_said_before_anything_is_sent(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(BmcRefused, match=said) as failure:
        plan(system(**changes), URL)
    assert failure.value.hint


def test_a_bmc_that_does_not_list_its_targets_is_tried() -> None:
    assert len(plan(system(targets=None), URL)) == 3


def test_differences_are_named_without_the_secret() -> None:
    expected = Expect(path="/x", boot=WANTED)
    assert differences(expected, WANTED) == []
    found = {**WANTED, "BootSourceOverrideTarget": "None", "HttpBootUri": "http://192.0.2.9/other-s3cr3t/x.iso"}
    lines = differences(expected, found)
    assert lines == [
        "BootSourceOverrideTarget is 'None', not 'UefiHttp'",
        "HttpBootUri is another URL than the one that was sent",
    ]
    assert differences(expected, {**WANTED, "HttpBootUri": None}) == ["HttpBootUri is missing"]
    assert differences(expected, {}) == [
        "BootSourceOverrideEnabled is None, not 'Once'",
        "BootSourceOverrideMode is None, not 'UEFI'",
        "BootSourceOverrideTarget is None, not 'UefiHttp'",
        "HttpBootUri is missing",
    ]


def test_what_is_shown_of_a_plan_holds_no_secret() -> None:
    steps = plan(system(), URL)
    assert "s3cr3t" not in repr(steps)
    patch = steps[0]
    assert isinstance(patch, Patch)
    assert "s3cr3t" not in str(patch.shown)
