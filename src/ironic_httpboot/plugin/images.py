"""Kernels, ramdisks and ISOs through Ironic's image service and cache: file, http(s), Glance, OCI.

Knows how a node's folder shares files with the cache by hard links. Refuses to know what is booted from them.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from ironic.common import exception, image_service
from ironic.common import images as ironic_images
from ironic.conductor.task_manager import TaskManager
from ironic.conf import CONF
from ironic.drivers.modules import deploy_utils, image_cache
from oslo_log import log
from oslo_utils import uuidutils

from ironic_httpboot.plugin import conf

LOG = log.getLogger(__name__)

_MASTERS = "cache"
_MIB = 1024 * 1024
_CLEANINGS = 20
"""How often a cache is cleaned up anew, into which others fetch meanwhile."""

conf.register(CONF)


@image_cache.cleanup(priority=30)
class HTTPBootImageCache(image_cache.ImageCache):
    """What was fetched, each image once."""

    def __init__(self) -> None:
        conf.folder(CONF.httpboot.images)
        super().__init__(
            str(Path(CONF.httpboot.images) / _MASTERS),
            cache_size=CONF.httpboot.cache_size_mib * _MIB,
            cache_ttl=CONF.httpboot.cache_minutes * 60,
            disable_validation=True,  # kernels and ramdisks have no disk format; compose looks at them
        )

    def clean_up(self, amount: int | None = None) -> None:
        """Remove what is too old or too much. amount: bytes that are wanted free, at best.

        Ironic adds up the sizes of a listing, and fails where another worker's download has ended since.
        """
        for _ in range(_CLEANINGS):
            try:
                super().clean_up(amount)
            except FileNotFoundError as error:
                LOG.debug("%s: gone while the cache is cleaned up; once more", error.filename)
            else:
                return
        LOG.warning("%s: not cleaned up: others fetch into it all the time", self.master_dir)


def fetch(task: TaskManager, wanted: Mapping[str, str]) -> dict[str, Path]:
    """Have images in a node's folder. wanted: name there → Ironic's image reference. Raises IronicException."""
    try:
        target = _made(task)
        pairs = [(href, str(target / name)) for name, href in wanted.items()]
        auth = image_service.get_image_service_auth_override(task.node, permit_user_auth=False)
        deploy_utils.fetch_images(task.context, HTTPBootImageCache(), pairs, force_raw=False, image_auth_data=auth)
    except OSError as error:
        raise exception.ImageDownloadFailed(
            image_href=", ".join(wanted.values()), reason=f"[httpboot]images {CONF.httpboot.images}: {error.strerror}"
        ) from error
    return {name: target / name for name in wanted}


def read(task: TaskManager, href: str) -> bytes:
    """What is small, and nobody else's to read: past the cache, and on no disk afterwards. Raises IronicException."""
    try:
        with tempfile.TemporaryDirectory(dir=_made(task)) as folder:
            path = Path(folder) / "read"
            auth = image_service.get_image_service_auth_override(task.node, permit_user_auth=False)
            ironic_images.fetch(task.context, href, str(path), image_auth_data=auth)
            return path.read_bytes()
    except OSError as error:
        raise exception.ImageDownloadFailed(
            image_href=href, reason=f"[httpboot]images {CONF.httpboot.images}: {error.strerror}"
        ) from error


def check(task: TaskManager, name: str, href: object) -> None:
    """See that an image reference can be one, without asking anybody. Raises InvalidParameterValue, naming it."""
    if not isinstance(href, str):
        raise exception.InvalidParameterValue(f"{name}: {href!r} is no image: give a URL or a UUID")
    try:
        service = image_service.get_image_service(href, context=task.context)
        if isinstance(service, image_service.FileImageService):
            service.validate_href(href)
    except exception.ImageRefValidationFailed as error:
        raise exception.InvalidParameterValue(f"{name}: {error}") from error


def forget(uuid: str) -> None:
    """Remove a node's folder; the cache keeps what others need or may need soon."""
    shutil.rmtree(_of_node(uuid), ignore_errors=True)


def remembered() -> set[str]:
    """The nodes that have a folder."""
    root = Path(CONF.httpboot.images)
    return {name for name in os.listdir(root) if name != _MASTERS} if root.is_dir() else set()


def _made(task: TaskManager) -> Path:
    conf.folder(CONF.httpboot.images)
    return Path(conf.folder(str(_of_node(task.node.uuid))))


def _of_node(uuid: str) -> Path:
    if not uuidutils.is_uuid_like(uuid):
        raise ValueError(f"{uuid!r} is no node's UUID: its folder would be another's")
    return Path(CONF.httpboot.images) / uuid
