"""What BMCs make of "boot this URL once", a row of data for each kind, with its evidence.

Knows where each vendor keeps the URL, what it must be sent, and how it reads back. Refuses to know how that is done: a
row is chosen by what a system says of itself, and the flow has no case for any vendor.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ironic_httpboot.redfish.resources import System

ENABLED = "BootSourceOverrideEnabled"
MODE = "BootSourceOverrideMode"
TARGET = "BootSourceOverrideTarget"
URI = "HttpBootUri"

ALL = (ENABLED, MODE, TARGET, URI)
URL_GOES_HERE = "{url}"


@dataclass(frozen=True, slots=True, kw_only=True)
class BiosUrl:
    """A URL that is kept in BIOS attributes.

    first: what must stand before the others are taken, in a PATCH of its own. values: with URL_GOES_HERE for the URL.
    http, https: what must be added for that scheme. undo: what clear leaves. apply_time: whether the PATCH must ask for
    a job with @Redfish.SettingsApplyTime. jobs: below the system's manager, where such a job is found again.
    """

    first: Mapping[str, str] = field(default_factory=dict)
    values: Mapping[str, str]
    http: Mapping[str, str] = field(default_factory=dict)
    https: Mapping[str, str] = field(default_factory=dict)
    undo: Mapping[str, str]
    apply_time: bool = False
    jobs: str | None = None

    @property
    def names(self) -> frozenset[str]:
        """All attributes that are ever set."""
        return frozenset({*self.first, *self.values, *self.http, *self.https, *self.undo})

    @property
    def signs(self) -> frozenset[str]:
        """The attributes that show whether there is anything to take back."""
        return frozenset(self.first) | {name for name, value in self.values.items() if value == URL_GOES_HERE}

    def attributes(self, url: str) -> dict[str, str]:
        """What to set for a URL, all but `first`."""
        by_scheme = self.https if url.startswith("https:") else self.http
        values = {**self.values, **by_scheme}
        return {name: url if value == URL_GOES_HERE else value for name, value in values.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Quirk:
    """One kind of BMC. Its name is short, kind and notes are for people.

    oem, manufacturers: how a system of this kind is recognised, by the names of its Oem objects, or by how its
    Manufacturer begins. sends: the properties of Boot that it takes. undo_sets_target: whether clear may set the
    target to None. settings: names below the system where a settings object is looked for, if there is no link to one.
    settings_only: Boot is taken there alone. bios: where the URL is a matter of BIOS attributes. reads_back: other
    values that a property may show after it was taken. no_url: what HttpBootUri shows where there is none, besides null
    and nothing. stays_enabled: Enabled never reads Disabled, and does not tell whether there is an override.
    mode_first: UefiHttp is offered only after a boot in UEFI mode. switches: BIOS attributes without whose value the
    firmware boots nothing over HTTP. instead: what would work where UefiHttp does not.
    """

    name: str
    kind: str
    oem: tuple[str, ...] = ()
    manufacturers: tuple[str, ...] = ()
    sends: tuple[str, ...] = ALL
    undo_sets_target: bool = True
    settings: tuple[str, ...] = ()
    settings_only: bool = False
    bios: BiosUrl | None = None
    reads_back: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    no_url: tuple[str, ...] = ()
    stays_enabled: bool = False
    mode_first: bool = False
    switches: Mapping[str, str] = field(default_factory=dict)
    instead: str = "use virtual media, or let DHCP give the URL"
    notes: tuple[str, ...] = ()
    evidence: tuple[str, ...]


STANDARD = Quirk(
    name="standard",
    kind="Redfish as it is written",
    notes=(
        "Where the system's own Boot object shows no HttpBootUri, its settings object is asked.",
        "A BMC that lists no AllowableValues is tried: absence is unknown, not unsupported.",
    ),
    evidence=("DSP2053 ComputerSystem.Boot", "DSP0266 §9.10"),
)

QUIRKS = (
    Quirk(
        name="dell",
        kind="Dell iDRAC 9 and 10",
        oem=("Dell",),
        manufacturers=("dell",),
        sends=(ENABLED, MODE, TARGET),
        bios=BiosUrl(
            first={"HttpDev1EnDis": "Enabled"},
            values={"HttpDev1Uri": URL_GOES_HERE},
            http={"HttpDev1TlsMode": "None"},
            https={"HttpDev1TlsMode": "OneWay"},
            undo={"HttpDev1Uri": "", "HttpDev1TlsMode": "OneWay", "HttpDev1EnDis": "Disabled"},
            apply_time=True,
            jobs="Oem/Dell/Jobs",
        ),
        notes=(
            "The URL goes into HttpDev1Uri, after HttpDev1EnDis; a job applies both at the next reset.",
            "New boxes have TlsMode OneWay, with which an http:// URL is refused: it is set as the URL needs it.",
            "HttpDev1Interface, HttpDev1Protocol, addresses and VLAN are left as they are.",
            "As long as the job waits, no attribute can be changed: clear deletes it, if it changes nothing but these,",
            "and leaves what stands as it was before. Where no job waits, clear empties what stands, whoever set it.",
        ),
        evidence=("bmclib#463 #464 #470", "libredfish#75", "iDRAC-Redfish-Scripting#249 #306 #324", "quads#726"),
    ),
    Quirk(
        name="hpe",
        kind="HPE iLO 5 and 6",
        oem=("Hpe", "Hp"),
        manufacturers=("hpe", "hewlett"),
        sends=(ENABLED, TARGET),
        undo_sets_target=False,
        bios=BiosUrl(values={"UrlBootFile": URL_GOES_HERE}, undo={"UrlBootFile": ""}),
        notes=(
            "The URL goes into UrlBootFile of Bios/settings; HttpBootUri is refused, and Mode is not writable.",
            "The target must not be None while Enabled changes: clear sends Enabled alone.",
            "Changes are refused while the machine is in POST (UnableToModifyDuringSystemPOST): they are tried again.",
        ),
        evidence=("libredfish#76", "gofish#507", "community.general#3509", "metal-operator#998"),
    ),
    Quirk(
        name="supermicro",
        kind="Supermicro",
        oem=("Supermicro",),
        manufacturers=("supermicro", "super micro"),
        reads_back={TARGET: ("UefiBootNext",)},
        mode_first=True,
        switches={"IPv4HTTPSupport": "Enabled"},
        notes=(
            "Mode must be in every PATCH; UefiHttp is offered only after Mode=UEFI and a reset, which are done first.",
            "A target may read back as UefiBootNext, which is accepted.",
            "HttpBootUri is absent on some models (SYS-821GE): DHCP must give the URL there.",
        ),
        evidence=("bmclib#463", "Redfishtool#106", "libredfish"),
    ),
    Quirk(
        name="lenovo",
        kind="Lenovo XCC",
        oem=("Lenovo",),
        manufacturers=("lenovo",),
        settings=("Pending",),
        switches={"NetworkStackSettings_IPv4HTTPSupport": "Enabled"},
        notes=(
            "HttpBootUri is looked for in the system and in its Pending object; an SR670 v2 has it in neither.",
            "Enabled allows Once and Disabled only: --persistent is refused.",
        ),
        evidence=("recorded dump of an SR670 v2",),
    ),
    Quirk(
        name="ami-sd",
        kind="AMI MegaRAC, ASRockRack, DGX H100",
        oem=("Ami", "AMI"),
        manufacturers=("ami", "american megatrends", "asrockrack"),
        settings=("SD",),
        settings_only=True,
        notes=(
            "The override is taken at /SD alone, with the ETag of /SD; the system itself answers 400",
            "OperationSupportedInFutureStateURI. Target, Enabled and Mode must come together.",
        ),
        evidence=("Redfish-Tacklebox#111 #144",),
    ),
    Quirk(
        name="settings",
        kind="NVIDIA BlueField and GB200, Nokia",
        oem=("Nvidia",),
        manufacturers=("nvidia", "nokia"),
        settings=("Settings",),
        notes=(
            "HttpBootUri stands in the settings object.",
            "The AllowableValues of the system and of its settings disagree: what either lists is allowed.",
        ),
        evidence=("recorded dumps of BlueField and GB200", "sushy's Nokia samples"),
    ),
    Quirk(
        name="openbmc",
        kind="OpenBMC, as it comes from upstream",
        oem=("OpenBmc",),
        manufacturers=("openbmc",),
        instead="OpenBMC has no UEFI HTTP boot: use virtual media (https and smb only), or let DHCP give the URL",
        notes=("Takes neither UefiHttp nor HttpBootUri (PropertyValueNotInList).",),
        evidence=("bmcweb, systems.hpp",),
    ),
    Quirk(
        name="sushy-tools",
        kind="The emulator of sushy-tools",
        manufacturers=("sushy emulator",),
        reads_back={ENABLED: ("Continuous",), TARGET: ("Cd",)},
        no_url=("None",),
        stays_enabled=True,
        notes=(
            "Enabled is always Continuous: clear sends nothing where no URL stands.",
            "HttpBootUri is the text “None” where there is no URL: that counts as none.",
            "It attaches the image as a CD, for which it fetches it at once, and refuses a URL that it cannot reach.",
        ),
        evidence=("sushy-tools 2.2.0, emulator/templates/system.json and emulator/main.py",),
    ),
)


def recognise(system: System) -> Quirk:
    """The row that a system belongs to, by its own words; STANDARD where no other fits."""
    maker = system.manufacturer.lower()
    for quirk in QUIRKS:
        if set(quirk.oem) & set(system.oem):
            return quirk
    for quirk in QUIRKS:
        if any(maker.startswith(name) for name in quirk.manufacturers):
            return quirk
    return STANDARD
