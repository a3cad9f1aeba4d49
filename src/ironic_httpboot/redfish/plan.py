"""What to send to a BMC, and what it must say afterwards: a pure function from capability and wish to steps.

Knows the order of things: BIOS attributes, then the override in one PATCH, a reading after each, and a reset at last.
Refuses to know sockets, and vendors by name; the steps are values, so that they can be shown without being taken.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from ironic_httpboot.errors import BmcRefused
from ironic_httpboot.model import BootUrl
from ironic_httpboot.redfish.capability import BiosSettings, Capability, Place
from ironic_httpboot.redfish.quirks import ENABLED, MODE, TARGET, URI, BiosUrl
from ironic_httpboot.redfish.steps import ATTRIBUTES, BOOT, Await, Delete, Expect, Patch, Reset, Step, Value

_ON_TYPES = ("On", "ForceOn", "PushPowerButton")
_RESTART_TYPES = ("ForceRestart", "PowerCycle", "GracefulRestart")


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What will be done, and what would take it back."""

    steps: tuple[Step, ...]
    undo: tuple[Step, ...]


def plan(capability: Capability, url: BootUrl, *, persistent: bool = False, reset: bool = True) -> Plan:
    """The steps that have a system boot a URL, once or until told otherwise.

    Raises BmcRefused where the BMC shows that it cannot, saying what it lacks and what would work.
    """
    enabled = "Continuous" if persistent else "Once"
    _demand(capability, enabled)
    wanted: dict[str, Value] = {ENABLED: enabled, MODE: "UEFI", TARGET: "UefiHttp", URI: url.text}
    steps: list[Step] = []
    was = capability.system.power
    if capability.needs_uefi_first:
        if not reset:
            raise BmcRefused(
                f"{capability.override.path}: Boot/{TARGET} offers UefiHttp only after a boot in UEFI mode",
                hint="leave out --no-reset, or boot the machine once in UEFI mode",
            )
        steps += [*_change(capability, {MODE: "UEFI"}), _reset(capability, was)]
        steps.append(Await(path=capability.system.path, target="UefiHttp"))
        was = "On"
    if capability.bios is not None and capability.quirk.bios is not None:
        steps += _bios_steps(capability.bios, capability.quirk.bios, url)
    steps += _change(capability, {name: wanted[name] for name in wanted if name in capability.quirk.sends})
    if reset:
        steps.append(_reset(capability, was))
    return Plan(steps=tuple(steps), undo=undo(capability))


def undo(capability: Capability) -> tuple[Step, ...]:
    """The steps that take back a boot of any URL once it was booted, whatever the BMC holds now.

    Without ETags: those that are known now are not those that the resources have after the change.
    """
    steps = list(_change(capability, _undone(capability)))
    if capability.bios is not None and capability.quirk.bios is not None:
        steps += _undo_bios(capability.bios, capability.quirk.bios.undo, capability.quirk.bios)
    return tuple(replace(step, etag=None) if isinstance(step, Patch) else step for step in steps)


def clear(capability: Capability, job: str | None = None, *, only_urls: bool = False) -> tuple[Step, ...]:
    """Of the steps that take back a boot, those that are needed: none where there is nothing to take back.

    job: the path of one that is to change BIOS attributes at the next reset. only_urls: leave an override of another
    device as it is; a URL beside it boots nothing. Raises BmcRefused where the job changes more than a boot of a URL
    does.
    """
    steps: list[Step] = []
    boot = capability.override.boot
    enabled = boot.get(ENABLED) not in ("Disabled", None) and not capability.quirk.stays_enabled
    ours = (None, "None", "UefiHttp", *capability.quirk.reads_back.get(TARGET, ()))
    if (enabled or capability.holds_url) and not (only_urls and enabled and boot.get(TARGET) not in ours):
        steps += _change(capability, _undone(capability))
    if capability.bios is not None and capability.quirk.bios is not None:
        left = _differing(capability.bios, capability.quirk.bios.undo)
        if left.keys() & capability.quirk.bios.signs:
            steps += (
                _undo_bios(capability.bios, left, capability.quirk.bios)
                if job is None
                else _undo_job(capability.bios, capability.quirk.bios, job)
            )
    return tuple(steps)


def _undo_job(settings: BiosSettings, bios: BiosUrl, job: str) -> list[Step]:
    """Without the job no attribute changes: what stands is what the machine had before, its owner's for all we know."""
    more = [name for name in settings.waiting if name not in bios.names]
    if more:
        raise BmcRefused(
            f"{settings.path}: Attributes/{', '.join(more)} wait in one job with those of a URL: {job}",
            hint="reset the machine and ask again; or delete that job, and with it all that waits",
        )
    # Nothing is pending then; some settings objects show no attribute that is not, others each as it stands.
    emptied: dict[str, Value] = {name: "" for name in bios.signs if bios.undo.get(name) == ""}
    stands = {name: (settings.standing[name],) for name in emptied if name in settings.standing}
    return [Delete(path=job), Expect(path=settings.path, part=ATTRIBUTES, values=emptied, instead=stands)]


def _undone(capability: Capability) -> dict[str, Value]:
    """The Boot object of a machine that boots as it always does."""
    quirk, override = capability.quirk, capability.override
    wanted: dict[str, Value] = {ENABLED: "Disabled"}
    # Some want the mode in every change (Supermicro), some the whole override (AMI): it stays as it is.
    if MODE in quirk.sends and isinstance(override.boot.get(MODE), str):
        wanted[MODE] = override.boot[MODE]
    if quirk.undo_sets_target and (override.targets is None or "None" in override.targets):
        wanted[TARGET] = "None"
    if capability.place in (Place.SYSTEM, Place.SETTINGS) and override.boot.get(URI) != "":
        wanted[URI] = None
    return wanted


def _demand(capability: Capability, enabled: str) -> None:
    """Raise what a BMC cannot do before anything is sent."""
    override, quirk = capability.override, capability.quirk
    if not capability.offers_http and not capability.needs_uefi_first:
        raise BmcRefused(
            f"{override.path}: Boot/{TARGET} takes {', '.join(override.targets or ()) or 'nothing'}, not UefiHttp",
            hint=f"this BMC cannot start UEFI HTTP boot: {quirk.instead}"
            if not quirk.switches
            else f"see that the BIOS has {', '.join(f'{name}={value}' for name, value in quirk.switches.items())}; else"
            f" {quirk.instead}",
        )
    if capability.place in (Place.DHCP, Place.NOWHERE):
        raise BmcRefused(
            f"{override.path}: Boot has no HttpBootUri",
            hint=f"this BMC takes no URL: {quirk.instead}",
        )
    enableds = capability.system.enableds
    if enableds is not None and enabled not in enableds:
        raise BmcRefused(
            f"{override.path}: Boot/{ENABLED} takes {', '.join(enableds) or 'nothing'}, not {enabled}",
            hint="leave out --persistent" if enabled == "Continuous" else None,
        )


def _change(capability: Capability, values: Mapping[str, Value]) -> tuple[Step, ...]:
    """Set properties of Boot in one PATCH, and read them back."""
    path, quirk = capability.override.path, capability.quirk
    instead = {name: quirk.reads_back[name] for name in values if name in quirk.reads_back}
    if quirk.no_url and not values.get(URI, "a URL"):
        instead[URI] = quirk.no_url
    return (
        Patch(path=path, part=BOOT, values=values, etag=capability.override.etag),
        Expect(path=path, part=BOOT, values=values, instead=instead),
    )


def _bios_steps(settings: BiosSettings, bios: BiosUrl, url: BootUrl) -> list[Step]:
    """Set what differs, what must stand first in a PATCH of its own; nothing where all is set already."""
    first = _differing(settings, bios.first)
    rest = _differing(settings, bios.attributes(url.text))
    steps: list[Step] = []
    if first and rest:
        steps.append(Patch(path=settings.path, part=ATTRIBUTES, values=first, etag=settings.etag))
    if first or rest:
        steps += _attributes(settings, rest or first, bios)
    return steps


def _undo_bios(settings: BiosSettings, values: Mapping[str, Value], bios: BiosUrl) -> list[Step]:
    """What had to stand first goes last, in a PATCH of its own: without it the others cannot be changed."""
    before = {name: value for name, value in values.items() if name not in bios.first}
    last = {name: value for name, value in values.items() if name in bios.first}
    steps: list[Step] = []
    if before and last:
        steps.append(Patch(path=settings.path, part=ATTRIBUTES, values=before, etag=settings.etag))
    return [*steps, *_attributes(settings, last or before, bios)]


def _differing(settings: BiosSettings, wanted: Mapping[str, str]) -> dict[str, Value]:
    """What must still be set, of the attributes that this BIOS has: older ones lack HttpDev1TlsMode."""
    now = settings.attributes
    return {name: value for name, value in wanted.items() if name in now and (now[name] or "") != value}


def _attributes(settings: BiosSettings, values: Mapping[str, Value], bios: BiosUrl) -> list[Step]:
    return [
        Patch(path=settings.path, part=ATTRIBUTES, values=values, etag=settings.etag, on_reset=bios.apply_time),
        Expect(path=settings.path, part=ATTRIBUTES, values=values),
    ]


def _reset(capability: Capability, power: str | None) -> Reset:
    """The reset that suits the power state: a machine that is off is switched on, any other restarted."""
    system = capability.system
    if system.reset_path is None:
        raise BmcRefused(
            f"{system.path}: Actions/#ComputerSystem.Reset has no target: there is no reset action",
            hint="reset the machine by hand, and use --no-reset",
        )
    wishes = _ON_TYPES if power == "Off" else _RESTART_TYPES
    allowed = wishes if system.reset_types is None else [each for each in wishes if each in system.reset_types]
    if not allowed:
        raise BmcRefused(
            f"{system.path}: ResetType takes {', '.join(system.reset_types or ())}, none of {', '.join(wishes)}",
            hint="reset the machine by hand, and use --no-reset",
        )
    return Reset(path=system.reset_path, kind=allowed[0], system=system.path, was=power)
