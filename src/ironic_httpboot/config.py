"""Where things are, from the environment and from TOML files.

Knows defaults and how to say which key of which file is wrong. Refuses to know what the settings are for.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from ironic_httpboot.errors import BadConfig, HostError
from ironic_httpboot.model import Arch

_MAC = re.compile(r"(?:[0-9a-f]{2}:){5}[0-9a-f]{2}")
_ID = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$"
_NETWORK = r"^(?:user|tap:[A-Za-z0-9._-]{1,15})$"
_HOST_AND_PORT = re.compile(r"(?:\[([^\[\]\s]+)\]|([^\[\]:\s]*)):([0-9]{1,5})")


def parts_folder() -> Path:
    """Where `make setup` unpacks the packages from which boots are made: kernel, loaders, firmware.

    HTTPBOOT_PARTS, or ironic-httpboot/parts in XDG_CACHE_HOME or ~/.cache.
    """
    given = os.environ.get("HTTPBOOT_PARTS")
    if given:
        return Path(given)
    cache = os.environ.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else Path.home() / ".cache") / "ironic-httpboot" / "parts"


def find_part(relative: str, *, package: str, what: str, roots: Sequence[Path] | None = None) -> Path:
    """A file that a Debian package brings, installed on this host or unpacked by `make setup`.

    relative: its path below /, may hold a * and then the last match in order is taken. Raises HostError, naming the
    package, where no root has it.
    """
    searched = tuple(roots) if roots is not None else (Path("/"), parts_folder())
    for root in searched:
        found = sorted(root.glob(relative)) if "*" in relative else [root / relative]
        # os.path: a root that may not be looked into has nothing, and is no error.
        if found and os.path.isfile(found[-1]):
            return found[-1]
    raise HostError(
        f"{what}: looked for {relative} in {', '.join(map(str, searched))} → not found",
        hint=f"install the package {package}, or run `make setup`",
    )


def host_and_port(listen: str) -> tuple[str, int]:
    """HOST:PORT, [ADDRESS]:PORT or :PORT (all addresses of both families) in two. Raises ValueError."""
    found = _HOST_AND_PORT.fullmatch(listen)
    if found is None or int(found[3]) > 65535:
        raise ValueError(f"{listen!r} is not HOST:PORT, such as 0.0.0.0:8080 or [::]:8080")
    return found[1] or found[2] or "", int(found[3])


def _listen(value: str) -> str:
    host_and_port(value)
    return value


def _mac(value: str) -> str:
    if not _MAC.fullmatch(value.lower()):
        raise ValueError("is no MAC address of the form 52:54:00:12:34:56")
    return value.lower()


Listen = Annotated[str, AfterValidator(_listen)]
Mac = Annotated[str, AfterValidator(_mac)]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class HttpTable(_Table):
    """[http]: the artifact server. folders: the operator's own images; store: where images are published."""

    listen: Listen = "127.0.0.1:8080"
    store: Path | None = None
    folders: tuple[Path, ...] = ()
    connections: int = Field(default=512, ge=1, le=100_000)
    idle_seconds: float = Field(default=30.0, gt=0)


class ServeFile(_Table):
    """The file that `httpboot serve -c` reads."""

    http: HttpTable = HttpTable()


class EmulatorTable(_Table):
    """[emulator]: the Redfish service. With certificate and key it speaks https."""

    listen: Listen = "127.0.0.1:8000"
    state: Path
    username: str | None = None
    password_file: Path | None = None
    certificate: Path | None = None
    key: Path | None = None


class MachineTable(_Table):
    """[[machine]]: one emulated machine. mac and uuid are made from the id where they are not given."""

    id: str = Field(pattern=_ID)
    mac: Mac | None = None
    uuid: str | None = Field(default=None, pattern=r"^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$")
    arch: Arch = Arch.X64
    memory_mib: int = Field(default=1024, ge=256)
    cpus: int = Field(default=1, ge=1, le=64)
    network: str = Field(default="user", pattern=_NETWORK)
    secure_boot: bool = False
    personality: str = "standard"


class EmulateFile(_Table):
    """The file that `httpboot emulate -c` reads."""

    emulator: EmulatorTable
    machine: tuple[MachineTable, ...] = Field(min_length=1)


_F = TypeVar("_F", ServeFile, EmulateFile)


def read(path: Path, kind: type[_F]) -> _F:
    """Read a TOML file. Raises BadConfig, naming file, line and key."""
    text = ""
    try:
        text = path.read_text("utf-8")
        return kind.model_validate(tomllib.loads(text))
    except OSError as error:
        raise BadConfig(f"{path}: read → {error.strerror}") from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise BadConfig(f"{path}: is no TOML: {error}") from error
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        key = ".".join(str(part) for part in first["loc"])
        line = _line_of(text, first["loc"])
        where = f"{path}, line {line}" if line else str(path)
        raise BadConfig(f"{where}: {key}: {first['msg'].removeprefix('Value error, ')}") from error


def read_secret(path: Path) -> str:
    """A password from a file, without the line's end. Raises BadConfig."""
    try:
        return path.read_text("utf-8").rstrip("\r\n")
    except OSError as error:
        raise BadConfig(f"{path}: read as password file → {error.strerror}") from error
    except UnicodeDecodeError:
        # What Python says quotes a byte of the password.
        raise BadConfig(f"{path}: read as password file → is not UTF-8") from None


def _line_of(text: str, location: tuple[int | str, ...]) -> int | None:
    """The line on which the key stands that a location leads to, or the table that lacks it."""
    match location:
        case (str(table), int(number), *rest):
            key = rest[0] if rest else None
        case (str(table), *rest):
            number, key = 0, rest[0] if rest else None
        case _:
            return None
    lines = text.splitlines()
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
