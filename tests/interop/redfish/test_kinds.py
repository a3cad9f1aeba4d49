"""Each kind of BMC, with answers of its shape over real sockets: boot, boot again, clear, and what goes wrong."""

from __future__ import annotations

import copy
import re
import time
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sushy.connector import Connector

from ironic_httpboot.errors import (
    BmcDropped,
    BmcError,
    BmcFailed,
    BmcRefused,
    BmcUnreachable,
    BootFailed,
    HttpBootError,
    OverrideNotTaken,
)
from ironic_httpboot.events import Event, Reached, Stage
from ironic_httpboot.model import BootUrl
from ironic_httpboot.redfish import Credentials, Limits, Transport, boot, clear, probe
from ironic_httpboot.redfish.wait import Until
from kit.mockups import Obliging
from kit.scripted import HANG_UP, Asked, Say, Script, ScriptedBmc

URL = BootUrl.parse("http://192.0.2.1:8080/s3cr3t/x.iso")
LIMITS = Limits(connect_seconds=1, answer_seconds=2, patience_seconds=3)
BOOTING = ["standard", "bare", "settings", "ami-sd", "hpe", "dell"]


def state_of(bmc: Obliging) -> dict[str, Any]:
    """All that a client could have changed."""
    return {
        path: {part: dict(held["body"][part]) for part in ("Boot", "Attributes") if part in held["body"]}
        for path, held in bmc.resources.items()
    }


@pytest.mark.parametrize("name", BOOTING)
def test_boot_is_verified_and_repeatable_and_clear_takes_it_back(name: str) -> None:
    obliging = Obliging(name)
    with ScriptedBmc(obliging) as bmc, Transport(bmc.url, limits=LIMITS) as transport:
        boot(transport, URL)
        assert obliging.resets == ["On"]
        assert any(URL.text in str(part.values()) for each in state_of(obliging).values() for part in each.values())
        first = state_of(obliging)
        boot(transport, URL, reset=False)
        assert state_of(obliging) == first
        clear(transport)
        assert URL.text not in str(state_of(obliging))
        patches = len(bmc.said("PATCH"))
        clear(transport)
        assert len(bmc.said("PATCH")) == patches, "there is nothing left to take back"


@pytest.mark.parametrize(("name", "hint"), [("openbmc", "https and smb only"), ("lenovo", "IPv4HTTPSupport=Enabled")])
def test_a_bmc_that_cannot_is_told_so_untouched_and_what_would_work(name: str, hint: str) -> None:
    with ScriptedBmc(Obliging(name)) as bmc, Transport(bmc.url, limits=LIMITS) as transport:
        with pytest.raises(BmcRefused, match="not UefiHttp") as failure:
            boot(transport, URL)
        assert hint in str(failure.value.hint)
        assert {each.method for each in bmc.asked} == {"GET"}


def test_a_verified_boot_takes_five_requests_over_a_lent_session() -> None:
    obliging = Obliging("standard")
    with ScriptedBmc(obliging) as bmc:
        connector = Connector(bmc.url)
        boot(connector, URL, system_id=obliging.system)
        connector.close()
        assert [each.method for each in bmc.asked] == ["GET", "PATCH", "GET", "POST", "GET"]


def lying(obliging: Obliging, status: int, *, changes: bool) -> Script:
    """Every change is answered with a status, and made or not."""

    def answer(asked: Asked) -> Say:
        if asked.method == "PATCH":
            if changes:
                obliging(asked)
            return Say(status)
        return obliging(asked)

    return answer


@pytest.mark.parametrize(
    ("status", "changes", "error"),
    [(204, False, OverrideNotTaken), (400, True, None), (400, False, BmcRefused), (500, True, None)],
)
def test_what_is_read_back_decides_and_not_the_answer(status: int, changes: bool, error: type[BmcError] | None) -> None:
    obliging, events = Obliging("standard"), list[Event]()
    with ScriptedBmc(lying(obliging, status, changes=changes)) as bmc, Transport(bmc.url, limits=LIMITS) as transport:
        if error is None:
            boot(transport, URL, on_event=events.append)
            said = [event.detail for event in events if isinstance(event, Reached) and event.stage is Stage.READ_BACK]
            assert f"the BMC answered {status}" in said[0]
        else:
            with pytest.raises(error):
                boot(transport, URL)
        assert obliging.resets == (["On"] if error is None else [])


def test_a_change_or_a_reset_that_is_answered_with_text_is_no_failure() -> None:
    obliging = Obliging("standard")

    def answer(asked: Asked) -> Say:
        said = obliging(asked)
        return said if asked.method == "GET" else Say(200, b"OK")

    with ScriptedBmc(answer) as bmc, Transport(bmc.url, limits=LIMITS) as transport:
        boot(transport, URL)
        assert obliging.resets == ["On"]


def test_a_change_that_is_shown_only_after_a_while_counts_and_the_plain_case_is_read_once() -> None:
    obliging, stale = Obliging("standard"), list[Say]()

    def answer(asked: Asked) -> Say:
        if asked.method == "PATCH":
            before = Say(200, copy.deepcopy(obliging.resources[obliging.system]["body"]))
            stale.extend([before, before])
        return stale.pop() if asked.method == "GET" and stale else obliging(asked)

    with ScriptedBmc(answer) as bmc, Transport(bmc.url, limits=LIMITS) as transport:
        boot(transport, URL, system_id=obliging.system)
        assert [each.method for each in bmc.asked] == ["GET", "PATCH", "GET", "GET", "GET", "POST", "GET"]
        assert obliging.resets == ["On"]


def test_where_clear_is_accepted_and_changes_nothing_it_says_so_and_sends_nobody_to_clear() -> None:
    obliging = Obliging("standard")
    obliging.resources[obliging.system]["body"]["Boot"]["HttpBootUri"] = URL.text
    with ScriptedBmc(lying(obliging, 204, changes=False)) as bmc, Transport(bmc.url, limits=LIMITS) as transport:
        with pytest.raises(OverrideNotTaken, match="HttpBootUri still holds a URL") as failure:
            clear(transport)
        assert "httpboot clear" not in str(failure.value)
        assert "s3cr3t" not in str(failure.value)


@pytest.mark.parametrize("done", [True, False])
def test_a_reset_whose_answer_is_lost_is_looked_into_and_done_once(done: bool) -> None:
    obliging, lost = Obliging("standard"), list[Asked]()

    def answer(asked: Asked) -> Say:
        if asked.method == "POST" and not lost:
            lost.append(asked)
            if done:
                obliging(asked)
            return HANG_UP
        return obliging(asked)

    with ScriptedBmc(answer) as bmc, Transport(bmc.url, limits=LIMITS) as transport:
        boot(transport, URL)
        assert obliging.resets == ["On"]


def belated(obliging: Obliging, method: str, say: Say | None = None) -> Script:
    """Requests of a kind are done, and answered too late, or with something else."""

    def answer(asked: Asked) -> Say:
        said = obliging(asked)
        if asked.method == method and say is None:
            time.sleep(1.5)
        return say if say is not None and asked.method == method else said

    return answer


@pytest.mark.parametrize(("method", "say"), [("POST", None), ("POST", Say(500)), ("PATCH", None)])
def test_a_change_or_a_reset_that_was_done_counts_though_its_answer_is_late_or_bad(
    method: str, say: Say | None
) -> None:
    obliging, events = Obliging("standard"), list[Event]()
    limits = Limits(connect_seconds=1, answer_seconds=1, patience_seconds=3)
    with ScriptedBmc(belated(obliging, method, say)) as bmc, Transport(bmc.url, limits=limits) as transport:
        boot(transport, URL, on_event=events.append)
    assert obliging.resets == ["On"]
    said = [event.detail for event in events if isinstance(event, Reached)]
    assert ("the BMC gave no answer, and yet shows what it was sent" in said) is (method == "PATCH")


@pytest.mark.parametrize("say", [None, Say(500)])
def test_a_restart_that_is_answered_late_or_badly_may_have_been_done(say: Say | None) -> None:
    obliging = Obliging("standard")
    obliging.resources[obliging.system]["body"]["PowerState"] = "On"
    limits = Limits(connect_seconds=1, answer_seconds=1, patience_seconds=3)
    with (
        ScriptedBmc(belated(obliging, "POST", say)) as bmc,
        Transport(bmc.url, limits=limits) as transport,
        pytest.raises((BmcDropped, BmcFailed), match="POST ") as failure,
    ):
        boot(transport, URL)
    assert "may have been reset or not" in str(failure.value.hint)


def test_a_change_that_is_lost_with_the_bmc_is_said_to_stand_perhaps() -> None:
    obliging = Obliging("standard")
    with (
        ScriptedBmc(lambda asked: HANG_UP if bmc.said("PATCH") else obliging(asked)) as bmc,
        Transport(bmc.url, limits=LIMITS) as transport,
        pytest.raises(BmcDropped, match="PATCH ") as failure,
    ):
        boot(transport, URL)
    assert "may have been taken or not" in str(failure.value.hint)


def test_a_restart_whose_answer_is_lost_is_left_to_the_operator() -> None:
    obliging = Obliging("standard")
    obliging.resources[obliging.system]["body"]["PowerState"] = "On"
    with (
        ScriptedBmc(lambda asked: HANG_UP if asked.method == "POST" else obliging(asked)) as bmc,
        Transport(bmc.url, limits=LIMITS) as transport,
        pytest.raises(BmcDropped) as failure,
    ):
        boot(transport, URL)
    assert "may have been reset or not" in str(failure.value.hint)


def test_a_bmc_that_dies_between_change_and_reset_is_named_and_booting_again_mends_it() -> None:
    obliging = Obliging("standard")
    with ScriptedBmc(obliging) as bmc, Transport(bmc.url, limits=LIMITS) as transport:
        bmc.answer = lambda asked: HANG_UP if bmc.said("PATCH") and asked.method != "PATCH" else obliging(asked)
        with pytest.raises(BmcUnreachable, match=f"GET {obliging.system}"):
            boot(transport, URL)
        assert obliging.resets == []
        bmc.answer = obliging
        boot(transport, URL)
        assert obliging.resets == ["On"]


def test_a_machine_that_stays_off_is_not_called_booted() -> None:
    obliging = Obliging("standard")
    with (
        ScriptedBmc(lambda asked: Say(204) if asked.method == "POST" else obliging(asked)) as bmc,
        Transport(bmc.url, limits=LIMITS) as transport,
        pytest.raises(BootFailed, match="PowerState is still Off"),
    ):
        boot(transport, URL)


def test_supermicro_is_brought_to_uefi_mode_and_then_asked() -> None:
    obliging = Obliging("supermicro")

    def answer(asked: Asked) -> Say:
        boots = obliging.resources[obliging.system]["body"]["Boot"]
        if asked.method == "PATCH" and "BootSourceOverrideMode" not in asked.body["Boot"]:
            return Say(400)
        said = obliging(asked)
        if asked.method == "POST" and boots["BootSourceOverrideMode"] == "UEFI":
            boots["BootSourceOverrideTarget@Redfish.AllowableValues"] = ["None", "UefiHttp"]
        return said

    with ScriptedBmc(answer) as bmc, Transport(bmc.url, limits=LIMITS) as transport:
        boot(transport, URL)
        assert obliging.resets == ["On", "ForceRestart"]


def test_waiting_follows_boot_progress_to_its_stage() -> None:
    obliging = Obliging("standard")
    states = ["None", "MemoryInitializationStarted", "OSBootStarted", "OSRunning"]

    def answer(asked: Asked) -> Say:
        if asked.method == "GET" and obliging.resets and len(states) > 1:
            states.pop(0)
        obliging.resources[obliging.system]["body"]["BootProgress"] = {"LastState": states[0]}
        return obliging(asked)

    events = list[Event]()
    with ScriptedBmc(answer) as bmc, Transport(bmc.url, limits=LIMITS) as transport:
        until = Until(stage=Stage.USER_SPACE, seconds=20, look_seconds=0.05)
        boot(transport, URL, until=until, on_event=events.append)
    stages = [event.stage for event in events if isinstance(event, Reached)]
    assert stages[-2:] == [Stage.LOADER, Stage.USER_SPACE]


def awaited(trouble: Script | None = None, *, stays_off: float = 0.0, **limits: Any) -> list[Any]:
    """Boot and wait for user space with a BMC in trouble. trouble: answers by the number of looks since the reset.

    stays_off: for how many seconds the machine is off before its system runs. Returns the requests.
    """
    obliging = Obliging("standard")
    began = list[float]()
    body = obliging.resources[obliging.system]["body"]
    body["BootProgress"] = {"LastState": "None"}

    def answer(asked: Asked) -> Say:
        if asked.method == "POST":
            return obliging(asked)
        if obliging.resets and body["PowerState"] == "On" and not began:
            began.append(time.monotonic())
            return obliging(asked)
        if began:
            over = time.monotonic() - began[0] > stays_off
            body["PowerState"] = "On" if over else "Off"
            said = trouble(asked) if trouble is not None else None
            if said is not None and said.status:
                return said
            body["BootProgress"] = {"LastState": "OSRunning" if over else "None"}
        return obliging(asked)

    with ScriptedBmc(answer) as bmc, Transport(bmc.url, limits=LIMITS) as transport:
        boot(transport, URL, until=Until(stage=Stage.USER_SPACE, **{"look_seconds": 0.05, **limits}))
        return bmc.asked


def test_a_machine_that_is_off_for_a_while_within_its_restart_is_waited_for() -> None:
    awaited(stays_off=1.0, seconds=20)


def test_a_machine_that_stays_off_has_failed_before_the_wait_is_over() -> None:
    with pytest.raises(BootFailed, match=r"is switched off, for 1 s now, and came as far as 'power on'"):
        awaited(stays_off=60, seconds=60, off_seconds=1)


def test_a_bmc_that_is_busy_or_out_of_order_for_a_while_is_asked_on() -> None:
    troubles = [Say(503, None, {"Retry-After": "9"}), Say(500), Say(200, b"<html>"), Say(404)] * 2
    awaited(lambda asked: troubles.pop() if troubles else HANG_UP, seconds=20)
    assert troubles == []


def test_a_wait_that_saw_nothing_says_what_the_bmc_said_last() -> None:
    with pytest.raises(BootFailed, match=r"did not come to it in 0\.3 s, .*; at last .*→ 500"):
        awaited(lambda asked: Say(500), seconds=0.3)


def test_a_session_that_ends_during_the_wait_is_begun_anew_and_ended() -> None:
    obliging, tokens, ended, looks = Obliging("standard"), list[str](), list[str](), list[str]()
    obliging.resources[obliging.system]["body"]["BootProgress"] = {"LastState": "None"}
    obliging.resources["/redfish/v1/"]["body"]["Links"] = {"Sessions": {"@odata.id": "/sessions"}}

    def answer(asked: Asked) -> Say:
        if asked.path == "/redfish/v1/":
            return obliging(asked)
        if (asked.method, asked.path) == ("POST", "/sessions"):
            tokens.append(f"token-{len(tokens)}")
            return Say(201, {}, {"X-Auth-Token": tokens[-1], "Location": f"/sessions/{len(tokens)}"})
        looks.extend([asked.path] if asked.method == "GET" and obliging.resets else [])
        if asked.headers.get("x-auth-token") != tokens[-1] or (len(tokens) == 1 and len(looks) > 2):
            return Say(401)
        if asked.method == "DELETE":
            ended.append(asked.path)
            return Say(204)
        if len(tokens) == 2:
            obliging.resources[obliging.system]["body"]["BootProgress"] = {"LastState": "OSRunning"}
        return obliging(asked)

    with ScriptedBmc(answer) as bmc, Transport(bmc.url, limits=LIMITS) as transport:
        until = Until(stage=Stage.USER_SPACE, look_seconds=0.05, seconds=20)
        boot(transport, URL, credentials=Credentials(username="op", password="correct horse"), until=until)
    assert ended == ["/sessions/2"]


def test_a_bmc_that_drips_is_reported_in_time() -> None:
    with ScriptedBmc(lambda asked: Say(200, {"Id": "1"}, drip_seconds=0.4)) as bmc:
        began = time.monotonic()
        with Transport(bmc.url, limits=LIMITS) as transport, pytest.raises(BmcUnreachable, match="timed out"):
            boot(transport, URL)
        assert time.monotonic() - began < LIMITS.answer_seconds + 1


def test_by_default_a_dead_bmc_is_reported_within_fifteen_seconds() -> None:
    limits = Limits()
    assert limits.answer_seconds + 0.25 + 2 + 0.25 < 15, "an answer's time, a logout's, and the grace of each"


_NAMES = [
    *("Boot", "Systems", "@odata.id", "Bios", "Attributes", "Members", "PowerState", "HttpBootUri", "Actions", "error"),
    *("target", "#ComputerSystem.Reset", "@Redfish.Settings", "SettingsObject", "Oem", "Dell", "Manufacturer"),
    *("BootSourceOverrideTarget@Redfish.AllowableValues", "ResetType@Redfish.AllowableValues", "TaskState", "Messages"),
    *("BootSourceOverrideEnabled", "BootProgress", "LastState", "JobState", "Members@odata.nextLink", "Certificates"),
]
_VALUES = (
    st.none()
    | st.booleans()
    | st.integers(0, 9)
    | st.sampled_from(["/a", "On", "Off", "HPE", "http://[", "", "Running", "Completed", "Exception", "Once"])
)
_JSON = st.recursive(
    _VALUES,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(_NAMES), inner, max_size=5),
    max_leaves=15,
)
_HEADERS = st.dictionaries(
    st.sampled_from(["Location", "Retry-After", "ETag", "X-Auth-Token"]),
    st.sampled_from(["/a", "//a/b", "http://[", "0", "-1", "nan", "Wed, 21 Oct 2015 07:28:00 GMT", 'W/"x"', ""]),
    max_size=3,
)
_STATUSES = st.sampled_from([200, 200, 200, 201, 202, 204, 302, 400, 401, 404, 409, 412, 500, 503])
_ANSWERS = st.lists(st.builds(Say, _STATUSES, _JSON, _HEADERS), max_size=8)
_WHO = st.none() | st.just(Credentials(username="op", password="correct horse"))


_ATTRIBUTE = re.compile(
    r"Boot/|Boot\w+Override|HttpBootUri|Attributes|HttpDev1|UrlBootFile|Members|Systems|Links|Actions/|ResetType|TaskState"
    r"|PowerState|@odata.id|@Redfish|Oem is|Boot is|Id is|Manufacturer is|Model is|BootProgress|Bios"
)
_READING = re.compile(r"(GET|DELETE) \S+ → ")
"""A reading that failed as a whole: nothing was sent, and no attribute came back."""
FUZZED = Limits(connect_seconds=1, answer_seconds=1, patience_seconds=0, firmware_seconds=0)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(_ANSWERS, st.sampled_from(["standard", "dell", "hpe", "ami-sd", "supermicro"]), st.integers(0, 6), _WHO)
def test_whatever_a_bmc_says_only_our_own_errors_come_out_and_name_resource_and_attribute(
    answers: list[Say], name: str, good: int, who: Credentials | None
) -> None:
    obliging, left = Obliging(name), list(answers)

    def answer(asked: Asked) -> Say:
        if len(bmc.asked) <= good or not left:
            return obliging(asked)
        return left.pop(0)

    with ScriptedBmc(answer) as bmc:
        for ask in (probe, clear, partial(boot, url=URL)):
            try:
                with Transport(bmc.url, limits=FUZZED) as transport:
                    ask(transport, credentials=who)
            except HttpBootError as error:
                assert re.search(r" /\S|^/\S", error.message), error.message
                assert _ATTRIBUTE.search(error.message) or _READING.search(error.message), error.message
                assert "s3cr3t" not in str(error)


_TASK = st.fixed_dictionaries(
    {}, optional={"TaskState": _VALUES, "Messages": _JSON, "PercentComplete": _VALUES, "Id": _VALUES, "error": _JSON}
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.builds(Say, _STATUSES, _TASK | _JSON, _HEADERS), min_size=1, max_size=3))
def test_whatever_a_task_says_only_our_own_errors_come_out(tasks: list[Say]) -> None:
    obliging, left = Obliging("standard"), list(tasks)

    def answer(asked: Asked) -> Say:
        if asked.path == "/tasks/1":
            return left.pop(0) if left else Say(200, {"TaskState": "Completed"})
        obliged = obliging(asked)
        return obliged if asked.method == "GET" else Say(202, {}, {"Location": "/tasks/1"})

    with ScriptedBmc(answer) as bmc, Transport(bmc.url, limits=replace(FUZZED, patience_seconds=0.1)) as transport:
        try:
            boot(transport, URL)
        except HttpBootError as error:
            assert re.search(r" /\S|^/\S", error.message), error.message
        assert "/tasks/1" in [asked.path for asked in bmc.asked]
