"""iPXE's script for one boot.

Knows how iPXE reads a line: words are split at blanks, ${…} is a setting, and some words end a command (iPXE
src/core/exec.c, 2019 to 2026). What would not reach the kernel as it stands is refused.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from ironic_httpboot.errors import BadRecipe
from ironic_httpboot.model import BootUrl

_ENDS_A_COMMAND = ("||", "&&", ";")
_RETRY_SECONDS = 10
_QUOTED_BLANKS = re.compile(r'"[^"]*\s{2,}[^"]*"')


def script(*, kernel: BootUrl, initrds: Sequence[BootUrl], cmdline: str) -> str:
    """The text of a script: fetch kernel and ramdisks, start the kernel; when that fails, wait and ask DHCP again.

    The kernel must be an EFI program. Raises BadRecipe on a command line that iPXE would change.
    """
    _check(cmdline)
    names = [f"initrd-{number}.img" for number in range(len(initrds))]
    words = [*(f"initrd={name}" for name in names), *cmdline.split()]
    lines = [
        "#!ipxe",
        f"echo iPXE: loading {kernel.name}",
        " ".join([f"kernel --name vmlinuz {kernel.text}", *words, "|| goto failed"]),
        *(f"initrd --name {name} {url.text} || goto failed" for name, url in zip(names, initrds, strict=True)),
        "echo iPXE: starting the kernel",
        "boot || goto failed",
        ":failed",
        f"echo iPXE: could not boot, trying again in {_RETRY_SECONDS} seconds",
        f"sleep {_RETRY_SECONDS}",
        "autoboot",
        "",
    ]
    return "\n".join(lines)


def _check(cmdline: str) -> None:
    for word in cmdline.split():
        if word in _ENDS_A_COMMAND or word.startswith("#"):
            raise BadRecipe(f"kernel command line: the word {word!r} ends a command in iPXE", hint="boot an .iso")
    if "${" in cmdline:
        raise BadRecipe("kernel command line: holds ${, which iPXE would replace", hint="boot an .iso")
    if _QUOTED_BLANKS.search(cmdline):
        raise BadRecipe("kernel command line: holds quoted blanks in a row, which iPXE would join", hint="boot an .iso")
