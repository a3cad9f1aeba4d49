"""`httpboot emulate`: its configuration, and what it says before anything runs."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest

from kit.commands import Running, httpboot
from kit.judges import judge


def test_one_machine_needs_no_file(tmp_path: Path) -> None:
    with Running("emulate", "--state", tmp_path, "--listen", "127.0.0.1:0", "--system", "rack-7") as emulator:
        bmc = emulator.until(r"BMC at (\S+);")[1]
        system = json.loads(judge("curl", "-sSf", f"{bmc}/Systems/rack-7"))
        assert (system["Id"], system["PowerState"]) == ("rack-7", "Off")
        emulator.process.send_signal(signal.SIGTERM)
        assert emulator.end() == 0


def test_a_machines_identity_is_the_same_at_every_start(tmp_path: Path) -> None:
    seen = []
    for _ in range(2):
        with Running("emulate", "--state", tmp_path, "--listen", "127.0.0.1:0") as emulator:
            bmc = emulator.until(r"BMC at (\S+);")[1]
            seen.append(json.loads(judge("curl", "-sSf", f"{bmc}/Systems/node-1"))["UUID"])
    assert seen[0] == seen[1]


@pytest.mark.parametrize(
    ("file", "said"),
    [
        ("[emulator]\nstate = '/tmp/x'\n", "machine: Field required"),
        ("[emulator]\nstate = '/tmp/x'\n[[machine]]\nid = 'a/b'\n", "line 4: machine.0.id"),
        ("[emulator]\nstate = '/tmp/x'\n[[machine]]\nid = 'a'\ncolor = 'red'\n", "line 5: machine.0.color"),
        (
            "[emulator]\nstate = '/tmp/x'\n[[machine]]\nid = 'a'\n[[machine]]\nid = 'b'\nmac = '1'\n",
            "line 7: machine.1.mac",
        ),
        ("[emulator]\nstate = '/tmp/x'\nlisten = 'here'\n[[machine]]\nid = 'a'\n", "line 3: emulator.listen"),
        ("[emulator]\nstate = '/tmp/x'\n[[machine]]\nid = 'a'\n[[machine]]\nid = 'a'\n", "two machines have the same"),
        ("[emulator]\nstate = '/tmp/x'\nusername = 'a'\n[[machine]]\nid = 'a'\n", "set emulator.password_file"),
        ("[emulator\n", "is no TOML"),
    ],
)
def test_a_mistake_in_the_file_is_named_by_line_and_key(tmp_path: Path, file: str, said: str) -> None:
    path = tmp_path / "emulator.toml"
    path.write_text(file)
    assert said in httpboot("emulate", "-c", path, code=2)


def test_without_a_state_folder_it_says_what_to_give() -> None:
    assert "give --state DIR" in httpboot("emulate", code=2)


@pytest.mark.parametrize(
    ("flag", "value"),
    [
        ("--system", "../../escaped"),
        ("--system", "a b,c"),
        ("--system", ""),
        ("--network", "bogus"),
        ("--network", "tap:x,script=/tmp/s"),
        ("--network", "shared:/tmp/s"),
        ("--listen", "here"),
    ],
)
def test_a_flag_is_held_to_what_a_file_may_say(tmp_path: Path, flag: str, value: str) -> None:
    state = tmp_path / "one" / "two"
    said = httpboot("emulate", "--state", state, flag, value, code=2)
    assert f"error: {flag}: {value!r}" in said
    assert list(tmp_path.iterdir()) == [], "nothing is made"


def test_a_personality_that_is_none_is_named_with_those_that_are(tmp_path: Path) -> None:
    said = httpboot("emulate", "--state", tmp_path, "--personality", "acme", code=2)
    assert "'acme', which is none" in said
    assert "standard" in said


def test_a_state_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert "file" in httpboot("emulate", "--state", tmp_path / "file", code=3)
