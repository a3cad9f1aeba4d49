"""Bytes without a copy: a blob is a list of extents over literal bytes, zeros and files on this disk.

Knows sizes, positions, fingerprints and how to read a range. Refuses to know what the bytes mean or who asks for them.
"""

from __future__ import annotations

import hashlib
import io
import os
import stat
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import accumulate
from pathlib import Path
from typing import TypeAlias, assert_never

from ironic_httpboot.errors import BadRecipe, FileChanged

_HASH_BLOCK_BYTES = 1 << 20
_COMPOSE_AGAIN = "compose and publish the image again"


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceFile:
    """A regular file as it was when it was examined.

    inode and mtime_ns tell a replaced or edited file from the one that was examined; sha256 (hex) is of its content.
    """

    path: Path
    size_bytes: int
    mtime_ns: int
    inode: int
    sha256: str

    def open(self) -> io.FileIO:
        """Open the file for reading, unbuffered.

        Raises FileChanged when it is missing or no longer the file that was examined.
        """
        try:
            descriptor = _open(self.path)
        except OSError as error:
            raise FileChanged(f"{self.path}: opened for reading → {error.strerror}", hint=_COMPOSE_AGAIN) from error
        try:
            # Before FileIO sees it: that refuses a directory, and forgets to close what it was given.
            self._compare(os.fstat(descriptor))
        except FileChanged:
            os.close(descriptor)
            raise
        return io.FileIO(descriptor, "rb")

    def check(self) -> None:
        """See that the file is still the one that was examined, without opening it. Raises FileChanged."""
        try:
            self._compare(os.stat(self.path))
        except OSError as error:
            raise FileChanged(f"{self.path}: looked at → {error.strerror}", hint=_COMPOSE_AGAIN) from error

    def _compare(self, found: os.stat_result) -> None:
        if (found.st_size, found.st_mtime_ns, found.st_ino) != (self.size_bytes, self.mtime_ns, self.inode):
            raise FileChanged(
                f"{self.path}: changed since it was examined ({self.size_bytes} bytes then, {found.st_size} now)",
                hint=_COMPOSE_AGAIN,
            )


def _open(path: Path) -> int:
    """Open a file for reading. Its time of access stays, where we may leave it: to note it costs more than to open."""
    # O_NONBLOCK: a FIFO that took the file's place must not hold the server.
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        return os.open(path, flags | os.O_NOATIME)
    except PermissionError:  # somebody else's file
        return os.open(path, flags)


def examine(path: Path) -> SourceFile:
    """Fingerprint a file. The content is read once in a process, and again only after the file has changed.

    Raises BadRecipe, naming it, when it is missing, unreadable, no regular file, or changes while it is read.
    """
    try:
        absolute = path.absolute()
        found = absolute.stat()
        if not stat.S_ISREG(found.st_mode):
            raise BadRecipe(f"{path}: is not a regular file")
        return _fingerprint(absolute, found.st_size, found.st_mtime_ns, found.st_ino)
    except OSError as error:
        raise BadRecipe(f"{path}: examined → {error.strerror}") from error
    except ValueError as error:
        raise BadRecipe(f"{str(path)!r}: cannot be a path") from error


@lru_cache(maxsize=4096)
def _fingerprint(path: Path, size_bytes: int, mtime_ns: int, inode: int) -> SourceFile:
    unread = SourceFile(path=path, size_bytes=size_bytes, mtime_ns=mtime_ns, inode=inode, sha256="")
    digest = hashlib.sha256()
    try:
        with unread.open() as stream:
            while block := stream.read(_HASH_BLOCK_BYTES):
                digest.update(block)
        with unread.open():
            return replace(unread, sha256=digest.hexdigest())
    except FileChanged as error:
        raise BadRecipe(error.message, hint="it must be readable, and must not change while it is read") from error


@dataclass(frozen=True, slots=True)
class Literal:
    """Bytes held in memory."""

    data: bytes

    @property
    def length(self) -> int:
        """Size in bytes."""
        return len(self.data)

    def cut(self, start: int, end: int) -> Literal:
        """The bytes start ≤ i < end."""
        return Literal(self.data[start:end])


@dataclass(frozen=True, slots=True)
class Zeros:
    """A run of zero bytes, held as its length."""

    length: int

    def cut(self, start: int, end: int) -> Zeros:
        """The bytes start ≤ i < end."""
        return Zeros(end - start)


@dataclass(frozen=True, slots=True)
class FileSlice:
    """length bytes of a file, from offset."""

    file: SourceFile
    offset: int
    length: int

    def cut(self, start: int, end: int) -> FileSlice:
        """The bytes start ≤ i < end."""
        return FileSlice(self.file, self.offset + start, end - start)


Extent: TypeAlias = Literal | Zeros | FileSlice
Content: TypeAlias = tuple[Extent, ...]
"""A run of bytes, as extents in order."""


def whole(file: SourceFile) -> Content:
    """All of a file."""
    return (FileSlice(file, 0, file.size_bytes),) if file.size_bytes else ()


def literal(data: bytes) -> Content:
    """Bytes in memory."""
    return (Literal(data),) if data else ()


def length_of(content: Iterable[Extent]) -> int:
    """The size of a content in bytes."""
    return sum(extent.length for extent in content)


class Assembly:
    """Content being put together, front to back."""

    def __init__(self) -> None:
        self._extents: list[Extent] = []
        self._literals: list[bytes] = []
        self.position = 0

    def add(self, content: Content) -> None:
        """Append a content."""
        for extent in content:
            if extent.length == 0:
                continue
            self.position += extent.length
            if isinstance(extent, Literal):
                self._literals.append(extent.data)
                continue
            self._join_literals()
            last = self._extents[-1] if self._extents else None
            if isinstance(extent, Zeros) and isinstance(last, Zeros):
                self._extents[-1] = Zeros(last.length + extent.length)
            else:
                self._extents.append(extent)

    def pad(self, multiple: int) -> None:
        """Append zeros up to the next multiple."""
        self.pad_to(-(-self.position // multiple) * multiple)

    def pad_to(self, position: int) -> None:
        """Append zeros up to a position, which must not lie behind."""
        if position < self.position:
            raise ValueError(f"cannot pad back from {self.position} to {position}")
        self.add((Zeros(position - self.position),))

    @property
    def content(self) -> Content:
        """What was put together."""
        self._join_literals()
        return tuple(self._extents)

    def _join_literals(self) -> None:
        """Make one extent of the literals that came last: joined once, a directory's records cost no copies."""
        if self._literals:
            self._extents.append(Literal(b"".join(self._literals)))
            self._literals.clear()


@dataclass(frozen=True, slots=True, kw_only=True)
class Blob:
    """A finished run of bytes with a strong ETag.

    etag: quoted, as in the header; equal content from equal sources has an equal ETag in every process.
    """

    extents: Content
    starts: tuple[int, ...]
    size_bytes: int
    etag: str

    @classmethod
    def of(cls, content: Content, *, etag: str | None = None) -> Blob:
        """Close a content. etag: taken as given, where the caller knows better than the extents."""
        ends = tuple(accumulate((extent.length for extent in content), initial=0))
        return cls(extents=content, starts=ends[:-1], size_bytes=ends[-1], etag=etag or _strong_etag(content))

    def cut(self, start: int, end: int) -> Iterator[Extent]:
        """The extents of the bytes start ≤ i < end."""
        if not 0 <= start <= end <= self.size_bytes:
            raise ValueError(f"cannot cut {start}:{end} from {self.size_bytes} bytes")
        index = max(bisect_right(self.starts, start) - 1, 0)
        while start < end:
            extent, base = self.extents[index], self.starts[index]
            stop = min(end, base + extent.length)
            yield extent if stop - start == extent.length else extent.cut(start - base, stop - base)
            start = stop
            index += 1

    def read_at(self, offset: int, count: int) -> bytes:
        """The bytes offset ≤ i < offset + count, or fewer at the end. Raises FileChanged."""
        start = min(offset, self.size_bytes)
        return b"".join(_read(extent) for extent in self.cut(start, min(start + count, self.size_bytes)))

    def files(self) -> frozenset[SourceFile]:
        """The files that the blob is made of."""
        return frozenset(extent.file for extent in self.extents if isinstance(extent, FileSlice))


def _read(extent: Extent) -> bytes:
    match extent:
        case Literal(data):
            return data
        case Zeros(length):
            return bytes(length)
        case FileSlice(file, offset, length):
            with io.BufferedReader(file.open()) as stream:
                try:
                    stream.seek(offset)
                    data = stream.read(length)
                except OSError as error:
                    raise FileChanged(f"{file.path}: {length} bytes read at {offset} → {error.strerror}") from error
            if len(data) < length:
                raise FileChanged(f"{file.path}: {length} bytes read at {offset} → {len(data)} came back")
            return data
        case _:
            assert_never(extent)


def _strong_etag(content: Content) -> str:
    digest = hashlib.sha256()
    for extent in content:
        match extent:
            case Literal(data):
                digest.update(b"literal %d\n" % len(data) + data)
            case Zeros(length):
                digest.update(b"zeros %d\n" % length)
            case FileSlice(file, offset, length):
                digest.update(b"file %s %d %d\n" % (file.sha256.encode(), offset, length))
            case _:
                assert_never(extent)
    return f'"{digest.hexdigest()[:32]}"'
