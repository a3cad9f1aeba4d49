"""Builds wheels: the DHCP codecs and decisions are compiled, by mypyc, where this host has a C compiler.

Compiled they cost less (bench/RESULTS.md). Without a compiler the wheel is what it would be anyway, for any host, and
all of it works; HATCH_BUILD_NO_HOOKS=true asks for that one. A development install (`pip install -e`) has the sources
alone, so that what is edited is what runs.
"""

from __future__ import annotations

import os
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

    _folder: Path | None = None

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile, and add what came of it to the wheel's files."""
        if version == "editable":
            return
        try:
            self._folder, libraries = compiled(Path(self.root) / "src")
        except (CompilerError, OSError) as error:
            self.app.display_warning(f"not compiled: {error}\nThe wheel is complete; DHCP costs more CPU time.")
            return
        build_data["pure_python"] = False
        build_data["infer_tag"] = True
        build_data["force_include"] |= {str(path): str(path.relative_to(self._folder)) for path in libraries}

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Leave nothing behind."""
        if self._folder is not None:
            shutil.rmtree(self._folder)


class CompilerError(Exception):
    """Nothing was compiled."""


def compiled(sources: Path) -> tuple[Path, list[Path]]:
    """A new folder, with the libraries that stand for MODULES. Raises CompilerError, with what was said, or OSError."""
    folder = Path(tempfile.mkdtemp(prefix="httpboot-compile-"))
    try:
        return folder, _compile_into(folder, sources)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _compile_into(folder: Path, sources: Path) -> list[Path]:
    for module in (sources / PACKAGE).rglob("*.py"):
        copy = folder / module.relative_to(sources)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_text(_FINAL_FIELD.sub(r"\1: \2", module.read_text("utf-8")), "utf-8")
    command = [sys.executable, "-m", "mypyc", "--config-file", "", "--ignore-missing-imports", *MODULES]
    # Without what a debugger wants: it would name this folder, and no two wheels would be the same.
    environment = {**os.environ, "MYPYC_DEBUG_LEVEL": "0", "CFLAGS": f"{os.environ.get('CFLAGS', '')} -g0"}
    ran = subprocess.run(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    libraries = [path for path in folder.rglob("*.so") if "build" not in path.relative_to(folder).parts]
    if ran.returncode != 0 or len(libraries) < len(MODULES):
        raise CompilerError(f"mypyc → {ran.stdout.strip()[-2000:]}")
    return libraries
