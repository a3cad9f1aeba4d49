"""GRUB's configuration: a command line reaches the kernel with its meaning, or is refused."""

from __future__ import annotations

import shlex
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ironic_httpboot.errors import BadRecipe
from ironic_httpboot.image import grub


def configuration(cmdline: str, initrds: tuple[str, ...] = ()) -> str:
    return grub.configuration(kernel="/boot/vmlinuz", initrds=initrds, cmdline=cmdline)


def handed_on(cmdline: str) -> str:
    """What GRUB 2.06 makes of our configuration (grub-core/lib/cmdline.c): quotes around a word that holds a space, a
    backslash before a quote or backslash. Its single quotes mean what a shell's do."""
    (line,) = [line for line in configuration(cmdline).splitlines() if line.startswith("linux ")]
    words = []
    for word in shlex.split(line)[2:]:
        escaped = "".join(f"\\{character}" if character in "\\'\"" else character for character in word)
        words.append(f'"{escaped}"' if " " in word else escaped)
    return " ".join(words)


def parameters(cmdline: str) -> list[tuple[str, str | None]]:
    """What Linux 6.1 reads from a command line (lib/cmdline.c: next_arg)."""
    found = []
    rest = cmdline.lstrip(" ")
    while rest:
        quoted = rest.startswith('"')
        rest = rest.removeprefix('"')
        in_quote, equals, end = quoted, 0, len(rest)
        for index, character in enumerate(rest):
            if character == " " and not in_quote:
                end = index
                break
            if character == "=" and not equals:
                equals = index
            if character == '"':
                in_quote = not in_quote
        word, rest = rest[:end], rest[end:].lstrip(" ")
        name, value = (word[:equals], word[equals + 1 :]) if equals else (word, None)
        if value is not None and value.startswith('"'):
            value = value[1:].removesuffix('"')
        elif quoted and value is not None:
            value = value.removesuffix('"')
        elif quoted:
            name = name.removesuffix('"')
        found.append((name, value))
    return found


def test_the_kernel_is_started_at_once_with_its_ramdisks_in_order() -> None:
    assert configuration("console=ttyS0 quiet", ("/boot/initrd-0.img", "/boot/initrd-1.img")) == (
        "set timeout=0\n"
        "echo 'GRUB: loading /boot/vmlinuz'\n"
        "linux /boot/vmlinuz 'console=ttyS0' 'quiet'\n"
        "echo 'GRUB: loading 2 ramdisk(s)'\n"
        "initrd /boot/initrd-0.img /boot/initrd-1.img\n"
        "echo 'GRUB: starting the kernel'\n"
        "boot\n"
    )


def test_without_ramdisks_none_is_asked_for() -> None:
    assert "initrd" not in configuration("quiet")


def test_without_a_command_line_the_kernel_gets_none() -> None:
    assert "linux /boot/vmlinuz\n" in configuration("")


@pytest.mark.parametrize(
    "cmdline",
    [
        "console=ttyS0,115200n8 quiet -- single",
        "a=$b c;reboot {d} e#f *.g ~ | & < > ! %",
        'name="a b" other',
        '"name=a b"',
        '"a b"',
        'name="ab" name=""',
        "  many   spaces  ",
        "=x x= ==",
        "",
    ],
)
def test_a_command_line_keeps_its_meaning(cmdline: str) -> None:
    assert parameters(handed_on(cmdline)) == parameters(cmdline)


@pytest.mark.parametrize(("cmdline", "name"), [("path=C:\\x", "a backslash"), ("name='a b'", "a single quote")])
def test_a_character_that_grub_would_change_is_refused(cmdline: str, name: str) -> None:
    with pytest.raises(BadRecipe) as caught:
        configuration(cmdline)
    assert caught.value.message == f"kernel command line: holds {name}, which GRUB would change"
    assert caught.value.hint == "use chain uki"


@pytest.mark.parametrize("word", ['a"b', 'a="b"c', '"a"b', 'a=b="c d"', 'name="a b', '"', '""', 'a="b" "'])
def test_quotes_that_grub_would_change_are_refused_with_the_word(word: str) -> None:
    with pytest.raises(BadRecipe, match="has quotes that GRUB would change") as caught:
        configuration(f"quiet {word}")
    assert caught.value.hint == 'quote all of the value: name="a b"'


@given(st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E)))
def test_any_command_line_keeps_its_meaning_or_is_refused(cmdline: str) -> None:
    try:
        text = configuration(cmdline)
    except BadRecipe:
        return
    assert text.count("\n") == 5
    assert parameters(handed_on(cmdline)) == parameters(cmdline)


@given(st.text('ab= "', max_size=14))
def test_any_quotes_keep_their_meaning_or_are_refused(cmdline: str) -> None:
    with suppress(BadRecipe):
        assert parameters(handed_on(cmdline)) == parameters(cmdline)


@given(st.lists(st.text("ab=;$#*{}<>|&%-,.:/", min_size=1, max_size=8), max_size=6))
def test_words_without_quotes_are_never_refused(words: list[str]) -> None:
    assert handed_on(" ".join(words)).split() == words
