"""What is wrong with a file itself, before anyone asks which keys it has."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ironic_httpboot import toml
from ironic_httpboot.errors import BadConfig


def complaint(folder: Path, text: str | bytes) -> str:
    path = folder / "a.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(BadConfig) as caught:
        toml.load(path)
    return caught.value.message.removeprefix(str(path))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"\xef\xbb\xbf[dhcp]\n", ", line 1: begins with a byte order mark"),
        (b"\xff\xfea\0", ": is no TOML: 'utf-8' codec can't decode byte 0xff in position 0"),
        ("[dhcp]\nuser = 'a\0b'\n", ": is no TOML: Found invalid character '\\x00' (at line 2, column 10)"),
        ('[dhcp]\nlease_file = "a\\u0000b"\n', r", line 2: dhcp.lease_file: holds the control character '\x00'"),
        ('[dhcp]\ninterfaces = ["a",\n"b\\n"]\n', r", line 2: dhcp.interfaces.1: holds the control character '\n'"),
        ('[[machine]]\n[[machine]]\n\nname = "\\u001b[31m"\n', r", line 4: machine.1.name: holds the control"),
        ("[http]\nstore = 'a\tb'\n", r", line 2: http.store: holds the control character '\t'"),
        ("[http]\nstore = 'a\u009bb'\n", r", line 2: http.store: holds the control character '\x9b'"),
        ("# \u2028\n[http]\nstore = '''a\nb'''\n", r", line 3: http.store: holds the control character '\n'"),
        ('[http]\n"\\u001b" = 1\n', r", line 1: http.\x1b: holds the control character '\x1b'"),
        (f"{'a.' * 5000}a = '\t'\n", ": is nested too deeply"),
    ],
)
def test_what_nobody_can_mean_is_said_with_line_and_key(tmp_path: Path, text: str | bytes, said: str) -> None:
    message = complaint(tmp_path, text)
    assert message.startswith(said), message
    assert message.isprintable()


@pytest.mark.parametrize("text", ["", "#\t\n[a]\t# b\n", 'a = "\\\\"\n', "a = '''b'''\r\n", "['ä']\nb = 'ö'"])
def test_what_is_well_meant_is_read(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.toml"
    path.write_bytes(text.encode())
    toml.load(path)


@given(st.binary(max_size=40) | st.text(alphabet="a=.[]\"'\\\nu0\t{},#").map(str.encode))
def test_any_bytes_are_read_or_refused(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "any.toml"
    path.write_bytes(data)
    try:
        _, found = toml.load(path)
    except BadConfig:
        return
    assert not any(ord(character) < 0x20 for key in found for character in key)
