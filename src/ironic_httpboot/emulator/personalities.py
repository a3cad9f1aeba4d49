"""The manners of BMCs, as data: where each takes a boot override and its URL, what it wants besides, where it lies.

Knows vendors, each row with its evidence. Refuses to know requests: `bmc.handle` and what it calls read these rows and
know no vendor's name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, auto

from ironic_httpboot.emulator.kept import Enabled, Kept, Mode, Override, Target

ENABLED, MODE, TARGET = "BootSourceOverrideEnabled", "BootSourceOverrideMode", "BootSourceOverrideTarget"
URI, ORDER = "HttpBootUri", "BootOrder"
_OVERRIDE = frozenset({ENABLED, MODE, TARGET})
_EVERY_TARGET = tuple(Target)
_NOT_HTTP = (Target.NONE, Target.PXE, Target.CD, Target.HDD)


class Etags(Enum):
    """Which ETags resources have."""

    STRONG = auto()
    WEAK = auto()
    NONE = auto()


class Manner(Enum):
    """How a change is answered, and whether it is made."""

    HONEST = auto()
    ACCEPTS_AND_IGNORES = auto()
    REFUSES_AND_CHANGES = auto()


class Fault(Enum):
    """What may happen to a request. BUSY: 503. STALE: 412. DROPPED: no answer, nothing done. LOST: done, no answer."""

    BUSY = auto()
    STALE = auto()
    DROPPED = auto()
    LOST = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """A fault befalls each request of a method whose count, divided by period, leaves remainder."""

    method: str
    period: int
    remainder: int
    fault: Fault


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A resource with a Boot object. shows, takes: its properties. whole: a change must name override, mode, target.

    need_etag: a change must come with If-Match. elsewhere: with what message every change is refused.
    """

    shows: frozenset[str]
    takes: frozenset[str]
    targets: tuple[Target, ...] = _EVERY_TARGET
    whole: bool = False
    need_etag: bool = False
    elsewhere: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attribute:
    """A BIOS attribute.

    values: what it may be; empty for any text. needs: (attribute, value) without which it is fixed.
    """

    name: str
    default: str
    values: tuple[str, ...] = ()
    needs: tuple[str, str] | None = None
    help: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class BiosUrl:
    """BIOS attributes that hold the URL: the first that is not empty counts.

    on: (attribute, value) without which the machine does not boot over HTTP. tls_only: (attribute, value) with which it
    takes https:// only.
    """

    names: tuple[str, ...]
    on: tuple[str, str] | None = None
    tls_only: tuple[str, str] | None = None


_SWITCH = Attribute(
    name="IPv4HTTPSupport", default="Enabled", values=("Enabled", "Disabled"), help="Whether UEFI HTTP boot is offered."
)
_WHOLE_SYSTEM = Place(shows=_OVERRIDE | {URI, ORDER}, takes=_OVERRIDE | {URI, ORDER})
_SYSTEM_WITHOUT_URI = Place(shows=_OVERRIDE | {ORDER}, takes=_OVERRIDE | {ORDER})


@dataclass(frozen=True, slots=True, kw_only=True)
class Personality:
    """One BMC's manners. evidence: where they were seen.

    settings_name: the last part of the settings object's path. mode_in_every_change: Boot changes must repeat the mode.
    http_after_uefi: UefiHttp is offered only once the machine was started in mode UEFI. not_writable: the message for
    a property that is not there or not to be written; "" for the standard's two. busy_in_post: the message that refuses
    changes while the firmware starts. none_conflicts: Enabled is not changed while the target is None. http_switch: the
    BIOS attribute without which UefiHttp does nothing. pxe_is_http: with that switch on, Pxe asks DHCP for a URL.
    jobs: BIOS attributes wait for a job. reads_back: targets that are shown by another name. media_schemes: what
    virtual media are fetched by.
    """

    name: str
    manufacturer: str
    summary: str
    evidence: str
    system: Place = _WHOLE_SYSTEM
    settings: Place | None = None
    settings_name: str = "Settings"
    enabled: tuple[Enabled, ...] = tuple(Enabled)
    modes: tuple[Mode, ...] = (Mode.UEFI,)
    offers_values: bool = True
    etags: Etags = Etags.STRONG
    mode_in_every_change: bool = False
    http_after_uefi: bool = False
    not_writable: str = ""
    busy_in_post: str = ""
    none_conflicts: bool = False
    bios: tuple[Attribute, ...] = (_SWITCH,)
    bios_settings_name: str = "Settings"
    bios_url: BiosUrl | None = None
    http_switch: str = _SWITCH.name
    pxe_is_http: bool = False
    jobs: bool = False
    certificates: bool = True
    media_schemes: tuple[str, ...] = ("http", "https", "file")
    reads_back: Mapping[Target, str] = field(default_factory=dict)
    manner: Manner = Manner.HONEST
    turns: tuple[Turn, ...] = ()
    delay_seconds: float = 0.0

    @property
    def at_first(self) -> Kept:
        """What a new machine's BMC begins with."""
        mode = self.modes[0]
        return Kept(override=Override(mode=mode), booted_mode=mode)


STANDARD = Personality(
    name="standard",
    manufacturer="httpboot",
    summary="takes everything on the system, as the standard says",
    evidence="DSP2053, DSP0266 1.20",
)

_SETTINGS = Personality(
    name="settings",
    manufacturer="Nvidia",
    summary="takes the URL on the settings object only, shows it on the system after a reset; two lists of "
    "targets that disagree; no ETags",
    evidence="NVIDIA BlueField and GB200 dump; Nokia samples in sushy",
    system=Place(shows=_OVERRIDE, takes=_OVERRIDE, targets=(Target.NONE, Target.PXE, Target.HDD, Target.CD)),
    settings=Place(
        shows=_OVERRIDE | {URI}, takes=_OVERRIDE | {URI}, targets=(Target.NONE, Target.PXE, Target.UEFI_HTTP)
    ),
    etags=Etags.NONE,
)

_AMI_SD = Personality(
    name="ami-sd",
    manufacturer="AMI",
    summary="takes changes on /SD only, whole (target, enabled and mode) and with the ETag of /SD",
    evidence="Redfish-Tacklebox#111 #144 (AMI MegaRAC, ASRockRack, DGX H100)",
    system=Place(
        shows=_OVERRIDE,
        takes=frozenset(),
        targets=_NOT_HTTP,
        elsewhere="Ami.1.0.OperationSupportedInFutureStateURI",
    ),
    settings=Place(shows=_OVERRIDE | {URI, ORDER}, takes=_OVERRIDE | {URI, ORDER}, whole=True, need_etag=True),
    settings_name="SD",
    bios_settings_name="SD",
)

_SUPERMICRO = Personality(
    name="supermicro",
    manufacturer="Supermicro",
    summary="wants the mode in every change; offers UefiHttp only after mode UEFI and a reset; Pxe reads back as "
    "UefiBootNext",
    evidence="bmclib#463, Redfishtool#106, libredfish (H12)",
    modes=(Mode.LEGACY, Mode.UEFI),
    mode_in_every_change=True,
    http_after_uefi=True,
    reads_back={Target.PXE: "UefiBootNext"},
)

_HPE = Personality(
    name="hpe",
    manufacturer="HPE",
    summary="takes the URL as BIOS attribute UrlBootFile; mode not writable; weak ETags; refuses changes during "
    "POST, and changes of Enabled while the target is None",
    evidence="libredfish#76, gofish#507, community.general#3509, metal-operator#998 (iLO 5, iLO 6)",
    system=Place(shows=_OVERRIDE | {ORDER}, takes=frozenset({ENABLED, TARGET, ORDER})),
    etags=Etags.WEAK,
    not_writable="iLO.2.19.PropertyNotWritableOrUnknown",
    busy_in_post="iLO.2.19.UnableToModifyDuringSystemPOST",
    none_conflicts=True,
    bios=tuple(
        Attribute(name=f"UrlBootFile{number}", default="", help="A URL of an image that UEFI boots over HTTP.")
        for number in ("", "2", "3", "4")
    ),
    bios_settings_name="settings",
    bios_url=BiosUrl(names=("UrlBootFile", "UrlBootFile2", "UrlBootFile3", "UrlBootFile4")),
    http_switch="",
    certificates=False,
)

_ON = ("HttpDev1EnDis", "Enabled")
_STATIC = ("HttpDev1DhcpEnDis", "Disabled")
_SWITCHED = ("Enabled", "Disabled")

_DELL = Personality(
    name="dell",
    manufacturer="Dell Inc.",
    summary="takes the URL as BIOS attributes HttpDev1*, by a job that the next reset runs; HttpDev1TlsMode is "
    "OneWay at first, and then http:// is not booted; settings object for BootOrder and mode only; no "
    "ETags",
    evidence="bmclib#463 #464 #470, libredfish#75, iDRAC-Redfish-Scripting#306 #324 (iDRAC9, iDRAC10)",
    system=_SYSTEM_WITHOUT_URI,
    settings=Place(shows=frozenset({MODE, ORDER}), takes=frozenset({MODE, ORDER})),
    etags=Etags.NONE,
    bios=(
        Attribute(name="HttpDev1EnDis", default="Disabled", values=_SWITCHED, help="HTTP device 1."),
        Attribute(name="HttpDev1Interface", default="NIC.Integrated.1-1-1", needs=_ON),
        Attribute(name="HttpDev1Protocol", default="IPv4", values=("IPv4", "IPv6"), needs=_ON),
        Attribute(name="HttpDev1VlanEnDis", default="Disabled", values=_SWITCHED, needs=_ON),
        Attribute(name="HttpDev1DhcpEnDis", default="Enabled", values=_SWITCHED, needs=_ON),
        Attribute(name="HttpDev1Ip", default="", needs=_STATIC),
        Attribute(name="HttpDev1Mask", default="", needs=_STATIC),
        Attribute(name="HttpDev1Gateway", default="", needs=_STATIC),
        Attribute(name="HttpDev1Uri", default="", needs=_ON, help="Empty: DHCP gives it."),
        Attribute(name="HttpDev1TlsMode", default="OneWay", values=("None", "OneWay"), needs=_ON),
    ),
    bios_url=BiosUrl(names=("HttpDev1Uri",), on=_ON, tls_only=("HttpDev1TlsMode", "OneWay")),
    http_switch="",
    jobs=True,
)

_LENOVO = Personality(
    name="lenovo",
    manufacturer="Lenovo",
    summary="no UefiHttp: network boot (Pxe) asks DHCP for the URL once a BIOS switch is on, which is off at "
    "first; settings objects are called /Pending; knows Once and Disabled only",
    evidence="dump of an SR670 v2 (XCC)",
    system=Place(shows=_OVERRIDE | {ORDER}, takes=_OVERRIDE | {ORDER}, targets=_NOT_HTTP),
    settings=Place(shows=frozenset({ORDER}), takes=frozenset({ORDER})),
    settings_name="Pending",
    enabled=(Enabled.DISABLED, Enabled.ONCE),
    bios=(Attribute(name="NetworkStackSettings_IPv4HTTPSupport", default="Disabled", values=_SWITCHED),),
    bios_settings_name="Pending",
    http_switch="NetworkStackSettings_IPv4HTTPSupport",
    pxe_is_http=True,
    certificates=False,
)

_OPENBMC = Personality(
    name="openbmc",
    manufacturer="OpenBMC",
    summary="neither UefiHttp nor HttpBootUri nor BIOS attributes; virtual media by https:// only",
    evidence="bmcweb's source, upstream",
    system=Place(shows=_OVERRIDE, takes=_OVERRIDE, targets=_NOT_HTTP),
    etags=Etags.NONE,
    bios=(),
    http_switch="",
    certificates=False,
    media_schemes=("https",),
)

_BARE = Personality(
    name="bare",
    manufacturer="httpboot",
    summary="standard, but does not say which values it allows",
    evidence="AllowableValues are optional (DSP0266): their absence says nothing",
    offers_values=False,
)

_LIAR_204 = Personality(
    name="liar-204",
    manufacturer="httpboot",
    summary="answers each change with 204 and changes nothing",
    evidence="made up, to find out who takes a 2xx for done",
    manner=Manner.ACCEPTS_AND_IGNORES,
)

_LIAR_400 = Personality(
    name="liar-400",
    manufacturer="httpboot",
    summary="answers each change with 400 and makes it",
    evidence="made up, to find out who takes a 4xx for nothing done",
    manner=Manner.REFUSES_AND_CHANGES,
)

_FLAKY = Personality(
    name="flaky",
    manufacturer="httpboot",
    summary="by count: 503 with Retry-After for every fourth reading (from the second) and every second reset "
    "(from the first); 412 for every first try of a change; every fourth reading (from the fourth) and "
    "every third successful try of a change lose their connection",
    evidence="made up, of answers that DSP0266 allows a service to give",
    turns=(
        Turn(method="GET", period=4, remainder=2, fault=Fault.BUSY),
        Turn(method="GET", period=4, remainder=0, fault=Fault.DROPPED),
        Turn(method="PATCH", period=2, remainder=1, fault=Fault.STALE),
        Turn(method="PATCH", period=6, remainder=4, fault=Fault.LOST),
        Turn(method="POST", period=2, remainder=1, fault=Fault.BUSY),
    ),
)

_SLOW = Personality(
    name="slow",
    manufacturer="httpboot",
    summary="answers after half a second",
    evidence="made up",
    delay_seconds=0.5,
)

PERSONALITIES = {
    each.name: each
    for each in (
        STANDARD, _SETTINGS, _AMI_SD, _SUPERMICRO, _HPE, _DELL, _LENOVO, _OPENBMC, _BARE, _LIAR_204, _LIAR_400, _FLAKY,
        _SLOW,
    )
}  # fmt: skip
"""All of them by name, in the order in which they are described."""
