"""What a BMC answers: a pure function from its state and a request to a new state, an answer, and effects on machines.

Knows which resource answers where, and ETags. Refuses to know sockets, time, randomness and QEMU: they are arguments or
effects. It shares no code with the client that it tests.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from ironic_httpboot.emulator import bios, certificates, etags, faults, inventory, media, sessions, systems, tasks
from ironic_httpboot.emulator.personalities import Fault, Manner
from ironic_httpboot.emulator.state import ROOT, Answer, Call, Outcome, Refusal, Request, State, error_body


def handle(state: State, request: Request, *, now: float, fresh_token: str) -> Outcome:
    """Answer a request. fresh_token: unguessable, used where a session is made."""
    state = sessions.expire(state, now)
    manners = faults.manners_for(state, request.path)
    fault = None
    if manners.turns and not request.path.startswith(f"{ROOT}/SessionService"):
        counts, number = faults.count(state, manners, request)
        state = replace(state, counts=counts)
        fault = faults.befalling(manners, request.method, number)
    outcome = _befallen(state, request, fault, now=now, fresh_token=fresh_token)
    if request.method == "PATCH" and outcome.answer.status < 300:
        outcome = _lied(manners.manner, state, outcome)
    outcome = etags.put(request, outcome, manners.etags)
    return replace(outcome, delay_seconds=manners.delay_seconds)


def _befallen(state: State, request: Request, fault: Fault | None, *, now: float, fresh_token: str) -> Outcome:
    try:
        match fault:
            case Fault.BUSY:
                raise faults.busy()
            case Fault.STALE:
                raise faults.stale()
            case Fault.DROPPED:
                return Outcome(state=state, answer=Answer(status=500), lost=True)
            case Fault.LOST:
                return replace(_routed(state, request, now=now, fresh_token=fresh_token), lost=True)
            case None:
                return _routed(state, request, now=now, fresh_token=fresh_token)
    except Refusal as refusal:
        return Outcome(state=state, answer=refusal.answer)


def _routed(state: State, request: Request, *, now: float, fresh_token: str) -> Outcome:
    path = request.path.rstrip("/") or "/"
    for route in _ROUTES:
        match = route.pattern.fullmatch(path)
        if match is None:
            continue
        if not route.is_open(request.method):
            state = sessions.admit(state, request, now)
        call = route.methods.get("GET" if request.method == "HEAD" else request.method)
        if call is None:
            raise Refusal(405, "OperationNotAllowed", headers={"Allow": ", ".join(sorted(route.methods))})
        return call(Call(state=state, request=request, now=now, fresh_token=fresh_token, **match.groupdict()))
    sessions.admit(state, request, now)
    raise Refusal(404, "ResourceMissingAtURI", path)


def _lied(manner: Manner, before: State, outcome: Outcome) -> Outcome:
    """What a change comes to with a BMC that does not say what it does."""
    match manner:
        case Manner.HONEST:
            return outcome
        case Manner.ACCEPTS_AND_IGNORES:
            return Outcome(state=replace(outcome.state, systems=before.systems), answer=Answer(status=204))
        case Manner.REFUSES_AND_CHANGES:
            return replace(outcome, answer=Answer(status=400, body=error_body("GeneralError")))


def _versions(call: Call) -> Outcome:
    return call.answer(200, {"v1": f"{ROOT}/"})


def _root(call: Call) -> Outcome:
    return call.answer(
        200,
        {
            "@odata.id": ROOT,
            "@odata.type": "#ServiceRoot.v1_16_0.ServiceRoot",
            "Id": "RootService",
            "Name": "httpboot emulator",
            "RedfishVersion": "1.20.0",
            "UUID": call.state.uuid,
            "Systems": {"@odata.id": f"{ROOT}/Systems"},
            "Managers": {"@odata.id": f"{ROOT}/Managers"},
            "Registries": {"@odata.id": f"{ROOT}/Registries"},
            "Tasks": {"@odata.id": f"{ROOT}/TaskService"},
            "SessionService": {"@odata.id": f"{ROOT}/SessionService"},
            "Links": {"Sessions": {"@odata.id": f"{ROOT}/SessionService/Sessions"}},
        },
    )


@dataclass(frozen=True, slots=True)
class _Route:
    pattern: re.Pattern[str]
    methods: Mapping[str, Callable[[Call], Outcome]]
    open_methods: tuple[str, ...] = ()

    def is_open(self, method: str) -> bool:
        """Whether a method needs no credentials (DSP0266 §13.2.3)."""
        return method in self.open_methods


def _route(path: str, *, open_methods: tuple[str, ...] = (), **methods: Callable[[Call], Outcome]) -> _Route:
    pattern = path.replace("{id}", r"(?P<id>[^/]+)").replace("{member}", r"(?P<member>[^/]+)")
    return _Route(re.compile(pattern), methods, open_methods)


def _media(owner: str) -> tuple[_Route, ...]:
    drive = f"{owner}/VirtualMedia/{{member}}"
    return (
        _route(f"{owner}/VirtualMedia", GET=media.members),
        _route(drive, GET=media.read, PATCH=media.patch),
        _route(f"{drive}/Actions/VirtualMedia\\.InsertMedia", POST=media.insert),
        _route(f"{drive}/Actions/VirtualMedia\\.EjectMedia", POST=media.eject),
    )


_SYSTEM, _MANAGER, _SESSIONS = f"{ROOT}/Systems/{{id}}", f"{ROOT}/Managers/{{id}}", f"{ROOT}/SessionService/Sessions"
_ROUTES = (
    _route("/redfish", open_methods=("GET", "HEAD"), GET=_versions),
    _route(ROOT, open_methods=("GET", "HEAD"), GET=_root),
    _route(f"{ROOT}/Systems", GET=systems.members),
    _route(_SYSTEM, GET=systems.read, PATCH=systems.patch),
    _route(f"{_SYSTEM}/Actions/ComputerSystem\\.Reset", POST=systems.reset),
    _route(f"{_SYSTEM}/Bios", GET=bios.read),
    _route(f"{_SYSTEM}/Bios/Actions/Bios\\.ResetBios", POST=bios.reset),
    _route(f"{_SYSTEM}/Bios/{{member}}", GET=bios.read_settings, PATCH=bios.patch_settings),
    _route(f"{_SYSTEM}/Boot/Certificates", GET=certificates.members, POST=certificates.create),
    _route(f"{_SYSTEM}/Boot/Certificates/{{member}}", GET=certificates.read, DELETE=certificates.delete),
    _route(f"{_SYSTEM}/BootOptions", GET=inventory.boot_options),
    _route(f"{_SYSTEM}/BootOptions/{{member}}", GET=inventory.boot_option),
    _route(f"{_SYSTEM}/EthernetInterfaces", GET=inventory.nics),
    _route(f"{_SYSTEM}/EthernetInterfaces/{{member}}", GET=inventory.nic),
    _route(f"{_SYSTEM}/SecureBoot", GET=inventory.secure_boot, PATCH=inventory.patch_secure_boot),
    *_media(_SYSTEM),
    _route(f"{_SYSTEM}/{{member}}", GET=systems.read_settings, PATCH=systems.patch_settings),
    _route(f"{ROOT}/Managers", GET=inventory.managers),
    _route(_MANAGER, GET=inventory.manager),
    _route(f"{_MANAGER}/Oem/Dell/Jobs", GET=tasks.jobs, POST=tasks.make_job),
    _route(f"{_MANAGER}/Oem/Dell/Jobs/{{member}}", GET=tasks.job, DELETE=tasks.delete),
    *_media(_MANAGER),
    _route(f"{ROOT}/Registries", GET=bios.registries),
    _route(f"{ROOT}/Registries/{{member}}", GET=bios.registry_file),
    _route(f"{ROOT}/Registries/{{member}}/Registry", GET=bios.registry),
    _route(f"{ROOT}/TaskService", GET=tasks.service),
    _route(f"{ROOT}/TaskService/Tasks", GET=tasks.members),
    _route(f"{ROOT}/TaskService/Tasks/{{member}}", GET=tasks.read, DELETE=tasks.delete),
    _route(f"{ROOT}/TaskService/TaskMonitors/{{member}}", GET=tasks.monitor),
    _route(f"{ROOT}/SessionService", GET=sessions.service),
    _route(_SESSIONS, open_methods=("POST",), GET=sessions.members, POST=sessions.create),
    _route(f"{_SESSIONS}/{{id}}", GET=sessions.read, DELETE=sessions.delete),
)
