"""Which resource answers where, to whom, and with which ETag."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.bmc import CLOSED, OPEN, ask, message_id


@pytest.mark.parametrize("path", ["/redfish", "/redfish/v1", "/redfish/v1/"])
def test_the_way_in_is_open_to_everybody(path: str) -> None:
    assert ask(CLOSED, "GET", path).answer.status == 200


def test_every_link_of_the_service_leads_somewhere() -> None:
    seen: set[str] = set()
    waiting = ["/redfish/v1"]
    while waiting:
        path = waiting.pop()
        if path in seen:
            continue
        seen.add(path)
        answer = ask(OPEN, "GET", path).answer
        assert answer.status == 200, path
        assert answer.body is not None
        assert answer.body["@odata.id"] == path
        assert answer.body["@odata.type"].startswith("#")
        waiting += _links(answer.body)
    assert {"/redfish/v1/Systems/a", "/redfish/v1/Systems/b", "/redfish/v1/Managers/a"} <= seen


def _links(value: object) -> list[str]:
    if isinstance(value, dict):
        own = [value["@odata.id"]] if "@odata.id" in value else []
        return own + [link for each in value.values() for link in _links(each)]
    if isinstance(value, list):
        return [link for each in value for link in _links(each)]
    return []


def test_the_rest_wants_a_session_or_a_password() -> None:
    refused = ask(CLOSED, "GET", "/redfish/v1/Systems").answer
    assert (refused.status, message_id(refused)) == (401, "NoValidSession")
    assert refused.headers["WWW-Authenticate"].startswith("Basic")
    right = "Basic " + base64.b64encode(b"operator:correct horse").decode()
    wrong = "Basic " + base64.b64encode(b"operator:wrong").decode()
    assert ask(CLOSED, "GET", "/redfish/v1/Systems", authorization=right).answer.status == 200
    for header in (wrong, "Basic %%%", "Bearer x", ""):
        assert ask(CLOSED, "GET", "/redfish/v1/Systems", authorization=header).answer.status == 401


def test_a_stranger_does_not_learn_which_paths_exist() -> None:
    assert ask(CLOSED, "GET", "/redfish/v1/Nowhere").answer.status == 401
    assert ask(OPEN, "GET", "/redfish/v1/Nowhere").answer.status == 404


def test_what_is_not_allowed_says_what_is() -> None:
    refused = ask(OPEN, "DELETE", "/redfish/v1/Systems/a").answer
    assert (refused.status, message_id(refused)) == (405, "OperationNotAllowed")
    assert refused.headers["Allow"] == "GET, PATCH"


def test_an_etag_comes_in_header_and_body_and_saves_a_second_reading() -> None:
    first = ask(OPEN, "GET", "/redfish/v1/Systems/a").answer
    assert first.body is not None
    assert first.headers["ETag"] == first.body["@odata.etag"]
    again = ask(OPEN, "GET", "/redfish/v1/Systems/a", if_none_match=first.headers["ETag"]).answer
    assert (again.status, again.body) == (304, None)


def test_the_etag_of_a_change_is_that_of_the_next_reading() -> None:
    body = {"Boot": {"HttpBootUri": "http://h/x.iso"}}
    changed = ask(OPEN, "PATCH", "/redfish/v1/Systems/a", body)
    read = ask(changed.state, "GET", "/redfish/v1/Systems/a").answer
    assert changed.answer.headers["ETag"] == read.headers["ETag"]
    assert changed.answer.body == read.body


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
_keys = st.sampled_from(
    ["Boot", "UserName", "Password", "ResetType", "Name", "HttpBootUri", "BootSourceOverrideTarget"]
)


@given(
    st.sampled_from(["GET", "HEAD", "POST", "PATCH", "PUT", "DELETE"]),
    st.sampled_from(
        [
            "/redfish/v1/Systems/a",
            "/redfish/v1/Systems/zz",
            "/redfish/v1/Systems/a/Actions/ComputerSystem.Reset",
            "/redfish/v1/SessionService/Sessions",
            "/redfish/v1/SessionService/Sessions/1",
        ]
    ),
    _json | st.dictionaries(_keys, _json | st.dictionaries(_keys, _json, max_size=3), max_size=3),
)
def test_any_request_has_an_answer(method: str, path: str, body: object) -> None:
    answer = ask(OPEN, method, path, body).answer
    assert 200 <= answer.status < 500
    if answer.status >= 400:
        assert message_id(answer)
