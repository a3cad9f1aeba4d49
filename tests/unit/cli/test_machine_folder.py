"""A watched folder of machine files: what comes, changes, goes or is wrong."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ironic_httpboot import config
from ironic_httpboot.cli.machine_folder import MachineFolder

ONE = '[[machine]]\nname = "{name}"\nmac = "52:54:00:00:00:01"\nurl = "http://{{server}}:8080/a.iso"\n'


def names(folder: MachineFolder) -> list[str | None]:
    return [machine.name for machine in folder.beside(None, ())]


def test_files_that_come_change_or_go_are_seen(tmp_path: Path) -> None:
    root = tmp_path / "machines"
    folder = MachineFolder(root)
    assert not folder.changed(), "a folder that is not there yet has no machines"
    root.mkdir()
    (root / "b.toml").write_text(ONE.replace(":01", ":02").format(name="b"))
    (root / "a.toml").write_text(ONE.format(name="a"))
    (root / ".half.toml").write_text("[")
    (root / "notes.txt").write_text("not for us")
    assert folder.changed()
    assert names(folder) == ["a", "b"]
    assert not folder.changed()
    (root / "b.toml").write_text(ONE.replace(":01", ":02").format(name="longer"))
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


def test_of_two_that_claim_one_machine_the_first_counts_and_both_files_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main = tmp_path / "main.toml"
    main.write_text(f"[dhcp]\ninterfaces = ['lo']\n{ONE.format(name='main')}")
    own = config.read(main, config.ServeFile).machine
    root = tmp_path / "machines"
    root.mkdir()
    folder = MachineFolder(root)
    assert folder.beside(main, own) == ()
    two = ONE.replace(":01", ":02") + 'addresses = ["192.0.2.8"]\n'
    (root / "b.toml").write_text(ONE.format(name="again") + two.format(name="b"))
    assert folder.changed()
    assert [each.name for each in folder.beside(main, own)] == ["b"]
    said = capsys.readouterr().err.replace("\n", "")
    assert said.count("left out: ") == 1
    assert f"{root}/b.toml: machine.0.mac: 52:54:00:00:00:01 is there already: {main}: machine.0.mac" in said
    (root / "a.toml").write_text(two.format(name="a").replace(":02", ":03"))
    assert folder.changed()
    assert [each.name for each in folder.beside(main, own)] == ["b"], "it came first"
    said = capsys.readouterr().err.replace("\n", "")
    assert f"{root}/a.toml: machine.0.addresses: 192.0.2.8 is there already: {root}/b.toml: machine.1.addresses" in said
    assert "machine.0.mac" not in said, "that was said"
    (root / "b.toml").unlink()
    assert folder.changed()
    assert [each.name for each in folder.beside(main, ())] == ["a"]


def test_who_has_an_address_that_is_no_machines_is_left_out_with_the_reason_and_the_others_count(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = ONE.format(name="wrong") + 'addresses = ["2001:db8::8", "192.0.2.255"]\n'
    (tmp_path / "a.toml").write_text(wrong + ONE.replace(":01", ":02").format(name="right"))
    folder = MachineFolder(tmp_path)
    assert folder.changed()
    for _ in range(2):
        found = folder.beside(None, (), lambda address: "it is so" if str(address) == "192.0.2.255" else None)
        assert [each.mac for each in found] == ["52:54:00:00:00:02"]
    said = capsys.readouterr().err.replace("\n", "")
    assert said == f"left out: {tmp_path}/a.toml: machine.0.addresses: it is so"


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
