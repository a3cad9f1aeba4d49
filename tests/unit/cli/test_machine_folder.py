"""A watched folder of machine files: what comes, changes, goes or is wrong."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ironic_httpboot.cli.machine_folder import MachineFolder

ONE = '[[machine]]\nname = "{name}"\nmac = "52:54:00:00:00:01"\nurl = "http://{{server}}:8080/a.iso"\n'


def names(folder: MachineFolder) -> list[str | None]:
    return [machine.name for machine in folder.machines]


def test_files_that_come_change_or_go_are_seen(tmp_path: Path) -> None:
    root = tmp_path / "machines"
    folder = MachineFolder(root)
    assert not folder.changed(), "a folder that is not there yet has no machines"
    root.mkdir()
    (root / "b.toml").write_text(ONE.format(name="b"))
    (root / "a.toml").write_text(ONE.format(name="a"))
    (root / ".half.toml").write_text("[")
    (root / "notes.txt").write_text("not for us")
    assert folder.changed()
    assert names(folder) == ["a", "b"]
    assert not folder.changed()
    (root / "b.toml").write_text(ONE.format(name="longer"))
    assert folder.changed()
    assert names(folder) == ["a", "longer"]
    (root / "a.toml").unlink()
    assert folder.changed()
    assert names(folder) == ["longer"]


@pytest.mark.parametrize(
    "wrong", ["[[machine", "x = " + "9" * 5000, '[[machine]]\nname = "x"\n', ONE.format(name="x") + 'kernel = "/k"\n']
)
def test_a_file_that_is_wrong_is_left_out_by_name_and_the_others_count(
    tmp_path: Path, wrong: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "good.toml").write_text(ONE.format(name="good"))
    (tmp_path / "wrong.toml").write_text(wrong)
    folder = MachineFolder(tmp_path)
    assert folder.changed()
    assert names(folder) == ["good"]
    assert f"left out: {tmp_path / 'wrong.toml'}" in capsys.readouterr().err.replace("\n", "")


@pytest.mark.parametrize("stray", ["link", "fifo", "folder"])
def test_a_stray_that_is_no_file_is_said_once_and_the_others_count(
    tmp_path: Path, stray: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "good.toml").write_text(ONE.format(name="good"))
    folder = MachineFolder(tmp_path)
    assert folder.changed()
    path = tmp_path / "aa.toml"
    match stray:
        case "link":
            path.symlink_to("/nonexistent")
        case "fifo":
            os.mkfifo(path)
        case _:
            path.mkdir()
    assert folder.changed()
    assert names(folder) == ["good"]
    assert not folder.changed()
    assert capsys.readouterr().err.replace("\n", "").count(f"left out: {path}") == 1


def test_a_folder_that_cannot_be_looked_into_takes_no_machine_away(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "machines"
    root.mkdir()
    (root / "good.toml").write_text(ONE.format(name="good"))
    folder = MachineFolder(root)
    assert folder.changed()
    root.rename(tmp_path / "aside")
    root.write_text("a file in its place")
    assert not folder.changed()
    assert names(folder) == ["good"]
    assert "read → Not a directory" in capsys.readouterr().err.replace("\n", " ")
