"""Ramdisks: what is appended arrives as given, and what the kernel would pass over in silence is refused."""

from __future__ import annotations

import stat

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ironic_httpboot.blob import Zeros, literal
from ironic_httpboot.errors import BadRecipe
from ironic_httpboot.image import cpio
from ironic_httpboot.image.cpio import Member
from kit.images import cpio_entries, joined
from kit.recipes import NAMES, agree, paths


def listed(*members: Member) -> list[tuple[str, str]]:
    return [(entry.path, stat.filemode(entry.mode)) for entry in cpio_entries(joined(cpio.archive(members)))]


def test_an_archive_of_nothing_is_its_end() -> None:
    archive = joined(cpio.archive([]))
    assert cpio_entries(archive) == []
    assert len(archive) == 124


def test_files_links_and_devices_keep_content_and_mode() -> None:
    members = [
        cpio.file("init", literal(b"#!/bin/sh\n"), 0o755),
        cpio.symlink("linuxrc", "init"),
        cpio.character_device("console", 5, 1),
    ]
    init, link, console = cpio_entries(joined(cpio.archive(members)))
    assert (init.data, stat.filemode(init.mode)) == (b"#!/bin/sh\n", "-rwxr-xr-x")
    assert (link.data, stat.filemode(link.mode)) == (b"init", "lrwxrwxrwx")
    assert (console.device, stat.filemode(console.mode)) == ((5, 1), "crw-------")


def test_directories_that_are_not_given_are_put_in_before_what_they_hold() -> None:
    assert listed(cpio.file("a/b/c", ()), cpio.file("a/d", ())) == [
        ("a", "drwxr-xr-x"),
        ("a/b", "drwxr-xr-x"),
        ("a/b/c", "-rw-r--r--"),
        ("a/d", "-rw-r--r--"),
    ]


def test_a_directory_keeps_the_mode_it_was_given_wherever_it_stands() -> None:
    assert listed(cpio.file("root/.ssh/key", (), 0o600), cpio.directory("root/.ssh", 0o700)) == [
        ("root", "drwxr-xr-x"),
        ("root/.ssh", "drwx------"),
        ("root/.ssh/key", "-rw-------"),
    ]


def test_a_directory_may_be_given_again() -> None:
    assert listed(cpio.directory("a"), cpio.directory("a/")) == [("a", "drwxr-xr-x")]


def test_a_path_is_written_without_dots_and_doubled_slashes() -> None:
    assert [path for path, _ in listed(cpio.file("./etc//x", ()))] == ["etc", "etc/x"]


def test_the_type_bits_of_a_mode_do_not_make_a_file_something_else() -> None:
    assert listed(cpio.file("a", (), 0o100644), cpio.file("b", (), 0o040755)) == [
        ("a", "-rw-r--r--"),
        ("b", "-rwxr-xr-x"),
    ]


@pytest.mark.parametrize("path", ["", ".", "/", "/etc/x", "../x", "a/../b", "a\0b"])
def test_a_path_that_is_not_plain_is_refused_by_name(path: str) -> None:
    with pytest.raises(BadRecipe) as caught:
        cpio.archive([cpio.file(path, ())])
    assert caught.value.message == f"ramdisk file {path!r}: is not a plain relative path"


@pytest.mark.parametrize(
    ("path", "complaint"),
    [
        ("TRAILER!!!", "is the name that ends an archive"),
        ("./TRAILER!!!", "is the name that ends an archive"),
        ("a\udcff", "is not UTF-8"),
        ("a/" + "é" * 128, "a name of 256 bytes, more than Linux's 255"),
        ("/".join(["x" * 255] * 16) + "/x", "a path of 4097 bytes, more than Linux's 4095"),
    ],
)
def test_a_name_that_the_kernel_would_pass_over_is_refused(path: str, complaint: str) -> None:
    with pytest.raises(BadRecipe, match=f"^ramdisk file .*: {complaint}$"):
        cpio.archive([cpio.file(path, ())])


def test_the_longest_names_are_taken() -> None:
    path = "/".join(["x" * 255] * 16)
    assert listed(cpio.file(path, ()))[-1] == (path, "-rw-r--r--")
    assert ("a/TRAILER!!!", "-rw-r--r--") in listed(cpio.file("a/TRAILER!!!", ()))


@pytest.mark.parametrize(
    "members",
    [
        [cpio.file("a", ()), cpio.file("./a", ())],
        [cpio.file("a", ()), cpio.file("a/b", ())],
        [cpio.file("a/b", ()), cpio.symlink("a", "c")],
        [cpio.directory("a"), cpio.file("a", ())],
        [cpio.file("a", ()), cpio.directory("a")],
    ],
)
def test_a_path_that_is_given_twice_is_refused_by_name(members: list[Member]) -> None:
    with pytest.raises(BadRecipe) as caught:
        cpio.archive(members)
    assert caught.value.message == "ramdisk file 'a': given twice"


def test_a_file_of_4_gib_is_refused_with_both_numbers() -> None:
    assert cpio.archive([cpio.file("a", (Zeros(0xFFFF_FFFF),))])
    with pytest.raises(
        BadRecipe, match=r"^ramdisk file 'a': 4294967296 bytes, more than the 4294967295 that cpio can hold$"
    ):
        cpio.archive([cpio.file("a", (Zeros(0x1_0000_0000),))])


@settings(max_examples=50)
@given(st.lists(paths(levels=6, names=NAMES), max_size=10).map(agree), st.data())
def test_any_files_are_read_back_as_given(names: list[str], data: st.DataObject) -> None:
    given = {name: (data.draw(st.binary(max_size=9)), data.draw(st.integers(0, 0o7777))) for name in names}
    archive = joined(cpio.archive(cpio.file(name, literal(body), mode) for name, (body, mode) in given.items()))
    assert len(archive) % 4 == 0
    entries = cpio_entries(archive)
    found = {entry.path: (entry.data, stat.S_IMODE(entry.mode)) for entry in entries if stat.S_ISREG(entry.mode)}
    assert found == given
    seen = {""}
    for entry in entries:
        assert entry.path.rpartition("/")[0] in seen, "a directory comes before what it holds"
        seen.add(entry.path)
