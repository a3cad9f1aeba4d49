"""Publishing: unguessable paths, expiry, withdrawal, and what a crash leaves behind."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ironic_httpboot.blob import Blob, examine, literal, whole
from ironic_httpboot.errors import BadRecipe, HostError
from ironic_httpboot.http.respond import segments
from ironic_httpboot.http.store import Publication, Store

BLOB = Blob.of(literal(b"image"))


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture
def store(directory: Path, clock: Clock) -> Store:
    return Store(directory, clock)


def names(publication: Publication) -> tuple[str, ...]:
    found = segments(publication.path)
    assert found is not None
    return found


def test_what_is_published_is_found(store: Store) -> None:
    publication = store.publish(BLOB, name="node-1.iso", machine="node-1")
    found = store.find(names(publication))
    assert found is not None
    assert (found.blob, found.content_type, found.machine) == (BLOB, "application/vnd.efi-iso", "node-1")
    assert (found.modified, found.label) == (1000, "/…/node-1.iso")


@pytest.mark.parametrize(
    ("name", "content_type"),
    [("a.iso", "application/vnd.efi-iso"), ("a.IMG", "application/vnd.efi-img"), ("a b…%.efi", "application/efi")],
)
def test_the_name_decides_the_content_type(store: Store, name: str, content_type: str) -> None:
    publication = store.publish(BLOB, name=name)
    assert publication.path.isascii()
    found = store.find(names(publication))
    assert found is not None
    assert found.content_type == content_type


@pytest.mark.parametrize("name", ["", "a", "a.txt", "a/b.iso", "a\n.iso", "a\0.iso", "a\udcff.iso", 61 * "a" + ".iso"])
def test_a_name_that_firmware_or_logs_would_stumble_over_is_refused(store: Store, directory: Path, name: str) -> None:
    with pytest.raises(BadRecipe, match=r"^published name '"):
        store.publish(BLOB, name=name)
    assert list(directory.iterdir()) == []


@pytest.mark.parametrize("machine", ["a\nb", "\x1b[2J", "\udcff"])
def test_a_machine_that_would_spoil_the_log_is_refused(store: Store, machine: str) -> None:
    with pytest.raises(BadRecipe, match=r"^machine '"):
        store.publish(BLOB, name="a.iso", machine=machine)


def test_each_publication_has_a_secret_of_its_own_in_22_url_safe_characters(store: Store) -> None:
    tokens = {store.publish(BLOB, name="a.iso").token for _ in range(50)}
    assert len(tokens) == 50
    assert {len(token) for token in tokens} == {22}
    assert all(token.replace("-", "").replace("_", "").isalnum() for token in tokens)


def test_the_secret_is_in_no_text_but_the_path(store: Store) -> None:
    publication = store.publish(BLOB, name="a.iso", machine="node-1")
    found = store.find(names(publication))
    assert publication.token in publication.path
    for text in (repr(publication), str(publication), repr(found), f"{publication}"):
        assert publication.token not in text


@pytest.mark.parametrize(
    "wrong",
    [
        (),
        ("a.iso",),
        ("x", "a.iso"),
        ("", "a.iso"),
        ("..", "a.iso"),
        ("\0", "a.iso"),
        ("\udcff", "a.iso"),
        ("x" * 5000, "a.iso"),
        ("../store", "a.iso"),
    ],
)
def test_nothing_else_is_found(store: Store, wrong: tuple[str, ...]) -> None:
    store.publish(BLOB, name="a.iso")
    assert store.find(wrong) is None


def test_the_secret_with_another_name_or_more_or_less_finds_nothing(store: Store) -> None:
    token = store.publish(BLOB, name="a.iso").token
    for wrong in ((token,), (token, "b.iso"), (token, "A.ISO"), (token, "a.iso", "a.iso"), (token[:-1], "a.iso")):
        assert store.find(wrong) is None


def test_withdrawn_is_gone_and_withdrawing_twice_is_fine(store: Store, directory: Path) -> None:
    publication = store.publish(BLOB, name="a.iso")
    other = store.publish(BLOB, name="a.iso")
    assert store.find(names(publication)) is not None
    store.withdraw(publication)
    store.withdraw(publication)
    assert store.find(names(publication)) is None
    assert store.find(names(other)) is not None
    assert [path.name for path in directory.iterdir()] == [f"{other.token}.json"]


def test_expired_is_not_found_at_its_moment_even_when_nobody_sweeps(store: Store, clock: Clock) -> None:
    publication = store.publish(BLOB, name="a.iso", expires_at=1060.0)
    clock.now = 1059.9
    assert store.find(names(publication)) is not None
    clock.now = 1060.0
    assert store.find(names(publication)) is None


def test_sweeping_removes_what_has_expired_and_nothing_else(store: Store, directory: Path, clock: Clock) -> None:
    lasting = store.publish(BLOB, name="a.iso")
    later = store.publish(BLOB, name="a.iso", expires_at=1200.0)
    store.publish(BLOB, name="a.iso", expires_at=1100.0)
    (directory / "notes.txt").write_text("not ours")
    assert store.sweep() == 0
    clock.now = 1100.0
    assert store.sweep() == 1
    assert store.sweep() == 0
    assert {path.name for path in directory.iterdir()} == {
        f"{lasting.token}.json",
        f"{later.token}.json",
        "notes.txt",
    }
    clock.now = 9e9
    assert store.sweep() == 1
    assert store.find(names(lasting)) is not None


def test_sweeping_removes_halves_that_are_too_old_to_be_under_way(store: Store, directory: Path, clock: Clock) -> None:
    old, new = directory / "old.part", directory / "new.part"
    for path, age in ((old, 61), (new, 59)):
        path.write_bytes(b'{"version": 1, "na')
        os.utime(path, (clock.now - age, clock.now - age))
    assert store.sweep() == 1
    assert (old.exists(), new.exists()) == (False, True)


def test_sweeping_passes_over_what_it_cannot_read(store: Store, directory: Path, clock: Clock) -> None:
    (directory / "damaged.json").write_bytes(b"{")
    (directory / "dangling.json").symlink_to("nowhere")
    (directory / "folder.part").mkdir()
    store.publish(BLOB, name="a.iso", expires_at=1001.0)
    clock.now = 2000.0
    os.utime(directory / "folder.part", (0, 0))
    assert store.sweep() == 1
    assert (directory / "damaged.json").exists()


def test_sweeping_a_store_that_was_removed_is_quiet(store: Store, directory: Path) -> None:
    directory.rmdir()
    assert store.sweep() == 0


def test_half_a_manifest_is_not_found_and_the_log_says_so_without_the_secret(
    store: Store, directory: Path, caplog: pytest.LogCaptureFixture
) -> None:
    publication = store.publish(BLOB, name="a.iso")
    path = directory / f"{publication.token}.json"
    whole_manifest = path.read_bytes()
    path.write_bytes(whole_manifest[: len(whole_manifest) // 2])
    assert store.find(names(publication)) is None
    assert "damaged manifest: manifest: document: Invalid JSON" in caplog.text
    assert publication.token not in caplog.text
    path.write_bytes(whole_manifest)
    assert store.find(names(publication)) is not None


def test_what_cannot_be_read_as_a_manifest_is_not_found(store: Store, directory: Path) -> None:
    (directory / "folder.json").mkdir()
    (directory / "noise.json").write_bytes(os.urandom(1000))
    (directory / "dangling.json").symlink_to("nowhere")
    for token in ("folder", "noise", "dangling"):
        assert store.find((token, "a.iso")) is None


def test_a_manifest_that_is_written_again_is_read_again(store: Store, directory: Path) -> None:
    first = store.publish(BLOB, name="a.iso")
    second = store.publish(Blob.of(literal(b"other")), name="a.iso")
    assert store.find(names(first)) is not None
    (directory / f"{second.token}.json").replace(directory / f"{first.token}.json")
    found = store.find(names(first))
    assert found is not None
    assert found.blob.read_at(0, 9) == b"other"


def test_another_process_publishes_and_withdraws(store: Store, directory: Path, tmp_path: Path) -> None:
    kernel = tmp_path / "kernel"
    kernel.write_bytes(b"kernel" * 100)
    program = (
        "import sys; from pathlib import Path\n"
        "from ironic_httpboot.blob import Blob, examine, whole\n"
        "from ironic_httpboot.http.store import Store\n"
        "store = Store(Path(sys.argv[1]))\n"
        "publication = store.publish(Blob.of(whole(examine(Path(sys.argv[2])))), name='a.efi', machine='m')\n"
        "print(publication.path, flush=True)\n"
        "sys.stdin.readline()\n"
        "store.withdraw(publication)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, directory, kernel], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        path = segments(process.stdout.readline().strip())
        assert path is not None
        found = store.find(path)
        assert found is not None
        assert (found.blob, found.machine) == (Blob.of(whole(examine(kernel))), "m")
        process.communicate("\n")
    assert process.returncode == 0
    assert store.find(path) is None


def test_a_new_store_finds_what_an_earlier_one_published(store: Store, directory: Path) -> None:
    publication = store.publish(BLOB, name="a.iso")
    found = Store(directory).find(names(publication))
    assert found is not None
    assert found.blob == BLOB


def test_only_the_owner_may_look_into_the_store(store: Store, directory: Path) -> None:
    publication = store.publish(BLOB, name="a.iso")
    assert directory.stat().st_mode & 0o777 == 0o700
    assert (directory / f"{publication.token}.json").stat().st_mode & 0o777 == 0o600


def test_a_store_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(HostError, match=r"^store .*/file: made → File exists"):
        Store(tmp_path / "file")
    with pytest.raises(HostError, match=r"^store .*/file/store: made → Not a directory"):
        Store(tmp_path / "file" / "store")


def test_publishing_where_nothing_can_be_written_is_an_error_of_the_host() -> None:
    store = Store(Path("/proc/self"))
    with pytest.raises(HostError, match=r"^store /proc/self: manifest written → "):
        store.publish(BLOB, name="a.iso")


def test_publishing_into_a_store_that_was_removed_is_an_error_and_leaves_nothing(
    store: Store, directory: Path, tmp_path: Path
) -> None:
    directory.rmdir()
    with pytest.raises(HostError, match=r"^store .*: manifest written → No such file or directory"):
        store.publish(BLOB, name="a.iso")
    assert list(tmp_path.iterdir()) == []


def test_as_many_as_are_remembered_and_more(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    publications = [store.publish(BLOB, name="a.iso") for _ in range(30)]
    for publication in publications * 2:
        assert store.find(names(publication)) is not None
    assert caplog.text == ""


def test_what_is_published_is_listed_by_machine_also_by_another_process(store: Store, directory: Path) -> None:
    first, second = (store.publish(BLOB, name=f"{n}.iso", machine="node-1") for n in range(2))
    other = store.publish(BLOB, name="x.iso", machine="node-2")
    (directory / "damaged.json").write_text("{")
    (directory / "half.part").write_text("{")
    found = Store(directory).published()
    assert {name: {each.path for each in published} for name, published in found.items()} == {
        "node-1": {first.path, second.path},
        "node-2": {other.path},
    }
    store.withdraw(other)
    assert set(Store(directory).published()) == {"node-1"}
