"""Rows of data: how a BMC is recognised, and that every row says where it is from."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from ironic_httpboot.redfish.quirks import ALL, QUIRKS, STANDARD, URL_GOES_HERE, recognise
from ironic_httpboot.redfish.resources import Resource, System, read_system
from ironic_httpboot.redfish.support import as_markdown

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "bmc-support.md"
PLAIN = read_system(Resource(path="/1", etag=None, body={"Boot": {}}))


def system(manufacturer: str = "", *oem: str) -> System:
    return replace(PLAIN, manufacturer=manufacturer, oem=oem)


@pytest.mark.parametrize(
    ("found", "name"),
    [
        (system("Dell Inc."), "dell"),
        (system("HPE"), "hpe"),
        (system("Hewlett Packard Enterprise"), "hpe"),
        (system("Supermicro"), "supermicro"),
        (system("Lenovo", "Lenovo"), "lenovo"),
        (system("ASRockRack"), "ami-sd"),
        (system("NVIDIA", "Ami"), "ami-sd"),
        (system("NVIDIA", "Nvidia"), "settings"),
        (system("", "OpenBmc"), "openbmc"),
        (system("Sushy Emulator"), "sushy-tools"),
        (system("Contoso", "Contoso"), "standard"),
        (system(), "standard"),
    ],
)
def test_a_system_is_recognised_by_what_it_says_of_itself(found: System, name: str) -> None:
    assert recognise(found).name == name


def test_every_row_is_named_once_and_has_its_evidence() -> None:
    rows = [STANDARD, *QUIRKS]
    assert len({row.name for row in rows}) == len(rows)
    for row in rows:
        assert row.evidence, row.name
        assert row.notes, row.name
        assert set(row.sends) <= set(ALL), row.name
        if row.bios is not None:
            assert URL_GOES_HERE in row.bios.values.values(), row.name
            assert set(row.bios.undo) >= {name for name, value in row.bios.values.items() if value == URL_GOES_HERE}


def test_the_page_of_supported_bmcs_is_made_from_these_rows() -> None:
    assert PAGE.read_text() == as_markdown(), "run: .venv/bin/python docs/reference/make.py"
