"""A manifest: a blob, written down as JSON and read again."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ironic_httpboot.blob import Blob, Content, Extent, FileSlice, Literal, SourceFile, Zeros
from ironic_httpboot.errors import BadRecipe, MalformedMessage
from ironic_httpboot.http import manifest
from ironic_httpboot.http.manifest import Manifest
from ironic_httpboot.image.compose import compose
from ironic_httpboot.model import AppendedFile, BootRecipe, Chain, Container
from kit import efi

FILE = SourceFile(path=Path("/srv/kernel"), size_bytes=4096, mtime_ns=1_700_000_000_123_456_789, inode=77, sha256="ab")
EXAMPLE = Manifest(
    name="node-1.iso",
    content_type="application/vnd.efi-iso",
    machine="node-1",
    published_at=1_700_000_000.25,
    expires_at=1_700_003_600.5,
    blob=Blob.of((Literal(b"head"), Zeros(100), FileSlice(FILE, 0, 2048), FileSlice(FILE, 1024, 8)), etag='"0123abcd"'),
)

texts = st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), max_size=20)
seconds = st.floats(allow_nan=False, allow_infinity=False)
files = st.builds(
    SourceFile,
    path=st.text(st.characters(codec="utf-8", exclude_characters="\0/"), min_size=1).map(Path("/srv").joinpath),
    size_bytes=st.integers(0, 2**63 - 1),
    mtime_ns=st.integers(),
    inode=st.integers(0),
    sha256=st.text(alphabet="0123456789abcdef"),
)


@st.composite
def slices(draw: st.DrawFn) -> FileSlice:
    file = draw(files)
    offset = draw(st.integers(0, file.size_bytes))
    return FileSlice(file, offset, draw(st.integers(0, file.size_bytes - offset)))


extents: st.SearchStrategy[Extent] = st.one_of(
    st.builds(Literal, st.binary()), st.builds(Zeros, st.integers(0, 2**63 - 1)), slices()
)
contents: st.SearchStrategy[Content] = st.lists(extents).map(tuple)
manifests = st.builds(
    Manifest,
    name=texts,
    content_type=st.just("application/efi"),
    machine=texts,
    published_at=seconds,
    expires_at=st.none() | seconds,
    blob=contents.map(Blob.of),
)


@given(manifests)
def test_what_is_written_is_what_is_read(value: Manifest) -> None:
    assert manifest.decode(manifest.encode(value)) == value


@given(manifests)
def test_the_expiry_alone_is_that_of_the_whole(value: Manifest) -> None:
    assert manifest.expiry(manifest.encode(value)) == value.expires_at


def test_a_manifest_is_json_for_people_to_read() -> None:
    document = json.loads(manifest.encode(EXAMPLE))
    kind, packed = document["extents"].pop(0)
    assert (kind, zlib.decompress(base64.b64decode(packed))) == ("literal", b"head")
    assert document == {
        "version": 1,
        "name": "node-1.iso",
        "content_type": "application/vnd.efi-iso",
        "machine": "node-1",
        "published_at": 1_700_000_000.25,
        "expires_at": 1_700_003_600.5,
        "etag": '"0123abcd"',
        "files": [
            {
                "path": "/srv/kernel",
                "size_bytes": 4096,
                "mtime_ns": 1_700_000_000_123_456_789,
                "inode": 77,
                "sha256": "ab",
            }
        ],
        "extents": [["zeros", 100], ["file", 0, 0, 2048], ["file", 0, 1024, 8]],
    }


@pytest.mark.parametrize(("now", "over"), [(0, False), (1_700_003_600.4, False), (1_700_003_600.5, True), (2e9, True)])
def test_it_expires_at_its_moment(now: float, over: bool) -> None:
    assert EXAMPLE.expired(now) is over


def test_without_a_moment_it_never_expires() -> None:
    forever = Manifest(
        name="a.efi", content_type="application/efi", machine="", published_at=0, expires_at=None, blob=Blob.of(())
    )
    assert not forever.expired(1e300)


@given(st.binary())
def test_no_bytes_break_the_reader(data: bytes) -> None:
    only_malformed(data)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)


@given(json_values)
def test_no_json_breaks_the_reader(value: object) -> None:
    only_malformed(json.dumps(value).encode())


def places(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place in a JSON value, as keys and indexes from its root."""
    yield at
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in pairs:
        yield from places(inner, (*at, key))


DOCUMENT = json.loads(manifest.encode(EXAMPLE))


@given(
    st.sampled_from([at for at in places(DOCUMENT) if at]), json_values | st.sampled_from([-1, 2**63, 2**64, "\0", ""])
)
def test_no_change_to_one_value_breaks_the_reader(at: tuple[Any, ...], value: object) -> None:
    document = json.loads(manifest.encode(EXAMPLE))
    holder = document
    for key in at[:-1]:
        holder = holder[key]
    holder[at[-1]] = value
    only_malformed(json.dumps(document).encode())


@given(st.integers(0, 2000), st.binary(min_size=1, max_size=4))
def test_no_damage_on_disk_breaks_the_reader(position: int, patch: bytes) -> None:
    data = manifest.encode(EXAMPLE)
    only_malformed(data[:position] + patch + data[position + len(patch) :])
    only_malformed(data[:position])


def only_malformed(data: bytes) -> None:
    """The reader takes the bytes or says that they are malformed; what it takes can be served and written again."""
    try:
        value = manifest.decode(data)
    except MalformedMessage:
        return
    assert manifest.decode(manifest.encode(value)) == value
    assert value.blob.etag.isascii()
    assert value.content_type.isprintable()


@pytest.mark.parametrize(
    ("key", "value", "complaint"),
    [
        ("version", 2, "manifest: version: Input should be 1"),
        ("name", 5, "manifest: name: Input should be a valid string"),
        ("etag", '"a"\r\nX: y', "manifest: etag: "),
        ("etag", "W/" + '"a"', "manifest: etag: "),
        ("content_type", "a\r\nX: y", "manifest: content_type: "),
        ("name", "a\n.iso", "manifest: name: "),
        ("published_at", "NaN", "manifest: published_at: "),
        ("extents", [["file", 1, 0, 1]], "manifest: extents: file 1 has no 1 bytes at 0"),
        ("extents", [["file", 0, 4000, 97]], "manifest: extents: file 0 has no 97 bytes at 4000"),
        ("extents", [["literal", "eJzLSE1MAQ=="]], "manifest: extents: a literal is damaged"),
        ("extents", [["literal", "ä"]], "manifest: extents: a literal is damaged"),
        ("extents", [["zeros", -1]], "manifest: extents.0."),
        ("extra", 1, "manifest: extra: Extra inputs are not permitted"),
    ],
)
def test_a_complaint_names_the_key(key: str, value: object, complaint: str) -> None:
    document = {**DOCUMENT, key: value}
    with pytest.raises(MalformedMessage) as caught:
        manifest.decode(json.dumps(document).encode())
    assert str(caught.value).startswith(complaint)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_a_time_is_a_number(number: str) -> None:
    data = manifest.encode(EXAMPLE).replace(b"1700003600.5", number.encode())
    for read in (manifest.decode, manifest.expiry):
        with pytest.raises(MalformedMessage, match="expires_at"):
            read(data)


def test_a_path_that_json_cannot_hold_is_refused() -> None:
    file = SourceFile(path=Path("/srv/k\udcff"), size_bytes=1, mtime_ns=0, inode=0, sha256="")
    odd = Manifest(
        name="a.efi",
        content_type="application/efi",
        machine="",
        published_at=0,
        expires_at=None,
        blob=Blob.of((FileSlice(file, 0, 1),)),
    )
    with pytest.raises(BadRecipe, match=r"/srv/k\\udcff.*not UTF-8"):
        manifest.encode(odd)


@pytest.mark.parametrize(
    ("chain", "container"),
    [
        (Chain.SHIM_GRUB, Container.ISO),
        (Chain.GRUB, Container.ISO),
        (Chain.UKI, Container.ISO),
        (Chain.UKI, Container.EFI),
    ],
)
def test_a_composed_image_needs_less_than_16_kib(chain: Chain, container: Container, tmp_path: Path) -> None:
    kernel, ramdisk = tmp_path / "kernel", tmp_path / "ramdisk"
    kernel.write_bytes(efi.kernel(body=bytes(100_000)))
    ramdisk.write_bytes(bytes(200_000))
    blob = compose(
        BootRecipe(
            chain=chain,
            container=container,
            kernel=kernel,
            initrds=(ramdisk, ramdisk),
            appended=(AppendedFile(path="etc/node", data=bytes(range(256)) * 8),),
            cmdline="console=ttyS0 ipa-api-url=http://192.0.2.1:6385 " + "a" * 1000,
        ),
        [efi.loaders(tmp_path / "parts")],
    )
    data = manifest.encode(
        Manifest(
            name="node.iso",
            content_type="application/vnd.efi-iso",
            machine="node",
            published_at=0.0,
            expires_at=None,
            blob=blob,
        )
    )
    assert len(data) < 16 * 1024
    assert manifest.decode(data).blob == blob
