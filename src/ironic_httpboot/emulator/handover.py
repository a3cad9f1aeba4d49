"""What a power-on hands over to the firmware: from what a BMC keeps to one boot entry.

Knows when pending settings take effect, and from where each BMC takes the URL. Refuses to know variables and QEMU.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from ironic_httpboot.emulator.kept import Kept, Mode, Target, TaskState
from ironic_httpboot.emulator.personalities import BiosUrl, Personality


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What the firmware is to boot once, before it goes its own way.

    target: NONE for nothing. uri: for UEFI_HTTP; "" has it ask DHCP. trouble: why it will not do as the override says.
    """

    target: Target = Target.NONE
    uri: str = field(default="", repr=False)
    trouble: str = ""


def attributes(personality: Personality, kept: Kept) -> dict[str, str]:
    """The BIOS attributes as they stand."""
    return {each.name: kept.bios.get(each.name, each.default) for each in personality.bios}


def power_on(personality: Personality, kept: Kept) -> tuple[Kept, Wish]:
    """Let pending settings take effect and pending tasks be done; say what is to be booted."""
    override = kept.override if kept.pending is None else kept.pending
    runs = kept.job_waits or not personality.jobs
    now = replace(
        kept,
        override=override,
        pending=None,
        booted_mode=override.mode,
        bios={**kept.bios, **kept.bios_pending} if runs else kept.bios,
        bios_pending={} if runs else kept.bios_pending,
        boot_order=(),
        tasks=tuple(
            replace(task, state=TaskState.COMPLETED) if task.state is TaskState.PENDING else task for task in kept.tasks
        ),
    )
    return now, _wish(personality, now)


def _wish(personality: Personality, kept: Kept) -> Wish:
    override = kept.override
    if not override.is_set:
        return Wish()
    standing = attributes(personality, kept)
    switch = personality.http_switch
    offers_http = not switch or standing[switch] == "Enabled"
    if override.target is Target.PXE and personality.pxe_is_http and offers_http:
        return Wish(target=Target.UEFI_HTTP)
    if override.target is not Target.UEFI_HTTP:
        return Wish(target=override.target)
    if not offers_http:
        return Wish(trouble=f"the BIOS attribute {switch} is Disabled: the firmware does not boot over HTTP")
    if personality.bios_url is None:
        return Wish(target=Target.UEFI_HTTP, uri=override.uri)
    return _wish_by_bios(personality.bios_url, standing)


def _wish_by_bios(where: BiosUrl, standing: Mapping[str, str]) -> Wish:
    if where.on is not None and standing[where.on[0]] != where.on[1]:
        return Wish(trouble=f"the BIOS attribute {where.on[0]} is not {where.on[1]}: there is no HTTP device")
    uri = next((standing[name] for name in where.names if standing[name]), "")
    if where.tls_only is not None and standing[where.tls_only[0]] == where.tls_only[1] and uri.startswith("http://"):
        return Wish(trouble=f"the BIOS attribute {where.tls_only[0]} is {where.tls_only[1]}: only https:// is booted")
    return Wish(target=Target.UEFI_HTTP, uri=uri)


def offered(personality: Personality, targets: tuple[Target, ...], mode: Mode) -> tuple[Target, ...]:
    """Those of a place's targets that are offered to a machine that was started in a mode."""
    if personality.http_after_uefi and mode is not Mode.UEFI:
        return tuple(target for target in targets if target is not Target.UEFI_HTTP)
    return targets
