"""The reference of options is what the code says."""

from __future__ import annotations

from pathlib import Path

from ironic_httpboot.plugin.conf import list_opts
from ironic_httpboot.plugin.options_page import as_markdown

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "ironic-options.md"


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text() == as_markdown(), "run python docs/reference/make.py"


def test_every_option_stands_on_it() -> None:
    assert all(f"| `{option.name}` |" in as_markdown() for _, options in list_opts() for option in options)
