"""A BMC without sockets: states to begin with, and how to ask."""

from __future__ import annotations

from dataclasses import replace

from ironic_httpboot.emulator import bmc
from ironic_httpboot.emulator.state import Account, Answer, Outcome, Request, State, SystemState

ACCOUNT = Account(username="operator", password="correct horse")
OPEN = State(
    uuid="u",
    systems={name: SystemState(id=name, uuid=f"uuid-{name}", arch="x64", memory_mib=1024) for name in ("a", "b")},
)
CLOSED = replace(OPEN, account=ACCOUNT)


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
