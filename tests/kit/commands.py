"""The `httpboot` command as its users run it: a process of its own, watched through what it prints."""

from __future__ import annotations

import os
import re
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ironic_httpboot import config

HTTPBOOT = Path(sys.executable).parent / "httpboot"


_NOBODY = 65534
_READ_ALL = "-all,+dac_read_search"


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """Somebody to run a command as. prefix: the command that becomes them. home: their own folder."""

    prefix: tuple[str, ...]
    home: Path

    @property
    def environment(self) -> dict[str, str]:
        """Theirs, with the same parts of which boots are made."""
        return {"HOME": str(self.home), "TMPDIR": str(self.home), "HTTPBOOT_PARTS": str(config.parts_folder())}


@contextmanager
def ordinary_user() -> Iterator[User]:
    """Somebody who is not root, with a home that is there until the end; nobody, where root runs the tests.

    A checkout and a Python in root's own home can still be read, but nothing else of root's rights is left.
    """
    with tempfile.TemporaryDirectory(prefix="httpboot-user-") as home:
        if os.geteuid() != 0:
            yield User(prefix=(), home=Path(home))
            return
        os.chown(home, _NOBODY, _NOBODY)
        become = ("setpriv", f"--reuid={_NOBODY}", f"--regid={_NOBODY}", "--clear-groups")
        rights = tuple(f"--{which}={_READ_ALL}" for which in ("inh-caps", "ambient-caps", "bounding-set"))
        yield User(prefix=(*become, *rights), home=Path(home))


def httpboot(
    *arguments: str | Path, code: int = 0, environment: Mapping[str, str] | None = None, user: User | None = None
) -> str:
    """Run a command to its end; return what it printed on both outputs. Fails on another exit code."""
    done = subprocess.run(
        [*(user.prefix if user else ()), HTTPBOOT, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**os.environ, **(user.environment if user else {}), **(environment or {})},
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
