"""A FAT12 or FAT16 file system that holds an EFI system partition's few files, as extents.

Knows the layout (Microsoft FAT specification 1.03; UEFI 2.10 §13.3). Names are 8.3, since loaders have no others;
every file lies in one piece. Refuses to know what the files are.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass

from ironic_httpboot.blob import Assembly, Content, length_of, literal
from ironic_httpboot.errors import BadRecipe

SECTOR_BYTES = 512
_ENTRY_BYTES = 32
_ROOT_ENTRIES = 64
_MEDIA_FIXED = 0xF8
_FAT_COPIES = 2
_MOST_FAT12_CLUSTERS = 4084
_MOST_FAT16_CLUSTERS = 65524
_DOUBTFUL_CLUSTERS = 16
"""Readers tell the type of a FAT by its number of clusters, and disagree by a few at the limits: as the specification
advises, no volume comes that near. GRUB 2.06 takes 4085 clusters for FAT12, the specification for FAT16."""

_FEW_CLUSTERS = 1000
"""Clusters grow before the table does: a table is literal bytes in every published image."""

_SECTORS_PER_CLUSTER = (4, 8, 16, 32, 64)
_ATTRIBUTE_VOLUME, _ATTRIBUTE_DIRECTORY, _ATTRIBUTE_ARCHIVE = 0x08, 0x10, 0x20
_DATE_1980_01_01 = (0 << 9) | (1 << 5) | 1
_LABEL = "EFI"
_ALLOWED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!#$%&'()-@^_`{}~")


@dataclass(slots=True)
class _Node:
    """A file (content) or a directory (children) on its way into the layout."""

    children: dict[str, _Node] | None = None
    content: Content = ()
    cluster: int = 0
    clusters: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Geometry:
    cluster_bytes: int
    clusters: int
    entry_bits: int

    @property
    def fat_sectors(self) -> int:
        return -(-((self.clusters + 2) * self.entry_bits) // (8 * SECTOR_BYTES))

    @property
    def sectors(self) -> int:
        root = _ROOT_ENTRIES * _ENTRY_BYTES // SECTOR_BYTES
        return 1 + _FAT_COPIES * self.fat_sectors + root + self.clusters * self.cluster_bytes // SECTOR_BYTES


def volume(files: Mapping[str, Content]) -> Content:
    """Lay out a volume. files: path with slashes, each part 8.3, any case → content.

    Raises BadRecipe on a name that is not 8.3, on a name used twice, and where the volume would exceed 2 GiB.
    """
    root = _tree(files)
    directories = [node for node in _walk(root) if node.children is not None and node is not root]
    contents = [node for node in _walk(root) if node.children is None]
    geometry = _geometry(directories, contents)
    cluster = 2
    for node in directories + contents:
        size_bytes = _directory_bytes(node) if node.children is not None else length_of(node.content)
        node.clusters = -(-size_bytes // geometry.cluster_bytes)
        node.cluster = cluster if node.clusters else 0
        cluster += node.clusters

    assembly = Assembly()
    assembly.add(literal(_boot_sector(geometry)))
    for _ in range(_FAT_COPIES):
        start = assembly.position
        assembly.add(literal(_table(geometry, directories + contents)))
        assembly.pad_to(start + geometry.fat_sectors * SECTOR_BYTES)
    start = assembly.position
    assembly.add(literal(_entry(_padded(_LABEL, 11), _ATTRIBUTE_VOLUME, 0, 0) + _entries(root)))
    assembly.pad_to(start + _ROOT_ENTRIES * _ENTRY_BYTES)
    for node, parent in _with_parents(root):
        if node.children is not None:
            dots = _entry(_padded(".", 11), _ATTRIBUTE_DIRECTORY, node.cluster, 0) + _entry(
                _padded("..", 11), _ATTRIBUTE_DIRECTORY, parent.cluster, 0
            )
            start = assembly.position
            assembly.add(literal(dots + _entries(node)))
            assembly.pad_to(start + node.clusters * geometry.cluster_bytes)
    for node in contents:
        start = assembly.position
        assembly.add(node.content)
        assembly.pad_to(start + node.clusters * geometry.cluster_bytes)
    assembly.pad_to(geometry.sectors * SECTOR_BYTES)
    return assembly.content


def _tree(files: Mapping[str, Content]) -> _Node:
    root = _Node(children={})
    for path, content in sorted(files.items()):
        *folders, name = path.split("/")
        node = root
        for folder in folders:
            assert node.children is not None
            node = node.children.setdefault(_short_name(folder, path), _Node(children={}))
            if node.children is None:
                raise BadRecipe(f"EFI partition: {path!r} lies below {folder!r}, which is a file")
        assert node.children is not None
        if _short_name(name, path) in node.children:
            raise BadRecipe(f"EFI partition: {path!r} is given twice")
        node.children[_short_name(name, path)] = _Node(content=content)
    if (count := len(root.children or {})) >= _ROOT_ENTRIES:
        raise BadRecipe(f"EFI partition: {count} entries in its root, more than {_ROOT_ENTRIES - 1}")
    return root


def _short_name(name: str, path: str) -> str:
    """The 11 characters of a directory entry."""
    stem, _, extension = name.upper().partition(".")
    fits = 1 <= len(stem) <= 8 and len(extension) <= 3
    if not fits or not name.isascii() or not set(stem + extension) <= _ALLOWED:
        raise BadRecipe(f"EFI partition: {name!r} in {path!r} is no 8.3 name")
    return _padded(stem, 8) + _padded(extension, 3)


def _padded(text: str, width: int) -> str:
    return text.upper().ljust(width)[:width]


def _walk(node: _Node) -> list[_Node]:
    """A directory before what it holds."""
    return [node, *(found for child in (node.children or {}).values() for found in _walk(child))]


def _with_parents(root: _Node) -> list[tuple[_Node, _Node]]:
    """Every node below the root, in the order of _walk, with the directory that holds it."""

    def below(node: _Node) -> list[tuple[_Node, _Node]]:
        return [pair for child in (node.children or {}).values() for pair in [(child, node), *below(child)]]

    return below(root)


def _directory_bytes(node: _Node) -> int:
    return (2 + len(node.children or {})) * _ENTRY_BYTES


def _geometry(directories: list[_Node], contents: list[_Node]) -> _Geometry:
    sizes = [_directory_bytes(node) for node in directories] + [length_of(node.content) for node in contents]
    cluster_bytes = used = 0
    for sectors in _SECTORS_PER_CLUSTER:
        cluster_bytes = sectors * SECTOR_BYTES
        used = sum(-(-size // cluster_bytes) for size in sizes)
        if used <= _FEW_CLUSTERS:
            break
    if used > (most := _MOST_FAT16_CLUSTERS - _DOUBTFUL_CLUSTERS):
        raise BadRecipe(f"EFI partition: {sum(sizes)} bytes, more than the {most * cluster_bytes} of a FAT16 volume")
    if used <= _MOST_FAT12_CLUSTERS - _DOUBTFUL_CLUSTERS:
        return _Geometry(cluster_bytes=cluster_bytes, clusters=max(used, 1), entry_bits=12)
    clusters = max(used, _MOST_FAT12_CLUSTERS + 1 + _DOUBTFUL_CLUSTERS)
    return _Geometry(cluster_bytes=cluster_bytes, clusters=clusters, entry_bits=16)


def _boot_sector(geometry: _Geometry) -> bytes:
    sectors = geometry.sectors
    boot_parameters = struct.pack(
        "<3s8sHBHBHHBHHHII BBBI11s8s",
        b"\xeb\x3c\x90",
        b"MSWIN4.1",
        SECTOR_BYTES,
        geometry.cluster_bytes // SECTOR_BYTES,
        1,  # reserved sectors: this one
        _FAT_COPIES,
        _ROOT_ENTRIES,
        sectors if sectors < 0x10000 else 0,
        _MEDIA_FIXED,
        geometry.fat_sectors,
        63,  # sectors per track, heads: nobody asks, but mtools wants them sane
        255,
        0,
        0 if sectors < 0x10000 else sectors,
        0x80,
        0,
        0x29,
        0x48545450,  # volume serial number: constant, so that equal files give equal bytes
        _padded(_LABEL, 11).encode("ascii"),
        b"FAT%d   " % geometry.entry_bits,
    )
    return boot_parameters + bytes(SECTOR_BYTES - 2 - len(boot_parameters)) + b"\x55\xaa"


def _table(geometry: _Geometry, nodes: list[_Node]) -> bytes:
    end = (1 << geometry.entry_bits) - 1
    values = [end & ~0xFF | _MEDIA_FIXED, end]
    for node in nodes:
        values += [*range(node.cluster + 1, node.cluster + node.clusters), end] if node.clusters else []
    if geometry.entry_bits == 16:
        return struct.pack(f"<{len(values)}H", *values)
    packed = bytearray()
    for low, high in zip(values[::2], [*values[1::2], 0], strict=False):
        packed += (low | high << 12).to_bytes(3, "little")
    return bytes(packed)


def _entries(directory: _Node) -> bytes:
    return b"".join(
        _entry(name, _ATTRIBUTE_DIRECTORY, node.cluster, 0)
        if node.children is not None
        else _entry(name, _ATTRIBUTE_ARCHIVE, node.cluster, length_of(node.content))
        for name, node in (directory.children or {}).items()
    )


def _entry(name: str, attribute: int, cluster: int, size_bytes: int) -> bytes:
    """One directory entry. All times are midnight, 1 January 1980, the first that FAT can say."""
    date = _DATE_1980_01_01
    return struct.pack(
        "<11sBBBHHHHHHHI", name.encode("ascii"), attribute, 0, 0, 0, date, date, 0, 0, date, cluster, size_bytes
    )
