"""GRUB's configuration for one boot.

Knows how GRUB 2 reads words and how it hands a command line on. Refuses to know where files lie in the image: it is
told their paths. GRUB takes a command line apart and puts it together again, and some characters do not survive that
(grub-core/lib/cmdline.c, 2.06): those are refused, since a kernel parameter must not change in silence.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from urllib.parse import urlsplit

from ironic_httpboot.errors import BadRecipe
from ironic_httpboot.model import BootUrl

_WORD = re.compile(r'(?:"[^"]*"?|[^\s"])+')
_RETRY_SECONDS = 10
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


def network_start(configuration: BootUrl) -> str:
    """What a GRUB that firmware fetched over HTTP starts with: get an address, then read its configuration by URL.

    It must say all of it: on x86 neither prefix nor cmdpath tells where GRUB came from (2.06). Over IPv6 it makes an
    address of what a router advertises, since it speaks no DHCPv6. When there is no configuration at the URL, the
    machine starts anew. Only plain commands: they run before GRUB's shell is loaded.
    Raises BadRecipe as `server_of`.
    """
    over6 = isinstance(configuration.address, ipaddress.IPv6Address)
    lines = [
        "echo 'GRUB: asking routers for an address'" if over6 else "echo 'GRUB: asking DHCP for an address'",
        "net_ipv6_autoconf" if over6 else "net_bootp",
        f"set root=(http,{server_of(configuration)})",
        f"configfile {urlsplit(configuration.text).path}",
        "echo 'GRUB: the configuration cannot be fetched; starting anew'",
        f"sleep {_RETRY_SECONDS}",
        "reboot",
        "",
    ]
    return "\n".join(lines)


def server_of(url: BootUrl) -> str:
    """The server of a URL, as GRUB 2.06 writes it. Raises BadRecipe where its http module cannot speak to it."""
    if url.scheme != "http":
        raise BadRecipe("GRUB: speaks no TLS: what it fetches needs an http:// URL", hint="boot a composed .iso")
    if urlsplit(url.text).query:
        raise BadRecipe("GRUB: what it fetches needs a URL without a query")
    return urlsplit(url.text).netloc


def _quoted(word: str) -> str:
    """A kernel parameter as one GRUB word. GRUB quotes it again, as a whole, where it holds a space."""
    if '"' in word and not _QUOTED_WHOLE.fullmatch(word):
        raise BadRecipe(
            f"kernel command line: {word!r} has quotes that GRUB would change",
            hint='quote all of the value: name="a b"',
        )
    return "'" + word.replace('"', "") + "'"
