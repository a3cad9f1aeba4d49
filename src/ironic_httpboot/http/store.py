"""Where images are published: one manifest a blob, in a directory that publisher and server share.

Knows how a manifest is written so that a crash leaves it whole or absent, how its secret URL is made, and how a request
finds it again. Refuses to know HTTP and sockets.
"""

from __future__ import annotations

import logging
import os
import secrets
import stat
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from ironic_httpboot.blob import Blob
from ironic_httpboot.errors import BadRecipe, HostError, MalformedMessage
from ironic_httpboot.http import manifest
from ironic_httpboot.http.manifest import Manifest
from ironic_httpboot.http.respond import Representation
from ironic_httpboot.model import SCRIPT_CONTENT_TYPE, SCRIPT_SUFFIXES, ImageKind

_LOG = logging.getLogger(__name__)

_SUFFIX = ".json"
_PARTIAL_SUFFIX = ".part"
_PARTIAL_SECONDS = 60
_TOKEN_BYTES = 16
_KEPT_MANIFESTS = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Publication:
    """A published blob. token: the secret part of its URL."""

    token: str = field(repr=False)
    name: str

    @property
    def path(self) -> str:
        """The URL's path, percent-encoded."""
        return f"/{self.token}/{quote(self.name)}"


class Store:
    """A directory of manifests. Any number of publishers and servers may use it at the same time."""

    def __init__(self, directory: Path, clock: Callable[[], float] = time.time) -> None:
        """Use a directory, made if it is missing. Raises HostError where that fails."""
        self._directory = directory
        self._clock = clock
        self._kept: dict[str, tuple[tuple[int, ...], Representation, Manifest]] = {}
        self._expiries: dict[str, tuple[tuple[int, ...], float | None]] = {}
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise HostError(f"store {directory}: made → {error.strerror}") from error

    def hand_to(self, user: int, group: int) -> None:
        """Let a user go on with what is this process's own here. Raises HostError.

        What belongs to another stays theirs, and so does a folder that everybody may write.
        """
        try:
            for path in (self._directory, *self._directory.glob(f"*{_SUFFIX}")):
                with suppress(FileNotFoundError):  # withdrawn or swept by another
                    found = path.lstat()
                    if found.st_uid == os.geteuid() and not stat.S_ISLNK(found.st_mode) and not found.st_mode & 0o002:
                        os.chown(path, user, group, follow_symlinks=False)
        except OSError as error:
            raise HostError(f"store {self._directory}: given to user {user} → {error.strerror}") from error

    def hindrance(self) -> str | None:
        """Why this process cannot publish here and serve what is published, or None."""
        if os.access(self._directory, os.R_OK | os.W_OK | os.X_OK, effective_ids=True):
            return None
        return f"store {self._directory}: is not readable and writable"

    def publish(self, blob: Blob, *, name: str, machine: str = "", expires_at: float | None = None) -> Publication:
        """Publish a blob under a new secret URL; when this returns it can be fetched, also after a crash.

        name: ends in .iso, .img or .efi, or in .cfg or .ipxe, which loaders read. expires_at: seconds since the epoch.
        Raises BadRecipe, HostError.
        """
        content_type = _content_type_of(name)
        if content_type is None or "/" in name or len(name) > 64 or not name.isprintable():
            raise BadRecipe(
                f"published name {name!a}: takes at most 64 characters, all printable, no slash, and .iso, .img or .efi"
                " at its end"
            )
        if not machine.isprintable():
            raise BadRecipe(f"machine {machine!a}: holds a character that cannot be printed")
        publication = Publication(token=secrets.token_urlsafe(_TOKEN_BYTES), name=name)
        described = Manifest(
            name=name,
            content_type=content_type,
            machine=machine,
            published_at=self._clock(),
            expires_at=expires_at,
            blob=blob,
        )
        self._write(publication.token, manifest.encode(described))
        return publication

    def withdraw(self, publication: Publication) -> None:
        """Take a blob back: its URL answers 404 from now on. Fine to call twice. Raises HostError."""
        self._kept.pop(publication.token, None)
        try:
            self._path(publication.token).unlink(missing_ok=True)
        except OSError as error:
            raise HostError(f"store {self._directory}: {publication.name} withdrawn → {error.strerror}") from error

    def published(self) -> dict[str, list[Publication]]:
        """What is published, by machine; also by others and before a crash. Damaged manifests are passed over."""
        found: dict[str, list[Publication]] = {}
        for name in os.listdir(self._directory) if self._directory.is_dir() else []:
            token, dot, suffix = name.rpartition(".")
            kept = self._read(token) if dot + suffix == _SUFFIX else None
            if kept is not None:
                found.setdefault(kept[1].machine, []).append(Publication(token=token, name=kept[1].name))
        return found

    def sweep(self) -> int:
        """Remove manifests that have expired, and halves that a crash left; return how many went."""
        now = self._clock()
        removed = 0
        trouble = None
        try:
            names = os.listdir(self._directory)
        except FileNotFoundError:
            return 0
        except OSError as error:
            _LOG.warning("store %s: swept → %s", self._directory, error.strerror)
            return 0
        for name in names:
            try:
                if self._over(self._directory / name, now):
                    os.unlink(self._directory / name)
                    removed += 1
            except FileNotFoundError:
                pass  # another was faster
            except OSError as error:
                trouble = error
        if trouble is not None:
            _LOG.warning("store %s: swept → %s", self._directory, trouble.strerror)
        self._expiries = {name: self._expiries[name] for name in names if name in self._expiries}
        return removed

    def find(self, names: tuple[str, ...]) -> Representation | None:
        """What was published under /token/name, unless it is withdrawn or has expired."""
        if len(names) != 2:
            return None
        kept = self._read(names[0])
        if kept is None or kept[1].name != names[1] or kept[1].expired(self._clock()):
            return None
        return kept[0]

    def _path(self, token: str) -> Path:
        return self._directory / (token + _SUFFIX)

    def _over(self, path: Path, now: float) -> bool:
        """Whether a file of the store is of no more use."""
        if path.suffix == _PARTIAL_SUFFIX:
            return now - path.stat().st_mtime > _PARTIAL_SECONDS
        if path.suffix != _SUFFIX:
            return False
        identity = _identity(os.stat(path))
        known = self._expiries.get(path.name)
        if known is None or known[0] != identity:
            expires_at = None
            with suppress(MalformedMessage):  # who asks for it finds out
                expires_at = manifest.expiry(path.read_bytes())
            known = self._expiries[path.name] = (identity, expires_at)
        return known[1] is not None and now >= known[1]

    def _read(self, token: str) -> tuple[Representation, Manifest] | None:
        """A manifest, from memory while its file is the same; None where it is missing or damaged."""
        path = self._path(token)
        try:
            identity = _identity(os.stat(path))
            kept = self._kept.get(token)
            if kept is None or kept[0] != identity:
                described = manifest.decode(path.read_bytes())
                kept = (identity, _representation(described), described)
                if len(self._kept) >= _KEPT_MANIFESTS:
                    del self._kept[next(iter(self._kept))]
                self._kept[token] = kept
            return kept[1:]
        except MalformedMessage as error:
            _LOG.error("store %s: found a damaged manifest: %s", self._directory, error)
        except (OSError, ValueError):
            pass  # there is none, or no file could be called so
        self._kept.pop(token, None)
        return None

    def _write(self, token: str, data: bytes) -> None:
        """Write a manifest so that it is there whole or not at all."""
        try:
            handle, partial = tempfile.mkstemp(suffix=_PARTIAL_SUFFIX, dir=self._directory)
            try:
                with os.fdopen(handle, "wb") as stream:
                    stream.write(data)
                    stream.flush()
                    os.fsync(stream.fileno())
                os.replace(partial, self._path(token))
            except OSError:
                os.unlink(partial)
                raise
            directory = os.open(self._directory, os.O_RDONLY)
            try:
                os.fsync(directory)
            finally:
                os.close(directory)
        except OSError as error:
            raise HostError(f"store {self._directory}: manifest written → {error.strerror}") from error


def _identity(found: os.stat_result) -> tuple[int, ...]:
    return (found.st_ino, found.st_size, found.st_mtime_ns)


def _representation(described: Manifest) -> Representation:
    return Representation(
        blob=described.blob,
        content_type=described.content_type,
        modified=int(described.published_at),
        machine=described.machine,
        label=f"/…/{described.name}",
    )


def _content_type_of(name: str) -> str | None:
    kind = ImageKind.of_name(name)
    if kind is not None:
        return kind.content_type
    return SCRIPT_CONTENT_TYPE if name.lower().endswith(SCRIPT_SUFFIXES) else None
