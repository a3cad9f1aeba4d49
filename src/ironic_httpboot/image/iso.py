"""An ISO 9660 image that EFI firmware boots, as extents over its files.

Knows ECMA-119 (level 3: files over 4 GiB in several extents), El Torito 1.0 with EFI's platform, and where
Rock Ridge goes. Refuses to know what the files are, and the clock: all times are 1 January 1980.
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count

from ironic_httpboot.blob import Assembly, Content, literal
from ironic_httpboot.blob import length_of as size_of
from ironic_httpboot.errors import BadRecipe
from ironic_httpboot.image import rockridge
from ironic_httpboot.image.rockridge import both_u16, both_u32

SECTOR_BYTES = 2048
_FIRST_SECTOR = 16
_BOOT_RECORD_SECTOR, _TERMINATOR_SECTOR, _CATALOG_SECTOR, _PATH_TABLE_SECTOR = 17, 18, 19, 20
_LARGEST_EXTENT_BYTES = 0x1_0000_0000 - SECTOR_BYTES
_LARGEST_RECORD_BYTES = 254
_DEEPEST_LEVEL = 8
_MOST_DIRECTORIES = 0xFFFF
_MOST_SECTORS = 0xFFFF_FFFF
_LONGEST_NAME_BYTES = 255
_PLATFORM_EFI = 0xEF
_VIRTUAL_SECTOR_BYTES = 512
_FLAG_DIRECTORY, _FLAG_MORE_EXTENTS = 0x02, 0x80
_RECORDED = bytes([80, 1, 1, 0, 0, 0, 0])
_VOLUME_TIME = b"1980010100000000\0"
_NO_TIME = b"0" * 16 + b"\0"
_IDENTIFIER_CHARACTERS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_")


@dataclass(slots=True)
class _Node:
    """A file or a directory. identifier: its ISO name. sector: where its content begins.

    entries: a directory's children, and directories: those of them that are one, in the order of their identifiers.
    """

    name: str
    content: Content = ()
    children: dict[str, _Node] | None = None
    parent: _Node | None = field(default=None, repr=False)
    entries: list[_Node] = field(default_factory=list, repr=False)
    directories: list[_Node] = field(default_factory=list, repr=False)
    identifier: bytes = b""
    sector: int = 0
    size_bytes: int = 0
    number: int = 0
    overflow_sector: int = 0

    @property
    def mode(self) -> int:
        return rockridge.FILE_MODE if self.children is None else rockridge.DIRECTORY_MODE

    @property
    def links(self) -> int:
        return 1 if self.children is None else 2 + len(self.directories)


def image(files: Mapping[str, Content], *, boot: str, label: str) -> Content:
    """Lay out an image.

    files: path with slashes → content; names keep their case. boot: the path of the FAT image that firmware boots from.
    label: volume identifier, at most 32 of A–Z, 0–9 and _. Raises BadRecipe, naming the path at fault.
    """
    if not 1 <= len(label) <= 32 or not set(label) <= _IDENTIFIER_CHARACTERS:
        raise BadRecipe(f"volume label {label!r}: takes 1 to 32 of A–Z, 0–9 and _")
    root = _tree(files)
    directories = _breadth_first(root)
    for number, node in enumerate(directories, start=1):
        node.number = number
    table_sectors = _sectors(len(_path_table(directories, "<")))
    sector = _PATH_TABLE_SECTOR + 2 * table_sectors
    for node in directories:
        sector = _place_directory(node, sector)
    contents = [node for directory in directories for node in directory.entries if node.children is None]
    for node in contents:
        node.sector, node.size_bytes = sector, size_of(node.content)
        sector += _sectors(node.size_bytes)
    if sector > _MOST_SECTORS:
        raise BadRecipe(f"image: {sector} sectors of {SECTOR_BYTES} bytes, more than the {_MOST_SECTORS} of an ISO")
    path_tables = [_path_table(directories, order) for order in "<>"]

    assembly = Assembly()
    assembly.pad_to(_FIRST_SECTOR * SECTOR_BYTES)
    assembly.add(literal(_primary_descriptor(root, label, sector, len(path_tables[0]), table_sectors)))
    assembly.add(literal(_boot_record()))
    assembly.add(literal(b"\xffCD001\x01"))
    assembly.pad_to(_CATALOG_SECTOR * SECTOR_BYTES)
    assembly.add(literal(_boot_catalog(_find(root, boot))))
    assembly.pad_to(_PATH_TABLE_SECTOR * SECTOR_BYTES)
    for table in path_tables:
        assembly.add(literal(table))
        assembly.pad(SECTOR_BYTES)
    for node in directories:
        _add_directory(assembly, node)
    for node in contents:
        assembly.add(node.content)
        assembly.pad(SECTOR_BYTES)
    return assembly.content


def _tree(files: Mapping[str, Content]) -> _Node:
    root = _Node(name="", children={}, identifier=b"\0")
    root.parent = root
    for path, content in sorted(files.items()):
        *folders, name = path.split("/")
        if len(folders) >= _DEEPEST_LEVEL:
            raise BadRecipe(f"image file {path!r}: {len(folders) + 1} levels deep, more than {_DEEPEST_LEVEL}")
        for part in (*folders, name):
            _check_name(part, path)
        node = root
        for folder in folders:
            assert node.children is not None
            node = node.children.setdefault(folder, _Node(name=folder, children={}, parent=node))
            if node.children is None:
                raise BadRecipe(f"image file {path!r}: lies below {folder!r}, which is a file")
        assert node.children is not None
        node.children[name] = _Node(name=name, content=content, parent=node)
    return root


def _check_name(part: str, path: str) -> None:
    if part in ("", ".", "..") or "\0" in part:
        raise BadRecipe(f"image file {path!r}: {part!r} cannot be a name")
    try:
        size_bytes = len(part.encode())
    except UnicodeEncodeError as error:
        raise BadRecipe(f"image file {path!r}: is not UTF-8") from error
    if size_bytes > _LONGEST_NAME_BYTES:
        raise BadRecipe(f"image file {path!r}: a name of {size_bytes} bytes, more than {_LONGEST_NAME_BYTES}")


def _breadth_first(root: _Node) -> list[_Node]:
    """Directories in the order of the path table: level by level. Identifiers and order are given on the way."""
    found = [root]
    for node in found:
        _identify(node)
        node.entries = sorted((node.children or {}).values(), key=lambda child: child.identifier)
        node.directories = [child for child in node.entries if child.children is not None]
        found += node.directories
        if len(found) > _MOST_DIRECTORIES:
            raise BadRecipe(f"image: {len(found)} directories or more, and an ISO takes {_MOST_DIRECTORIES}")
    return found


def _identify(directory: _Node) -> None:
    """Give each child an identifier of its own, 8.3 and in capitals, from its name."""
    taken: set[str] = set()
    used: Counter[str] = Counter()
    for child in (directory.children or {}).values():
        stem, dot, extension = child.name.upper().rpartition(".")
        if not dot:
            stem, extension = extension, ""
        stem = "".join(c if c in _IDENTIFIER_CHARACTERS else "_" for c in stem) or "_"
        extension = "".join(c if c in _IDENTIFIER_CHARACTERS else "_" for c in extension)[:3]
        if child.children is not None:
            stem, extension = "_".join(filter(None, (stem, extension))), ""
        found = next(each for each in _candidates(stem, extension, used) if f"{each}.{extension}" not in taken)
        taken.add(f"{found}.{extension}")
        child.identifier = found.encode() if child.children is not None else f"{found}.{extension};1".encode()


def _candidates(stem: str, extension: str, used: Counter[str]) -> Iterator[str]:
    """A stem cut to 8 characters; then with numbers at its end, of one digit, of two, and so on.

    used: how far each series has come in this directory: thousands of names that are alike cost no search.
    """
    yield stem[:8]
    for digits in count(1):
        series, first = f"{stem[: 8 - digits]}.{extension}.{digits}", 10 ** (digits - 1)
        while used[series] < 9 * first:
            used[series] += 1
            yield f"{stem[: 8 - digits]}{first + used[series] - 1}"


def _place_directory(node: _Node, sector: int) -> int:
    """Settle where a directory and its continuation area lie; return the first sector behind them."""
    node.sector = sector
    records, overflow = _records(node)
    used = 0
    for record in records:
        if used % SECTOR_BYTES + len(record) > SECTOR_BYTES:
            used = _sectors(used) * SECTOR_BYTES
        used += len(record)
    node.size_bytes = _sectors(used) * SECTOR_BYTES
    node.overflow_sector = sector + _sectors(used)
    return node.overflow_sector + _sectors(len(overflow))


def _add_directory(assembly: Assembly, node: _Node) -> None:
    records, overflow = _records(node)
    for record in records:
        if assembly.position % SECTOR_BYTES + len(record) > SECTOR_BYTES:
            assembly.pad(SECTOR_BYTES)
        assembly.add(literal(record))
    assembly.pad_to(node.overflow_sector * SECTOR_BYTES)
    assembly.add(literal(overflow))
    assembly.pad(SECTOR_BYTES)


def _records(directory: _Node) -> tuple[list[bytes], bytes]:
    """A directory's records, and the names that are too long for them. Lengths do not depend on where things lie."""
    parent = directory.parent or directory
    announcement = rockridge.ANNOUNCEMENT if parent is directory else b""
    records = [_dot_record(b"\0", directory, announcement), _dot_record(b"\1", parent)]
    overflow = bytearray()
    for child in directory.entries:
        room = _LARGEST_RECORD_BYTES - _record_head_bytes(child.identifier)
        area, excess = rockridge.system_use(child.mode, child.links, child.name.encode(), room)
        if excess:
            # A continuation must not cross a sector (Linux fs/isofs/rock.c refuses it).
            if len(overflow) % SECTOR_BYTES + len(excess) > SECTOR_BYTES:
                overflow += bytes(-len(overflow) % SECTOR_BYTES)
            sector, offset = divmod(len(overflow), SECTOR_BYTES)
            area += rockridge.continuation(directory.overflow_sector + sector, offset, len(excess))
            overflow += excess
        if child.children is not None:
            records.append(_record(child.identifier, child.sector, child.size_bytes, _FLAG_DIRECTORY, area))
        else:
            records += _file_records(child, area)
    return records, bytes(overflow)


def _dot_record(identifier: bytes, node: _Node, announcement: bytes = b"") -> bytes:
    area = announcement + rockridge.attributes(node.mode, node.links)
    return _record(identifier, node.sector, node.size_bytes, _FLAG_DIRECTORY, area)


def _file_records(node: _Node, area: bytes) -> list[bytes]:
    """One record an extent: a record's size field ends at 4 GiB."""
    records = []
    sector, left = node.sector, size_of(node.content)
    while left > _LARGEST_EXTENT_BYTES:
        records.append(_record(node.identifier, sector, _LARGEST_EXTENT_BYTES, _FLAG_MORE_EXTENTS, area))
        sector += _LARGEST_EXTENT_BYTES // SECTOR_BYTES
        left -= _LARGEST_EXTENT_BYTES
    return [*records, _record(node.identifier, sector, left, 0, area)]


def _record_head_bytes(identifier: bytes) -> int:
    return 33 + len(identifier) + (len(identifier) + 1) % 2


def _record(identifier: bytes, sector: int, size_bytes: int, flags: int, area: bytes = b"") -> bytes:
    """A directory record (ECMA-119 §9.1), of even length."""
    head_bytes = _record_head_bytes(identifier)
    area += bytes(len(area) % 2)
    return (
        bytes([head_bytes + len(area), 0])
        + both_u32(sector)
        + both_u32(size_bytes)
        + _RECORDED
        + bytes([flags, 0, 0])
        + both_u16(1)
        + bytes([len(identifier)])
        + identifier
        + bytes(head_bytes - 33 - len(identifier))
        + area
    )


def _path_table(directories: list[_Node], order: str) -> bytes:
    """One table in one byte order (ECMA-119 §9.4)."""
    table = bytearray()
    for node in directories:
        assert node.parent is not None
        table += bytes([len(node.identifier), 0])
        table += struct.pack(f"{order}IH", node.sector, node.parent.number)
        table += node.identifier + bytes(len(node.identifier) % 2)
    return bytes(table)


def _primary_descriptor(root: _Node, label: str, sectors: int, table_bytes: int, table_sectors: int) -> bytes:
    """The primary volume descriptor (ECMA-119 §8.4)."""
    descriptor = b"".join((
        b"\x01CD001\x01\0",
        b" " * 32,
        label.encode("ascii").ljust(32),
        bytes(8),
        both_u32(sectors),
        bytes(32),
        both_u16(1),
        both_u16(1),
        both_u16(SECTOR_BYTES),
        both_u32(table_bytes),
        struct.pack("<II", _PATH_TABLE_SECTOR, 0),
        struct.pack(">II", _PATH_TABLE_SECTOR + table_sectors, 0),
        _record(b"\0", root.sector, root.size_bytes, _FLAG_DIRECTORY),
        b" " * (128 * 4 + 37 * 3),
        _VOLUME_TIME,
        _VOLUME_TIME,
        _NO_TIME,
        _NO_TIME,
        b"\x01\0",
    ))  # fmt: skip
    return descriptor.ljust(SECTOR_BYTES, b"\0")


def _boot_record() -> bytes:
    """The descriptor that points to the boot catalog (El Torito §2.0)."""
    record = b"\0CD001\x01" + b"EL TORITO SPECIFICATION".ljust(64, b"\0") + struct.pack("<I", _CATALOG_SECTOR)
    return record.ljust(SECTOR_BYTES, b"\0")


def _boot_catalog(boot: _Node) -> bytes:
    """Validation entry and one default entry (El Torito §2.1, §2.2; UEFI 2.10 §13.3.2.1)."""
    validation = bytearray(struct.pack("<BBH24sH2s", 1, _PLATFORM_EFI, 0, b"", 0, b"\x55\xaa"))
    checksum = -sum(struct.unpack("<16H", validation)) & 0xFFFF
    validation[28:30] = struct.pack("<H", checksum)
    sectors = -(-boot.size_bytes // _VIRTUAL_SECTOR_BYTES)
    if sectors > 0xFFFF:
        # 0 means "to the end of the medium"; the partition's own size is in its FAT header.
        sectors = 0
    return bytes(validation) + struct.pack("<BBHBBHI20s", 0x88, 0, 0, 0, 0, sectors, boot.sector, b"")


def _find(root: _Node, path: str) -> _Node:
    node = root
    for part in path.split("/"):
        node = (node.children or {})[part]
    return node


def _sectors(size_bytes: int) -> int:
    return -(-size_bytes // SECTOR_BYTES)
