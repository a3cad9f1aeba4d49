"""Leases are there again after a restart, however the process ended."""

from __future__ import annotations

import os
import resource
import signal
import stat
from pathlib import Path

import pytest

from ironic_httpboot.dhcp.leasefile import LeaseFile
from ironic_httpboot.dhcp.leases import Leases
from ironic_httpboot.errors import HostError


def opened(path: Path) -> tuple[LeaseFile, Leases, Leases]:
    tables = Leases(4), Leases(6)
    file = LeaseFile(path, tables)
    file.open()
    return file, *tables


def test_leases_of_both_families_are_there_again(tmp_path: Path) -> None:
    file, v4, v6 = opened(tmp_path / "leases")
    v4.bind(b"a", 100, 0, 60)
    v6.bind(b"b", 2**100, 0, 60)
    v4.bind(b"c", 101, 0, 60)
    v4.release(b"c", 101, 1)
    file.save()
    file.close()
    file, v4, v6 = opened(tmp_path / "leases")
    assert (v4.held(b"a", 10), v6.held(b"b", 10), v4.held(b"c", 10)) == (100, 2**100, None)
    assert v4.remembered(b"c") == 101
    file.close()


def test_what_was_saved_survives_kill_9(tmp_path: Path) -> None:
    child = os.fork()
    if child == 0:
        file, v4, _ = opened(tmp_path / "leases")
        v4.bind(b"a", 100, 0, 60)
        file.save()
        v4.bind(b"b", 101, 0, 60)
        os.kill(os.getpid(), signal.SIGKILL)
    assert os.waitpid(child, 0)[1] == signal.SIGKILL
    file, v4, _ = opened(tmp_path / "leases")
    assert (v4.held(b"a", 10), v4.held(b"b", 10)) == (100, None)
    file.close()


def test_half_a_line_at_the_end_does_not_count(tmp_path: Path) -> None:
    path = tmp_path / "leases"
    path.write_text("httpboot leases 1\n0.0.0.100 bound 60 61\n0.0.0.101 bound 60 6")
    file, v4, _ = opened(path)
    assert (v4.held(b"a", 10), len(v4)) == (100, 1)
    v4.bind(b"b", 101, 0, 60)
    file.save()
    file.close()
    assert path.read_text() == "httpboot leases 1\n0.0.0.100 bound 60 61\n0.0.0.101 bound 60 62\n"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("something else\n", "line 1: is not 'httpboot leases 1'"),
        ("one line without its end", "line 1: is not 'httpboot leases 1'"),
        ("httpboot leases 1\n0.0.0.1 bound 60 61\nrubbish\n", "line 3: lease file: 'rubbish'"),
        ("httpboot leases 1\n\xff\n", "is no lease file"),
        ("httpboot leases 1\nserver 12x\n", "line 2: 'server 12x' is no DUID of a server"),
        ("httpboot leases 1\nserver \n", "line 2: 'server ' is no DUID of a server"),
    ],
)
def test_a_file_that_is_no_lease_file_is_left_as_it_is(tmp_path: Path, text: str, why: str) -> None:
    path = tmp_path / "leases"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(HostError, match=why):
        opened(path)
    assert path.read_bytes() == text.encode("latin-1")


def make(path: Path, kind: str) -> None:
    match kind:
        case "a folder":
            path.mkdir()
        case "a FIFO":
            os.mkfifo(path)
        case "a socket":
            os.mknod(path, stat.S_IFSOCK | 0o600)
        case "a device":
            try:
                os.mknod(path, stat.S_IFCHR | 0o600, os.makedev(1, 3))
            except PermissionError:
                pytest.skip("no device can be made here")


@pytest.mark.parametrize("place", ["leases", "leases.part"])
@pytest.mark.parametrize("linked", [False, True])
@pytest.mark.parametrize("kind", ["a folder", "a FIFO", "a socket", "a device"])
def test_what_is_no_file_is_refused_and_stays(tmp_path: Path, kind: str, linked: bool, place: str) -> None:
    """Opened, a FIFO is waited for; and renamed onto, a device is lost to all programs of the host."""
    path = tmp_path / place
    node = tmp_path / "node" if linked else path
    make(node, kind)
    if linked:
        path.symlink_to(node)
    before = node.lstat()
    said = "a link" if linked and place == "leases.part" else kind
    with pytest.raises(HostError, match=f"{path}: is {said}, not a file for leases"):
        opened(tmp_path / "leases")
    assert (node.lstat().st_ino, node.lstat().st_mode) == (before.st_ino, before.st_mode)
    assert path.is_symlink() is linked


@pytest.mark.parametrize("there", [False, True])
def test_a_link_to_a_file_stays_a_link(tmp_path: Path, there: bool) -> None:
    target = tmp_path / "elsewhere" / "kept"
    (tmp_path / "leases").symlink_to(target)
    if there:
        target.parent.mkdir()
        target.touch()
    file, v4, _ = opened(tmp_path / "leases")
    v4.bind(b"a", 100, 0, 60)
    file.save()
    file.close()
    assert (tmp_path / "leases").is_symlink()
    assert "bound" in target.read_text()


def test_the_servers_identity_stays_with_the_leases(tmp_path: Path) -> None:
    file, v4, _ = opened(tmp_path / "leases")
    assert file.identity(b"\0\4first") == b"\0\4first"
    v4.bind(b"a", 100, 0, 60)
    file.save()
    file.close()
    for other in (b"second", b"third"):
        file, v4, _ = opened(tmp_path / "leases")
        assert file.identity(other) == b"\0\4first"
        assert v4.held(b"a", 10) == 100
        file.close()


def test_two_servers_cannot_use_one_file(tmp_path: Path) -> None:
    file, *_ = opened(tmp_path / "leases")
    with pytest.raises(HostError, match="in use by another server"):
        opened(tmp_path / "leases")
    file.close()


def test_a_long_file_is_written_anew_with_what_still_counts(tmp_path: Path) -> None:
    path = tmp_path / "leases"
    file, v4, _ = opened(path)
    longest = 0
    for second in range(30_000):
        v4.bind(b"a", 100, second, 60)
        file.save()
        longest = max(longest, path.stat().st_size) if second % 1000 == 0 else longest
    assert v4.held(b"a", 30_000) == 100
    assert path.stat().st_size < 30 * 12_000
    file.close()
    file, v4, _ = opened(path)
    assert v4.held(b"a", 30_050) == 100
    file.close()


def test_without_room_nothing_is_promised_and_no_half_line_stays(tmp_path: Path) -> None:
    path = tmp_path / "leases"
    child = os.fork()
    if child == 0:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        file, v4, _ = opened(path)
        v4.bind(b"a", 100, 0, 60)
        file.save()
        resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 5, resource.RLIM_INFINITY))
        v4.bind(b"b", 101, 0, 60)
        try:
            file.save()
        except HostError:
            os._exit(7)
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    assert path.read_text() == "httpboot leases 1\n0.0.0.100 bound 60 61\n"
