"""A config drive as files that are added to the ramdisk: no disk, no program that makes one.

Knows the forms in which Ironic holds a config drive, and where cloud-init looks for one without a device. Refuses to
know Ironic's objects.
"""

from __future__ import annotations

import base64
import binascii
import gzip
import json
import zlib
from collections.abc import Mapping
from typing import Any

from ironic_httpboot.errors import InputError
from ironic_httpboot.model import AppendedFile

FOLDER = "config-drive"
"""cloud-init reads /config-drive where no device is labelled config-2 (sources/DataSourceConfigDrive.py)."""

IMAGE = f"{FOLDER}.iso"
"""Where a config drive stands that came as an image: the guest mounts it by a loop device."""

_LATEST = f"{FOLDER}/openstack/latest"
_MORE = {"network_data": "network_data.json", "vendor_data": "vendor_data2.json"}
"""As the image that Ironic would make has them (openstack.baremetal.configdrive)."""


def files(drive: str | bytes | Mapping[str, Any], *, uuid: str, name: str | None) -> tuple[AppendedFile, ...]:
    """The files of a config drive.

    drive: the parts (meta_data, user_data, network_data, vendor_data), or an image, gzipped and in base64. uuid and
    name go into meta_data where it has none. Raises InputError where an image is neither.
    """
    if isinstance(drive, Mapping):
        return tuple(_parts(drive, uuid=uuid, name=name))
    try:
        image = gzip.decompress(base64.b64decode(drive, validate=False))
        if not image:
            raise EOFError
    except (binascii.Error, OSError, EOFError, zlib.error) as error:
        raise InputError(
            "instance_info/configdrive: is no image in gzip and base64",
            hint="give a JSON object with meta_data and user_data, an image, or its http(s) URL",
        ) from error
    return (AppendedFile(path=IMAGE, data=image, mode=0o600),)


def _parts(drive: Mapping[str, Any], *, uuid: str, name: str | None) -> list[AppendedFile]:
    meta = {"uuid": uuid, **({"name": name} if name else {}), **(drive.get("meta_data") or {})}
    found = [_file("meta_data.json", meta)]
    if drive.get("user_data"):
        found.append(_file("user_data", drive["user_data"]))
    found += [_file(name, drive[part]) for part, name in _MORE.items() if drive.get(part) is not None]
    return found


def _file(name: str, content: object) -> AppendedFile:
    text = content if isinstance(content, str) else json.dumps(content)
    return AppendedFile(path=f"{_LATEST}/{name}", data=text.encode(), mode=0o600)
