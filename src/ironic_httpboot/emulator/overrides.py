"""A Boot object, of a system or its settings object: how it is shown, and what a change makes of it.

Knows the properties and each BMC's conditions on them. Refuses to know resources, ETags and what becomes of the change.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, TypeVar
from urllib.parse import urlsplit

from ironic_httpboot.emulator.console import STARTING
from ironic_httpboot.emulator.handover import offered
from ironic_httpboot.emulator.kept import Enabled, Mode, Override, Target
from ironic_httpboot.emulator.personalities import ENABLED, MODE, ORDER, TARGET, URI, Personality, Place
from ironic_httpboot.emulator.state import Json, Power, Refusal, SystemState
from ironic_httpboot.emulator.uefi import LONGEST_URI_BYTES

_SHOWN_CHARACTERS = 64
_E = TypeVar("_E", Enabled, Mode, Target)


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What a change leads to. order: the boot order that is wanted; empty for none."""

    override: Override
    order: tuple[str, ...]


def show(system: SystemState, place: Place, override: Override) -> Json:
    """The Boot object of a place, with an override that stands or waits there."""
    manners = system.personality
    body: Json = {}
    if ENABLED in place.shows:
        body[ENABLED] = override.enabled.value
        body[f"{ENABLED}@Redfish.AllowableValues"] = [each.value for each in manners.enabled]
    if MODE in place.shows:
        body[MODE] = override.mode.value
        body[f"{MODE}@Redfish.AllowableValues"] = [each.value for each in manners.modes]
    if TARGET in place.shows:
        targets = _offered(system, place)
        body[TARGET] = manners.reads_back.get(override.target, override.target.value)
        body[f"{TARGET}@Redfish.AllowableValues"] = [each.value for each in targets]
    if URI in place.shows:
        body[URI] = override.uri or None
    if ORDER in place.shows:
        body[ORDER] = [f"Boot{number}" for number in system.kept.boot_order or system.order]
    if manners.offers_values:
        return body
    return {name: value for name, value in body.items() if "AllowableValues" not in name}


def refuse_in_post(system: SystemState) -> None:
    """Let nothing be changed while the firmware starts, where the BMC has that manner. Raises Refusal."""
    if system.personality.busy_in_post and system.power is Power.ON and system.progress == STARTING:
        raise Refusal(400, system.personality.busy_in_post)


def change(system: SystemState, place: Place, standing: Override, boot: object) -> Change:
    """Change an override that stands or waits in a place. Raises Refusal."""
    if not isinstance(boot, dict):
        raise Refusal(400, "PropertyValueTypeError", repr(boot), "Boot", related=["#/Boot"])
    manners = system.personality
    if place.elsewhere:
        raise Refusal(400, place.elsewhere, "Boot", related=["#/Boot"])
    refuse_in_post(system)
    required = (ENABLED, MODE, TARGET) if place.whole else (MODE,) if manners.mode_in_every_change else ()
    for name in required:
        if name not in boot:
            raise Refusal(400, "PropertyMissing", f"Boot/{name}", related=[f"#/Boot/{name}"])
    override, order = standing, system.kept.boot_order
    for name, value in boot.items():
        if name not in place.takes:
            raise _not_taken(manners, place, name)
        if name == ORDER:
            order = _order(system, value)
        else:
            override = _with(system, place, override, name, value)
    if manners.none_conflicts and override.enabled is not standing.enabled and _none_is_asked(standing, boot):
        raise Refusal(
            400,
            "iLO.2.19.PropertyValueIncompatible",
            override.enabled.value,
            f"Boot/{ENABLED}",
            f"Boot/{TARGET}",
            related=[f"#/Boot/{ENABLED}"],
        )
    if override.enabled is Enabled.DISABLED:
        override = replace(override, target=Target.NONE)
    return Change(override=override, order=order)


def _none_is_asked(standing: Override, boot: Json) -> bool:
    return bool(boot.get(TARGET, standing.target.value) == Target.NONE.value)


def _not_taken(manners: Personality, place: Place, name: str) -> Refusal:
    message = "PropertyNotWritable" if name in place.shows else "PropertyUnknown"
    return Refusal(400, manners.not_writable or message, f"Boot/{name}", related=[f"#/Boot/{name}"])


def _with(system: SystemState, place: Place, override: Override, name: str, value: object) -> Override:
    manners = system.personality
    if name == ENABLED:
        return replace(override, enabled=_choice(name, value, manners.enabled))
    if name == MODE:
        return replace(override, mode=_choice(name, value, manners.modes))
    if name == TARGET:
        return replace(override, target=_choice(name, value, _offered(system, place)))
    return replace(override, uri=_uri(value))


def _offered(system: SystemState, place: Place) -> tuple[Target, ...]:
    """What may be chosen in a place: what it offers, as far as the machine can do it."""
    targets = offered(system.personality, place.targets, system.kept.booted_mode)
    return tuple(target for target in targets if target in system.targets)


def _choice(name: str, value: object, allowed: tuple[_E, ...]) -> _E:
    for each in allowed:
        if value == each.value:
            return each
    raise Refusal(400, "PropertyValueNotInList", _told(value), f"Boot/{name}", related=[f"#/Boot/{name}"])


def _uri(value: object) -> str:
    if value is None or value == "":
        return ""
    pointer = [f"#/Boot/{URI}"]
    if not isinstance(value, str):
        raise Refusal(400, "PropertyValueTypeError", _told(value), f"Boot/{URI}", related=pointer)
    refuse_too_long(value, pointer)
    if not value.isascii() or _scheme(value) not in ("http", "https"):
        raise Refusal(400, "PropertyValueFormatError", _told(value), f"Boot/{URI}", related=pointer)
    return value


def refuse_too_long(value: str, pointer: list[str]) -> None:
    """Take no text that may become a boot entry and does not fit into one. Raises Refusal."""
    if len(value) > LONGEST_URI_BYTES:
        shown = f"{value[:_SHOWN_CHARACTERS]}…"
        raise Refusal(400, "StringValueTooLong", shown, str(LONGEST_URI_BYTES), related=pointer)


def _scheme(value: str) -> str:
    try:
        return urlsplit(value).scheme
    except ValueError:
        return ""


def _order(system: SystemState, value: Any) -> tuple[str, ...]:
    pointer = [f"#/Boot/{ORDER}"]
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise Refusal(400, "PropertyValueTypeError", _told(value), f"Boot/{ORDER}", related=pointer)
    known = {f"Boot{option.number}" for option in system.options}
    for each in value:
        if each not in known or value.count(each) > 1:
            raise Refusal(400, "PropertyValueNotInList", each, f"Boot/{ORDER}", related=pointer)
    return tuple(each.removeprefix("Boot") for each in value)


def _told(value: object) -> str:
    return value if isinstance(value, str) else repr(value)
