"""Logging in, staying in, logging out."""

from __future__ import annotations

from ironic_httpboot.emulator.sessions import SESSION_SECONDS
from kit.bmc import CLOSED, OPEN, ask, message_id

SESSIONS = "/redfish/v1/SessionService/Sessions"
LOGIN = {"UserName": "operator", "Password": "correct horse"}


def test_a_session_opens_the_service_until_it_is_deleted() -> None:
    opened = ask(CLOSED, "POST", SESSIONS, LOGIN)
    assert opened.answer.status == 201
    assert opened.answer.headers == {"Location": f"{SESSIONS}/1", "X-Auth-Token": "fresh-token"}
    assert opened.answer.body is not None
    assert "correct horse" not in str(opened.answer.body)
    read = ask(opened.state, "GET", "/redfish/v1/Systems", x_auth_token="fresh-token")
    assert read.answer.status == 200
    closed = ask(read.state, "DELETE", f"{SESSIONS}/1", x_auth_token="fresh-token")
    assert closed.answer.status == 204
    assert ask(closed.state, "GET", "/redfish/v1/Systems", x_auth_token="fresh-token").answer.status == 401


def test_a_wrong_password_opens_nothing() -> None:
    refused = ask(CLOSED, "POST", SESSIONS, {**LOGIN, "Password": "wrong"})
    assert refused.answer.status == 401
    assert refused.state.sessions == ()


def test_half_a_login_says_what_is_missing() -> None:
    refused = ask(CLOSED, "POST", SESSIONS, {"UserName": "operator"}).answer
    assert (refused.status, message_id(refused)) == (400, "PropertyMissing")


def test_a_session_that_nobody_uses_ends_and_one_in_use_does_not() -> None:
    state = ask(CLOSED, "POST", SESSIONS, LOGIN, now=0).state
    state = ask(state, "GET", SESSIONS, now=SESSION_SECONDS - 1, x_auth_token="fresh-token").state
    later = ask(state, "GET", SESSIONS, now=2 * SESSION_SECONDS - 2, x_auth_token="fresh-token")
    assert later.answer.status == 200
    assert ask(later.state, "GET", SESSIONS, now=4 * SESSION_SECONDS, x_auth_token="fresh-token").answer.status == 401


def test_without_an_account_everybody_is_let_in() -> None:
    assert ask(OPEN, "GET", SESSIONS).answer.status == 200
    assert ask(OPEN, "POST", SESSIONS, {"UserName": "x", "Password": "y"}).answer.status == 201
