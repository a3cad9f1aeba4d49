"""What to send to a BMC, and what it must say afterwards: a pure function from system and wish to steps.

Knows the standard way of DSP2046: one PATCH with the whole override. Refuses to know sockets; the steps are values, so
that they can be shown without being taken.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from ironic_httpboot.errors import BmcRefused
from ironic_httpboot.model import BootUrl
from ironic_httpboot.redfish.resources import Json, System

_ON_TYPES = ("On", "ForceOn", "PushPowerButton")
_RESTART_TYPES = ("ForceRestart", "PowerCycle", "GracefulRestart")


@dataclass(frozen=True, slots=True, kw_only=True)
class Patch:
    """Change a resource. etag: for If-Match, or None. shown: the body without secrets."""

    path: str
    body: Json = field(repr=False)
    shown: Json
    etag: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Expect:
    """Read a resource again and compare attributes of its Boot object."""

    path: str
    boot: Mapping[str, str] = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reset:
    """Have the machine begin its boot."""

    path: str
    kind: str


Step: TypeAlias = Patch | Expect | Reset


def plan(system: System, url: BootUrl, *, persistent: bool = False, reset: bool = True) -> tuple[Step, ...]:
    """The steps that have a system boot a URL, once or until told otherwise.

    Raises BmcRefused where the BMC shows that it cannot, saying what it lacks.
    """
    if system.targets is not None and "UefiHttp" not in system.targets:
        raise BmcRefused(
            f"{system.path}: BootSourceOverrideTarget takes {', '.join(system.targets) or 'nothing'}, not UefiHttp",
            hint="this BMC cannot start UEFI HTTP boot: use virtual media, or let DHCP give the URL",
        )
    if not system.takes_uri:
        raise BmcRefused(
            f"{system.path}: Boot has no HttpBootUri",
            hint="this BMC can start HTTP boot, but takes no URL: let DHCP give it",
        )
    wanted = {
        "BootSourceOverrideEnabled": "Continuous" if persistent else "Once",
        "BootSourceOverrideMode": "UEFI",
        "BootSourceOverrideTarget": "UefiHttp",
        "HttpBootUri": url.text,
    }
    steps: list[Step] = [
        Patch(
            path=system.path,
            body={"Boot": wanted},
            shown={"Boot": {**wanted, "HttpBootUri": url.redacted}},
            etag=system.etag,
        ),
        Expect(path=system.path, boot=wanted),
    ]
    if reset:
        steps.append(_reset(system))
    return tuple(steps)


def differences(expected: Expect, found: Json) -> list[str]:
    """How a Boot object differs from what is expected, an attribute each, without secrets."""
    lines = []
    for name, value in expected.boot.items():
        if found.get(name) == value:
            continue
        if name == "HttpBootUri":
            what = "is missing" if not found.get(name) else "is another URL than the one that was sent"
            lines.append(f"{name} {what}")
        else:
            lines.append(f"{name} is {found.get(name)!r}, not {value!r}")
    return lines


def _reset(system: System) -> Reset:
    """The reset that suits the power state: a machine that is off is switched on, any other restarted."""
    if system.reset_path is None:
        raise BmcRefused(f"{system.path}: has no reset action", hint="reset the machine by hand, and use --no-reset")
    wishes = _ON_TYPES if system.power == "Off" else _RESTART_TYPES
    allowed = wishes if system.reset_types is None else [each for each in wishes if each in system.reset_types]
    if not allowed:
        raise BmcRefused(
            f"{system.path}: ResetType takes {', '.join(system.reset_types or ())}, none of {', '.join(wishes)}",
            hint="reset the machine by hand, and use --no-reset",
        )
    return Reset(path=system.reset_path, kind=allowed[0])
