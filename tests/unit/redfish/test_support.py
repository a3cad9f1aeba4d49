"""The page of supported BMCs."""

from __future__ import annotations

from ironic_httpboot.redfish.quirks import QUIRKS
from ironic_httpboot.redfish.support import as_markdown


def test_every_row_has_its_line_its_notes_and_its_evidence() -> None:
    page = as_markdown()
    for row in QUIRKS:
        assert f"| `{row.name}`: {row.kind} |" in page
        assert all(f"- {note}" in page for note in row.notes)
        assert all(source in page for source in row.evidence)


def test_what_clear_leaves_is_written_down() -> None:
    page = as_markdown()
    assert "`httpboot clear` leaves `HttpDev1Uri` empty, `HttpDev1TlsMode=OneWay`, `HttpDev1EnDis=Disabled`" in page
    assert "`BootSourceOverrideTarget` may read back as `UefiBootNext`" in page
