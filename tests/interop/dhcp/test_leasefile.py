"""The lease file after root was given up."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ironic_httpboot.dhcp.leasefile import LeaseFile
from ironic_httpboot.dhcp.leases import Leases

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
