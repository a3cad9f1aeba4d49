"""The steps that have a BMC boot a URL, as values: what is sent, what must then be read, what is waited for.

Knows how a step reads to people and to programs, without secrets, and how what was read differs from what was asked.
Refuses to know vendors and sockets.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias, assert_never

from ironic_httpboot.model import BootUrl
from ironic_httpboot.redfish.resources import Json, kind_of

BOOT = "Boot"
ATTRIBUTES = "Attributes"

Value: TypeAlias = str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Patch:
    """Change one object of a resource, Boot or Attributes.

    etag: of that same resource, for If-Match, or None. on_reset: have a job apply it at the next reset.
    """

    path: str
    part: str
    values: Mapping[str, Value] = field(repr=False)
    etag: str | None
    on_reset: bool = False

    @property
    def body(self) -> Json:
        """What is sent."""
        return self._body(self.values)

    @property
    def shown(self) -> Json:
        """What is sent, without secrets."""
        return self._body({name: redacted(value) for name, value in self.values.items()})

    def _body(self, values: Mapping[str, Value]) -> Json:
        body: dict[str, Any] = {self.part: dict(values)}
        if self.on_reset:
            body["@Redfish.SettingsApplyTime"] = {
                "@odata.type": "#Settings.v1_3_5.PreferredApplyTime",
                "ApplyTime": "OnReset",
            }
        return body


@dataclass(frozen=True, slots=True, kw_only=True)
class Expect:
    """Read a resource again and compare. instead: other values that are as good."""

    path: str
    part: str
    values: Mapping[str, Value] = field(repr=False)
    instead: Mapping[str, tuple[str, ...]] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reset:
    """Have the machine begin its boot, and see that it is switched on. was: its power state before."""

    path: str
    kind: str
    system: str
    was: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Await:
    """Read a system again and again until it offers an override target."""

    path: str
    target: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Delete:
    """Delete the job that would change BIOS attributes at the next reset, and with it the changes."""

    path: str


Step: TypeAlias = Patch | Expect | Reset | Await | Delete


def redacted(value: Value) -> Value:
    """A value as it may be shown: a URL without what may be secret in it."""
    if value is None or "://" not in value:
        return value
    return BootUrl.parse(value).redacted


def differences(expected: Expect, found: Json) -> list[str]:
    """How an object differs from what is expected, an attribute each, without secrets."""
    lines = []
    for name, value in expected.values.items():
        now = found.get(name)
        if now == value or (not value and not now) or now in expected.instead.get(name, ()):
            continue
        if isinstance(value, str) and "://" in value:
            lines.append(f"{name} is missing" if not now else f"{name} is another URL than the one that was sent")
        elif isinstance(now, str) and "://" in now:
            lines.append(f"{name} still holds a URL")
        else:
            # A list or an object may hold a URL, and a text with a slash be a piece of one.
            shown = f"{now!r:.60}" if now is None or (isinstance(now, str) and "/" not in now) else kind_of(now)
            lines.append(f"{name} is {shown}, not {value!r}")
    return lines


def as_data(step: Step) -> dict[str, Any]:
    """A step for programs, as the request that it is."""
    match step:
        case Patch(path=path, shown=shown, etag=etag):
            return {"method": "PATCH", "path": path, "body": shown, "if_match": etag}
        case Expect(path=path, part=part, values=values):
            sent = {name: "as sent" if value and "://" in value else value for name, value in values.items()}
            return {"method": "GET", "path": path, "part": part, "expect": sent}
        case Reset(path=path, kind=kind, system=system):
            then = {"method": "GET", "path": system, "expect": {"PowerState": "On"}}
            return {"method": "POST", "path": path, "body": {"ResetType": kind}, "then": then}
        case Await(path=path, target=target):
            return {
                "method": "GET",
                "path": path,
                "until": {"BootSourceOverrideTarget@Redfish.AllowableValues": target},
            }
        case Delete(path=path):
            return {"method": "DELETE", "path": path}
        case _:
            assert_never(step)


def in_words(step: Step) -> str:
    """A step for people."""
    match step:
        case Patch(path=path, values=values, etag=etag):
            settings = ", ".join(
                f"{name} = {'nothing' if not value else redacted(value)}" for name, value in values.items()
            )
            condition = f" if it is still {etag}" if etag else ""
            return f"PATCH {path}{condition}: {settings}{', at the next reset' if step.on_reset else ''}"
        case Expect(path=path):
            return f"GET {path} and compare; stop here if anything differs"
        case Reset(path=path, kind=kind):
            return f"POST {path}: {kind}; then see that it is switched on"
        case Await(path=path, target=target):
            return f"GET {path} until it offers {target}"
        case Delete(path=path):
            return f"DELETE {path}: the job that waits for the next reset"
        case _:
            assert_never(step)


def strong(etag: str) -> str:
    """A weak ETag made strong (RFC 9110 §8.8.3)."""
    return etag.removeprefix("W/")


def conditions(etag: str | None) -> Sequence[str | None]:
    """What to send as If-Match, in order, after a BMC did not accept the ETag that it had given first.

    As it gives it now, then made strong, then none: some BMCs compare with rules of their own (sushy's experience).
    """
    if etag is None:
        return (None,)
    return (etag, strong(etag), None) if etag.startswith("W/") else (etag, None)
