"""The values of a BMC: its state, a request, an answer, an effect.

Knows Redfish's words for them (DSP0266 1.20, DSP2046). Refuses to know what any request leads to.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any, TypeAlias

from ironic_httpboot.emulator.kept import Enabled as Enabled
from ironic_httpboot.emulator.kept import Kept as Kept
from ironic_httpboot.emulator.kept import Override as Override
from ironic_httpboot.emulator.kept import Target as Target
from ironic_httpboot.emulator.messages import error_body as error_body
from ironic_httpboot.emulator.personalities import STANDARD, Personality

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


@dataclass(frozen=True, slots=True, kw_only=True)
class BootOption:
    """A boot entry of the firmware. path: its device path in hexadecimal. number: four hexadecimal digits."""

    number: str
    name: str
    path: str
    uri: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemState:
    """One machine, as its BMC sees it.

    progress: ComputerSystem.BootProgress.LastState. secure_boot: whether it was on at the last power-on; None where the
    firmware has none. options, order: the firmware's boot entries.
    """

    id: str
    uuid: str
    arch: str
    memory_mib: int
    mac: str = "52:54:00:00:00:00"
    personality: Personality = STANDARD
    power: Power = Power.OFF
    kept: Kept = field(default_factory=Kept)
    progress: str = "None"
    secure_boot: bool | None = None
    options: tuple[BootOption, ...] = ()
    order: tuple[str, ...] = ()

    @property
    def override(self) -> Override:
        """ComputerSystem.Boot, as it stands."""
        return self.kept.override

    @property
    def path(self) -> str:
        """Where it is."""
        return f"{ROOT}/Systems/{self.id}"


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
    """All that a BMC knows. counts: requests so far, by machine and method, where somebody counts them."""

    uuid: str
    systems: Mapping[str, SystemState]
    account: Account | None = None
    sessions: tuple[Session, ...] = ()
    counts: Mapping[str, int] = field(default_factory=dict)

    def with_kept(self, system: SystemState, kept: Kept) -> State:
        """The same with something else kept for one system."""
        return replace(self, systems={**self.systems, system.id: replace(system, kept=kept)})


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
class InsertMedium:
    """An effect: an image is to be put into a machine's CD drive before the answer goes out."""

    system_id: str
    image: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class EjectMedium:
    """An effect: a machine's CD drive is to be emptied before the answer goes out."""

    system_id: str


Effect: TypeAlias = ResetMachine | InsertMedium | EjectMedium


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What follows from a request. lost: no answer goes out, the connection ends. delay_seconds: before it goes out."""

    state: State
    answer: Answer
    effects: tuple[Effect, ...] = ()
    lost: bool = False
    delay_seconds: float = 0.0


class Refusal(Exception):
    """A request that is not granted, as Redfish says it. arguments, related: see `messages.error_body`."""

    def __init__(
        self,
        status: int,
        message_id: str,
        *arguments: str,
        related: Sequence[str] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        body = error_body(message_id, *arguments, related=related)
        super().__init__(body["error"]["message"])
        self.answer = Answer(status=status, body=body, headers=headers or {})


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A request on its way to the resource that it names, by id and member. fresh_token: unguessable."""

    state: State
    request: Request
    now: float
    fresh_token: str
    id: str = ""
    member: str = ""

    @property
    def system(self) -> SystemState:
        """The system that the path names. Raises Refusal."""
        try:
            return self.state.systems[self.id]
        except KeyError:
            raise Refusal(404, "ResourceNotFound", "ComputerSystem", self.id) from None

    def answer(self, status: int, body: Json | None = None) -> Outcome:
        """An answer that changes nothing."""
        return Outcome(state=self.state, answer=Answer(status=status, body=body))

    def keep(self, kept: Kept, status: int = 204, body: Json | None = None, **headers: str) -> Outcome:
        """An answer to a change of what is kept for the system. headers: of the answer."""
        state = self.state.with_kept(self.system, kept)
        return Outcome(state=state, answer=Answer(status=status, body=body, headers=headers))

    def object(self) -> Json:
        """The body as an object. Raises Refusal."""
        if not isinstance(self.request.body, dict):
            raise Refusal(400, "MalformedJSON")
        return self.request.body


def collection(path: str, kind: str, members: Iterable[str]) -> Json:
    """A collection of members that lie below its path."""
    links = [{"@odata.id": f"{path}/{member}"} for member in members]
    return {
        "@odata.id": path,
        "@odata.type": f"#{kind}Collection.{kind}Collection",
        "Name": f"{kind} Collection",
        "Members@odata.count": len(links),
        "Members": links,
    }
