"""Our ramdisks as bsdtar and GNU cpio read them."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from ironic_httpboot.blob import literal
from ironic_httpboot.image import cpio
from kit.images import joined
from kit.judges import files_below, judge

LONG = "/".join(["n" * 200] * 4)
ARCHIVE = joined(
    cpio.archive([
        cpio.file("init", literal(b"#!/bin/sh\n"), 0o755),
        cpio.file("etc/empty", ()),
        cpio.file("etc/password", literal(b"secret\n"), 0o600),
        cpio.file("usr/bin/su", literal(b"su"), 0o4755),
        cpio.file(f"{LONG}/語", literal(b"deep")),
        cpio.directory("root", 0o700),
        cpio.symlink("linuxrc", "init"),
        cpio.symlink("bin", "usr/bin"),
        cpio.character_device("dev/console", 5, 1),
    ])
)  # fmt: skip
FILES = {
    "init": b"#!/bin/sh\n",
    "etc/empty": b"",
    "etc/password": b"secret\n",
    "usr/bin/su": b"su",
    f"{LONG}/語": b"deep",
}


@pytest.mark.parametrize(
    "command", [("bsdtar", "-xf", "-", "--exclude", "dev/console"), ("cpio", "-id", "--quiet", "-f", "dev/console")]
)
def test_files_modes_and_links_are_extracted_as_given(command: tuple[str, ...], tmp_path: Path) -> None:
    judge(*command, cwd=tmp_path, stdin=ARCHIVE)
    assert (tmp_path / "linuxrc").readlink() == Path("init")
    assert (tmp_path / "bin").readlink() == Path("usr/bin")
    modes = {path: stat.filemode((tmp_path / path).lstat().st_mode) for path in ("init", "etc/password", "root", "etc")}
    assert modes == {"init": "-rwxr-xr-x", "etc/password": "-rw-------", "root": "drwx------", "etc": "drwxr-xr-x"}
    (tmp_path / "linuxrc").unlink()
    (tmp_path / "bin").unlink()
    assert files_below(tmp_path) == FILES


@pytest.mark.parametrize("command", [("bsdtar", "-tvf", "-"), ("cpio", "-itv", "--quiet")])
def test_everything_is_listed_with_type_mode_and_owner(command: tuple[str, ...]) -> None:
    lines = [line.split() for line in judge(*command, stdin=ARCHIVE).decode().splitlines()]
    modes = {line[0] for line in lines}
    assert {"-rwxr-xr-x", "-rw-------", "-rwsr-xr-x", "lrwxrwxrwx", "crw-------", "drwx------", "drwxr-xr-x"} <= modes
    assert {tuple(line[2:4]) for line in lines} <= {("0", "0"), ("root", "root")}
    (console,) = [line for line in lines if line[0].startswith("c")]
    assert "".join(console[4:6]).startswith("5,1")
