"""Blobs: bytes that are not copied, told apart by ETag, and never served when their file is another one."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ironic_httpboot import blob
from ironic_httpboot.blob import Assembly, Blob, Content, FileSlice, Literal, SourceFile, Zeros, examine, literal, whole
from ironic_httpboot.errors import BadRecipe, FileChanged
from kit.images import joined

BODY = bytes(range(256)) * 4


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "ramdisk.img"
    path.write_bytes(BODY)
    return path


@contextmanager
def as_nobody() -> Iterator[None]:
    """Without root's right to read everything."""
    before = os.geteuid()
    if before == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(before)


def open_descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def at_another_time(path: Path) -> None:
    """What an edit does to a file's time, however coarse the clock of its file system."""
    os.utime(path, ns=(0, path.stat().st_mtime_ns + 1))


def test_an_examined_file_is_known_by_size_and_content(file: Path) -> None:
    found = examine(file)
    assert (found.path, found.size_bytes) == (file, 1024)
    assert found.sha256 == "785b0751fc2c53dc14a4ce3d800e69ef9ce1009eb327ccf458afe09c242c26c9"


def test_a_file_is_read_once_in_a_process_and_again_after_a_change(file: Path) -> None:
    first = examine(file)
    assert examine(file) is first
    file.write_bytes(b"another")
    assert examine(file).sha256 != first.sha256


def test_a_relative_path_is_kept_as_an_absolute_one(file: Path) -> None:
    relative = Path(os.path.relpath(file))
    assert examine(relative).path.is_absolute()
    assert Blob.of(whole(examine(relative))).read_at(0, 4) == BODY[:4]


def test_a_symbolic_link_is_followed(file: Path) -> None:
    link = file.with_name("link")
    link.symlink_to(file)
    assert examine(link).sha256 == examine(file).sha256


def test_a_missing_file_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(BadRecipe, match=r"/none: examined → No such file or directory$"):
        examine(tmp_path / "none")


@pytest.mark.parametrize("kind", ["folder", "FIFO", "device", "socket folder"])
def test_what_is_no_regular_file_is_refused_by_name_and_at_once(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "thing"
    match kind:
        case "folder":
            path.mkdir()
        case "FIFO":
            os.mkfifo(path)
        case "device":
            path = Path("/dev/zero")
        case _:
            path = Path("/proc/self/fd")
    with pytest.raises(BadRecipe, match=f"^{path}: is not a regular file$"):
        examine(path)


def test_a_path_that_no_file_can_have_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadRecipe, match=r"a\\x00b': cannot be a path$"):
        examine(tmp_path / "a\0b")
    with pytest.raises(BadRecipe, match="File name too long"):
        examine(tmp_path / ("a" * 300))


def test_a_file_that_may_not_be_read_is_refused_with_the_reason() -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "secret"
        path.touch(0 if os.geteuid() else 0o600)
        Path(folder).chmod(0o755)
        with as_nobody(), pytest.raises(BadRecipe) as caught:
            examine(path)
    assert caught.value.message == f"{path}: opened for reading → Permission denied"


def test_a_file_of_another_user_that_everybody_may_read_is_examined() -> None:
    with as_nobody():
        assert examine(Path("/etc/passwd")).size_bytes > 0


def test_a_file_whose_content_cannot_be_read_is_refused_with_the_reason() -> None:
    memory = Path("/proc/self/mem")
    found = memory.stat()
    file = SourceFile(
        path=memory, size_bytes=found.st_size, mtime_ns=found.st_mtime_ns, inode=found.st_ino, sha256="0" * 64
    )
    with pytest.raises(FileChanged, match=r"^/proc/self/mem: 16 bytes read at 0 → Input/output error$"):
        Blob.of((FileSlice(file, 0, 16),)).read_at(0, 16)


def test_a_file_that_was_edited_since_is_refused_by_name(file: Path) -> None:
    image = Blob.of(whole(examine(file)))
    file.write_bytes(BODY + b"more")
    with pytest.raises(FileChanged) as caught:
        image.read_at(0, 10)
    assert str(caught.value) == (
        f"{file}: changed since it was examined (1024 bytes then, 1028 now)\n"
        "  hint: compose and publish the image again"
    )


def test_a_file_that_was_edited_to_the_same_size_is_refused(file: Path) -> None:
    image = Blob.of(whole(examine(file)))
    file.write_bytes(BODY[::-1])
    at_another_time(file)
    with pytest.raises(FileChanged, match="changed since it was examined"):
        image.read_at(0, 10)


def test_a_file_that_was_replaced_by_its_like_is_refused(file: Path) -> None:
    examined = examine(file)
    other = file.with_name("other")
    other.write_bytes(BODY)
    os.utime(other, ns=(0, examined.mtime_ns))
    other.replace(file)
    for look in (examined.check, examined.open):
        with pytest.raises(FileChanged, match="changed since it was examined"):
            look()


@pytest.mark.parametrize("kind", ["nothing", "folder", "FIFO"])
def test_what_took_a_files_place_is_refused_at_once_and_nothing_stays_open(kind: str, file: Path) -> None:
    examined = examine(file)
    file.unlink()
    match kind:
        case "folder":
            file.mkdir()
        case "FIFO":
            os.mkfifo(file)
        case _:
            pass
    before = open_descriptors()
    for look in (examined.check, examined.open):
        with pytest.raises(FileChanged, match=f"^{file}: ") as caught:
            look()
        assert caught.value.hint == "compose and publish the image again"
    assert open_descriptors() == before


def test_a_file_that_is_still_the_same_passes_a_check(file: Path) -> None:
    examined = examine(file)
    examined.check()
    with examined.open() as stream:
        assert stream.read() == BODY


def test_a_slice_beyond_the_end_of_a_file_is_a_failure_with_both_numbers(file: Path) -> None:
    image = Blob.of((FileSlice(examine(file), 1000, 50),))
    with pytest.raises(FileChanged, match=r"ramdisk.img: 50 bytes read at 1000 → 24 came back"):
        image.read_at(0, 50)


def test_reading_leaves_no_file_open(file: Path) -> None:
    image = Blob.of(whole(examine(file)))
    before = open_descriptors()
    image.read_at(3, 9)
    assert open_descriptors() == before


def test_an_empty_file_is_an_empty_content(tmp_path: Path) -> None:
    path = tmp_path / "empty"
    path.touch()
    image = Blob.of(whole(examine(path)))
    assert (image.extents, image.size_bytes, image.read_at(0, 10)) == ((), 0, b"")


def test_equal_content_at_another_path_has_an_equal_etag(file: Path) -> None:
    other = file.with_name("copy")
    other.write_bytes(BODY)
    assert Blob.of(whole(examine(file))).etag == Blob.of(whole(examine(other))).etag


def test_an_etag_is_strong_and_quoted() -> None:
    etag = Blob.of(literal(b"x")).etag
    assert etag == f'"{etag.strip(chr(34))}"'
    assert len(etag) == 34


def test_an_etag_is_taken_as_given() -> None:
    assert Blob.of(literal(b"x"), etag='"mine"').etag == '"mine"'


def test_the_etag_is_the_same_in_another_process(file: Path) -> None:
    here = Blob.of((*literal(b"head"), Zeros(5), *whole(examine(file))))
    program = (
        "import sys; from pathlib import Path; from ironic_httpboot.blob import *\n"
        "print(Blob.of((*literal(b'head'), Zeros(5), *whole(examine(Path(sys.argv[1]))))).etag)"
    )
    there = subprocess.run([sys.executable, "-c", program, file], capture_output=True, check=True).stdout.decode()
    assert there.strip() == here.etag


def test_other_content_has_another_etag(file: Path) -> None:
    contents: list[Content] = [
        (),
        literal(b"a"),
        literal(b"b"),
        literal(b"zeros 1\n"),
        (Zeros(1),),
        (Zeros(2),),
        whole(examine(file)),
        (FileSlice(examine(file), 1, 1023),),
        (*whole(examine(file)), Zeros(1)),
        (Zeros(1), *whole(examine(file))),
    ]
    assert len({Blob.of(content).etag for content in contents}) == len(contents)


def test_literals_and_zeros_that_follow_each_other_become_one_extent() -> None:
    assembly = Assembly()
    assembly.add(literal(b"ab"))
    assembly.add(literal(b"cd"))
    assembly.pad(8)
    assembly.pad_to(20)
    assembly.add((Literal(b""), Zeros(0)))
    assembly.add(literal(b"e"))
    assert assembly.content == (Literal(b"abcd"), Zeros(16), Literal(b"e"))
    assert assembly.position == 21


def test_an_assembly_can_be_looked_at_and_goes_on() -> None:
    assembly = Assembly()
    assembly.add(literal(b"ab"))
    assert assembly.content == (Literal(b"ab"),)
    assembly.add(literal(b"cd"))
    assert joined(assembly.content) == b"abcd"
    assert assembly.content == assembly.content


def test_an_assembly_does_not_pad_back() -> None:
    assembly = Assembly()
    assembly.add(literal(b"abcd"))
    with pytest.raises(ValueError, match="cannot pad back from 4 to 3"):
        assembly.pad_to(3)


def test_a_blob_names_its_files(file: Path) -> None:
    examined = examine(file)
    assert Blob.of((*whole(examined), Zeros(1), FileSlice(examined, 3, 4))).files() == {examined}


@pytest.mark.parametrize(("start", "end"), [(-1, 2), (3, 2), (0, 5), (5, 5)])
def test_a_cut_outside_of_a_blob_is_a_bug(start: int, end: int) -> None:
    with pytest.raises(ValueError, match=f"cannot cut {start}:{end} from 4 bytes"):
        list(Blob.of(literal(b"abcd")).cut(start, end))


def test_a_read_behind_the_end_is_empty() -> None:
    image = Blob.of(literal(b"abcd"))
    assert (image.read_at(2, 10), image.read_at(4, 1), image.read_at(100, 1)) == (b"cd", b"", b"")


_extents = st.lists(
    st.one_of(
        st.binary(max_size=40).map(lambda data: ("literal", data)),
        st.integers(0, 40).map(lambda length: ("zeros", bytes(length))),
        st.tuples(st.integers(0, 1024), st.integers(0, 1024)).map(
            lambda pair: ("file", BODY[min(pair) : max(pair)], min(pair))
        ),
    ),
    max_size=8,
)


@pytest.fixture(scope="module")
def examined(tmp_path_factory: pytest.TempPathFactory) -> SourceFile:
    path = tmp_path_factory.mktemp("blob") / "body"
    path.write_bytes(BODY)
    return examine(path)


def content_of(parts: list[tuple[object, ...]], file: SourceFile) -> tuple[Content, bytes]:
    content: list[blob.Extent] = []
    for part in parts:
        match part:
            case ("literal", bytes(data)):
                content.append(Literal(data))
            case ("zeros", bytes(data)):
                content.append(Zeros(len(data)))
            case ("file", bytes(data), int(start)):
                content.append(FileSlice(file, start, len(data)))
            case _:
                raise AssertionError(part)
    return tuple(content), b"".join(bytes(part[1]) for part in parts)  # type: ignore[call-overload]  # is bytes


@settings(deadline=None)
@given(data=st.data(), parts=_extents)
def test_any_range_of_a_blob_is_the_slice_of_the_whole(
    data: st.DataObject, parts: list[tuple[object, ...]], examined: SourceFile
) -> None:
    content, expected = content_of(parts, examined)
    image = Blob.of(content)
    assert image.size_bytes == blob.length_of(content) == len(expected)
    start = data.draw(st.integers(0, len(expected)))
    count = data.draw(st.integers(0, len(expected) + 5))
    assert image.read_at(start, count) == expected[start : start + count]
    end = min(start + count, len(expected))
    assert sum(extent.length for extent in image.cut(start, end)) == end - start


@settings(deadline=None)
@given(parts=_extents)
def test_an_assembly_holds_the_bytes_that_were_added(parts: list[tuple[object, ...]], examined: SourceFile) -> None:
    content, expected = content_of(parts, examined)
    assembly = Assembly()
    assembly.add(content)
    assembly.pad(64)
    assert joined(assembly.content) == expected.ljust(-(-len(expected) // 64) * 64, b"\0")
    assert all(extent.length for extent in assembly.content)
