"""The project as pip installs it, unlike the `.venv` of the tests, which runs the sources."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).parents[2]


def build(folder: Path, environment: Mapping[str, str] | None = None) -> tuple[Path, str]:
    """Build the wheel; the wheel, and what was said meanwhile. Takes a quarter of a minute."""
    command = [sys.executable, "-m", "pip", "wheel", "--disable-pip-version-check", "-v"]
    options = ["--no-build-isolation", "--no-deps", "--wheel-dir", str(folder), str(ROOT)]
    ran = subprocess.run(
        [*command, *options],
        env={**os.environ, **(environment or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout
    (wheel,) = folder.glob("*.whl")
    return wheel, ran.stdout


def install(folder: Path) -> Path:
    """A folder for PYTHONPATH, with what pip installs on a host that has a compiler. folder: for all that is made."""
    wheel, said = build(folder)
    assert not wheel.name.endswith("-py3-none-any.whl"), said
    return unpack(wheel, folder / "site")


def unpack(wheel: Path, folder: Path) -> Path:
    """A folder for PYTHONPATH, with what is in a wheel."""
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder
