"""Jobs: scheduled, carried out by the next reset, or taken back."""

from __future__ import annotations

from kit.bmc import ask, one, powered_on

SETTINGS = "/redfish/v1/Systems/a/Bios/Settings"
JOBS = "/redfish/v1/Managers/a/Oem/Dell/Jobs"
WANTED = {"Attributes": {"HttpDev1EnDis": "Enabled"}}
WITH_JOB = {**WANTED, "@Redfish.SettingsApplyTime": {"ApplyTime": "OnReset"}}


def test_a_job_is_scheduled_blocks_the_next_and_is_done_by_a_reset() -> None:
    made = ask(one("dell"), "PATCH", SETTINGS, WITH_JOB)
    assert made.answer.status == 202
    monitor = made.answer.headers["Location"]
    assert ask(made.state, "GET", monitor).answer.status == 202
    assert ask(made.state, "PATCH", SETTINGS, WITH_JOB).answer.status == 409
    state, _ = powered_on(made.state)
    assert ask(state, "GET", monitor).answer.status == 200
    assert ask(state, "PATCH", SETTINGS, WITH_JOB).answer.status == 202


def test_what_was_staged_needs_a_job_of_its_own() -> None:
    staged = ask(one("dell"), "PATCH", SETTINGS, WANTED)
    assert staged.answer.status == 200
    made = ask(staged.state, "POST", JOBS, {"TargetSettingsURI": SETTINGS})
    assert made.answer.status == 200
    job = ask(made.state, "GET", made.answer.headers["Location"]).answer.body
    assert job is not None
    assert job["JobState"] == "Scheduled"


def test_a_job_that_is_deleted_is_not_done() -> None:
    made = ask(one("dell"), "PATCH", SETTINGS, WITH_JOB)
    assert made.answer.body is not None
    gone = ask(made.state, "DELETE", made.answer.body["@odata.id"])
    assert gone.answer.status == 204
    kept = gone.state.systems["a"].kept
    assert (kept.bios_pending, kept.tasks) == ({}, ())


def test_others_have_no_job_queue() -> None:
    assert ask(one("standard"), "GET", JOBS).answer.status == 404
