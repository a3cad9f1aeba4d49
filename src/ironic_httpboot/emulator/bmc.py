"""What a BMC answers: a pure function from its state and a request to a new state, an answer, and effects on machines.

Knows which resource answers where, and ETags. Refuses to know sockets, time, randomness and QEMU: they are arguments or
effects. It shares no code with the client that it tests.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from ironic_httpboot.emulator import sessions, systems
from ironic_httpboot.emulator.state import ROOT, Answer, Call, Outcome, Refusal, Request, State, collection, etag_of


def handle(state: State, request: Request, *, now: float, fresh_token: str) -> Outcome:
    """Answer a request. fresh_token: unguessable, used where a session is made."""
    path = request.path.rstrip("/") or "/"
    state = sessions.expire(state, now)
    try:
        for route in _ROUTES:
            match = route.pattern.fullmatch(path)
            if match is None:
                continue
            if not route.is_open(request.method):
                state = sessions.admit(state, request, now)
            call = route.methods.get("GET" if request.method == "HEAD" else request.method)
            if call is None:
                allow = ", ".join(sorted(route.methods))
                raise Refusal(405, "OperationNotAllowed", f"{request.method} is not allowed here.", {"Allow": allow})
            outcome = call(Call(state=state, request=request, now=now, fresh_token=fresh_token, **match.groupdict()))
            return _with_etag(request, outcome)
        sessions.admit(state, request, now)
        raise Refusal(404, "ResourceMissingAtURI", f"The resource at the URI {path} was not found.")
    except Refusal as refusal:
        return Outcome(state=state, answer=refusal.answer)


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
            "SessionService": {"@odata.id": f"{ROOT}/SessionService"},
            "Links": {"Sessions": {"@odata.id": f"{ROOT}/SessionService/Sessions"}},
        },
    )


def _managers(call: Call) -> Outcome:
    return call.answer(200, collection(f"{ROOT}/Managers", "Manager", list(call.state.systems)))


def _manager(call: Call) -> Outcome:
    system = call.system
    return call.answer(
        200,
        {
            "@odata.id": f"{ROOT}/Managers/{system.id}",
            "@odata.type": "#Manager.v1_19_0.Manager",
            "Id": system.id,
            "Name": f"BMC of {system.id}",
            "ManagerType": "BMC",
            "PowerState": "On",
            "Status": {"State": "Enabled", "Health": "OK"},
            "Links": {"ManagerForServers": [{"@odata.id": f"{ROOT}/Systems/{system.id}"}]},
        },
    )


def _with_etag(request: Request, outcome: Outcome) -> Outcome:
    """Give a resource that was read or changed its ETag, in the header and in the body."""
    answer = outcome.answer
    if answer.body is None or answer.status != 200 or request.method not in ("GET", "HEAD", "PATCH"):
        return outcome
    etag = etag_of(answer.body)
    if request.method == "GET" and request.headers.get("if-none-match") == etag:
        return replace(outcome, answer=Answer(status=304, headers={"ETag": etag}))
    body = {**answer.body, "@odata.etag": etag}
    return replace(outcome, answer=replace(answer, body=body, headers={**answer.headers, "ETag": etag}))


@dataclass(frozen=True, slots=True)
class _Route:
    pattern: re.Pattern[str]
    methods: Mapping[str, Callable[[Call], Outcome]]
    open_methods: tuple[str, ...] = ()

    def is_open(self, method: str) -> bool:
        """Whether a method needs no credentials (DSP0266 §13.2.3)."""
        return method in self.open_methods


def _route(path: str, *, open_methods: tuple[str, ...] = (), **methods: Callable[[Call], Outcome]) -> _Route:
    return _Route(re.compile(path.replace("{id}", r"(?P<id>[^/]+)")), methods, open_methods)


_ROUTES = (
    _route("/redfish", open_methods=("GET", "HEAD"), GET=_versions),
    _route(ROOT, open_methods=("GET", "HEAD"), GET=_root),
    _route(f"{ROOT}/Systems", GET=systems.members),
    _route(f"{ROOT}/Systems/{{id}}", GET=systems.read, PATCH=systems.patch),
    _route(f"{ROOT}/Systems/{{id}}/Actions/ComputerSystem\\.Reset", POST=systems.reset),
    _route(f"{ROOT}/Managers", GET=_managers),
    _route(f"{ROOT}/Managers/{{id}}", GET=_manager),
    _route(f"{ROOT}/SessionService", GET=sessions.service),
    _route(f"{ROOT}/SessionService/Sessions", open_methods=("POST",), GET=sessions.members, POST=sessions.create),
    _route(f"{ROOT}/SessionService/Sessions/{{id}}", GET=sessions.read, DELETE=sessions.delete),
)
