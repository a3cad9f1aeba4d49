"""Redfish resources as values: JSON → System, with errors that name the resource and the attribute.

Knows DSP0266 and DSP2046 as far as a boot needs them. Refuses to know sockets, and what to do with what it reads.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias, TypeVar

from ironic_httpboot.errors import MalformedAnswer

Json: TypeAlias = Mapping[str, Any]

ROOT = "/redfish/v1/"

_NEXT = "Members@odata.nextLink"
_MOST_PAGES = 200

_T = TypeVar("_T")
_KINDS: Mapping[type, str] = {str: "a string", dict: "an object", list: "a list", bool: "true or false"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """A resource as it was read. etag: as the BMC gave it, in the header or else in the body, or None."""

    path: str
    etag: str | None
    body: Json = field(repr=False)

    def get(self, name: str, kind: type[_T], within: Json | None = None, *, prefix: str = "") -> _T | None:
        """An attribute, or None where it is missing or null. Raises MalformedAnswer where it is of another kind."""
        value = (self.body if within is None else within).get(name)
        if value is not None and not isinstance(value, kind):
            raise MalformedAnswer(f"{self.path}: {prefix}{name} is {kind_of(value)}, not {_KINDS[kind]}")
        return value

    def need(self, name: str, kind: type[_T], within: Json | None = None, *, prefix: str = "") -> _T:
        """An attribute that must be there. Raises MalformedAnswer."""
        value = self.get(name, kind, within, prefix=prefix)
        if value is None:
            raise MalformedAnswer(f"{self.path}: {prefix}{name} is missing")
        return value

    def link(self, name: str, within: Json | None = None, *, prefix: str = "") -> str | None:
        """The path that a link leads to, or None where there is no link."""
        target = self.get(name, dict, within, prefix=prefix)
        return None if target is None else self.needed_path("@odata.id", target, prefix=f"{prefix}{name}/")

    def needed_path(self, name: str, within: Json, *, prefix: str) -> str:
        """A path of the same BMC: what it sends to another host would get its token. Raises MalformedAnswer."""
        value = self.need(name, str, within, prefix=prefix)
        if not value.startswith("/") or value.startswith("//"):
            shown = "a URL" if "://" in value else f"{value!r:.60}"
            raise MalformedAnswer(f"{self.path}: {prefix}{name} is {shown}, not a path")
        return value

    def members(self) -> tuple[str, ...]:
        """The paths of a collection's members, as far as they are on this page of it."""
        found = []
        for number, member in enumerate(self.need("Members", list)):
            if not isinstance(member, dict):
                raise MalformedAnswer(f"{self.path}: Members/{number} is {kind_of(member)}, not an object")
            found.append(self.needed_path("@odata.id", member, prefix=f"Members/{number}/"))
        return tuple(found)

    def all_members(self, read: Callable[[str], Resource]) -> tuple[str, ...]:
        """The paths of a collection's members, of all its pages, of which this is the first. Raises MalformedAnswer.

        read: reads the others, to which Members@odata.nextLink leads (DSP0266, Redfish payload annotations).
        """
        page, found, pages = self, list(self.members()), {self.path}
        while page.get(_NEXT, str):
            following = page.needed_path(_NEXT, page.body, prefix="")
            if following in pages or len(pages) == _MOST_PAGES:
                raise MalformedAnswer(f"{self.path}: {_NEXT} leads on and on: {following:.60} after {len(pages)} pages")
            pages.add(following)
            page = read(following)
            found += page.members()
        return tuple(dict.fromkeys(found))

    @property
    def counted(self) -> int:
        """How many members a collection says that it has, 0 where it does not say."""
        count = self.body.get("Members@odata.count")
        return count if isinstance(count, int) else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceRoot:
    """Where things are. sessions: the path to log in at, or None where the BMC has no sessions."""

    systems: str
    sessions: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """ComputerSystem.BootProgress. since: LastStateTime as the BMC wrote it, or None."""

    state: str
    since: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """A ComputerSystem. boot: its Boot object as it stands.

    enableds, targets, reset_types: None where the BMC does not say. oem: the names of its Oem objects.
    settings, bios, certificates, manager: paths, or None where there is no link.
    progress: None where there is no BootProgress.
    """

    path: str
    etag: str | None
    id: str
    manufacturer: str
    model: str
    oem: tuple[str, ...]
    power: str | None
    progress: Progress | None
    boot: Json = field(repr=False)
    enableds: tuple[str, ...] | None
    targets: tuple[str, ...] | None
    settings: str | None
    bios: str | None
    certificates: str | None
    reset_path: str | None
    reset_types: tuple[str, ...] | None
    manager: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BootSettings:
    """The Boot object of a system's settings object: what will hold from the next reset on."""

    path: str
    etag: str | None
    boot: Json = field(repr=False)
    targets: tuple[str, ...] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Bios:
    """A Bios resource. attributes: as they stand. settings: the path where changes are left, or None."""

    path: str
    etag: str | None
    attributes: Json = field(repr=False)
    settings: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A job of a vendor's queue. state, kind: "" where it does not say."""

    path: str
    state: str
    kind: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A task, or what its monitor shows. state: "" where it shows none."""

    state: str
    status: str
    said: str


def read_root(resource: Resource) -> ServiceRoot:
    """The service root. Raises MalformedAnswer."""
    systems = resource.link("Systems")
    if systems is None:
        raise MalformedAnswer(f"{resource.path}: Systems is missing: this service manages no systems")
    links = resource.get("Links", dict)
    return ServiceRoot(
        systems=systems, sessions=None if links is None else resource.link("Sessions", links, prefix="Links/")
    )


def read_system(resource: Resource) -> System:
    """A system. Raises MalformedAnswer."""
    boot = resource.need("Boot", dict)
    actions = resource.get("Actions", dict) or {}
    reset = resource.get("#ComputerSystem.Reset", dict, actions, prefix="Actions/") or {}
    reset_prefix = "Actions/#ComputerSystem.Reset/"
    return System(
        path=resource.path,
        etag=resource.etag,
        id=resource.get("Id", str) or resource.path.rstrip("/").rpartition("/")[2],
        manufacturer=(resource.get("Manufacturer", str) or "").strip(),
        model=(resource.get("Model", str) or "").strip(),
        oem=tuple(resource.get("Oem", dict) or {}),
        power=resource.get("PowerState", str),
        progress=_progress(resource),
        boot=boot,
        enableds=_allowable(resource, boot, "BootSourceOverrideEnabled", prefix="Boot/"),
        targets=_allowable(resource, boot, "BootSourceOverrideTarget", prefix="Boot/"),
        settings=_settings(resource),
        bios=resource.link("Bios"),
        certificates=resource.link("Certificates", boot, prefix="Boot/"),
        reset_path=resource.needed_path("target", reset, prefix=reset_prefix) if reset.get("target") else None,
        reset_types=_allowable(resource, reset, "ResetType", prefix=reset_prefix),
        manager=_manager(resource),
    )


def read_settings(resource: Resource) -> BootSettings:
    """A system's settings object; one without a Boot object has an empty one. Raises MalformedAnswer."""
    boot = resource.get("Boot", dict) or {}
    return BootSettings(
        path=resource.path,
        etag=resource.etag,
        boot=boot,
        targets=_allowable(resource, boot, "BootSourceOverrideTarget", prefix="Boot/"),
    )


def read_bios(resource: Resource) -> Bios:
    """A Bios resource, or its settings object. Raises MalformedAnswer."""
    return Bios(
        path=resource.path,
        etag=resource.etag,
        attributes=resource.get("Attributes", dict) or {},
        settings=_settings(resource),
    )


def read_job(resource: Resource) -> Job:
    """A job. Raises MalformedAnswer."""
    return Job(path=resource.path, state=resource.get("JobState", str) or "", kind=resource.get("JobType", str) or "")


def read_task(body: object) -> Task:
    """What a task says of itself, as far as it says anything."""
    found = body if isinstance(body, dict) else {}
    messages = found.get("Messages")
    first = next((each for each in messages if isinstance(each, dict)), {}) if isinstance(messages, list) else {}
    return Task(
        state=str(found.get("TaskState") or ""),
        status=str(found.get("TaskStatus") or ""),
        said=str(first.get("Message") or first.get("MessageId") or ""),
    )


def _progress(resource: Resource) -> Progress | None:
    found = resource.get("BootProgress", dict)
    if found is None:
        return None
    state = resource.get("LastState", str, found, prefix="BootProgress/") or "None"
    return Progress(state=state, since=resource.get("LastStateTime", str, found, prefix="BootProgress/"))


def _settings(resource: Resource) -> str | None:
    """Where a resource's pending settings are (DSP0266 §9.10)."""
    found = resource.get("@Redfish.Settings", dict)
    return None if found is None else resource.link("SettingsObject", found, prefix="@Redfish.Settings/")


def _manager(resource: Resource) -> str | None:
    """The first BMC that a system is managed by."""
    links = resource.get("Links", dict) or {}
    for number, each in enumerate(resource.get("ManagedBy", list, links, prefix="Links/") or []):
        if isinstance(each, dict):
            return resource.needed_path("@odata.id", each, prefix=f"Links/ManagedBy/{number}/")
    return None


def _allowable(resource: Resource, within: Json, name: str, *, prefix: str) -> tuple[str, ...] | None:
    """What a property may be set to. Absence is "unknown", not "nothing"."""
    values = resource.get(f"{name}@Redfish.AllowableValues", list, within, prefix=prefix)
    if values is None:
        return None
    return tuple(value for value in values if isinstance(value, str))


def kind_of(value: object) -> str:
    """What a value is, for errors: the value itself may hold a URL that is secret."""
    return "nothing" if value is None else _KINDS.get(type(value), "a number")


def error_of(body: object) -> tuple[str, str]:
    """The message id (its last part) and the message of an error body; empty strings where it has none.

    Of several messages the first that is no success: some BMCs begin with one.
    """
    error = body.get("error") if isinstance(body, dict) else None
    if not isinstance(error, dict):
        return "", ""
    found = _extended(error)
    bad = [each for each in found if "Success" not in str(each.get("MessageId"))]
    info = (bad or found or [{}])[0]
    message_id = info.get("MessageId") or error.get("code") or ""
    message = info.get("Message") or error.get("message") or ""
    return str(message_id).rpartition(".")[2], str(message)


def message_ids(body: object) -> tuple[str, ...]:
    """The last parts of all message ids of an error body."""
    error = body.get("error") if isinstance(body, dict) else None
    if not isinstance(error, dict):
        return ()
    return tuple(str(each.get("MessageId")).rpartition(".")[2] for each in _extended(error))


def related(body: object) -> tuple[str, ...]:
    """The attributes that an error body says it is about, such as "Boot/HttpBootUri"."""
    error = body.get("error") if isinstance(body, dict) else None
    names = []
    for each in _extended(error) if isinstance(error, dict) else []:
        pointers = each.get("RelatedProperties")
        names += [each for each in pointers if isinstance(each, str)] if isinstance(pointers, list) else []
    return tuple(name.removeprefix("#").removeprefix("/") for name in names)


def _extended(error: Json) -> list[Json]:
    infos = error.get("@Message.ExtendedInfo")
    return [each for each in infos if isinstance(each, dict)] if isinstance(infos, list) else []
