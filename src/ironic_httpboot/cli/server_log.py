"""What an artifact server reports while a machine boots: the file that `httpboot serve --json` is written to.

Knows its lines. Refuses to know what is made of them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ironic_httpboot.errors import InputError
from ironic_httpboot.events import Transfer


class ServerLog:
    """The requests for one file, of all that are reported from now on."""

    def __init__(self, path: Path, file_name: str) -> None:
        """file_name: the last part of the URL's path. Raises InputError where the file cannot be read."""
        self._path = path
        self._name = file_name
        self._position = 0
        self._rest = b""
        self._found: list[Transfer] = []
        try:
            self._position = path.stat().st_size
        except OSError as error:
            raise InputError(
                f"--events {path}: read → {error.strerror}", hint="run `httpboot serve --json > FILE` first"
            ) from error

    def __call__(self) -> list[Transfer]:
        """All requests for the file so far. Raises InputError."""
        try:
            with self._path.open("rb") as stream:
                stream.seek(self._position)
                data = stream.read()
        except OSError as error:
            raise InputError(f"--events {self._path}: read → {error.strerror}") from error
        self._position += len(data)
        *lines, self._rest = (self._rest + data).split(b"\n")
        self._found += self._transfers(lines)
        return self._found

    def _transfers(self, lines: list[bytes]) -> Iterator[Transfer]:
        for line in lines:
            try:
                read: dict[str, Any] = json.loads(line)
                if read.pop("kind") == "Transfer" and read.pop("stage", None) is not None:
                    transfer = Transfer(**read)
                    if transfer.path.rpartition("/")[2] == self._name:
                        yield transfer
            except (ValueError, TypeError, KeyError, AttributeError):
                # A line of something else: the file is the operator's.
                continue
