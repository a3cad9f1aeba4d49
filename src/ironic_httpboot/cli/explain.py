"""`httpboot explain`: why firmware takes one offer of a capture, and none of the others."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any

import typer

from ironic_httpboot.cli import output
from ironic_httpboot.dhcp import capture
from ironic_httpboot.dhcp.explain import Attempt, Gaps, whole
from ironic_httpboot.dhcp.explain import explain as explained
from ironic_httpboot.dhcp.firmware import RELEASE_AWAITED, Rule
from ironic_httpboot.errors import BadUrl, InputError, MalformedMessage
from ironic_httpboot.model import BootUrl

NO_SIZE = "Could not retrieve NBP file size"
_ELSEWHERE = "it was told a URL by other means, as by a BMC, or its firmware follows other rules"


def explain(
    file: Annotated[Path, typer.Argument(help="A capture, pcap or pcapng.", metavar="CAPTURE")],
    as_json: output.AsJson = False,
) -> None:
    """Say what each machine asked, who offered what, which offer firmware takes, and why each other is passed over.

    Example: tcpdump -i br0 -w boot.pcap 'udp port 67 or 68 or 546 or 547'; httpboot explain boot.pcap
    """
    gaps = Gaps()
    try:
        attempts = explained(whole(capture.read(file.read_bytes()), gaps))
    except OSError as error:
        raise InputError(f"{file}: read → {error.strerror}") from error
    except MalformedMessage as error:
        raise InputError(f"{file}: {error.message}") from error
    if as_json:
        output.print_json({"attempts": [_as_data(each) for each in attempts], "gaps": _said(gaps)})
        return
    for gap in _said(gaps):
        output.err.print(f"warning: {gap}", markup=False)
    if not attempts:
        seen = "what can be read of this capture" if _said(gaps) else "this capture"
        output.out.print(f"no machine asked for an HTTP boot (vendor class HTTPClient) in {seen}")
    for attempt in attempts:
        for line in _lines(attempt):
            output.out.print(_printable(line), markup=False)


def _said(gaps: Gaps) -> list[str]:
    """What the capture lacks, in words."""
    said = [f"{gaps.cut}: what came before it is explained"] if gaps.cut else []
    if gaps.clipped:
        said.append(f"{gaps.clipped} DHCP messages lack their end and are passed over: capture with tcpdump -s 0")
    return said


def _printable(line: str) -> str:
    """Without what a terminal would obey: machines and servers may send any bytes."""
    return "".join(each if each.isprintable() else f"\\x{ord(each):02x}" for each in line)


def _lines(attempt: Attempt) -> list[str]:
    lines = [f"{attempt.machine} asked by DHCPv{attempt.family} as {attempt.asked}"]
    if not attempt.choice.verdicts:
        lines.append("  no offer came: the firmware says “Server response timeout”")
    for verdict in attempt.choice.verdicts:
        offer = verdict.offer
        what = offer.category.value if offer.category else "nothing that firmware reads"
        lines.append(f"  {offer.server} offered: {what}{f'; {_shown(offer.url)}' if offer.url else ''}")
        if verdict.rule is None:
            lines.append("    taken" if offer.flaw is None else f"    taken, but {offer.flaw.reason}")
        else:
            lines.append(f"    passed over: {verdict.rule.reason}")
            lines.append(f"      remedy: {verdict.rule.remedy} ({verdict.rule.evidence})")
    if attempt.choice.rank is not None:
        lines.append(f"  → boots {_shown(attempt.choice.url)} (choice {attempt.choice.rank} of the firmware's order)")
        lines += [f"    but: {each}" for each in (*_otherwise(attempt), *attempt.choice.concerns)]
        if attempt.unanswered_releases:
            lines.append(
                f"    but: {attempt.unanswered_releases} RELEASE messages were not answered: {RELEASE_AWAITED}"
            )
    elif attempt.accepted is not None:
        lines.append(f"  → asked {attempt.accepted} for a lease all the same: {_ELSEWHERE}")
    elif any(verdict.rule is Rule.LIFETIMES for verdict in attempt.choice.verdicts):
        lines.append("  → boots nothing, and goes no further")
    elif attempt.choice.verdicts:
        # OVMF 2022.11 has other words where an ADVERTISE came and none will do.
        said = "“Server response timeout”" if attempt.family == 4 else f"“{NO_SIZE}”, and has not asked for it"
        lines.append(f"  → boots nothing: the firmware says {said}")
    return lines


def _otherwise(attempt: Attempt) -> list[str]:
    """What the machine did that these rules do not foresee: the capture is right, and not they."""
    taken = {each.offer.server for each in attempt.choice.verdicts if each.rule is None}
    if attempt.accepted is None or attempt.accepted in taken:
        return []
    return [f"it asked {attempt.accepted} for a lease: {_ELSEWHERE}"]


def _shown(url: str | None) -> str:
    """A URL without what may be secret."""
    if url is None:
        return "no URL"
    try:
        return BootUrl.parse(url).redacted
    except BadUrl:
        scheme = re.match(r"[A-Za-z][A-Za-z0-9+.-]*(?=:)", url)
        return f"{scheme[0].lower() if scheme else '?'}://… (no valid URL)"


def _as_data(attempt: Attempt) -> dict[str, Any]:
    return {
        "machine": attempt.machine,
        "family": attempt.family,
        "asked": attempt.asked,
        "at": attempt.at,
        "accepted": attempt.accepted,
        "rank": attempt.choice.rank,
        "url": _shown(attempt.choice.url) if attempt.choice.url else None,
        "concerns": attempt.choice.concerns,
        "unanswered_releases": attempt.unanswered_releases,
        "offers": [
            {
                "server": each.offer.server,
                "category": each.offer.category.name if each.offer.category else None,
                "url": _shown(each.offer.url) if each.offer.url else None,
                "taken": each.rule is None,
                "rule": each.rule.name if each.rule else None,
                "reason": each.rule.reason if each.rule else None,
                "remedy": each.rule.remedy if each.rule else None,
            }
            for each in attempt.choice.verdicts
        ],
    }
