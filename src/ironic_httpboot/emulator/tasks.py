"""Tasks: what a BMC has taken on and will do at the next reset. Where a vendor calls them jobs, these are the same.

Knows `TaskService` and task monitors (DSP0266 §12.2), and Dell's job queue. Refuses to know what the tasks do.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from ironic_httpboot.emulator.kept import Kept, Task, TaskState
from ironic_httpboot.emulator.state import ROOT, Answer, Call, Json, Outcome, Refusal, SystemState, collection

_SERVICE = f"{ROOT}/TaskService"
_KEPT_TASKS = 32
_JOB_STATES = {TaskState.PENDING: "Scheduled", TaskState.COMPLETED: "Completed"}


def begin(call: Call, kept: Kept, name: str) -> Outcome:
    """Answer 202 with a new task that the next reset carries out."""
    number = kept.numbered + 1
    task = Task(id=f"JID_{call.system.id}-{number}", name=name)
    kept = replace(kept, numbered=number, tasks=(*kept.tasks[-_KEPT_TASKS:], task))
    return call.keep(kept, 202, _task_body(task), Location=_monitor(task))


def service(call: Call) -> Outcome:
    """GET the service."""
    body = {
        "@odata.id": _SERVICE,
        "@odata.type": "#TaskService.v1_2_1.TaskService",
        "Id": "TaskService",
        "Name": "Task Service",
        "ServiceEnabled": True,
        "LifeCycleEventOnTaskStateChange": False,
        "Tasks": {"@odata.id": f"{_SERVICE}/Tasks"},
    }
    return call.answer(200, body)


def members(call: Call) -> Outcome:
    """GET all tasks."""
    return call.answer(200, collection(f"{_SERVICE}/Tasks", "Task", [task.id for _, task in _all(call)]))


def read(call: Call) -> Outcome:
    """GET one task. Raises Refusal."""
    return call.answer(200, _task_body(_find(call)[1]))


def delete(call: Call) -> Outcome:
    """DELETE one task: where it has not been done, it will not be. Raises Refusal."""
    system, task = _find(call)
    kept = replace(system.kept, tasks=tuple(each for each in system.kept.tasks if each is not task))
    if task.state is TaskState.PENDING:
        kept = replace(kept, bios_pending={})
    return Outcome(state=call.state.with_kept(system, kept), answer=Answer(status=204))


def monitor(call: Call) -> Outcome:
    """GET a task's monitor: 202 as long as it is not done. Raises Refusal."""
    task = _find(call)[1]
    headers = {"Location": _monitor(task)} if task.state is TaskState.PENDING else {}
    status = 202 if task.state is TaskState.PENDING else 200
    return Outcome(state=call.state, answer=Answer(status=status, body=_task_body(task), headers=headers))


def jobs(call: Call) -> Outcome:
    """GET a machine's job queue. Raises Refusal."""
    system = _with_jobs(call)
    return call.answer(200, collection(_queue(system), "DellJob", [task.id for task in system.kept.tasks]))


def make_job(call: Call) -> Outcome:
    """POST a job that carries out what waits in the settings object that it names. Raises Refusal."""
    system, target = _with_jobs(call), call.object().get("TargetSettingsURI")
    if target is None:
        raise Refusal(400, "PropertyMissing", "TargetSettingsURI", related=["#/TargetSettingsURI"])
    if target != f"{system.path}/Bios/{system.personality.bios_settings_name}":
        raise Refusal(400, "PropertyValueNotInList", str(target), "TargetSettingsURI", related=["#/TargetSettingsURI"])
    if system.kept.job_waits or not system.kept.bios_pending:
        raise Refusal(409, "ResourceInUse")
    outcome = begin(call, system.kept, "Configure: BIOS")
    task = outcome.state.systems[system.id].kept.tasks[-1]
    return replace(outcome, answer=Answer(status=200, headers={"Location": f"{_queue(system)}/{task.id}"}))


def job(call: Call) -> Outcome:
    """GET one job. Raises Refusal."""
    system = _with_jobs(call)
    owner, task = _find(call)
    if owner.id != system.id:
        raise Refusal(404, "ResourceNotFound", "DellJob", call.member)
    done = task.state is not TaskState.PENDING
    body = {
        "@odata.id": f"{_queue(system)}/{task.id}",
        "@odata.type": "#DellJob.v1_5_0.DellJob",
        "Id": task.id,
        "Name": task.name,
        "JobState": _JOB_STATES[task.state],
        "JobType": "BIOSConfiguration",
        "PercentComplete": 100 if done else 0,
        "Message": "Job completed successfully." if done else "Task successfully scheduled.",
    }
    return call.answer(200, body)


def jobs_link(system: SystemState) -> Json:
    """What a manager says of its job queue."""
    return {"Dell": {"Jobs": {"@odata.id": _queue(system)}}}


def _with_jobs(call: Call) -> SystemState:
    if not call.system.personality.jobs:
        raise Refusal(404, "ResourceMissingAtURI", call.request.path)
    return call.system


def _queue(system: SystemState) -> str:
    return f"{ROOT}/Managers/{system.id}/Oem/Dell/Jobs"


def _monitor(task: Task) -> str:
    return f"{_SERVICE}/TaskMonitors/{task.id}"


def _all(call: Call) -> Iterator[tuple[SystemState, Task]]:
    for system in call.state.systems.values():
        for task in system.kept.tasks:
            yield system, task


def _find(call: Call) -> tuple[SystemState, Task]:
    for system, task in _all(call):
        if task.id == call.member:
            return system, task
    raise Refusal(404, "ResourceNotFound", "Task", call.member)


def _task_body(task: Task) -> Json:
    done = task.state is not TaskState.PENDING
    return {
        "@odata.id": f"{_SERVICE}/Tasks/{task.id}",
        "@odata.type": "#Task.v1_7_4.Task",
        "Id": task.id,
        "Name": task.name,
        "TaskState": task.state.value,
        "TaskStatus": "OK",
        "PercentComplete": 100 if done else 0,
        "TaskMonitor": _monitor(task),
        "Messages": [],
    }
