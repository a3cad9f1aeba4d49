"""The house rules that a linter does not know."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "ironic_httpboot"
MODULES = sorted(path for path in PACKAGE.rglob("*.py") if path.name != "__init__.py")

LONGEST_MODULE, LONGEST_FUNCTION, LONGEST_README = 500, 60, 120
SPLIT_BY_SUBJECT = {"utils", "util", "helpers", "helper", "common", "base", "misc"}

SEEN_WHOLE = {
    "demo/guest.py": "firmware/test_bmc_path.py",
    "demo/proxy.py": "firmware/test_commands.py",
    "demo/run.py": "firmware/test_commands.py",
    "demo/view.py": "firmware/test_commands.py",
    "cli/bmc.py": "interop/cli/test_boot.py",
    "cli/clear.py": "interop/cli/test_boot.py",
    "cli/probe.py": "interop/cli/test_boot.py",
    "cli/dhcp.py": "interop/dhcp/test_life.py",
    "cli/outlet.py": "interop/cli/test_serve.py",
    "cli/output.py": "interop/cli/test_main.py",
    "cli/privileges.py": "interop/dhcp/test_life.py",
    "cli/start.py": "interop/cli/test_main.py",
    "dhcp/export_dnsmasq.py": "interop/dhcp/test_export.py",
    "dhcp/export_isc.py": "interop/dhcp/test_export.py",
    "dhcp/export_kea.py": "interop/dhcp/test_export.py",
    "dhcp/export_neutron.py": "interop/dhcp/test_neutron.py",
    "errors.py": "interop/cli/test_main.py",
    "plugin/address.py": "ironic/test_disks.py",
    "plugin/bmc.py": "ironic/test_redfish_http_url.py",
    "plugin/boot.py": "ironic/test_redfish_http_url.py",
    "plugin/hardware.py": "ironic/test_redfish_http_url.py",
    "plugin/images.py": "ironic/test_redfish_http_url.py",
    "plugin/network_boot.py": "ironic/test_dhcp_path.py",
    "plugin/payload.py": "ironic/test_redfish_http_url.py",
    "plugin/shelf.py": "ironic/test_redfish_http_url.py",
    "plugin/upkeep.py": "ironic/test_upkeep.py",
}
"""Modules that only make sense as part of a whole, and the test that sees them in it."""


def named(paths: list[Path], root: Path = PACKAGE) -> list[str]:
    return [str(path.relative_to(root)) for path in paths]


def ours() -> list[Path]:
    """Every Python file of the project."""
    return [*PACKAGE.rglob("*.py"), *(ROOT / "tests").rglob("*.py"), *(ROOT / "bench").rglob("*.py")]


@pytest.mark.parametrize("module", MODULES, ids=named(MODULES))
def test_every_module_has_a_test_of_its_own_or_is_seen_in_a_whole(module: Path) -> None:
    relative = module.relative_to(PACKAGE)
    mirrors = [
        ROOT / "tests" / kind / relative.parent / f"test_{relative.name}" for kind in ("unit", "interop", "firmware")
    ]
    if str(relative) in SEEN_WHOLE:
        assert (ROOT / "tests" / SEEN_WHOLE[str(relative)]).is_file()
        assert not any(mirror.is_file() for mirror in mirrors), "it has a test of its own: take it out of SEEN_WHOLE"
    else:
        assert any(mirror.is_file() for mirror in mirrors)


def test_a_unit_test_is_named_after_the_module_that_it_tests() -> None:
    tests = ROOT / "tests" / "unit"
    strays = [
        path
        for path in tests.rglob("test_*.py")
        if not (PACKAGE / path.relative_to(tests).parent / path.name.removeprefix("test_")).is_file()
    ]
    assert named(strays, tests) == []


def test_modules_are_short() -> None:
    long = [f"{path}: {count}" for path in ours() if (count := len(path.read_text().splitlines())) > LONGEST_MODULE]
    assert long == []


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def test_a_function_fits_a_screen() -> None:
    long = [
        f"{path}: {function.name} has {lines} lines"
        for path in ours()
        for function in functions(path)
        if (lines := (function.end_lineno or 0) - function.lineno + 1) > LONGEST_FUNCTION
    ]
    assert long == []


def test_code_is_split_by_subject_and_one_level_deep() -> None:
    assert [path for path in MODULES if SPLIT_BY_SUBJECT & set(path.relative_to(PACKAGE).with_suffix("").parts)] == []
    assert [path for path in MODULES if len(path.relative_to(PACKAGE).parts) > 2] == []


def test_a_module_opens_with_what_it_is() -> None:
    assert [path for path in ours() if path.read_text() and not ast.get_docstring(ast.parse(path.read_text()))] == []


def test_nothing_is_left_to_be_done_in_comments() -> None:
    mark = re.compile(r"#.*\b(?:TODO|FIXME|XXX)\b|__author__")
    assert [path for path in ours() if path != Path(__file__) and mark.search(path.read_text())] == []


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= LONGEST_README


def test_versions_are_pinned_and_no_address_is_written_down() -> None:
    texts = [path.read_text() for path in ROOT.glob("constraints*.txt")]
    assert len(texts) > 1
    lines = [line for text in texts for line in text.splitlines() if not line.startswith("#")]
    pin = re.compile(r"[A-Za-z0-9._-]+==[A-Za-z0-9.+!]+( ; python_version >= '3\.\d+')?")
    assert [line for line in lines if not pin.fullmatch(line)] == []


def test_files_name_no_place_of_one_machine() -> None:
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    place = re.compile(r"/(?:root|home/\w+)/|(?:extra-)?index[-]url")
    found = [
        name
        for name in tracked
        if (ROOT / name).is_file() and place.search((ROOT / name).read_text("utf-8", "replace"))
    ]
    assert found == []
