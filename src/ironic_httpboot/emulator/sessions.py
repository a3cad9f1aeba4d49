"""Sessions and passwords: who may ask.

Knows the session service and HTTP basic authentication (DSP0266 §13). Refuses to know the clock: now is an argument.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from dataclasses import replace

from ironic_httpboot.emulator.state import (
    ROOT,
    Account,
    Answer,
    Call,
    Json,
    Outcome,
    Refusal,
    Request,
    Session,
    State,
    collection,
)

SESSION_SECONDS = 1800


def expire(state: State, now: float) -> State:
    """Forget the sessions that nobody has used for long."""
    return replace(state, sessions=tuple(each for each in state.sessions if now - each.used_at < SESSION_SECONDS))


def admit(state: State, request: Request, now: float) -> State:
    """Let a request in by its session or its password, and note that the session was used."""
    if state.account is None:
        return state
    token = request.headers.get("x-auth-token")
    for session in state.sessions:
        if token is not None and hmac.compare_digest(session.token.encode(), token.encode()):
            used = tuple(replace(each, used_at=now) if each is session else each for each in state.sessions)
            return replace(state, sessions=used)
    scheme, _, encoded = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "basic":
        try:
            username, _, password = base64.b64decode(encoded, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            username = password = ""
        if _is_right(state.account, username, password):
            return state
    raise Refusal(
        401,
        "NoValidSession",
        headers={"WWW-Authenticate": 'Basic realm="redfish"'},
    )


def _is_right(account: Account, username: str, password: str) -> bool:
    return hmac.compare_digest(f"{username}:{password}".encode(), f"{account.username}:{account.password}".encode())


def service(call: Call) -> Outcome:
    """GET the service."""
    return call.answer(
        200,
        {
            "@odata.id": f"{ROOT}/SessionService",
            "@odata.type": "#SessionService.v1_1_9.SessionService",
            "Id": "SessionService",
            "Name": "Session Service",
            "ServiceEnabled": True,
            "SessionTimeout": SESSION_SECONDS,
            "Sessions": {"@odata.id": f"{ROOT}/SessionService/Sessions"},
        },
    )


def members(call: Call) -> Outcome:
    """GET the collection."""
    names = [session.id for session in call.state.sessions]
    return call.answer(200, collection(f"{ROOT}/SessionService/Sessions", "Session", names))


def create(call: Call) -> Outcome:
    """POST a user name and a password: log in. Raises Refusal."""
    asked = call.object()
    username, password = asked.get("UserName"), asked.get("Password")
    for name, value in (("UserName", username), ("Password", password)):
        if value is None:
            raise Refusal(400, "PropertyMissing", name, related=[f"#/{name}"])
    if not isinstance(username, str) or not isinstance(password, str):
        raise Refusal(400, "PropertyValueTypeError", "…", "UserName, Password", related=["#/UserName", "#/Password"])
    if call.state.account is not None and not _is_right(call.state.account, username, password):
        raise Refusal(401, "ResourceAtUriUnauthorized", call.request.path, "user name or password not accepted")
    number = max((int(session.id) for session in call.state.sessions), default=0) + 1
    session = Session(id=str(number), token=call.fresh_token, username=username, used_at=call.now)
    state = replace(call.state, sessions=(*call.state.sessions, session))
    location = f"{ROOT}/SessionService/Sessions/{session.id}"
    headers = {"Location": location, "X-Auth-Token": session.token}
    return Outcome(state=state, answer=Answer(status=201, body=_session_body(session), headers=headers))


def _find_session(call: Call) -> Session:
    for session in call.state.sessions:
        if session.id == call.id:
            return session
    raise Refusal(404, "ResourceNotFound", "Session", call.id)


def _session_body(session: Session) -> Json:
    return {
        "@odata.id": f"{ROOT}/SessionService/Sessions/{session.id}",
        "@odata.type": "#Session.v1_7_0.Session",
        "Id": session.id,
        "Name": "User Session",
        "UserName": session.username,
    }


def read(call: Call) -> Outcome:
    """GET one session. Raises Refusal."""
    return call.answer(200, _session_body(_find_session(call)))


def delete(call: Call) -> Outcome:
    """DELETE one session: log out. Raises Refusal."""
    gone = _find_session(call)
    state = replace(call.state, sessions=tuple(session for session in call.state.sessions if session is not gone))
    return Outcome(state=state, answer=Answer(status=204))
