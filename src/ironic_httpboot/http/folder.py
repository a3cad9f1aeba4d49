"""An operator's own images in a plain folder, as they lie there.

Knows how a request's path finds a file below a root and nothing outside it. Refuses to know HTTP and to list anything.
"""

from __future__ import annotations

import hashlib
import os
import stat
from contextlib import suppress
from pathlib import Path

from ironic_httpboot.blob import Blob, SourceFile, literal, whole
from ironic_httpboot.errors import FileChanged, HostError
from ironic_httpboot.http.respond import Representation
from ironic_httpboot.model import ImageKind

_SMALL_FILE_BYTES = 64 * 1024
"""Up to this size a file is sent from memory: opening and sendfile cost more than its bytes (bench/RESULTS.md)."""

_KEPT_FILES = 1024
_OTHER_TYPE = "application/octet-stream"


class Folder:
    """Files below a root. What a symbolic link names is served only where it lies below the root as well."""

    def __init__(self, root: Path) -> None:
        """Serve a folder. Raises HostError where it is none."""
        if not root.is_dir():
            raise HostError(f"folder {root}: is no folder", hint="make it, or name another with --root")
        self._root = os.path.realpath(root).rstrip("/")
        self._kept: dict[tuple[str, ...], tuple[tuple[int, ...], Representation]] = {}

    def find(self, names: tuple[str, ...]) -> Representation | None:
        """The file that the names lead to, or None."""
        try:
            path, found = self._follow(names)
            identity = _identity(found)
            kept = self._kept.get(names)
            if kept is None or kept[0] != identity:
                kept = (identity, _represent(path, found, names))
                if len(self._kept) >= _KEPT_FILES:
                    del self._kept[next(iter(self._kept))]
                self._kept[names] = kept
            return kept[1]
        except (OSError, ValueError, _NotServed):
            self._kept.pop(names, None)
            return None

    def _follow(self, names: tuple[str, ...]) -> tuple[str, os.stat_result]:
        """Where the names lead to, and what is there. Raises OSError, ValueError, _NotServed."""
        # Strings, not Paths: this runs for every request, and a Path costs more than asking for the file.
        path, found = self._root, None
        for name in names:
            if name in ("", ".", "..") or "/" in name:
                raise _NotServed
            path = f"{path}/{name}"
            found = os.lstat(path)
            if stat.S_ISLNK(found.st_mode):
                path = os.path.realpath(f"{self._root}/{'/'.join(names)}", strict=True)
                if not path.startswith(f"{self._root}/"):
                    raise _NotServed
                return path, os.lstat(path)
        if found is None:
            raise _NotServed
        return path, found


def _represent(path: str, found: os.stat_result, names: tuple[str, ...]) -> Representation:
    if not stat.S_ISREG(found.st_mode):
        raise _NotServed
    file = SourceFile(
        path=Path(path), size_bytes=found.st_size, mtime_ns=found.st_mtime_ns, inode=found.st_ino, sha256=""
    )
    content = whole(file)
    if file.size_bytes <= _SMALL_FILE_BYTES:
        # One that cannot be read stays what it is: the server then says so, in its log and to the client.
        with suppress(FileChanged), file.open() as stream:
            data = stream.read()
            content = literal(data) if len(data) == file.size_bytes else content
    etag = hashlib.sha256(repr(_identity(found)).encode()).hexdigest()[:32]
    kind = ImageKind.of_name(names[-1])
    return Representation(
        blob=Blob.of(content, etag=f'"{etag}"'),
        content_type=kind.content_type if kind else _OTHER_TYPE,
        modified=found.st_mtime_ns // 10**9,
        label="/" + "/".join(names),
    )


class _NotServed(Exception):
    """A path leads out of the root, or to something that is no file."""


def _identity(found: os.stat_result) -> tuple[int, ...]:
    return (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)
