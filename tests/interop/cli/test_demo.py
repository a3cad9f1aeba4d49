"""`httpboot demo`: what it says before anything is booted."""

from __future__ import annotations

import pytest

from kit.commands import httpboot


@pytest.mark.parametrize("folder", ["/proc/x", "/dev/null", "/dev/null/x"])
def test_a_folder_that_cannot_be_made_is_named(folder: str) -> None:
    said = httpboot("demo", "--keep", folder, code=2)
    assert f"--keep: {folder}: made → " in said
    assert "Traceback" not in said
