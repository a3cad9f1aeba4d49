"""The lease file after root was given up, and on a disk that is full for a while."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from ironic_httpboot.dhcp.leasefile import LeaseFile
from ironic_httpboot.dhcp.leases import Leases
from kit.judges import judge

NOBODY = 65534


def opened(path: Path) -> tuple[LeaseFile, Leases]:
    leases = Leases(4)
    file = LeaseFile(path, (leases,))
    file.open()
    return file, leases


@pytest.mark.parametrize("writable", [True, False])
def test_another_user_goes_on_with_the_file_and_makes_it_short_where_it_can(tmp_path: Path, writable: bool) -> None:
    folder = tmp_path / "leases"
    folder.mkdir()
    path = folder / "leases"
    file, v4 = opened(path)
    if writable:
        os.chown(folder, NOBODY, NOBODY)
    for parent in tmp_path.parents:
        if parent.stat().st_uid == 0 and parent != Path("/"):
            parent.chmod(parent.stat().st_mode | 0o055)
    tmp_path.chmod(0o755)
    file.hand_to(NOBODY, NOBODY)
    child = os.fork()
    if child == 0:
        os.setuid(NOBODY)
        why = file.hindrance()
        for second in range(15_000):
            v4.bind(b"a", 100, second, 60)
            file.save()
        expected = None if writable else f"{folder}: is not writable, so that leases is made short at a restart only"
        os._exit(7 if why == expected else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    file.close()
    assert (path.stat().st_size < 30 * 12_000) is writable
    assert path.stat().st_uid == NOBODY
    file, v4 = opened(path)
    assert v4.held(b"a", 15_010) == 100
    assert path.stat().st_size < 100
    file.close()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    where = tmp_path / "disk"
    where.mkdir()
    judge("mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", where)
    try:
        yield where
    finally:
        judge("umount", "--lazy", where)  # a test that fails leaves files open


def renew(file: LeaseFile, v4: Leases, *, times: int) -> None:
    for number in range(times):
        v4.bind(b"%04d" % (number % 2_000), number % 2_000, number, 60)
        file.save()


def test_a_file_that_could_not_be_made_short_is_once_there_is_room_again(
    small_disk: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A try that fails leaves nothing behind: no part of a file on the full disk, no lock on the next try's."""
    file, v4 = opened(small_disk / "leases")
    renew(file, v4, times=17_990)
    room = os.statvfs(small_disk)
    (small_disk / "ballast").write_bytes(bytes(room.f_bavail * room.f_frsize - 16_384))
    with caplog.at_level(logging.WARNING):
        renew(file, v4, times=20)
    assert "leases.part: written → No space left on device" in caplog.text
    assert sorted(os.listdir(small_disk)) == ["ballast", "leases"]
    long = (small_disk / "leases").stat().st_size
    (small_disk / "ballast").unlink()
    renew(file, v4, times=20_000)
    assert (small_disk / "leases").stat().st_size < long / 2
    file.close()
