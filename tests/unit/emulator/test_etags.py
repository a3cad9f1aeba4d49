"""ETags: equal for equal bodies, and asked for as each BMC does."""

from __future__ import annotations

import pytest

from ironic_httpboot.emulator.etags import etag_of
from kit.bmc import ask, message_id, one

CHANGE = {"Boot": {"BootSourceOverrideEnabled": "Once", "BootSourceOverrideTarget": "UefiHttp"}}
A = "/redfish/v1/Systems/a"


def test_equal_bodies_have_equal_etags_and_others_have_others() -> None:
    assert etag_of({"a": 1, "b": 2}) == etag_of({"b": 2, "a": 1})
    assert etag_of({"a": 1}) != etag_of({"a": 2})
    assert etag_of({}).startswith('"')


def test_a_weak_etag_is_taken_as_it_was_given() -> None:
    state = one("hpe")
    etag = ask(state, "GET", A).answer.headers["ETag"]
    assert etag.startswith('W/"')
    assert ask(state, "PATCH", A, CHANGE, if_match=etag).answer.status == 200
    assert ask(state, "PATCH", A, CHANGE, if_match=etag.removeprefix("W/")).answer.status == 412


def test_a_bmc_without_etags_does_not_look_at_them() -> None:
    answer = ask(one("dell"), "PATCH", A, CHANGE, if_match='"anything"').answer
    assert answer.status == 200
    assert "ETag" not in answer.headers
    assert answer.body is not None
    assert "@odata.etag" not in answer.body


@pytest.mark.parametrize(("etag", "status"), [(None, 428), ('"other"', 412), ("*", 200)])
def test_a_settings_object_may_want_one(etag: str | None, status: int) -> None:
    whole = {"Boot": {**CHANGE["Boot"], "BootSourceOverrideMode": "UEFI"}}
    headers = {} if etag is None else {"if_match": etag}
    answer = ask(one("ami-sd"), "PATCH", f"{A}/SD", whole, 0, **headers).answer
    assert answer.status == status
    if status == 428:
        assert message_id(answer) == "PreconditionRequired"


def test_the_system_has_another_etag_than_its_settings_object() -> None:
    state = one("ami-sd")
    of_system = ask(state, "GET", A).answer.headers["ETag"]
    whole = {"Boot": {**CHANGE["Boot"], "BootSourceOverrideMode": "UEFI"}}
    assert ask(state, "PATCH", f"{A}/SD", whole, if_match=of_system).answer.status == 412
