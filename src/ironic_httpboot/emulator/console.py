"""What a machine's serial console tells of a boot: lines → stages reached, and trouble in plain words.

Knows what firmware, GRUB, Linux and the test guest print; each row names where it was seen. Refuses to know files
and time.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

from ironic_httpboot.events import Stage

GUEST_MARK = "httpboot-guest:"
"""How the test guest begins its own lines."""

_ESCAPE = re.compile(rb"\x1b(?:\[[0-9;?=]*[ -/]*[@-~]|[()][A-Z0-9]|[=>])")
_LONGEST_LINE_BYTES = 4096
_URL_FOLDERS = re.compile(r"(https?://[^/\s]+)/\S*/")


@dataclass(frozen=True, slots=True, kw_only=True)
class Milestone:
    """A stage that the console shows to be reached."""

    stage: Stage
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """Something that went wrong, in plain words. final: nothing more will come of this boot."""

    reason: str
    final: bool


Sign: TypeAlias = Milestone | Trouble


@dataclass(frozen=True, slots=True)
class _MilestoneRow:
    pattern: re.Pattern[str]
    stage: Stage
    detail: str


@dataclass(frozen=True, slots=True)
class _TroubleRow:
    pattern: re.Pattern[str]
    reason: str
    final: bool = False


_MILESTONES = (
    # OVMF and AAVMF 2022.11-6+deb12u2
    _MilestoneRow(re.compile(r"Station IPv?6? ?address is (\S+)"), Stage.LEASE, r"\1"),
    _MilestoneRow(re.compile(r'BdsDxe: starting Boot\w{4} "([^"]*)"'), Stage.LOADER, r"firmware starts what it loaded"),
    # Linux 6.1
    _MilestoneRow(re.compile(r"\] Linux version (\S+)"), Stage.KERNEL, r"Linux \1"),
    _MilestoneRow(re.compile(r"\] Run (\S+) as init process"), Stage.USER_SPACE, r"\1"),
    _MilestoneRow(re.compile(rf"{GUEST_MARK} verdict (pass\b.*)"), Stage.VERDICT, r"\1"),
)

STARTING = "PrimaryProcessorInitializationStarted"
"""BootProgress.LastState from power on until the firmware looks for something to boot: the power-on self-test."""

_PROGRESS = (
    # OVMF and AAVMF 2022.11-6+deb12u2
    (re.compile(r'BdsDxe: starting Boot\w{4} "(?:UiApp|EFI Firmware Setup)"'), "SetupEntered"),
    (re.compile(r"BdsDxe: starting Boot\w{4} "), "OSBootStarted"),
    (
        re.compile(r"BdsDxe: (?:loading|failed to \w+) Boot\w{4} |BdsDxe: No bootable"),
        "SystemHardwareInitializationComplete",
    ),
    # Linux 6.1
    (re.compile(r"\] Run (\S+) as init process"), "OSRunning"),
    # The test guest, for kernels that are told to be quiet
    (re.compile(rf"^{GUEST_MARK} "), "OSRunning"),
)

NO_SIZE = (
    "the image's size was not learnt: DHCP gave no address, or the HEAD request did not succeed (the server cannot be"
    " reached, TLS failed, or the type is not a boot image's)"
)
CANCELLED = "the firmware gave up: the TLS handshake failed, or no DHCPv6 offer was accepted"
"""The console does not tell these apart; who also hears the HTTP server can (see `demo.watch`)."""

_TROUBLE = (
    # OVMF 2022.11-6+deb12u2, HttpBootDxe's own messages
    _TroubleRow(re.compile(r"Server response timeout"), "no DHCP server made an offer that this firmware accepts"),
    _TroubleRow(re.compile(r"Could not retrieve NBP file size"), NO_SIZE),
    _TroubleRow(re.compile(r"Could not establish connection with HTTP server"), "the HTTP server cannot be reached"),
    _TroubleRow(re.compile(r"Remote boot cancelled"), CANCELLED),
    _TroubleRow(re.compile(r"only HTTPS connection is allowed"), "this firmware boots from https:// only"),
    _TroubleRow(re.compile(r"HTTP ERROR: Resource Redirected"), "the server redirected, which firmware never follows"),
    _TroubleRow(re.compile(r"Client Error: (\d+)"), r"the HTTP server answered \1"),
    _TroubleRow(re.compile(r"Server Error: (\d+)"), r"the HTTP server answered \1"),
    _TroubleRow(re.compile(r"Unexpected network error"), "the download broke off"),
    _TroubleRow(
        re.compile(r"BdsDxe: failed to (?:load|start) Boot\w{4} .*Access Denied"),
        "Secure Boot refused the loader: it is not signed by a key that this firmware trusts",
        final=True,
    ),
    _TroubleRow(
        re.compile(r'BdsDxe: failed to (load|start) Boot\w{4} "[^"]* \(BMC\)" .*: (.+)'),
        r"the firmware failed to \1 the image: \2",
        final=True,
    ),
    _TroubleRow(re.compile(r"BdsDxe: No bootable option"), "the firmware found nothing that boots", final=True),
    # GRUB 2.06
    _TroubleRow(re.compile(r"^error: (?!no suitable video mode)(.+?)\.?$"), r"GRUB: \1"),
    _TroubleRow(re.compile(r"Minimal BASH-like line editing"), "GRUB found no configuration", final=True),
    # shim 16.1
    _TroubleRow(re.compile(r"Verification failed: (.+)"), r"shim: \1", final=True),
    # Linux 6.1
    _TroubleRow(re.compile(r"Kernel panic - not syncing: (.+)"), r"the kernel panicked: \1", final=True),
    _TroubleRow(re.compile(rf"{GUEST_MARK} verdict (fail\b.*)"), r"the guest's own verdict: \1", final=True),
)


def redact(line: str) -> str:
    """A line without what may be secret in its URLs: their folders. Firmware prints the URL that it boots."""
    return _URL_FOLDERS.sub(r"\1/…/", line)


class Reader:
    """A console, read piece by piece. Lines may come in any cut."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[str]:
        """Take the next bytes; yield the lines that they complete, without escape sequences and empty lines."""
        *lines, self._rest = re.split(rb"[\r\n]+", self._rest + data)
        self._rest = self._rest[-_LONGEST_LINE_BYTES:]
        for line in lines:
            text = _ESCAPE.sub(b"", line).decode("utf-8", "replace").strip()
            if text:
                yield text


def sign(line: str) -> Sign | None:
    """What a line shows, if anything."""
    for milestone in _MILESTONES:
        if match := milestone.pattern.search(line):
            return Milestone(stage=milestone.stage, detail=match.expand(milestone.detail))
    for trouble in _TROUBLE:
        if match := trouble.pattern.search(line):
            return Trouble(reason=match.expand(trouble.reason), final=trouble.final)
    return None


def progress(line: str) -> str | None:
    """What a line makes of BootProgress.LastState, if anything."""
    return next((state for pattern, state in _PROGRESS if pattern.search(line)), None)
