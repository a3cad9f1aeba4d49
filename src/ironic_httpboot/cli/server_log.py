"""What an artifact server reports while a machine boots: the file that `httpboot serve --json` is written to.

Knows its lines. Refuses to know what is made of them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from ironic_httpboot.errors import BootFailed, InputError
from ironic_httpboot.events import Transfer
from ironic_httpboot.model import BootUrl

_ANY_FOLDER = "/…/"
"""How a path begins whose folder is a secret: the file's name is all that can be compared."""


class ServerLog:
    """One machine's requests for one file, of all that are reported from now on."""

    def __init__(self, path: Path, url: BootUrl, *, of: str | None = None, alone: bool = True) -> None:
        """of: the machine's name in the server, or its address; where it is None, whoever asks counts.

        alone: it is an error where more than one asks and none was named: one's success is not the other's. Raises
        InputError where the file cannot be read.
        """
        self._path = path
        self._wanted = unquote(urlsplit(url.text).path)
        self._of = of
        self._alone = alone
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
        """All requests for the file so far. Raises InputError, BootFailed."""
        try:
            with self._path.open("rb") as stream:
                stream.seek(self._position)
                data = stream.read()
        except OSError as error:
            raise InputError(f"--events {self._path}: read → {error.strerror}") from error
        self._position += len(data)
        *lines, self._rest = (self._rest + data).split(b"\n")
        self._found += self._transfers(lines)
        askers = sorted({each.machine or each.peer for each in self._found})
        if self._alone and self._of is None and len(askers) > 1:
            raise BootFailed(
                f"--events {self._path}: {', '.join(askers)} all asked for {self._found[0].path}:"
                " whether one of them is this machine cannot be told",
                hint="name it with --events-of, or give each machine a URL of its own",
            )
        return self._found

    def _is_ours(self, transfer: Transfer) -> bool:
        if self._of is not None and self._of not in (transfer.machine, transfer.peer):
            return False
        path = transfer.path
        if path.startswith(_ANY_FOLDER):
            return path.removeprefix(_ANY_FOLDER) == self._wanted.rpartition("/")[2]
        # A server behind another one may not see the first of the folders.
        return path.startswith("/") and self._wanted.endswith(path)

    def _transfers(self, lines: list[bytes]) -> Iterator[Transfer]:
        for line in lines:
            try:
                read: dict[str, Any] = json.loads(line)
                if read.pop("kind") == "Transfer" and read.pop("stage", None) is not None:
                    transfer = Transfer(**read)
                    if self._is_ours(transfer):
                        yield transfer
            except (ValueError, TypeError, KeyError, AttributeError):
                # A line of something else: the file is the operator's.
                continue
