"""How steps read, and how what a BMC shows differs from what it was sent."""

from __future__ import annotations

import pytest

from ironic_httpboot.redfish.steps import Await, Expect, Patch, Reset, as_data, conditions, differences, in_words

URL = "http://192.0.2.1:8080/s3cr3t/x.iso"
WANTED = {
    "BootSourceOverrideEnabled": "Once",
    "BootSourceOverrideMode": "UEFI",
    "BootSourceOverrideTarget": "UefiHttp",
    "HttpBootUri": URL,
}
EXPECT = Expect(path="/1", part="Boot", values=WANTED)


@pytest.mark.parametrize("now", [["http://192.0.2.9/0wner/y.iso"], {"Uri": "/0wner/y.iso"}, "/0wner/y.iso"])
def test_what_stands_in_place_of_nothing_is_not_repeated_where_it_may_be_a_url(now: object) -> None:
    (said,) = differences(Expect(path="/1", part="Boot", values={"HttpBootUri": None}), {"HttpBootUri": now})
    assert said.startswith("HttpBootUri is a")
    assert "0wner" not in said


def test_differences_are_named_one_by_one_without_the_url() -> None:
    assert differences(EXPECT, WANTED) == []
    other = {**WANTED, "BootSourceOverrideEnabled": "Disabled", "HttpBootUri": "http://192.0.2.9/other-s3cr3t/y.iso"}
    assert differences(EXPECT, other) == [
        "BootSourceOverrideEnabled is 'Disabled', not 'Once'",
        "HttpBootUri is another URL than the one that was sent",
    ]
    assert differences(EXPECT, {}) == [
        "BootSourceOverrideEnabled is None, not 'Once'",
        "BootSourceOverrideMode is None, not 'UEFI'",
        "BootSourceOverrideTarget is None, not 'UefiHttp'",
        "HttpBootUri is missing",
    ]


def test_another_value_that_is_as_good_is_accepted() -> None:
    lenient = Expect(path="/1", part="Boot", values=WANTED, instead={"BootSourceOverrideTarget": ("UefiBootNext",)})
    assert differences(lenient, {**WANTED, "BootSourceOverrideTarget": "UefiBootNext"}) == []
    assert differences(EXPECT, {**WANTED, "BootSourceOverrideTarget": "UefiBootNext"}) != []


@pytest.mark.parametrize("gone", [None, ""])
def test_a_cleared_url_may_be_null_empty_or_absent(gone: str | None) -> None:
    cleared = Expect(path="/1", part="Boot", values={"HttpBootUri": None})
    assert differences(cleared, {"HttpBootUri": gone}) == []
    assert differences(cleared, {}) == []
    assert differences(cleared, {"HttpBootUri": URL}) == ["HttpBootUri still holds a URL"]


def test_etags_are_tried_as_given_then_strong_then_not_at_all() -> None:
    assert conditions('W/"1"') == ('W/"1"', '"1"', None)
    assert conditions('"1"') == ('"1"', None)
    assert conditions(None) == (None,)


def test_steps_read_well_to_people_and_to_programs() -> None:
    patch = Patch(path="/1", part="Boot", values=WANTED, etag='"e"')
    assert in_words(patch) == (
        'PATCH /1 if it is still "e": BootSourceOverrideEnabled = Once, BootSourceOverrideMode = UEFI,'
        " BootSourceOverrideTarget = UefiHttp, HttpBootUri = http://192.0.2.1:8080/…/x.iso"
    )
    assert as_data(patch)["body"]["Boot"]["HttpBootUri"] == "http://192.0.2.1:8080/…/x.iso"
    assert patch.body["Boot"] == WANTED
    emptied = Patch(path="/b", part="Attributes", values={"UrlBootFile": ""}, etag=None, on_reset=True)
    assert in_words(emptied) == "PATCH /b: UrlBootFile = nothing, at the next reset"
    assert as_data(EXPECT)["expect"]["HttpBootUri"] == "as sent"
    assert in_words(EXPECT) == "GET /1 and compare; stop here if anything differs"
    reset = Reset(path="/r", kind="On", system="/1", was="Off")
    assert as_data(reset)["then"] == {"method": "GET", "path": "/1", "expect": {"PowerState": "On"}}
    assert in_words(reset) == "POST /r: On; then see that it is switched on"
    wait = Await(path="/1", target="UefiHttp")
    assert in_words(wait) == "GET /1 until it offers UefiHttp"
    assert as_data(wait)["method"] == "GET"
