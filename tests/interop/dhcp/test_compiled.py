"""The wheel that pip builds: codecs and decisions are compiled in it, or are not where there is no compiler."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from kit import wheel

MODULES = ("client", "decide4", "decide6", "iana", "leases", "limits", "message4", "message6", "policy")


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return wheel.install(tmp_path_factory.mktemp("wheel"))


def run(installed: Path, *arguments: str) -> str:
    """What a program of this Python says that has the wheel before the sources."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    ran = subprocess.run(
        [sys.executable, *arguments],
        cwd=wheel.ROOT,
        env={**environment, "PYTHONPATH": str(installed)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout
    return ran.stdout


def where(installed: Path) -> list[str]:
    names = [f"ironic_httpboot.dhcp.{name}" for name in MODULES]
    return run(
        installed, "-c", f"import importlib\nfor each in {names}: print(importlib.import_module(each).__file__)"
    ).split()


def test_what_each_message_goes_through_is_compiled(installed: Path) -> None:
    found = where(installed)
    assert len(found) == len(MODULES)
    assert [each for each in found if not (each.startswith(str(installed)) and each.endswith(".so"))] == []


def test_it_does_all_that_the_sources_do(installed: Path, tmp_path: Path) -> None:
    """What is known of the decisions and their codecs, then the captures, and `httpboot serve` before real clients."""
    tests = ["tests/unit/dhcp", *(f"tests/interop/dhcp/test_{name}.py" for name in ("golden", "addresses", "life"))]
    said = run(installed, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--basetemp", str(tmp_path / "inner"), *tests)
    assert " passed" in said


def test_without_a_compiler_it_is_the_sources_and_says_so(tmp_path: Path) -> None:
    built, said = wheel.build(tmp_path, {"CC": "/bin/false"})
    assert built.name.endswith("-py3-none-any.whl")
    assert "not compiled" in said
    assert "DHCP costs more CPU time" in said
    site = wheel.unpack(built, tmp_path / "site")
    assert [each for each in where(site) if not (each.startswith(str(site)) and each.endswith(".py"))] == []
