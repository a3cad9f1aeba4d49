"""A published blob as a file of JSON: values ⇄ bytes.

Knows the manifest's form, version 1; docs/reference/manifest.md describes it. Refuses to know where manifests lie and
who reads them. Literal bytes are compressed, since a layout is mostly padding: a manifest stays below 16 KiB. What goes
into headers and logs holds no control characters, so that a damaged manifest damages nothing else.
"""

from __future__ import annotations

import base64
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, assert_never
from typing import Literal as Exactly

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ironic_httpboot.blob import Blob, Extent, FileSlice, Literal, SourceFile, Zeros
from ironic_httpboot.errors import BadRecipe, MalformedMessage

VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What is served under one secret URL. Times are seconds since the epoch; machine may be ""."""

    name: str
    content_type: str
    machine: str
    published_at: float
    expires_at: float | None
    blob: Blob

    def expired(self, now: float) -> bool:
        """Whether its time is over."""
        return self.expires_at is not None and now >= self.expires_at


_Text = Annotated[str, Field(pattern=r"^[^\x00-\x1f\x7f]*$")]
_Count = Annotated[int, Field(ge=0, lt=2**63)]


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    path: Annotated[str, Field(pattern=r"^/[^\x00]*$")]
    size_bytes: _Count
    mtime_ns: int
    inode: int
    sha256: str


class _Expiry(BaseModel):
    model_config = ConfigDict(strict=True, allow_inf_nan=False)
    expires_at: float | None


class _Form(_Expiry):
    model_config = ConfigDict(extra="forbid")
    version: Exactly[1]
    name: _Text
    content_type: Annotated[str, Field(pattern=r"^[\x20-\x7e]+$")]
    machine: _Text
    published_at: float
    etag: Annotated[str, Field(pattern=r'^"[0-9A-Za-z._-]{1,64}"$')]
    files: list[_File]
    extents: list[
        tuple[Exactly["file"], _Count, _Count, _Count]
        | tuple[Exactly["literal"], str]
        | tuple[Exactly["zeros"], _Count]
    ]


def encode(manifest: Manifest) -> bytes:
    """Write a manifest. Each file stands in it once, however many extents it has.

    Raises BadRecipe where the path of a file is not UTF-8.
    """
    files: dict[SourceFile, int] = {}
    extents: list[tuple[str, str] | tuple[str, int] | tuple[str, int, int, int]] = []
    for extent in manifest.blob.extents:
        match extent:
            case Literal(data):
                extents.append(("literal", base64.b64encode(zlib.compress(data)).decode("ascii")))
            case Zeros(length):
                extents.append(("zeros", length))
            case FileSlice(file, offset, length):
                extents.append(("file", files.setdefault(file, len(files)), offset, length))
            case _:
                assert_never(extent)
    form = _Form.model_construct(
        version=VERSION,
        name=manifest.name,
        content_type=manifest.content_type,
        machine=manifest.machine,
        published_at=manifest.published_at,
        expires_at=manifest.expires_at,
        etag=manifest.blob.etag,
        files=[
            _File(
                path=_utf8(file.path),
                size_bytes=file.size_bytes,
                mtime_ns=file.mtime_ns,
                inode=file.inode,
                sha256=file.sha256,
            )
            for file in files
        ],
        extents=extents,
    )
    return form.model_dump_json().encode()


def decode(data: bytes) -> Manifest:
    """Read a manifest. Raises MalformedMessage, naming the key; any other exception is a bug."""
    try:
        form = _Form.model_validate_json(data)
    except ValidationError as error:
        raise _malformed(error) from error
    files = [
        SourceFile(
            path=Path(file.path),
            size_bytes=file.size_bytes,
            mtime_ns=file.mtime_ns,
            inode=file.inode,
            sha256=file.sha256,
        )
        for file in form.files
    ]
    extents: list[Extent] = []
    for extent in form.extents:
        match extent:
            case ("literal", text):
                extents.append(Literal(_inflated(text)))
            case ("zeros", length):
                extents.append(Zeros(length))
            case ("file", index, offset, length):
                if index >= len(files) or offset + length > files[index].size_bytes:
                    raise MalformedMessage(f"manifest: extents: file {index} has no {length} bytes at {offset}")
                extents.append(FileSlice(files[index], offset, length))
    return Manifest(
        name=form.name,
        content_type=form.content_type,
        machine=form.machine,
        published_at=form.published_at,
        expires_at=form.expires_at,
        blob=Blob.of(tuple(extents), etag=form.etag),
    )


def expiry(data: bytes) -> float | None:
    """Only when a manifest expires, in a tenth of the time that `decode` takes. Raises MalformedMessage."""
    try:
        return _Expiry.model_validate_json(data).expires_at
    except ValidationError as error:
        raise _malformed(error) from error


def _malformed(error: ValidationError) -> MalformedMessage:
    first = error.errors(include_url=False)[0]
    where = ".".join(map(str, first["loc"])) or "document"
    return MalformedMessage(f"manifest: {where}: {first['msg']}")


def _utf8(path: Path) -> str:
    text = str(path)
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise BadRecipe(f"{text!a}: its name is not UTF-8", hint="rename the file, or name it by a link") from error
    return text


def _inflated(text: str) -> bytes:
    try:
        return zlib.decompress(base64.b64decode(text, validate=True))
    except (ValueError, zlib.error) as error:
        raise MalformedMessage("manifest: extents: a literal is damaged") from error
