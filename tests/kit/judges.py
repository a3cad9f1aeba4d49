"""Programs that judge our work: how they are run, and what they said. One door for all of them."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path


def judge(*command: str | Path, cwd: Path | None = None, stdin: bytes | None = None, code: int = 0) -> bytes:
    """Run a program to its end and return what it printed. Fails, with all of it, on another exit code."""
    program = shutil.which(str(command[0]))
    assert program, f"{command[0]} is missing: run `make setup-test`"
    done = subprocess.run([program, *command[1:]], cwd=cwd, input=stdin, capture_output=True, timeout=120, check=False)
    assert done.returncode == code, (
        f"{' '.join(map(str, command))} → {done.returncode}\n"
        f"{done.stdout[-4000:].decode(errors='replace')}\n{done.stderr[-4000:].decode(errors='replace')}"
    )
    return done.stdout


def files_below(folder: Path) -> dict[str, bytes]:
    """Every file below a folder by its path, as a judge has extracted it."""
    return {
        str(Path(at, name).relative_to(folder)): Path(at, name).read_bytes()
        for at, _, names in os.walk(folder)
        for name in names
    }


def osirrox(image: Path, folder: Path) -> dict[str, bytes]:
    """Every file of an ISO by its path, as xorriso extracts it into a folder."""
    judge("osirrox", "-abort_on", "WARNING", "-indev", image, "-extract", "/", folder)
    judge("chmod", "-R", "u+w", folder)
    return files_below(folder)
