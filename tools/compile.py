"""Builds wheels: the DHCP codecs and decisions are compiled, by mypyc, where this host has a C compiler.

Compiled they cost half as much (bench/RESULTS.md). Without a compiler the wheel is what it would be anyway, and all of
it works. A development install (`pip install -e`) has the sources alone, so that what is edited is what runs.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.config import BuilderConfig
from hatchling.builders.hooks.plugin.interface import BuildHookInterface

PACKAGE = "ironic_httpboot"
MODULES = tuple(
    f"{PACKAGE}/dhcp/{name}.py"
    for name in ("client", "decide4", "decide6", "iana", "leases", "limits", "message4", "message6", "policy")
)
"""What each message goes through, and touches no world: an import-linter contract sees to that."""

_FINAL_FIELD = re.compile(r"^(    \w+): Final\[(.*)\]", re.MULTILINE)
"""Fields of data classes. Final is for mypy: mypyc would refuse the `__init__` that dataclasses write (mypy 2.4)."""


class CompiledWheel(BuildHookInterface[BuilderConfig]):
    """What hatchling calls before and after it writes a wheel."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile, and add what came of it to the wheel's files."""
        self._folder = Path(tempfile.mkdtemp(prefix="httpboot-compile-"))
        if version == "editable":
            return
        try:
            libraries = compile_into(self._folder, Path(self.root) / "src")
        except CompilerError as error:
            self.app.display_warning(f"not compiled: {error}\nThe wheel is complete; DHCP costs twice the CPU time.")
            return
        build_data["pure_python"] = False
        build_data["infer_tag"] = True
        build_data["force_include"] |= {str(path): str(path.relative_to(self._folder)) for path in libraries}

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Leave nothing behind."""
        shutil.rmtree(self._folder, ignore_errors=True)


class CompilerError(Exception):
    """Nothing was compiled."""


def compile_into(folder: Path, sources: Path) -> list[Path]:
    """The libraries that stand for MODULES, in a copy of the package. Raises CompilerError, with what was said."""
    shutil.copytree(sources / PACKAGE, folder / PACKAGE, ignore=shutil.ignore_patterns("__pycache__"))
    for name in MODULES:
        module = folder / name
        module.write_text(_FINAL_FIELD.sub(r"\1: \2", module.read_text("utf-8")), "utf-8")
    command = [sys.executable, "-m", "mypyc", "--config-file", "", "--ignore-missing-imports", *MODULES]
    ran = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if ran.returncode != 0:
        raise CompilerError(f"mypyc → {ran.stdout.strip()[-2000:]}")
    return [path for path in folder.rglob("*.so") if "build" not in path.relative_to(folder).parts]
