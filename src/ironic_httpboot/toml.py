"""A TOML file that an operator wrote: what is in it, and how to say where it is wrong.

Knows lines and keys. Refuses to know which keys there are.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypeAlias

from ironic_httpboot.errors import BadConfig

Location: TypeAlias = tuple[int | str, ...]
Complaint: TypeAlias = tuple[Location, str]
"""Where in a file something is wrong, as keys and numbers, and what."""

_BYTE_ORDER_MARK = "\ufeff"
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_MAY_HOLD_CONTROL = re.compile(r"""[\\\t\x80-\x9f]|""\"|'''""")
"""An escape, a string of several lines, or what TOML lets through: a look that spares most files the search."""


def load(path: Path) -> tuple[str, dict[str, object]]:
    """A file's text, and what it says. Raises BadConfig, naming file, line and key."""
    try:
        text = path.read_text("utf-8")
        if text.startswith(_BYTE_ORDER_MARK):
            raise BadConfig(f"{path}, line 1: begins with a byte order mark", hint="save it as UTF-8 without one")
        found = tomllib.loads(text)
        if _MAY_HOLD_CONTROL.search(text):
            for location, character in _control_characters(found, ()):
                raise BadConfig(said(path, text, location, f"holds the control character {character!r}"))
    except OSError as error:
        raise BadConfig(f"{path}: read → {error.strerror}") from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise BadConfig(f"{path}: is no TOML: {error}") from error
    except RecursionError as error:
        raise BadConfig(f"{path}: is nested too deeply") from error
    except ValueError as error:
        # What tomllib lets through (CPython 3.11): int() refuses more than 4300 digits.
        raise BadConfig(f"{path}: is no TOML: a number has more digits than can be read") from error
    return text, found


def _control_characters(value: object, location: Location) -> Iterator[tuple[Location, str]]:
    """Each string, of keys and values, that no name, path or URL can be, and what it holds."""
    if isinstance(value, str):
        if match := _CONTROL.search(value):
            yield location, match[0]
    elif isinstance(value, dict):
        for key, inner in value.items():
            if match := _CONTROL.search(key):
                yield (*location, key.encode("unicode_escape").decode("ascii")), match[0]
            yield from _control_characters(inner, (*location, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _control_characters(inner, (*location, index))


def said(path: Path, text: str, location: Location, what: str) -> str:
    """What is wrong, with the file, the line and the key."""
    line = _line_of(text, location)
    return f"{path}, line {line}: {key_of(location)}: {what}" if line else f"{path}: {key_of(location)}: {what}"


def key_of(location: Location) -> str:
    """A place in a file as it is written to operators."""
    return ".".join(map(str, location))


def _line_of(text: str, location: tuple[int | str, ...]) -> int | None:
    """The line on which the key stands that a location leads to, or the table that lacks it."""
    match location:
        case (str(outer), str(inner), str(innermost), *_) if line := _line_of(text, (f"{outer}.{inner}", innermost)):
            return line
        case (str(table), int(number), *rest):
            key = rest[0] if rest else None
        case (str(table), *rest):
            number, key = 0, rest[0] if rest else None
        case _:
            return None
    lines = text.split("\n")  # as TOML counts them
    headers = [index for index, line in enumerate(lines) if line.lstrip().startswith("[")]
    header = re.compile(rf"\s*\[\[?\s*{re.escape(table)}\s*\]\]?\s*(?:#.*)?")
    tables = [index for index in headers if header.fullmatch(lines[index])]
    if number >= len(tables):
        # No table of that name: a key at the top, or none at all.
        return _line_of_key(lines, table, range(min(headers, default=len(lines))))
    start = tables[number]
    end = min((index for index in headers if index > start), default=len(lines))
    return _line_of_key(lines, key, range(start + 1, end)) or start + 1


def _line_of_key(lines: Sequence[str], key: int | str | None, where: range) -> int | None:
    begins = re.compile(rf"""\s*["']?{re.escape(str(key))}["']?\s*[=.]""")
    return next((index + 1 for index in where if begins.match(lines[index])), None)
