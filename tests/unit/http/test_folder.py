"""The operator's own folder: what is found in it, and that nothing outside is."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from ironic_httpboot.blob import FileSlice, Literal
from ironic_httpboot.errors import HostError
from ironic_httpboot.http.folder import Folder

SMALL = b"small"
LARGE = bytes(range(256)) * 300


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    (root / "deep" / "er").mkdir(parents=True)
    (root / "small.efi").write_bytes(SMALL)
    (root / "large.iso").write_bytes(LARGE)
    (root / "deep" / "er" / "notes.txt").write_bytes(b"notes")
    (tmp_path / "secret.iso").write_bytes(b"secret")
    return root


@pytest.fixture
def folder(root: Path) -> Folder:
    return Folder(root)


def read(folder: Folder, *names: str) -> bytes | None:
    found = folder.find(names)
    return None if found is None else found.blob.read_at(0, 1 << 20)


def etag(folder: Folder, *names: str) -> str:
    found = folder.find(names)
    assert found is not None
    return found.blob.etag


def test_files_are_found_with_type_date_and_label(folder: Folder, root: Path) -> None:
    os.utime(root / "small.efi", (1_700_000_000, 1_700_000_000.9))
    found = folder.find(("small.efi",))
    assert found is not None
    assert (found.content_type, found.modified, found.label) == ("application/efi", 1_700_000_000, "/small.efi")
    assert (read(folder, "small.efi"), read(folder, "large.iso")) == (SMALL, LARGE)
    assert read(folder, "deep", "er", "notes.txt") == b"notes"


@pytest.mark.parametrize(
    ("name", "content_type"),
    [
        ("a.iso", "application/vnd.efi-iso"),
        ("a.IMG", "application/vnd.efi-img"),
        ("a.efi", "application/efi"),
        ("a.txt", "application/octet-stream"),
        ("a", "application/octet-stream"),
        ("a b%…", "application/octet-stream"),
    ],
)
def test_the_name_decides_the_content_type(folder: Folder, root: Path, name: str, content_type: str) -> None:
    (root / name).touch()
    found = folder.find((name,))
    assert found is not None
    assert (found.content_type, found.blob.size_bytes) == (content_type, 0)


def test_small_files_are_in_memory_and_large_ones_on_disk(folder: Folder) -> None:
    small, large = folder.find(("small.efi",)), folder.find(("large.iso",))
    assert small is not None
    assert large is not None
    assert isinstance(small.blob.extents[0], Literal)
    assert isinstance(large.blob.extents[0], FileSlice)


def test_nothing_is_listed_and_no_folder_found(folder: Folder) -> None:
    for names in ((), ("deep",), ("deep", "er"), ("nothing",), ("small.efi", "x"), ("deep", "x", "y")):
        assert folder.find(names) is None


@pytest.mark.parametrize(
    "names",
    [
        ("..", "secret.iso"),
        ("deep", "..", "..", "secret.iso"),
        ("deep/../../secret.iso",),
        ("/etc/passwd",),
        ("", "etc", "passwd"),
        (".",),
        (".", "small.efi"),
        ("small.efi\0",),
        ("\udcff",),
        ("x" * 5000,),
    ],
)
def test_names_that_are_none_find_nothing(folder: Folder, names: tuple[str, ...]) -> None:
    assert folder.find(names) is None


def test_links_inside_are_followed(folder: Folder, root: Path) -> None:
    (root / "current.iso").symlink_to("large.iso")
    (root / "absolute.iso").symlink_to(root / "large.iso")
    (root / "chain.iso").symlink_to("current.iso")
    (root / "shallow").symlink_to("deep/er")
    for name in ("current.iso", "absolute.iso", "chain.iso"):
        assert read(folder, name) == LARGE
    assert read(folder, "shallow", "notes.txt") == b"notes"


def test_links_out_are_refused(folder: Folder, root: Path, tmp_path: Path) -> None:
    (tmp_path / "root-too").mkdir()
    (tmp_path / "root-too" / "a.iso").write_bytes(b"beside")
    (root / "file.iso").symlink_to("../secret.iso")
    (root / "absolute.iso").symlink_to(tmp_path / "secret.iso")
    (root / "up").symlink_to("..")
    (root / "beside").symlink_to("../root-too")
    (root / "deep" / "hop").symlink_to("../up")
    (root / "out-and-in").symlink_to(f"../{root.name}/small.efi")
    (root / "loop").symlink_to("loop")
    (root / "dangling").symlink_to("nowhere")
    for names in (
        ("file.iso",),
        ("absolute.iso",),
        ("up", "secret.iso"),
        ("beside", "a.iso"),
        ("deep", "hop", "secret.iso"),
        ("loop",),
        ("dangling",),
    ):
        assert folder.find(names) is None
    assert read(folder, "out-and-in") == SMALL, "what matters is where it ends"


def test_a_link_that_is_turned_is_followed_anew(folder: Folder, root: Path) -> None:
    link = root / "current.iso"
    link.symlink_to("large.iso")
    assert read(folder, "current.iso") == LARGE
    link.unlink()
    link.symlink_to("../secret.iso")
    assert read(folder, "current.iso") is None
    link.unlink()
    link.symlink_to("small.efi")
    assert read(folder, "current.iso") == SMALL


def test_a_folder_swapped_for_a_link_out_is_refused_even_when_its_files_are_the_same(
    folder: Folder, root: Path, tmp_path: Path
) -> None:
    assert read(folder, "deep", "er", "notes.txt") == b"notes"
    (root / "deep").rename(tmp_path / "outside")
    (root / "deep").symlink_to(tmp_path / "outside")
    assert read(folder, "deep", "er", "notes.txt") is None
    (root / "deep").unlink()
    (tmp_path / "outside").rename(root / "deep")
    assert read(folder, "deep", "er", "notes.txt") == b"notes"


def test_an_edited_file_has_another_etag_and_its_new_content(folder: Folder, root: Path) -> None:
    for name, old in (("small.efi", SMALL), ("large.iso", LARGE)):
        before = etag(folder, name)
        assert etag(folder, name) == before
        (root / name).write_bytes(old[::-1])
        os.utime(root / name, ns=(0, 1))
        assert etag(folder, name) != before
        assert read(folder, name) == old[::-1]


def test_a_replaced_file_of_the_same_size_and_date_has_another_etag(folder: Folder, root: Path) -> None:
    before = etag(folder, "small.efi")
    found = (root / "small.efi").stat()
    (root / "new").write_bytes(SMALL.upper())
    os.utime(root / "new", ns=(found.st_atime_ns, found.st_mtime_ns))
    (root / "new").rename(root / "small.efi")
    assert etag(folder, "small.efi") != before
    assert read(folder, "small.efi") == SMALL.upper()


def test_a_removed_file_is_gone_and_a_new_one_is_there(folder: Folder, root: Path) -> None:
    assert read(folder, "small.efi") == SMALL
    (root / "small.efi").unlink()
    assert read(folder, "small.efi") is None
    (root / "small.efi").mkdir()
    assert read(folder, "small.efi") is None
    (root / "small.efi").rmdir()
    (root / "small.efi").write_bytes(b"new")
    assert read(folder, "small.efi") == b"new"


def test_the_etag_is_the_same_in_another_server(folder: Folder, root: Path) -> None:
    assert etag(folder, "large.iso") == etag(Folder(root), "large.iso")
    assert etag(folder, "large.iso") != etag(folder, "small.efi")


def test_what_is_no_regular_file_is_refused_without_being_opened(folder: Folder, root: Path) -> None:
    os.mkfifo(root / "fifo.iso")
    (root / "zero.iso").symlink_to("/dev/zero")
    for name in ("fifo.iso", "zero.iso"):
        assert folder.find((name,)) is None


@pytest.fixture
def as_somebody() -> Iterator[None]:
    """Root may read every file; so be somebody else."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    yield
    os.seteuid(0)


@pytest.mark.usefixtures("as_somebody")
def test_a_file_that_may_not_be_read_is_found_for_the_server_to_refuse() -> None:
    with tempfile.TemporaryDirectory() as root:
        (Path(root) / "small.efi").write_bytes(SMALL)
        (Path(root) / "small.efi").chmod(0)
        found = Folder(Path(root)).find(("small.efi",))
        assert found is not None
        assert isinstance(found.blob.extents[0], FileSlice)


def test_a_date_before_the_epoch_is_fine(folder: Folder, root: Path) -> None:
    os.utime(root / "small.efi", (-5, -5))
    found = folder.find(("small.efi",))
    assert found is not None
    assert found.modified == -5


def test_the_root_itself_may_be_a_link(root: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(root)
    assert read(Folder(tmp_path / "link"), "small.efi") == SMALL


def test_the_whole_disk_may_be_a_root(root: Path) -> None:
    assert read(Folder(Path("/")), *(root / "small.efi").parts[1:]) == SMALL


def test_more_files_than_are_remembered(folder: Folder, root: Path) -> None:
    for number in range(1100):
        (root / str(number)).write_text(str(number))
    for number in (*range(1100), 0, 1099):
        assert read(folder, str(number)) == str(number).encode()


@pytest.mark.parametrize("name", ["nothing", "small.efi"])
def test_a_root_that_is_no_folder_is_refused(root: Path, name: str) -> None:
    with pytest.raises(HostError, match=rf"^folder .*/{name}: is no folder"):
        Folder(root / name)
