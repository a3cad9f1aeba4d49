"""The rows of `quirks` as a page for people: docs/reference/bmc-support.md.

Knows Markdown. Refuses to know files; docs/reference/make.py writes the page.
"""

from __future__ import annotations

from ironic_httpboot.redfish.quirks import ALL, QUIRKS, STANDARD, URI, URL_GOES_HERE, Quirk

_PREFACE = """# What BMCs make of "boot this URL once"

This page is made from `src/ironic_httpboot/redfish/quirks.py` by `docs/reference/make.py`; a test sees that it is up to
date. None of it was run on the hardware named here: it rests on public reports, vendors' documents and recorded
answers, which stand under “evidence”. `httpboot probe` tells what your BMC shows.

| kind | recognised by | the URL goes to | sent with it |
|---|---|---|---|
"""

_AFTERWORD = """
## What holds for all of them

- What is not listed (AllowableValues) is tried: absence is unknown, not unsupported.
- Where a BMC lacks its kind's own place for the URL, and its system or settings object shows `HttpBootUri`, the URL
  goes there.
- Everything goes in one PATCH, with If-Match from the very resource that is changed. An ETag that is not taken is read
  anew, then made strong, then left out.
- A 2xx proves nothing: the resource is read again and compared, and the machine is reset only if it shows what was
  sent. A refusal proves nothing either: what reads back as it was sent counts as taken.
- 503, 429 and `UnableToModifyDuringSystemPOST` are asked again after the pause of `Retry-After`, for 60 seconds in all.
- `httpboot clear` disables the override, removes the URL where one stands, and sets BIOS attributes to the values named
  above. It does not know what an operator had in these attributes before.
"""


def as_markdown() -> str:
    """The page."""
    rows = (STANDARD, *QUIRKS)
    table = "".join(f"| {' | '.join(_cells(row))} |\n" for row in rows)
    return _PREFACE + table + "".join(map(_section, rows)) + _AFTERWORD


def _cells(row: Quirk) -> tuple[str, str, str, str]:
    signs = [f"`Oem.{name}`" for name in row.oem] + [f"Manufacturer “{name}…”" for name in row.manufacturers]
    sent = ", ".join(name.removeprefix("BootSourceOverride") for name in ALL if name in row.sends and name != URI)
    return f"`{row.name}`: {row.kind}", ", ".join(signs) or "nothing else fits", _place(row), sent


def _place(row: Quirk) -> str:
    if row.bios is not None:
        return ", ".join(
            f"BIOS attribute `{name}`" for name, value in row.bios.values.items() if value == URL_GOES_HERE
        )
    if URI not in row.sends:
        return "nowhere"
    settings = [f"`{name}`" for name in row.settings]
    where = f"its settings object{f' or {settings[0]}' if settings else ''}"
    return where if row.settings_only else f"`Boot.{URI}` of the system, or of {where}"


def _section(row: Quirk) -> str:
    lines = [f"\n## {row.kind}\n", *(f"- {note}" for note in row.notes)]
    if row.bios is not None:
        set_before = "".join(f"`{name}={value}` first, then " for name, value in row.bios.first.items())
        names = ", ".join(f"`{name}`" for name in row.bios.attributes("http:"))
        left = ", ".join(f"`{name}={value}`" if value else f"`{name}` empty" for name, value in row.bios.undo.items())
        lines.append(f"- BIOS attributes: {set_before}{names}; `httpboot clear` leaves {left}.")
    for name, values in row.reads_back.items():
        lines.append(f"- `{name}` may read back as {', '.join(f'`{value}`' for value in values)}.")
    for name, value in row.switches.items():
        lines.append(f"- The firmware boots over HTTP only where the BIOS has `{name}={value}`; `probe` looks.")
    lines += [f"- Evidence: {'; '.join(row.evidence)}.", ""]
    return "\n".join(lines)
