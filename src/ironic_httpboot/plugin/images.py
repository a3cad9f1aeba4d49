"""Kernels, ramdisks and ISOs through Ironic's image service and cache: file, http(s), Glance, OCI.

Knows how a node's folder shares files with the cache by hard links. Refuses to know what is booted from them.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from ironic.common import exception, image_service
from ironic.conductor.task_manager import TaskManager
from ironic.conf import CONF
from ironic.drivers.modules import deploy_utils, image_cache

from ironic_httpboot.plugin import conf

_MASTERS = "cache"
_MIB = 1024 * 1024

conf.register(CONF)


@image_cache.cleanup(priority=30)
class HTTPBootImageCache(image_cache.ImageCache):
    """What was fetched, each image once."""

    def __init__(self) -> None:
        super().__init__(
            str(Path(CONF.httpboot.images) / _MASTERS),
            cache_size=CONF.httpboot.cache_size_mib * _MIB,
            cache_ttl=CONF.httpboot.cache_minutes * 60,
            disable_validation=True,  # kernels and ramdisks have no disk format; compose looks at them
        )


def fetch(task: TaskManager, wanted: Mapping[str, str]) -> dict[str, Path]:
    """Have images in a node's folder. wanted: name there → Ironic's image reference. Raises IronicException."""
    try:
        target = Path(conf.folder(str(_of_node(task.node.uuid))))
        pairs = [(href, str(target / name)) for name, href in wanted.items()]
        auth = image_service.get_image_service_auth_override(task.node, permit_user_auth=False)
        deploy_utils.fetch_images(task.context, HTTPBootImageCache(), pairs, force_raw=False, image_auth_data=auth)
    except OSError as error:
        raise exception.ImageDownloadFailed(
            image_href=", ".join(wanted.values()), reason=f"[httpboot]images {CONF.httpboot.images}: {error.strerror}"
        ) from error
    return {name: target / name for name in wanted}


def check(task: TaskManager, name: str, href: str) -> None:
    """See that an image reference can be one, without asking anybody. Raises InvalidParameterValue, naming it."""
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


def _of_node(uuid: str) -> Path:
    return Path(CONF.httpboot.images) / uuid
