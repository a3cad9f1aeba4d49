"""What a BMC can do with a boot URL, read from its resources.

Knows where to look: the system, its settings object, its BIOS attributes, the jobs that change them. Refuses to know
sockets; whoever asks is an argument.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Protocol

from ironic_httpboot.redfish.quirks import TARGET, URI, Quirk, recognise
from ironic_httpboot.redfish.resources import Bios, Json, Resource, System, read_bios, read_job, read_settings

_BIOS_JOB = "BIOSConfiguration"
_JOB_WAITS = ("New", "Scheduled", "ScheduledWithErrors")


class Place(Enum):
    """Where the URL goes."""

    SYSTEM = "system"
    SETTINGS = "settings object"
    BIOS = "BIOS attributes"
    DHCP = "nowhere: DHCP gives it"
    NOWHERE = "nowhere"


@dataclass(frozen=True, slots=True, kw_only=True)
class Override:
    """The Boot object that takes the override. targets: of system and settings together, None where neither says."""

    path: str
    etag: str | None
    boot: Json = field(repr=False)
    targets: tuple[str, ...] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class BiosSettings:
    """Where BIOS attributes are changed. attributes: as they will be after the next reset; standing: as they are now.

    Both hold those alone that a URL is a matter of. waiting: the names of all that the next reset changes.
    """

    path: str
    etag: str | None
    attributes: Json = field(repr=False)
    standing: Json = field(default_factory=dict, repr=False)
    waiting: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Capability:
    """What a system and its BMC can do. bios: only where the URL is a matter of BIOS attributes.

    concerns: what is likely to stop a boot, in words; only a whole probe looks for them.
    """

    system: System
    quirk: Quirk
    place: Place
    override: Override
    bios: BiosSettings | None = None
    concerns: tuple[str, ...] = ()

    @property
    def boots_urls(self) -> bool:
        """Whether it can be told to boot a URL, or be brought to it by a boot in UEFI mode."""
        return self.place in (Place.SYSTEM, Place.SETTINGS, Place.BIOS) and (self.offers_http or self.needs_uefi_first)

    @property
    def offers_http(self) -> bool:
        """Whether UefiHttp may be asked for: it is listed, or nothing is."""
        return self.override.targets is None or "UefiHttp" in self.override.targets

    @property
    def needs_uefi_first(self) -> bool:
        """Whether UefiHttp may be missing because the machine has not yet booted in UEFI mode.

        The mode that is set does not tell: it may have been set, and the machine not have been reset since.
        """
        return not self.offers_http and self.quirk.mode_first and URI in self.override.boot

    @property
    def holds_url(self) -> bool:
        """Whether its Boot object shows a URL."""
        found = self.override.boot.get(URI)
        return bool(found) and found not in self.quirk.no_url

    @property
    def etags(self) -> str:
        """Which ETags the BMC gives: strong, weak, or none."""
        if self.override.etag is None:
            return "none"
        return "weak" if self.override.etag.startswith("W/") else "strong"


class Reader(Protocol):
    """Whoever can ask a BMC."""

    def read(self, path: str) -> Resource:
        """Read a resource. Raises BmcError."""

    def find(self, path: str) -> Resource | None:
        """Read a resource, None where there is none. Raises BmcError."""


def examine(bmc: Reader, system: System, *, whole: bool = False) -> Capability:
    """Find out what a system can do, with as few requests as that takes.

    whole: also look at BIOS switches without which nothing boots. Raises BmcError.
    """
    quirk = recognise(system)
    plain = Override(path=system.path, etag=system.etag, boot=system.boot, targets=system.targets)
    concerns = _switched_off(bmc, system, quirk) if whole else ()
    bios = _bios(bmc, system, quirk)
    if bios is not None:
        return Capability(system=system, quirk=quirk, place=Place.BIOS, override=plain, bios=bios, concerns=concerns)
    # What a BMC shows goes before what its kind is known for: firmware is updated, and makers sell several kinds.
    showing = quirk if URI in quirk.sends else replace(quirk, sends=(*quirk.sends, URI))
    if URI in system.boot and not quirk.settings_only:
        return Capability(system=system, quirk=showing, place=Place.SYSTEM, override=plain, concerns=concerns)
    settings = _override_of_settings(bmc, system, quirk)
    if settings is not None:
        return Capability(system=system, quirk=showing, place=Place.SETTINGS, override=settings, concerns=concerns)
    if URI in system.boot:
        return Capability(system=system, quirk=showing, place=Place.SYSTEM, override=plain, concerns=concerns)
    place = Place.DHCP if plain.targets is not None and "UefiHttp" in plain.targets else Place.NOWHERE
    return Capability(system=system, quirk=quirk, place=place, override=plain, concerns=concerns)


def _override_of_settings(bmc: Reader, system: System, quirk: Quirk) -> Override | None:
    """The settings object's Boot, where it takes a URL."""
    guesses = [f"{system.path.rstrip('/')}/{name}" for name in quirk.settings]
    for path in [system.settings] if system.settings is not None else guesses:
        found = bmc.find(path)
        if found is None:
            continue
        settings = read_settings(found)
        if URI in settings.boot:
            # The two lists disagree on some BMCs, and either may lack what works (NVIDIA GB200, recorded dump).
            listed = [targets for targets in (system.targets, settings.targets) if targets is not None]
            union = tuple(dict.fromkeys(target for targets in listed for target in targets)) if listed else None
            return Override(path=settings.path, etag=settings.etag, boot=settings.boot, targets=union)
    return None


def _bios(bmc: Reader, system: System, quirk: Quirk) -> BiosSettings | None:
    """Where the URL's BIOS attributes are changed, where the system has them."""
    if quirk.bios is None or system.bios is None:
        return None
    current = read_bios(bmc.read(system.bios))
    if current.settings is None or not set(quirk.bios.attributes("")) & set(current.attributes):
        return None
    pending = read_bios(bmc.read(current.settings))
    both = {**current.attributes, **pending.attributes}
    ours = quirk.bios.names
    return BiosSettings(
        path=pending.path,
        etag=pending.etag,
        attributes={name: value for name, value in both.items() if name in ours},
        standing={name: value for name, value in current.attributes.items() if name in ours},
        waiting=tuple(name for name, value in pending.attributes.items() if value != current.attributes.get(name)),
    )


def find_job(bmc: Reader, capability: Capability) -> str | None:
    """The path of the job that is to change BIOS attributes at the next reset. Raises BmcError.

    None where there is none, or none is needed. There is never more than one: a second is refused (quads#726).
    """
    settings, manager = capability.bios, capability.system.manager
    row = capability.quirk.bios
    if settings is None or not settings.waiting or row is None or row.jobs is None or manager is None:
        return None
    queue = bmc.find(f"{manager.rstrip('/')}/{row.jobs}")
    for path in reversed(queue.all_members(bmc.read) if queue is not None else ()):
        found = bmc.find(path)
        job = read_job(found) if found is not None else None
        if job is not None and job.kind == _BIOS_JOB and job.state in _JOB_WAITS:
            return job.path
    return None


def _switched_off(bmc: Reader, system: System, quirk: Quirk) -> tuple[str, ...]:
    """BIOS switches that stand against any HTTP boot."""
    found = bmc.find(system.bios) if quirk.switches and system.bios is not None else None
    attributes = read_bios(found).attributes if found is not None else {}
    return tuple(
        f"BIOS attribute {name} is {attributes[name]!r:.40}, and must be {value} for the firmware to boot over HTTP"
        for name, value in quirk.switches.items()
        if name in attributes and attributes[name] != value
    )


__all__ = ["TARGET", "Bios", "BiosSettings", "Capability", "Override", "Place", "Reader", "examine"]
