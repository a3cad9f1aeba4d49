"""What a BMC keeps when it is restarted: the boot override, BIOS attributes, media, certificates, tasks.

Knows Redfish's words for them (DSP2046) and what is consumed when. Refuses to know where they are kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum


class Enabled(Enum):
    """ComputerSystem.Boot.BootSourceOverrideEnabled."""

    DISABLED = "Disabled"
    ONCE = "Once"
    CONTINUOUS = "Continuous"


class Mode(Enum):
    """ComputerSystem.Boot.BootSourceOverrideMode. The firmware here is always UEFI; some BMCs want it said."""

    UEFI = "UEFI"
    LEGACY = "Legacy"


class Target(Enum):
    """ComputerSystem.Boot.BootSourceOverrideTarget, as far as these machines can do it."""

    NONE = "None"
    PXE = "Pxe"
    CD = "Cd"
    HDD = "Hdd"
    UEFI_HTTP = "UefiHttp"


@dataclass(frozen=True, slots=True, kw_only=True)
class Override:
    """ComputerSystem.Boot. uri: HttpBootUri, "" where there is none: the machine then asks DHCP for it."""

    enabled: Enabled = Enabled.DISABLED
    target: Target = Target.NONE
    uri: str = field(default="", repr=False)
    mode: Mode = Mode.UEFI

    @property
    def boots_http(self) -> bool:
        """Whether the next boot goes over HTTP."""
        return self.is_set and self.target is Target.UEFI_HTTP

    @property
    def is_set(self) -> bool:
        """Whether the next boot does not go the firmware's own way."""
        return self.enabled is not Enabled.DISABLED and self.target is not Target.NONE

    def consumed(self) -> Override:
        """What stands after a boot: Once is gone, the rest remains."""
        return replace(self, enabled=Enabled.DISABLED, target=Target.NONE) if self.enabled is Enabled.ONCE else self


@dataclass(frozen=True, slots=True, kw_only=True)
class Medium:
    """What is in the CD drive. image: as it was asked for. file: where it lies on this host."""

    image: str = field(repr=False)
    file: str = field(default="", repr=False)
    write_protected: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """A CA that the firmware is to trust for HTTPS boot."""

    id: str
    pem: str


class TaskState(Enum):
    """Task.TaskState, as far as tasks here have it."""

    PENDING = "Pending"
    COMPLETED = "Completed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """Something that is done at the next reset: so far, taking over BIOS attributes."""

    id: str
    name: str
    state: TaskState = TaskState.PENDING


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """All that one machine's BMC must not forget.

    pending, bios_pending, boot_order: taken over at the next power-on. booted_mode: of the last power-on. bios: only
    what differs from the defaults. secure_boot: as wanted from the next power-on. numbered: how many certificates and
    tasks there ever were.
    """

    override: Override = Override()
    pending: Override | None = None
    booted_mode: Mode = Mode.UEFI
    boot_order: tuple[str, ...] = ()
    bios: Mapping[str, str] = field(default_factory=dict, repr=False)
    bios_pending: Mapping[str, str] = field(default_factory=dict, repr=False)
    medium: Medium | None = None
    certificates: tuple[Certificate, ...] = ()
    tasks: tuple[Task, ...] = ()
    secure_boot: bool = True
    numbered: int = 0

    @property
    def job_waits(self) -> bool:
        """Whether a task is to be done at the next reset."""
        return any(task.state is TaskState.PENDING for task in self.tasks)

    def consumed(self) -> Kept:
        """What stands when the firmware has taken up a boot."""
        return replace(self, override=self.override.consumed())
