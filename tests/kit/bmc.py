"""A BMC without sockets: states to begin with, and how to ask."""

from __future__ import annotations

from dataclasses import replace

from ironic_httpboot.emulator import bmc, handover
from ironic_httpboot.emulator.handover import Wish
from ironic_httpboot.emulator.personalities import PERSONALITIES
from ironic_httpboot.emulator.state import Account, Answer, Outcome, Power, Request, State, SystemState

ACCOUNT = Account(username="operator", password="correct horse")
OPEN = State(
    uuid="u",
    systems={name: SystemState(id=name, uuid=f"uuid-{name}", arch="x64", memory_mib=1024) for name in ("a", "b")},
)
CLOSED = replace(OPEN, account=ACCOUNT)


def one(personality: str) -> State:
    """A BMC of some personality in front of one machine, "a"."""
    manners = PERSONALITIES[personality]
    made = replace(OPEN.systems["a"], personality=manners, kept=manners.at_first)
    return replace(OPEN, systems={"a": made})


def powered_on(state: State, name: str = "a") -> tuple[State, Wish]:
    """The state after a machine was switched on and took up what it was to boot, and what that was."""
    system = state.systems[name]
    kept, wish = handover.power_on(system.personality, system.kept)
    return state.with_kept(replace(system, power=Power.ON, progress="OSRunning"), kept.consumed()), wish


def ask(state: State, method: str, path: str, body: object = None, now: float = 0, **headers: str) -> Outcome:
    """Handle one request. headers: with _ for -."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return bmc.handle(
        state, Request(method=method, path=path, headers=named, body=body), now=now, fresh_token="fresh-token"
    )


def message_id(answer: Answer) -> str:
    """What an error is called in the Base registry."""
    assert answer.body is not None
    return str(answer.body["error"]["@Message.ExtendedInfo"][0]["MessageId"]).rpartition(".")[2]
