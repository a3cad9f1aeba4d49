"""The `httpboot` command as its users run it: a process of its own, watched through what it prints."""

from __future__ import annotations

import os
import re
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

HTTPBOOT = Path(sys.executable).parent / "httpboot"


def httpboot(*arguments: str | Path, code: int = 0, environment: Mapping[str, str] | None = None) -> str:
    """Run a command to its end; return what it printed on both outputs. Fails on another exit code."""
    done = subprocess.run(
        [HTTPBOOT, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**os.environ, **(environment or {})},
        timeout=240,
        check=False,
    )
    printed = done.stdout.decode()
    assert done.returncode == code, f"httpboot {' '.join(map(str, arguments))} → {done.returncode}\n{printed}"
    return printed


class Running:
    """A command that goes on. Use it in a with statement; at its end it is interrupted as by Ctrl-C."""

    def __init__(self, *arguments: str | Path, environment: Mapping[str, str] | None = None) -> None:
        self._arguments = [str(argument) for argument in arguments]
        self._environment = {**os.environ, **(environment or {})}
        self.printed = ""

    def __enter__(self) -> Running:
        self.process = subprocess.Popen(
            [HTTPBOOT, *self._arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=self._environment
        )
        return self

    def __exit__(self, *exception: object) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        self.end()

    def until(self, pattern: str, *, seconds: float = 60) -> re.Match[str]:
        """Read on until a line shows what is waited for. Fails with all that was printed."""
        deadline = time.monotonic() + seconds
        assert self.process.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(self.process.stdout, selectors.EVENT_READ)
            while (match := re.search(pattern, self.printed)) is None:
                assert selector.select(max(0, deadline - time.monotonic())), (
                    f"{pattern!r} not within {seconds:g} s of httpboot {' '.join(self._arguments)}:\n{self.printed}"
                )
                piece = os.read(self.process.stdout.fileno(), 65536)
                assert piece, f"httpboot {' '.join(self._arguments)} ended:\n{self.printed}"
                self.printed += piece.decode(errors="replace")
        return match

    def end(self, *, seconds: float = 60) -> int:
        """Wait for its end; return its exit code."""
        rest, _ = self.process.communicate(timeout=seconds)
        self.printed += rest.decode(errors="replace")
        return self.process.returncode


def qemu_processes(folder: Path) -> list[int]:
    """The QEMU processes whose files lie below a folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            arguments = (process / "cmdline").read_bytes()
        except OSError:
            continue
        if arguments.startswith(b"qemu-system") and str(folder).encode() in arguments:
            found.append(int(process.name))
    return found
