"""What is put into a machine's CD drive: an image, fetched into the machine's folder or taken where it lies.

Knows http, https and file URLs. Refuses to know Redfish and QEMU. An image is fetched whole before it is put in, so
that it is there for as long as the machine runs. QEMU's own curl driver, in Debian a package of its own, is not needed.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from urllib.parse import unquote, urlsplit

import aiohttp

from ironic_httpboot.errors import HostError

_NAME = "cd.iso"
_CHUNK_BYTES = 1 << 20
_MAGIC, _MAGIC_AT = b"CD001", 32769
"""What every ISO 9660 image holds, and where (ECMA-119 §8.1.2)."""
_TIMEOUT = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=30)


async def fetch(image: str, folder: Path) -> Path:
    """Have an image on this host; return where. Raises HostError without the URL, which may be secret."""
    parts = urlsplit(image)
    if parts.scheme == "file":
        found = Path(unquote(parts.path))
        if not found.is_file() or not os.access(found, os.R_OK):
            raise HostError(f"{found}: looked for as image → not there, or not to be read")
        _demand_cd(found)
        return found
    where = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}/…"
    partial = folder / f"{_NAME}.part"
    try:
        # Not verified, as VirtualMedia.VerifyCertificate says: BMCs do not unless they are told to.
        async with (
            aiohttp.ClientSession(timeout=_TIMEOUT, auto_decompress=False) as session,
            session.get(image, ssl=False) as answer,
        ):
            if answer.status != 200:
                raise HostError(f"{where}: GET → {answer.status}")
            with partial.open("wb") as stream:
                async for chunk in answer.content.iter_chunked(_CHUNK_BYTES):
                    stream.write(chunk)
                stream.flush()
                os.fsync(stream.fileno())
        partial.replace(folder / _NAME)
    except (aiohttp.ClientError, OSError, ValueError) as error:
        raise HostError(f"{where}: GET → {type(error).__name__}") from error
    finally:
        partial.unlink(missing_ok=True)
    return folder / _NAME


def _demand_cd(image: Path) -> None:
    """Raise HostError where a file of this host is no CD image: whoever asks the BMC is not to read any other file."""
    with image.open("rb") as stream:
        stream.seek(_MAGIC_AT)
        if stream.read(len(_MAGIC)) != _MAGIC:
            raise HostError(f"{image}: looked for as image → is no CD image (ISO 9660)")


def clear(folder: Path, *, keep: str = "") -> None:
    """Remove what was fetched, but for the file that is in the drive."""
    for name in (_NAME, f"{_NAME}.part"):
        if str(folder / name) != keep:
            with contextlib.suppress(OSError):
                (folder / name).unlink(missing_ok=True)
