"""What happened to which machine, as values: the timeline of a boot.

Every shell (server, client, emulator) reports by calling a `Sink`; nothing here acts, prints or keeps time itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias


class Stage(Enum):
    """The stretches of road from an image to a running system, in order."""

    COMPOSED = "composed"
    PUBLISHED = "published"
    BMC_ASKED = "BMC asked"
    READ_BACK = "read back"
    POWER_ON = "power on"
    DISCOVER = "DISCOVER"
    OFFER = "OFFER"
    LEASE = "lease"
    HEAD = "HEAD"
    GET = "GET"
    LOADER = "loader"
    KERNEL = "kernel"
    USER_SPACE = "user space"
    VERDICT = "verdict"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reached:
    """A machine came to a stage. at: seconds since the epoch. detail: for people, without secrets."""

    at: float
    machine: str
    stage: Stage
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """A machine said that something went wrong. reason: in plain words. final: it goes no further."""

    at: float
    machine: str
    reason: str
    final: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer:
    """One HTTP request, when it began, as it goes on, and when it ended.

    path: redacted. range: first and last byte asked for, or None for all. sent_bytes: of total_bytes, so far.
    """

    at: float
    machine: str
    peer: str
    method: str
    path: str
    status: int
    range: str | None
    sent_bytes: int
    total_bytes: int
    elapsed_seconds: float
    finished: bool


Event: TypeAlias = Reached | Failed | Transfer
Sink: TypeAlias = Callable[[Event], None]


def stage_of(event: Event) -> Stage | None:
    """The stage that an event shows a machine to have reached."""
    match event:
        case Reached(stage=stage):
            return stage
        case Transfer(method="HEAD", status=200, finished=True):
            return Stage.HEAD
        case Transfer(method="GET", status=200 | 206, finished=True) if event.sent_bytes == event.total_bytes > 0:
            return Stage.GET
        case _:
            return None


def progress(events: Iterable[Event]) -> dict[Stage, Event]:
    """The first event of each stage, in the order of the stages: one machine's timeline."""
    found: dict[Stage, Event] = {}
    for event in events:
        stage = stage_of(event)
        if stage is not None:
            found.setdefault(stage, event)
    return {stage: found[stage] for stage in Stage if stage in found}
