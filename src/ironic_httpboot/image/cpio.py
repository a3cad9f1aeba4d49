"""cpio "newc" archives, the format in which Linux takes ramdisks, as extents over their files.

Knows the format (Linux Documentation/driver-api/early-userspace/buffer-format.rst). Refuses to know the clock or the
disk: all times are 0 and inode numbers count up, so equal members give equal bytes.
"""

from __future__ import annotations

import stat
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath

from ironic_httpboot.blob import Assembly, Content, length_of, literal
from ironic_httpboot.errors import BadRecipe

_ALIGNMENT = 4
_LARGEST_FILE_BYTES = 0xFFFF_FFFF
_LONGEST_PATH_BYTES = 4095
_LONGEST_NAME_BYTES = 255
"""Linux passes over what is longer, without a word (init/initramfs.c, 6.1)."""

_TRAILER = "TRAILER!!!"


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One entry of an archive. path: relative, without "..". mode: type and permission bits as in stat."""

    path: str
    mode: int
    content: Content = field(repr=False, default=())
    device: tuple[int, int] = (0, 0)


def file(path: str, content: Content, mode: int = 0o644) -> Member:
    """A regular file."""
    return Member(path=path, mode=stat.S_IFREG | stat.S_IMODE(mode), content=content)


def directory(path: str, mode: int = 0o755) -> Member:
    """A directory."""
    return Member(path=path, mode=stat.S_IFDIR | mode)


def symlink(path: str, target: str) -> Member:
    """A symbolic link."""
    return Member(path=path, mode=stat.S_IFLNK | 0o777, content=literal(target.encode()))


def character_device(path: str, major: int, minor: int, mode: int = 0o600) -> Member:
    """A character device: the kernel needs /dev/console before it can mount anything."""
    return Member(path=path, mode=stat.S_IFCHR | mode, device=(major, minor))


def archive(members: Iterable[Member]) -> Content:
    """Lay out an archive. Directories come before what they hold; those that are not given are put in.

    Raises BadRecipe on a path that is absolute, climbs, is too long or appears twice, or on a file of 4 GiB or more.
    """
    assembly = Assembly()
    seen: set[str] = set()
    for inode, member in enumerate(_with_parents(members), start=1):
        if member.path in seen:
            raise BadRecipe(f"ramdisk file {member.path!r}: given twice")
        seen.add(member.path)
        _append(assembly, member, inode)
    _append(assembly, Member(path=_TRAILER, mode=0), 0)
    return assembly.content


def _with_parents(members: Iterable[Member]) -> Iterable[Member]:
    plain = [replace(member, path=_plain_path(member.path)) for member in members]
    directories = {member.path: member for member in plain if stat.S_ISDIR(member.mode)}
    made: set[str] = set()
    for member in plain:
        for parent in (*reversed(PurePosixPath(member.path).parents[:-1]), member.path):
            name = str(parent)
            if name == member.path and not stat.S_ISDIR(member.mode):
                yield member
            elif name not in made:
                made.add(name)
                yield directories.get(name) or directory(name)


def _plain_path(text: str) -> str:
    """A member's path as it goes into the archive."""
    path = PurePosixPath(text)
    if path.is_absolute() or ".." in path.parts or not path.parts or "\0" in text:
        raise BadRecipe(f"ramdisk file {text!r}: is not a plain relative path")
    if str(path) == _TRAILER:
        raise BadRecipe(f"ramdisk file {text!r}: is the name that ends an archive")
    try:
        longest = max(len(part.encode()) for part in path.parts)
    except UnicodeEncodeError as error:
        raise BadRecipe(f"ramdisk file {text!r}: is not UTF-8") from error
    if longest > _LONGEST_NAME_BYTES:
        raise BadRecipe(f"ramdisk file {text!r}: a name of {longest} bytes, more than Linux's {_LONGEST_NAME_BYTES}")
    if (used := len(str(path).encode())) > _LONGEST_PATH_BYTES:
        raise BadRecipe(f"ramdisk file {text[:64]!r}…: a path of {used} bytes, more than Linux's {_LONGEST_PATH_BYTES}")
    return str(path)


def _append(assembly: Assembly, member: Member, inode: int) -> None:
    size_bytes = length_of(member.content)
    if size_bytes > _LARGEST_FILE_BYTES:
        raise BadRecipe(
            f"ramdisk file {member.path!r}: {size_bytes} bytes, more than the {_LARGEST_FILE_BYTES} that cpio can hold"
        )
    name = member.path.encode() + b"\0"
    links = 2 if stat.S_ISDIR(member.mode) else 1
    # ino, mode, uid, gid, nlink, mtime, filesize, major and minor of the file system, of the device, namesize, check
    fields = (inode, member.mode, 0, 0, links, 0, size_bytes, 0, 0, *member.device, len(name), 0)
    assembly.add(literal(b"070701" + b"".join(b"%08X" % value for value in fields) + name))
    assembly.pad(_ALIGNMENT)
    assembly.add(member.content)
    assembly.pad(_ALIGNMENT)
