"""The file that keeps leases across restarts, crashes and `kill -9`.

Knows how lines are appended in one write each time, and how the file is written anew when most of it is old. Refuses to
know what the lines mean beyond `leases`. What was appended survives the end of the process, however it comes; against
a loss of power it is as good as the file system, like the lease files of dnsmasq and Kea.
"""

from __future__ import annotations

import fcntl
import logging
import os
import stat
from collections.abc import Iterable
from pathlib import Path

from ironic_httpboot.dhcp.leases import FILE_HEADER, Leases, decode_line, encode_line
from ironic_httpboot.errors import HostError, MalformedMessage

_LOG = logging.getLogger(__name__)

_SPARE_LINES = 10_000
_IDENTITY = "server "
"""What the line begins with that keeps the server's DUID."""
_OTHER_KINDS = {
    stat.S_ISDIR: "a folder",
    stat.S_ISLNK: "a link",
    stat.S_ISFIFO: "a FIFO",
    stat.S_ISSOCK: "a socket",
    stat.S_ISCHR: "a device",
    stat.S_ISBLK: "a device",
}


class LeaseFile:
    """One file for both families. Only one process may use it at a time."""

    def __init__(self, path: Path, tables: Iterable[Leases]) -> None:
        """tables: filled from the file by `open`."""
        self._path = path
        self._tables = {table.version: table for table in tables}
        self._handle = -1
        self._size = 0
        self._lines = 0
        self._identity = b""
        self._hindered = False

    def open(self) -> None:
        """Read what is there and make the file short. Raises HostError, naming the line that is no lease.

        What is no file, such as a device, is refused before it is opened: it would end up replaced by one.
        """
        try:
            _check_is_file(self._path, follow=True)
            # Where it is a link, that stays one: what it leads to is written anew.
            self._path = self._path.resolve()
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._handle = self._locked(os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644))
            text = self._path.read_text("ascii")
        except OSError as error:
            raise HostError(f"{self._path}: opened as lease file → {error.strerror}") from error
        except UnicodeDecodeError as error:
            raise HostError(f"{self._path}: is no lease file: {error.reason}") from error
        self._replay(text)
        self._rewrite()

    def close(self) -> None:
        """Give the file up."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1

    def hand_to(self, user: int, group: int) -> None:
        """Let a user go on with the file, who must be able to write its folder too, where it is written anew."""
        os.chown(self._path, user, group)

    def identity(self, otherwise: bytes) -> bytes:
        """The server's DUID as the file keeps it; `otherwise`, which it then keeps, where it has none yet.

        It stays with the leases, so that machines find their server again after any change of this host.
        """
        if not self._identity:
            self._append(f"{_IDENTITY}{otherwise.hex()}\n".encode("ascii"))
            self._identity = otherwise
        return self._identity

    def hindrance(self) -> str | None:
        """Why the file cannot be written anew by this process, or None. If so, it is not tried and the file grows."""
        self._hindered = not os.access(self._path.parent, os.W_OK | os.X_OK)
        if not self._hindered:
            return None
        return f"{self._path.parent}: is not writable, so that {self._path.name} is made short at a restart only"

    def save(self) -> None:
        """Append what changed. Must be called before an answer leaves that promises it. Raises HostError."""
        lines = []
        for version, table in self._tables.items():
            if table.changes:
                lines += [encode_line(version, lease) for lease in table.changes]
                table.changes.clear()
        if not lines:
            return
        self._append("".join(lines).encode("ascii"))
        self._lines += len(lines)
        if not self._hindered and self._lines > _SPARE_LINES + 4 * sum(map(len, self._tables.values())):
            self._shorten()

    def _shorten(self) -> None:
        try:
            self._rewrite()
        except HostError as error:
            # The leases are safe: only the file stays long. Asked again when as many lines more have come.
            _LOG.warning("%s", error)
            self._lines = 0

    def _append(self, data: bytes) -> None:
        try:
            written = os.write(self._handle, data)
            if written == len(data):
                self._size += written
                return
            reason = "only a part was written: no room is left"
        except OSError as error:
            reason = error.strerror or str(error)
        # Half a line must not stay: the next one would be read as its end.
        os.ftruncate(self._handle, self._size)
        raise HostError(f"{self._path}: leases appended → {reason}")

    def _replay(self, text: str) -> None:
        """Take over the lines. A last one without its end was being written when the power went: it does not count."""
        if not text:
            return
        complete = text[: text.rfind("\n") + 1].splitlines()
        # The first line is never half a one: a file takes its place when it is complete.
        if complete[:1] != [FILE_HEADER]:
            raise HostError(f"{self._path}, line 1: is not {FILE_HEADER!r}", hint="give dhcp.lease_file another name")
        for number, line in enumerate(complete[1:], 2):
            try:
                if line.startswith(_IDENTITY):
                    self._identity = _decode_identity(line)
                    continue
                version, lease = decode_line(line)
            except MalformedMessage as error:
                raise HostError(f"{self._path}, line {number}: {error.message}", hint="remove the line") from error
            if version in self._tables:
                self._tables[version].restore(lease)

    def _rewrite(self) -> None:
        """Write the file anew, beside the old one, which stays until the new one is complete."""
        partial = self._path.with_name(f"{self._path.name}.part")
        lines = [f"{FILE_HEADER}\n"]
        if self._identity:
            lines.append(f"{_IDENTITY}{self._identity.hex()}\n")
        for version, table in self._tables.items():
            lines += [encode_line(version, lease) for lease in table.worth_keeping()]
        try:
            _check_is_file(partial, follow=False)
            handle = self._locked(
                os.open(partial, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC, 0o644)
            )
            try:
                _write_all(handle, "".join(lines).encode("ascii"))
                partial.replace(self._path)
            except OSError:
                # Half a file would keep room from the leases, and its lock would keep the next try out.
                os.close(handle)
                partial.unlink(missing_ok=True)
                raise
        except OSError as error:
            raise HostError(f"{partial}: written → {error.strerror}") from error
        os.close(self._handle)
        self._handle, self._size, self._lines = handle, os.fstat(handle).st_size, len(lines)

    def _locked(self, handle: int) -> int:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            raise HostError(
                f"{self._path}: is in use by another server", hint="give each its own dhcp.lease_file"
            ) from None
        return handle


def _write_all(handle: int, data: bytes) -> None:
    while data:
        data = data[os.write(handle, data) :]
    os.fsync(handle)


def _check_is_file(path: Path, *, follow: bool) -> None:
    """Raises HostError where something else is there. follow: whether a link is taken for what it leads to."""
    try:
        mode = path.stat(follow_symlinks=follow).st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISREG(mode):
        what = next((name for test, name in _OTHER_KINDS.items() if test(mode)), "something else")
        raise HostError(f"{path}: is {what}, not a file for leases", hint="give dhcp.lease_file another name")


def _decode_identity(line: str) -> bytes:
    try:
        found = bytes.fromhex(line.removeprefix(_IDENTITY))
    except ValueError as error:
        raise MalformedMessage(f"{line[:80]!r} is no DUID of a server") from error
    if not found:
        raise MalformedMessage(f"{line!r} is no DUID of a server")
    return found
