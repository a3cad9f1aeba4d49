"""The values of a BMC: its state, a request, an answer, an effect.

Knows Redfish's words for them (DSP0266 1.20, DSP2046). Refuses to know what any request leads to.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any, TypeAlias

Json: TypeAlias = dict[str, Any]

ROOT = "/redfish/v1"


class Power(Enum):
    """ComputerSystem.PowerState."""

    ON = "On"
    OFF = "Off"


class Reset(Enum):
    """Resource.ResetType, as far as these machines can do it."""

    ON = "On"
    FORCE_ON = "ForceOn"
    FORCE_OFF = "ForceOff"
    GRACEFUL_SHUTDOWN = "GracefulShutdown"
    FORCE_RESTART = "ForceRestart"
    GRACEFUL_RESTART = "GracefulRestart"
    POWER_CYCLE = "PowerCycle"
    PUSH_POWER_BUTTON = "PushPowerButton"


class Enabled(Enum):
    """ComputerSystem.Boot.BootSourceOverrideEnabled."""

    DISABLED = "Disabled"
    ONCE = "Once"
    CONTINUOUS = "Continuous"


class Target(Enum):
    """ComputerSystem.Boot.BootSourceOverrideTarget, as far as these machines can do it."""

    NONE = "None"
    UEFI_HTTP = "UefiHttp"


@dataclass(frozen=True, slots=True, kw_only=True)
class Override:
    """ComputerSystem.Boot. uri: HttpBootUri, "" where there is none: the machine then asks DHCP for it."""

    enabled: Enabled = Enabled.DISABLED
    target: Target = Target.NONE
    uri: str = field(default="", repr=False)

    @property
    def boots_http(self) -> bool:
        """Whether the next boot goes over HTTP."""
        return self.enabled is not Enabled.DISABLED and self.target is Target.UEFI_HTTP

    def consumed(self) -> Override:
        """What stands after a boot: Once is gone, the rest remains."""
        return replace(self, enabled=Enabled.DISABLED, target=Target.NONE) if self.enabled is Enabled.ONCE else self


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemState:
    """One machine, as its BMC sees it. progress: ComputerSystem.BootProgress.LastState."""

    id: str
    uuid: str
    arch: str
    memory_mib: int
    power: Power = Power.OFF
    override: Override = Override()
    progress: str = "None"


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """Who may log in. Without one, everybody may do everything."""

    username: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """Somebody who has logged in. used_at: seconds since the epoch."""

    id: str
    token: str = field(repr=False)
    username: str
    used_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """All that a BMC knows."""

    uuid: str
    systems: Mapping[str, SystemState]
    account: Account | None = None
    sessions: tuple[Session, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request. headers: names in lower case. body: decoded JSON; None where there was none."""

    method: str
    path: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: object = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An answer. body: None for none at all."""

    status: int
    body: Json | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ResetMachine:
    """An effect: a machine is to be reset before the answer goes out."""

    system_id: str
    reset: Reset


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What follows from a request."""

    state: State
    answer: Answer
    effects: tuple[ResetMachine, ...] = ()


class Refusal(Exception):
    """A request that is not granted, as Redfish says it (DSP0266 §8.6; Base registry 1.18)."""

    def __init__(self, status: int, message_id: str, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.answer = Answer(status=status, body=error_body(message_id, message), headers=headers or {})


def error_body(message_id: str, message: str) -> Json:
    """The body of an error, with one message of the Base registry."""
    info = {
        "@odata.type": "#Message.v1_2_0.Message",
        "MessageId": f"Base.1.18.{message_id}",
        "Message": message,
        "Severity": "Critical",
        "Resolution": "See the message.",
    }
    return {"error": {"code": f"Base.1.18.{message_id}", "message": message, "@Message.ExtendedInfo": [info]}}


def etag_of(body: Json) -> str:
    """A strong ETag: equal bodies have equal ones."""
    return f'"{hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()[:16]}"'


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A request on its way to the resource that it names. fresh_token: unguessable."""

    state: State
    request: Request
    now: float
    fresh_token: str
    id: str = ""

    @property
    def system(self) -> SystemState:
        """The system that the path names. Raises Refusal."""
        try:
            return self.state.systems[self.id]
        except KeyError:
            raise Refusal(404, "ResourceNotFound", f"There is no system named {self.id}.") from None

    def answer(self, status: int, body: Json | None = None) -> Outcome:
        """An answer that changes nothing."""
        return Outcome(state=self.state, answer=Answer(status=status, body=body))

    def object(self) -> Json:
        """The body as an object. Raises Refusal."""
        if not isinstance(self.request.body, dict):
            raise Refusal(400, "MalformedJSON", "The request body is not a JSON object.")
        return self.request.body


def collection(path: str, kind: str, members: list[str]) -> Json:
    """A collection of members that lie below its path."""
    return {
        "@odata.id": path,
        "@odata.type": f"#{kind}Collection.{kind}Collection",
        "Name": f"{kind} Collection",
        "Members@odata.count": len(members),
        "Members": [{"@odata.id": f"{path}/{member}"} for member in members],
    }
