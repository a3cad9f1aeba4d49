"""Small readers of the formats that images are made of. They are strict: what a format forbids is a failure here.

For unit tests, which need no other program; that other programs agree is shown in tests/interop.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ironic_httpboot.blob import Blob, Content, FileSlice, Literal, SourceFile, Zeros

_SECTOR = 2048


def joined(content: Content) -> bytes:
    """All bytes of a content."""
    blob = Blob.of(content)
    return blob.read_at(0, blob.size_bytes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A directory record of an ISO, with its Rock Ridge name and mode."""

    identifier: bytes
    name: str
    mode: int
    links: int
    sector: int
    size_bytes: int
    flags: int


def iso_files(image: bytes) -> dict[str, bytes]:
    """Every file of an ISO by its Rock Ridge path."""
    descriptor = image[16 * _SECTOR : 17 * _SECTOR]
    assert descriptor[:7] == b"\x01CD001\x01"
    assert _both(descriptor, 80) * _SECTOR == len(image)
    found: dict[str, bytes] = {}
    levels: list[list[tuple[str, Record]]] = [[("", _root(descriptor))]]
    while levels[-1]:
        levels.append([])
        for path, directory in levels[-2]:
            for record in _grown(iso_records(image, directory)):
                assert record.mode & 0o170000 == (0o040000 if record.flags & 2 else 0o100000)
                if record.flags & 2:
                    levels[-1].append((f"{path}{record.name}/", record))
                else:
                    start = record.sector * _SECTOR
                    found[path + record.name] = image[start : start + record.size_bytes]
    directories = [record for level in levels for _, record in level]
    assert _path_table(image, descriptor) == [(record.identifier, record.sector) for record in directories]
    return found


def iso_records(image: bytes, directory: Record | None = None) -> list[Record]:
    """The records of a directory, or of the root, without the two that name it and its parent."""
    directory = directory or _root(image[16 * _SECTOR : 17 * _SECTOR])
    records = []
    for sector in range(directory.sector, directory.sector + directory.size_bytes // _SECTOR):
        data = image[sector * _SECTOR : (sector + 1) * _SECTOR]
        at = 0
        while at < _SECTOR and data[at]:
            assert at + data[at] <= _SECTOR, "a record crosses a sector"
            records.append(_record(image, data[at : at + data[at]]))
            at += data[at]
        assert not any(data[at:])
    assert [record.identifier for record in records[:2]] == [b"\0", b"\1"]
    assert records[0].sector == directory.sector
    identifiers = [record.identifier for record in records[2:]]
    assert identifiers == sorted(identifiers)
    return records[2:]


def _root(descriptor: bytes) -> Record:
    record = descriptor[156:190]
    return Record(
        identifier=b"\0", name="", mode=0, links=0, sector=_both(record, 2), size_bytes=_both(record, 10), flags=2
    )


def _grown(records: list[Record]) -> Iterator[Record]:
    """Records, those of one file's extents as one. Identifiers and names stand for one file only."""
    seen = set()
    size_bytes, sector = 0, -1
    for record in records:
        sector = record.sector if sector < 0 else sector
        size_bytes += record.size_bytes
        if record.flags & 0x80:
            continue
        assert record.identifier not in seen
        assert record.name not in seen
        seen |= {record.identifier, record.name}
        yield Record(
            identifier=record.identifier,
            name=record.name,
            mode=record.mode,
            links=record.links,
            sector=sector,
            size_bytes=size_bytes,
            flags=record.flags,
        )
        size_bytes, sector = 0, -1


def _record(image: bytes, data: bytes) -> Record:
    assert len(data) % 2 == 0
    length = data[32]
    identifier = data[33 : 33 + length]
    area = data[33 + length + (length + 1) % 2 :]
    name, mode, links, continuation = b"", 0, 0, area
    while continuation:
        area, continuation = continuation, b""
        while len(area) >= 4:
            kind, size_bytes, body = area[:2], area[2], area[4 : area[2]]
            assert size_bytes <= len(area)
            match kind:
                case b"NM":
                    name += body[1:]
                case b"PX":
                    mode, links = _both(body, 0), _both(body, 8)
                case b"CE":
                    block, offset, count = (_both(body, at) for at in (0, 8, 16))
                    assert offset + count <= _SECTOR, "a continuation area crosses a sector"
                    continuation = image[block * _SECTOR + offset :][:count]
                    assert len(continuation) == count
            area = area[size_bytes:]
    return Record(
        identifier=identifier,
        name=name.decode(),
        mode=mode,
        links=links,
        sector=_both(data, 2),
        size_bytes=_both(data, 10),
        flags=data[25],
    )


def _path_table(image: bytes, descriptor: bytes) -> list[tuple[bytes, int]]:
    """Identifier and sector of each directory, from both tables, which must say the same."""
    tables = []
    for order, location in (("<", 140), (">", 148)):
        (sector,) = struct.unpack_from(f"{order}I", descriptor, location)
        table = image[sector * _SECTOR :][: _both(descriptor, 132)]
        entries: list[tuple[bytes, int]] = []
        while table:
            length, _, directory, parent = struct.unpack_from(f"{order}BBIH", table)
            assert 1 <= parent <= max(len(entries), 1)
            entries.append((table[8 : 8 + length], directory))
            table = table[8 + length + length % 2 :]
        tables.append(entries)
    assert tables[0] == tables[1]
    return tables[0]


def _both(data: bytes, at: int) -> int:
    little, big = struct.unpack_from("<I", data, at)[0], struct.unpack_from(">I", data, at + 4)[0]
    assert little == big
    return int(little)


def fat_files(image: bytes) -> dict[str, bytes]:
    """Every file of a FAT12 or FAT16 volume by its path, in capitals."""
    sector, per_cluster, reserved, copies, entries, few, _, table_sectors = struct.unpack_from("<HBHBHHBH", image, 11)
    (many,) = struct.unpack_from("<I", image, 32)
    assert (few or many) * sector == len(image)
    assert image[510:512] == b"\x55\xaa"
    root_at = (reserved + copies * table_sectors) * sector
    data_at = root_at + entries * 32
    cluster_bytes = per_cluster * sector
    clusters = (len(image) - data_at) // cluster_bytes
    first, second = (image[(reserved + n * table_sectors) * sector :][: table_sectors * sector] for n in range(copies))
    assert first == second
    bits = 12 if clusters < 4085 else 16

    def read(cluster: int) -> bytes:
        data = bytearray()
        while 2 <= cluster < clusters + 2:
            data += image[data_at + (cluster - 2) * cluster_bytes :][:cluster_bytes]
            (pair,) = struct.unpack_from("<H", first, cluster * bits // 8)
            cluster = pair if bits == 16 else pair >> 4 if cluster % 2 else pair & 0xFFF
        assert cluster in (0, (1 << bits) - 1)
        return bytes(data)

    found: dict[str, bytes] = {}
    folders = [("", image[root_at:data_at])]
    for path, folder in folders:
        for at in range(0, len(folder), 32):
            name, attributes, cluster, size_bytes = struct.unpack_from("<11sB14xHI", folder, at)
            if not name.strip(b"\0") or attributes & 0x08 or name.startswith(b"."):
                continue
            stem, extension = name[:8].decode().rstrip(), name[8:].decode().rstrip()
            full = path + stem + (f".{extension}" if extension else "")
            if attributes & 0x10:
                folders.append((f"{full}/", read(cluster)))
            else:
                content = read(cluster)
                assert size_bytes <= len(content) < size_bytes + cluster_bytes
                found[full] = content[:size_bytes]
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A member of a cpio archive."""

    path: str
    mode: int
    data: bytes
    device: tuple[int, int]


def cpio_entries(archive: bytes) -> list[Entry]:
    """The members of a cpio archive, up to its end."""
    entries: list[Entry] = []
    at = 0
    while True:
        assert archive[at : at + 6] == b"070701"
        fields = [int(archive[at + 6 + 8 * index :][:8], 16) for index in range(13)]
        name_at = at + 110
        data_at = -(-(name_at + fields[11]) // 4) * 4
        name = archive[name_at : name_at + fields[11]]
        assert name.endswith(b"\0")
        at = -(-(data_at + fields[6]) // 4) * 4
        if name == b"TRAILER!!!\0":
            assert at == len(archive)
            return entries
        path = name[:-1].decode()
        data = archive[data_at : data_at + fields[6]]
        entries.append(Entry(path=path, mode=fields[1], data=data, device=(fields[9], fields[10])))


def write_sparse(blob: Blob, target: Path) -> None:
    """Write a blob to a file, with holes where it has zeros or its own files have holes."""
    with target.open("wb") as stream:
        stream.truncate(blob.size_bytes)
        for start, extent in zip(blob.starts, blob.extents, strict=True):
            match extent:
                case Literal(data):
                    os.pwrite(stream.fileno(), data, start)
                case FileSlice(file, offset, length):
                    _copy_data(file, offset, offset + length, stream.fileno(), start - offset)
                case Zeros():
                    pass


def _copy_data(file: SourceFile, at: int, end: int, target: int, shift: int) -> None:
    with file.open() as stream:
        while at < end:
            try:
                at = os.lseek(stream.fileno(), at, os.SEEK_DATA)
            except OSError:  # only a hole is left
                return
            hole = min(os.lseek(stream.fileno(), at, os.SEEK_HOLE), end)
            while at < hole:
                at += os.pwrite(target, os.pread(stream.fileno(), min(hole - at, 1 << 20), at), at + shift)
