"""GRUB's configuration for one boot.

Knows how GRUB 2 reads words and how it hands a command line on. Refuses to know where files lie in the image: it is
told their paths. GRUB takes a command line apart and puts it together again, and some characters do not survive that
(grub-core/lib/cmdline.c, 2.06): those are refused, since a kernel parameter must not change in silence.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from ironic_httpboot.errors import BadRecipe

_WORD = re.compile(r'(?:"[^"]*"?|[^\s"])+')
_LOST = {"\\": "a backslash", "'": "a single quote"}
_QUOTED_WHOLE = re.compile(r'"[^"]+"|[^"=]+="[^"]*"')


def configuration(*, kernel: str, initrds: Sequence[str], cmdline: str) -> str:
    """The text of grub.cfg: start the kernel at once. Paths are absolute in the image.

    Raises BadRecipe on a command line that GRUB would change.
    """
    for character, name in _LOST.items():
        if character in cmdline:
            raise BadRecipe(f"kernel command line: holds {name}, which GRUB would change", hint="use chain uki")
    words = " ".join(_quoted(word) for word in _WORD.findall(cmdline))
    lines = [
        "set timeout=0",
        f"echo 'GRUB: loading {kernel}'",
        f"linux {kernel} {words}".rstrip(),
    ]
    if initrds:
        lines += [f"echo 'GRUB: loading {len(initrds)} ramdisk(s)'", f"initrd {' '.join(initrds)}"]
    return "\n".join([*lines, "echo 'GRUB: starting the kernel'", "boot", ""])


def _quoted(word: str) -> str:
    """A kernel parameter as one GRUB word. GRUB quotes it again, as a whole, where it holds a space."""
    if '"' in word and not _QUOTED_WHOLE.fullmatch(word):
        raise BadRecipe(
            f"kernel command line: {word!r} has quotes that GRUB would change",
            hint='quote all of the value: name="a b"',
        )
    return "'" + word.replace('"', "") + "'"
