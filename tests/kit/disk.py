"""A disk that is full."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_ROOM_BYTES = 1 << 20


@contextmanager
def full_disk(where: Path) -> Iterator[Path]:
    """A file system with nothing left on it, in a folder, over what is there."""
    where.mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={_ROOM_BYTES}", "tmpfs", where], check=True)
    try:
        with (where / "taken").open("wb", buffering=0) as stream, suppress(OSError):
            while True:
                stream.write(bytes(4096))
        assert os.statvfs(where).f_bavail == 0
        yield where
    finally:
        subprocess.run(["umount", where], check=True)
