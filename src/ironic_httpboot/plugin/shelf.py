"""What is published for nodes: one store per conductor, found again after a crash by the node's UUID.

Knows the store, the URL by which machines reach it, and which publications are orphans. Refuses to know what is
published and who is told of it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

from ironic.conf import CONF

from ironic_httpboot.blob import Blob
from ironic_httpboot.errors import BadConfig, HostError
from ironic_httpboot.http.store import Publication, Store
from ironic_httpboot.model import BootUrl, ImageKind
from ironic_httpboot.plugin import conf, images

_stores: dict[str, Store] = {}

_NAME = "boot"
_TOKEN_LENGTH = 22
T = TypeVar("T")


def store() -> Store:
    """The store of this conductor. Raises HostError."""
    path = CONF.httpboot.store
    if path not in _stores:
        _stores[path] = Store(Path(path))
    return _stores[path]


def publish(uuid: str, blob: Blob, name: str, *, seconds: int | None) -> Publication:
    """Publish what a node boots. seconds: how long, or None until it is withdrawn. Raises HostError, BadRecipe."""
    expires_at = None if seconds is None else time.time() + seconds
    return store().publish(blob, name=name, machine=uuid, expires_at=expires_at)


def served(uuid: str) -> list[Publication]:
    """What is published for a node and has not expired. Raises HostError."""
    return [each for each in store().published().get(uuid, ()) if store().find((each.token, each.name)) is not None]


class Given(Generic[T]):
    """What nodes were given to boot by this process."""

    def __init__(self) -> None:
        self._kept: dict[str, tuple[object, frozenset[str], T]] = {}

    def again(self, uuid: str, since: object, make: Callable[[], T]) -> T:
        """What a node was given before, where all of it is served still; else made, and kept.

        since: another value wherever it may need something else. Raises HostError.
        """
        kept = self._kept.get(uuid)
        if kept is not None and kept[:2] == (since, _paths(uuid)):
            return kept[2]
        made = make()
        self._kept[uuid] = (since, _paths(uuid), made)
        return made


def _paths(uuid: str) -> frozenset[str]:
    return frozenset(each.path for each in served(uuid))


def name_of(kind: ImageKind) -> str:
    """What a published image is called: short, since some BMCs take no long URLs."""
    return f"{_NAME}{kind.suffix}"


def withdraw(uuid: str) -> None:
    """Take back all that is published for a node, and forget its images. Raises HostError."""
    try:
        for publication in store().published().get(uuid, ()):
            store().withdraw(publication)
    except OSError as error:
        raise HostError(f"store {CONF.httpboot.store}: read → {error.strerror}") from error
    finally:
        images.forget(uuid)


def url_of(publication: Publication, version: int | None = None) -> BootUrl:
    """The URL of a publication. version: see conf.base_url. Raises BadConfig, BadUrl."""
    return BootUrl.parse(f"{_base(version)}{publication.path}")


def example_url(name: str, version: int | None = None) -> BootUrl:
    """A URL as long as that of any publication of this name, before there is one. Raises BadConfig, BadUrl."""
    return BootUrl.parse(f"{_base(version)}/{'x' * _TOKEN_LENGTH}/{name}")


def families() -> list[int]:
    """The IP versions for which a URL is configured. Raises BadUrl, BadConfig where there is none."""
    found = [version for version in (4, 6) if conf.base_url(CONF, version) is not None]
    if not found:
        _base(None)
    return found


def _base(version: int | None) -> str:
    base = conf.base_url(CONF, version)
    if base is None:
        raise BadConfig(
            "[httpboot]url: is not set",
            hint="set it in ironic.conf to the address at which machines reach `httpboot serve`: http://ADDRESS:PORT",
        )
    return base
