"""What befalls requests to a BMC that is not well: by count, so that it is the same each time.

Knows the answers that DSP0266 has for a service in trouble. Refuses to know time and chance.
"""

from __future__ import annotations

from ironic_httpboot.emulator.personalities import STANDARD, Fault, Personality
from ironic_httpboot.emulator.state import ROOT, Refusal, Request, State

RETRY_SECONDS = 1


def manners_for(state: State, path: str) -> Personality:
    """The manners with which a path is answered: of the machine that it names, or those that all machines share."""
    parts = path.removeprefix(f"{ROOT}/").split("/")
    if len(parts) >= 2 and parts[0] in ("Systems", "Managers") and parts[1] in state.systems:
        return state.systems[parts[1]].personality
    kinds = {system.personality.name: system.personality for system in state.systems.values()}
    return next(iter(kinds.values())) if len(kinds) == 1 else STANDARD


def befalling(personality: Personality, method: str, count: int) -> Fault | None:
    """What befalls the count-th request of a method, if anything. count: from 1."""
    for turn in personality.turns:
        if turn.method == method and count % turn.period == turn.remainder:
            return turn.fault
    return None


def count(state: State, personality: Personality, request: Request) -> tuple[dict[str, int], int]:
    """Count a request; return all counts and its own."""
    key = f"{personality.name} {request.method}"
    number = state.counts.get(key, 0) + 1
    return {**state.counts, key: number}, number


def busy() -> Refusal:
    """503: come back later."""
    headers = {"Retry-After": str(RETRY_SECONDS)}
    return Refusal(503, "ServiceTemporarilyUnavailable", str(RETRY_SECONDS), headers=headers)


def stale() -> Refusal:
    """412: the ETag has changed, or so it says."""
    return Refusal(412, "PreconditionFailed")
