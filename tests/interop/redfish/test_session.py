"""A BMC that makes it hard: busy, forgetful, dropping, silent: what is asked again, for how long, and never left."""

from __future__ import annotations

import base64
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sushy.connector import Connector

from ironic_httpboot.errors import (
    BmcAccessDenied,
    BmcBusy,
    BmcDropped,
    BmcError,
    BmcRefused,
    BmcUnreachable,
    InputError,
    MalformedAnswer,
)
from ironic_httpboot.redfish import Credentials, Limits, Transport
from ironic_httpboot.redfish.resources import ROOT
from ironic_httpboot.redfish.session import Bmc
from kit.scripted import HANG_UP, Asked, Say, Script, ScriptedBmc

PATH = "/redfish/v1/Systems/1"
LIMITS = Limits(connect_seconds=1, answer_seconds=2, patience_seconds=4)
WHO = Credentials(username="operator", password="correct horse")
POST_ERROR = {"error": {"@Message.ExtendedInfo": [{"MessageId": "iLO.2.14.UnableToModifyDuringSystemPOST"}]}}


def in_turn(*answers: Say) -> Script:
    """Answers one after the other; the last one for ever."""
    left = list(answers)
    return lambda asked: left.pop(0) if len(left) > 1 else left[0]


def by_request(**scripts: Script) -> Script:
    """By method."""
    return lambda asked: scripts[asked.method](asked)


@contextmanager
def session(script: Script, limits: Limits = LIMITS) -> Iterator[tuple[Bmc, ScriptedBmc]]:
    with ScriptedBmc(script) as bmc, Transport(bmc.url, limits=limits) as transport, Bmc(transport) as ours:
        yield ours, bmc


def test_a_busy_bmc_is_asked_again_after_the_pause_that_it_wishes() -> None:
    with session(in_turn(Say(503, None, {"Retry-After": "1"}), Say(200, {"Id": "1"}))) as (ours, bmc):
        began = time.monotonic()
        assert ours.read(PATH).body == {"Id": "1"}
        assert time.monotonic() - began >= 1
        assert len(bmc.asked) == 2


@pytest.mark.parametrize("answer", [Say(503, None, {"Retry-After": "600"}), Say(429, None, {"Retry-After": "5"})])
def test_patience_has_an_end_that_is_said_at_once(answer: Say) -> None:
    with session(lambda asked: answer) as (ours, _):
        began = time.monotonic()
        with pytest.raises(BmcBusy, match=f"GET {PATH} → {answer.status}: would have to wait .* s, 4 s are left of 4"):
            ours.read(PATH)
        assert time.monotonic() - began < 1


def test_a_change_during_post_is_tried_again() -> None:
    with session(in_turn(Say(400, POST_ERROR), Say(200, {}))) as (ours, bmc):
        assert ours.patch(PATH, {"Boot": {}}, None).status == 200
        assert len(bmc.asked) == 2


def test_a_dropped_connection_is_forgiven_twice_where_asking_again_does_no_harm() -> None:
    with session(in_turn(HANG_UP, HANG_UP, Say(200, {}))) as (ours, bmc):
        assert ours.read(PATH).body == {}
        assert len(bmc.asked) == 3
    with session(lambda asked: HANG_UP) as (ours, bmc):
        with pytest.raises(BmcDropped, match=f"GET {PATH} → "):
            ours.read(PATH)
        assert len(bmc.asked) == 3
    with session(in_turn(HANG_UP, Say(204))) as (ours, bmc):
        with pytest.raises(BmcDropped):
            ours.post("/reset", {})
        assert len(bmc.asked) == 1, "a reset is not asked for twice by itself"


@pytest.mark.parametrize(
    ("given", "again", "conditions"),
    [
        ('"1"', '"2"', ['"1"', '"2"']),
        ('W/"1"', 'W/"1"', ['W/"1"', 'W/"1"', '"1"']),
        ('"1"', '"1"', ['"1"', '"1"', None]),
        (None, '"7"', [None, '"7"']),
    ],
)
def test_an_etag_that_is_not_taken_is_read_anew_then_made_strong_then_left_out(
    given: str | None, again: str, conditions: list[str | None]
) -> None:
    patches: list[Asked] = []

    def change(asked: Asked) -> Say:
        patches.append(asked)
        return Say(204 if asked.headers.get("if-match") == conditions[-1] and len(patches) == len(conditions) else 412)

    script = by_request(PATCH=change, GET=lambda asked: Say(200, {}, {"ETag": again}))
    with session(script) as (ours, _):
        assert ours.patch(PATH, {"Boot": {}}, given).status == 204
    assert [each.headers.get("if-match") for each in patches] == conditions


@pytest.mark.parametrize(
    ("info", "said"),
    [
        (
            {"MessageId": "Base.PropertyNotWritable", "RelatedProperties": ["#/Boot/HttpBootUri"]},
            "[Boot/HttpBootUri]",
        ),
        ({"MessageId": "Base.1.GeneralError"}, "GeneralError [ResetType]"),
        (
            {"MessageId": "Base.1.Bad", "Message": "ResetType is not to my taste"},
            "(ResetType is not to my taste)",
        ),
    ],
)
def test_a_refusal_names_the_attribute_by_its_own_words_or_by_what_was_sent(info: dict[str, Any], said: str) -> None:
    with (
        session(lambda asked: Say(400, {"error": {"@Message.ExtendedInfo": [info]}})) as (ours, _),
        pytest.raises(BmcRefused) as failure,
    ):
        ours.post("/reset", {"ResetType": "On"})
    assert failure.value.message.startswith("127.0.0.1: POST /reset → 400 ")
    assert failure.value.message.endswith(said)


SECRET = "http://192.0.2.1:8080/s3cr3t/x.iso"


@pytest.mark.parametrize("before", range(300, 401, 10))
def test_a_secret_that_stands_where_a_long_message_is_cut_is_hidden(before: int) -> None:
    said = {"MessageId": "Base.1.Bad", "Message": f"{'x' * before} {WHO.password} {SECRET}"}

    def refuse(asked: Asked) -> Say:
        if asked.method == "POST":
            return Say(202, None, {"Location": "/tasks/7"})
        if asked.path == "/tasks/7":
            return Say(200, {"TaskState": "Exception", "Messages": [{**said, "Message": said["Message"][170:]}]})
        return Say(400, {"error": {"@Message.ExtendedInfo": [said]}})

    with session(refuse) as (ours, _):
        ours._transport.hide(WHO.password)
        answer = ours.patch(PATH, {"Boot": {"HttpBootUri": SECRET}}, None)
        with pytest.raises(BmcRefused) as refused:
            ours.check("PATCH", PATH, answer)
        with pytest.raises(BmcRefused) as failed:
            ours.post("/reset", {})
        for failure in (refused, failed):
            assert not re.search(r"s3c|192\.0|corr", failure.value.message), failure.value.message


def test_deleting_what_is_gone_is_fine_and_a_refusal_is_told() -> None:
    with session(in_turn(Say(204), Say(404), Say(403))) as (ours, _):
        ours.delete("/jobs/1")
        ours.delete("/jobs/1")
        with pytest.raises(BmcAccessDenied, match="DELETE /jobs/1 → 403"):
            ours.delete("/jobs/1")


def test_an_etag_that_is_never_taken_is_a_refusal() -> None:
    with session(by_request(PATCH=lambda asked: Say(412), GET=lambda asked: Say(200, {}))) as (ours, bmc):
        assert ours.patch(PATH, {"Boot": {}}, '"1"').status == 412
        assert len(bmc.said("PATCH")) == 2


def task(state: str, status: str = "OK") -> dict[str, Any]:
    return {"TaskState": state, "TaskStatus": status, "Messages": [{"Message": "no such URL"}]}


def test_a_task_is_followed_to_its_end() -> None:
    looks = in_turn(Say(202, task("Running"), {"Retry-After": "1"}), Say(200, task("Completed")))
    script = by_request(POST=lambda asked: Say(202, None, {"Location": "https://else/tasks/7?x=1"}), GET=looks)
    with session(script) as (ours, bmc):
        ours.post("/reset", {})
        assert [each.path for each in bmc.said("GET")] == ["/tasks/7", "/tasks/7"], "of the same BMC, whatever it says"


@pytest.mark.parametrize(
    ("looks", "error", "said"),
    [
        (
            lambda asked: Say(200, task("Exception", "Critical")),
            BmcRefused,
            "/tasks/7: TaskState is Exception: no such URL",
        ),
        (lambda asked: Say(200, task("Running")), BmcBusy, "/tasks/7: TaskState is Running"),
    ],
)
def test_a_task_that_fails_or_does_not_end_is_told(looks: Script, error: type[BmcError], said: str) -> None:
    script = by_request(POST=lambda asked: Say(202, None, {"Location": "/tasks/7"}), GET=looks)
    with session(script) as (ours, _), pytest.raises(error, match=said):
        ours.post("/reset", {})


def logged_in(inside: Callable[[Asked], Say], logout: Say | None = None) -> Script:
    """A BMC with sessions."""

    def answer(asked: Asked) -> Say:
        if asked.path == "/redfish/v1/":
            links = {"Sessions": {"@odata.id": "/sessions"}}
            return Say(200, {"Systems": {"@odata.id": "/redfish/v1/Systems"}, "Links": links})
        if asked.method == "POST" and asked.path == "/sessions":
            return Say(201, {}, {"X-Auth-Token": "t0ken", "Location": "/sessions/9"})
        if asked.method == "DELETE":
            return logout or Say(204)
        return inside(asked)

    return answer


@pytest.mark.parametrize("failure", [BmcRefused("no"), KeyboardInterrupt(), ZeroDivisionError()])
def test_a_session_is_closed_whatever_happens(failure: BaseException) -> None:
    with (
        ScriptedBmc(logged_in(lambda asked: Say(500))) as bmc,
        Transport(bmc.url, limits=LIMITS) as transport,
        pytest.raises(type(failure)),
        Bmc(transport, WHO),
    ):
        raise failure
    (logout,) = bmc.said("DELETE")
    assert (logout.path, logout.headers["x-auth-token"]) == ("/sessions/9", "t0ken")


@pytest.mark.parametrize(
    ("location", "members", "closed"),
    [
        ("//redfish/v1/S/1", [], ["/redfish/v1/S/1"]),
        ("https://bmc//192.0.2.9/steal", [], ["/192.0.2.9/steal"]),
        ("https://bmc:443/S/1?x=1", [], ["/S/1"]),
        ("sessions/1", [], ["/sessions/1"]),
        (None, ["/sessions/7"], ["/sessions/7"]),
        (None, ["/sessions/7", "/sessions/8"], []),
        (None, ["/of/another"], []),
        ("http://[bad", [], []),
    ],
)
def test_a_session_is_closed_wherever_it_is_and_one_that_stays_open_is_told(
    location: str | None, members: list[str], closed: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    listed = Say(200, {"Members": [{"@odata.id": path} for path in members]})
    whose = {"/sessions/7": WHO.username, "/of/another": "another"}
    script = logged_in(
        lambda asked: listed if asked.path == "/sessions" else Say(200, {"UserName": whose.get(asked.path)})
    )

    def answer(asked: Asked) -> Say:
        if asked.method == "POST":
            return Say(201, {}, {"X-Auth-Token": "t0ken", **({"Location": location} if location else {})})
        return script(asked)

    with ScriptedBmc(answer) as bmc, Transport(bmc.url, limits=LIMITS) as transport, Bmc(transport, WHO) as ours:
        ours.read(PATH)
    assert [each.path for each in bmc.said("DELETE")] == closed
    assert ("the session stays open" in caplog.text) is not bool(closed)


@pytest.mark.parametrize(
    ("location", "hint"),
    [("https://u:s3cr3t@bmc:8443/redfish/v1/?s3cr3t", "https://bmc:8443: give"), ("/login", "does Redfish run")],
)
def test_a_redirect_says_where_it_leads(location: str, hint: str) -> None:
    with (
        session(lambda asked: Say(301, None, {"Location": location})) as (ours, _),
        pytest.raises(BmcRefused, match=f"GET {PATH} → 301") as failure,
    ):
        ours.read(PATH)
    assert hint in str(failure.value.hint)
    assert "s3cr3t" not in str(failure.value)


@pytest.mark.parametrize("sessions", [True, False])
def test_a_transport_that_is_used_again_sends_nothing_of_the_login_before(sessions: bool) -> None:
    script = logged_in(lambda asked: Say(200, {})) if sessions else without_sessions
    with ScriptedBmc(script) as bmc, Transport(bmc.url, limits=LIMITS) as transport:
        for _ in range(2):
            with Bmc(transport, WHO) as ours:
                ours.read(PATH)
    given = [bool({"x-auth-token", "authorization"} & each.headers.keys()) for each in bmc.asked]
    assert given == ([False, False, True, True] if sessions else [False, True]) * 2


def read_of(bmc: ScriptedBmc, then: Script) -> None:
    """Log in, and read when the BMC answers otherwise."""
    with Transport(bmc.url, limits=LIMITS) as transport, Bmc(transport, WHO) as ours:
        bmc.answer = then
        ours.read(PATH)


def test_a_bmc_that_dies_under_way_is_reported_in_time_and_its_logout_is_tried() -> None:
    with ScriptedBmc(logged_in(lambda asked: Say(500))) as bmc:

        def die(asked: Asked) -> Say:
            bmc.wait_seconds(30)
            return HANG_UP

        began = time.monotonic()
        with pytest.raises(BmcUnreachable, match=f"GET {PATH} → .*timed out"):
            read_of(bmc, die)
        assert time.monotonic() - began < LIMITS.answer_seconds + 3
        assert len(bmc.said("DELETE")) == 1


def test_a_bmc_without_sessions_gets_the_password_with_each_request() -> None:
    def answer(asked: Asked) -> Say:
        if asked.path == "/redfish/v1/":
            return Say(200, {"Systems": {"@odata.id": "/s"}})
        return Say(200 if "authorization" in asked.headers else 401, {})

    with ScriptedBmc(answer) as bmc, Transport(bmc.url) as transport, Bmc(transport, WHO) as ours:
        assert ours.read("/s").body == {}


def without_sessions(asked: Asked) -> Say:
    return Say(200, {"Systems": {"@odata.id": "/s"}})


@pytest.mark.parametrize("password", ["grün", "p€ssw0rd", "日本"])
def test_a_password_of_any_script_is_sent_in_utf_8(password: str) -> None:
    with (
        ScriptedBmc(without_sessions) as bmc,
        Transport(bmc.url) as transport,
        Bmc(transport, Credentials(username="jürgen", password=password)) as ours,
    ):
        ours.read("/s")
    kind, _, given = bmc.asked[-1].headers["authorization"].partition(" ")
    assert (kind, base64.b64decode(given).decode()) == ("Basic", f"jürgen:{password}")


def test_a_user_name_with_a_colon_is_refused_where_it_would_be_cut_there() -> None:
    with (
        ScriptedBmc(without_sessions) as bmc,
        Transport(bmc.url) as transport,
        pytest.raises(InputError, match="holds a colon"),
        Bmc(transport, Credentials(username="a:b", password="correct horse")),
    ):
        pass
    assert "authorization" not in bmc.asked[-1].headers


@pytest.mark.parametrize(
    ("answer", "error"), [(Say(201, {}), MalformedAnswer), (Say(401), BmcAccessDenied), (Say(403), BmcAccessDenied)]
)
def test_a_login_that_fails_says_so(answer: Say, error: type[BmcError]) -> None:
    script = logged_in(lambda asked: Say(500))
    with (
        ScriptedBmc(lambda asked: answer if asked.method == "POST" else script(asked)) as bmc,
        Transport(bmc.url) as transport,
        pytest.raises(error) as failure,
        Bmc(transport, WHO),
    ):
        pass
    assert WHO.password not in str(failure.value)


def test_a_lent_connector_is_neither_logged_in_nor_out_nor_closed() -> None:
    with ScriptedBmc(lambda asked: Say(200, {})) as bmc:
        connector = Connector(bmc.url)
        connector.set_http_session_auth("ironics-t0ken")
        for _ in range(2):
            with Transport.over(connector) as transport, Bmc(transport) as ours:
                ours.read(PATH)
        assert [(each.method, each.path) for each in bmc.asked] == [("GET", PATH)] * 2
        assert {each.headers["x-auth-token"] for each in bmc.asked} == {"ironics-t0ken"}
        connector.close()


def collection(*pages: dict[str, Any]) -> Script:
    """A BMC whose systems come in pages: /s, /s?$skip=1 and so on."""
    there = {ROOT: {"Systems": {"@odata.id": "/s"}}, "/s/1": {"Boot": {}}}
    there |= {f"/s?$skip={number}" if number else "/s": page for number, page in enumerate(pages)}
    return lambda asked: Say(200, there[asked.path]) if asked.path in there else Say(404)


def page(*ids: str, **more: Any) -> dict[str, Any]:
    return {"Members": [{"@odata.id": f"/s/{id_}"} for id_ in ids]} | {f"Members@odata.{k}": v for k, v in more.items()}


@pytest.mark.parametrize(
    ("pages", "said"),
    [
        ((page("1", nextLink="/s?$skip=1"), page("2")), "Members has 2 systems: 1, 2"),
        ((page("1", count=2),), "Members has 2 systems: 1\n"),
    ],
)
def test_the_first_of_several_systems_is_never_taken_for_the_only_one(pages: Any, said: str) -> None:
    with session(collection(*pages)) as (ours, _), pytest.raises(InputError, match=said):
        ours.system()


def test_the_only_system_is_found_on_whatever_page_it_is() -> None:
    with session(collection(page(nextLink="/s?$skip=1", count=1), page("1", nextLink=""))) as (ours, bmc):
        assert ours.system().path == "/s/1"
        assert [asked.path for asked in bmc.asked] == [ROOT, "/s", "/s?$skip=1", "/s/1"]


def test_pages_that_lead_in_a_circle_have_an_end() -> None:
    circle = collection(page("1", nextLink="/s?$skip=1"), page("2", nextLink="/s"))
    with session(circle) as (ours, _), pytest.raises(MalformedAnswer, match="nextLink leads on and on: /s after 2"):
        ours.system()
