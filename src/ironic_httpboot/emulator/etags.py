"""ETags, in the manner of each BMC: given with resources, and asked for with changes.

Knows DSP0266 §6.5, §7.8 and RFC 9110 §13. Refuses to know what the resources are.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace

from ironic_httpboot.emulator.personalities import Etags
from ironic_httpboot.emulator.state import Answer, Call, Json, Outcome, Refusal, Request

_WEAK = "W/"


def etag_of(body: Json) -> str:
    """A strong ETag: equal bodies have equal ones."""
    return f'"{hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()[:16]}"'


def check(call: Call, body: Json, *, needed: bool = False) -> None:
    """Let a change of a resource pass whose If-Match is that of its body, or that has none. Raises Refusal.

    needed: it must have one.
    """
    manners = call.system.personality.etags
    given = call.request.headers.get("if-match")
    if manners is Etags.NONE:
        return
    if given is None:
        if needed:
            raise Refusal(428, "PreconditionRequired")
        return
    if given.strip() != "*" and given.strip() != _as_given(etag_of(body), manners):
        raise Refusal(412, "PreconditionFailed")


def put(request: Request, outcome: Outcome, manners: Etags) -> Outcome:
    """Give a resource that was read or changed its ETag, in the header and in the body."""
    answer = outcome.answer
    if manners is Etags.NONE or answer.body is None or answer.status != 200:
        return outcome
    if request.method not in ("GET", "HEAD", "PATCH"):
        return outcome
    etag = _as_given(etag_of(answer.body), manners)
    if request.method == "GET" and request.headers.get("if-none-match") == etag:
        return replace(outcome, answer=Answer(status=304, headers={"ETag": etag}))
    body = {**answer.body, "@odata.etag": etag}
    return replace(outcome, answer=replace(answer, body=body, headers={**answer.headers, "ETag": etag}))


def _as_given(etag: str, manners: Etags) -> str:
    return _WEAK + etag if manners is Etags.WEAK else etag
