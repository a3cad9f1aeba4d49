"""The values that every folder speaks: architectures, boot chains, URLs, recipes.

Knows what makes each of them well formed. Refuses to know files' contents, sockets and vendors.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from urllib.parse import unquote, urlsplit

from ironic_httpboot.errors import BadRecipe, BadUrl

SCRIPT_SUFFIXES = (".cfg", ".ipxe")
"""Path endings of what a loader reads after the firmware fetched it: GRUB's configuration, iPXE's script."""

SCRIPT_CONTENT_TYPE = "text/plain"

SAFE_URL_BYTES = 127
"""The DHCP `file` field holds 127 bytes and a NUL; some BMCs refuse much less than 300 (assisted-image-service#183)."""

LONGEST_URL_BYTES = 255
"""One instance of a DHCP option; firmware does not join split options (EDK2 HttpBootDxe, 2026-08)."""

DHCP_ARCHITECTURES = frozenset(
    [
        "x64",
        "x86",
        "x86-bios",
        "arm64",
        "arm64-uboot",
        "arm32",
        "arm32-uboot",
        "riscv32",
        "riscv64",
        "loongarch32",
        "loongarch64",
        "ebc",
        "pcat",
        "xscale",
    ]
)
"""What configuration calls the machines that DHCP tells apart by option 93: the labels of `dhcp.iana.ArchType`."""

_NO_URL_CHARACTER = re.compile(r"""["<>\\^`{|}]""")
"""What is neither reserved nor unreserved (RFC 3986 §2), and means something else in many a server's file."""
_AUTHORITY = re.compile(r"(?:\[[^\[\]]+\]|[A-Za-z0-9._-]+)(?::[0-9]{1,5})?")
_AUTHORITY_HINT = "write HOST or HOST:PORT, and an IPv6 address in brackets: http://[2001:db8::1]:8080/…"


class Arch(Enum):
    """A machine architecture that UEFI knows."""

    X64 = "x64"
    ARM64 = "arm64"

    @property
    def efi_suffix(self) -> str:
        """What UEFI file names end in: BOOTX64.EFI, grubaa64.efi."""
        return {Arch.X64: "x64", Arch.ARM64: "aa64"}[self]

    @property
    def removable_path(self) -> str:
        """The loader that firmware starts from a medium without a boot entry (UEFI 2.10 §3.5.1.1)."""
        return f"EFI/BOOT/BOOT{self.efi_suffix.upper()}.EFI"

    @property
    def pe_machine(self) -> int:
        """The Machine field of a PE/COFF header (PE format, "Machine Types")."""
        return {Arch.X64: 0x8664, Arch.ARM64: 0xAA64}[self]


def not_for_machines(
    network: ipaddress.IPv4Network | ipaddress.IPv6Network, router: ipaddress.IPv4Address | None = None
) -> Iterator[tuple[str, ipaddress.IPv4Address | ipaddress.IPv6Address]]:
    """Addresses of a network that no machine may have, each with its name.

    Of a /31 and a /32 all may be had (RFC 3021), and of a /127 and a /128 (RFC 6164). The first address of any other
    IPv6 network is that of all its routers (RFC 4291 §2.6.1).
    """
    if network.prefixlen < network.max_prefixlen - 1:
        yield "own address", network.network_address
        if network.version == 4:
            yield "broadcast address", network.broadcast_address
    if router is not None:
        yield "router", router


class Chain(Enum):
    """What runs between the firmware and the kernel."""

    SHIM_GRUB = "shim+grub"
    GRUB = "grub"
    UKI = "uki"


class Container(Enum):
    """The shape of the one file that the firmware downloads."""

    ISO = "iso"
    EFI = "efi"


class ImageKind(Enum):
    """What a URL's file is, in the words of HTTP and of file names."""

    ISO = ("application/vnd.efi-iso", ".iso")
    IMG = ("application/vnd.efi-img", ".img")
    EFI = ("application/efi", ".efi")

    @property
    def content_type(self) -> str:
        """The media type that firmware accepts for any file name (UEFI 2.10 §24.7.2; exact, no parameters)."""
        return self.value[0]

    @property
    def suffix(self) -> str:
        """The ending of a file name, with its dot."""
        return self.value[1]

    @classmethod
    def of_name(cls, name: str) -> ImageKind | None:
        """The kind that a file name promises, or None."""
        return next((kind for kind in cls if name.lower().endswith(kind.suffix)), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class BootUrl:
    """A URL that a machine is to boot from.

    text: as it goes to the machine, ASCII. host: without brackets. Logs and errors show `redacted`, never `text`.
    """

    text: str = field(repr=False)
    scheme: str
    host: str
    name: str

    @classmethod
    def parse(cls, text: str) -> BootUrl:
        """Read a URL. Raises BadUrl where no firmware could use it, saying what to change."""
        if not text.isascii() or any(ord(character) <= 0x20 or character == "\x7f" for character in text):
            raise BadUrl("boot URL: holds a space, a control or a non-ASCII character", hint="percent-encode it")
        try:
            parts = urlsplit(text)
            host, port = parts.hostname or "", parts.port
        except ValueError:
            # What Python says quotes the text, and where a password holds a slash that is a piece of the password.
            raise BadUrl("boot URL: its host or port cannot be read", hint=_AUTHORITY_HINT) from None
        if parts.scheme not in ("http", "https"):
            raise BadUrl(f"boot URL: scheme is {parts.scheme or 'missing'!r}, not http or https")
        if not host or port == 0:
            raise BadUrl("boot URL: names no host" if not host else "boot URL: port 0 is no port")
        if parts.username is not None or parts.password is not None:
            raise BadUrl("boot URL: holds a user name or password", hint="put the secret into the path instead")
        if not _AUTHORITY.fullmatch(parts.netloc):
            raise BadUrl("boot URL: its host or port cannot be read", hint=_AUTHORITY_HINT)
        if strange := _NO_URL_CHARACTER.search(text):
            raise BadUrl(f"boot URL: holds {strange[0]}, which no URL may hold", hint="percent-encode it")
        if parts.fragment or text.endswith("#"):
            raise BadUrl("boot URL: holds a fragment (#…)", hint="leave it out: it never reaches a server")
        if len(text) > LONGEST_URL_BYTES:
            raise BadUrl(f"boot URL: {len(text)} bytes, more than the {LONGEST_URL_BYTES} that firmware reads")
        return cls(text=text, scheme=parts.scheme, host=host, name=unquote(_last_segment(parts.path)))

    @property
    def redacted(self) -> str:
        """The URL without what may be secret: scheme, host, port and file name."""
        parts = urlsplit(self.text)
        folders = "/…" if parts.path.count("/") > 1 else ""
        return f"{parts.scheme}://{parts.netloc}{folders}/{_last_segment(parts.path)}{'?…' if parts.query else ''}"

    @property
    def address(self) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
        """The host as an address, or None where it is a name."""
        try:
            return ipaddress.ip_address(self.host.partition("%")[0])
        except ValueError:
            return None

    def concerns(self) -> Iterator[str]:
        """What may stop some machine from booting this URL, in words, worst first."""
        address = self.address
        if self.host == "localhost" or (address and (address.is_loopback or address.is_unspecified)):
            yield f"{self.host} is the machine itself: give an address at which the machine reaches the server"
        if "%" in self.host or (address and address.is_link_local):
            yield "a link-local address names no interface to firmware: give a routable one"
        if ImageKind.of_name(self.name) is None:
            yield "the path does not end in .efi, .iso or .img: firmware then relies on an exact Content-Type"
        if "?" in self.text:
            yield "a query string is refused by some BMCs, and firmware ignores it when it looks for the suffix"
        if len(self.text) > SAFE_URL_BYTES:
            yield f"{len(self.text)} bytes: some BMCs and DHCP's file field take no more than {SAFE_URL_BYTES}"
        if address is None:
            yield "a host name needs a DNS server in the machine's lease"


def _last_segment(path: str) -> str:
    """What stands behind the last slash: nothing, where a folder is named, which may be the secret one."""
    return path.rpartition("/")[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class AppendedFile:
    """A file that is added to the ramdisk, with its content in memory.

    path: relative to the ramdisk's root. mode: permission bits.
    """

    path: str
    data: bytes = field(repr=False)
    mode: int = 0o644


@dataclass(frozen=True, slots=True, kw_only=True)
class BootRecipe:
    """Everything that an image is composed from. The same recipe composes the same bytes.

    initrds: in the order in which the kernel unpacks them. appended: files for one more ramdisk after them.
    files: path in the image's root (ISO only) → file. label: ISO volume identifier. bootloader: image of an EFI system
    partition that takes the place of the chain's (ISO only); its loader must read /boot/grub/grub.cfg.
    """

    arch: Arch = Arch.X64
    chain: Chain = Chain.SHIM_GRUB
    container: Container = Container.ISO
    kernel: Path
    initrds: tuple[Path, ...] = ()
    appended: tuple[AppendedFile, ...] = ()
    cmdline: str = ""
    files: tuple[tuple[str, Path], ...] = ()
    label: str = "HTTPBOOT"
    bootloader: Path | None = None

    def __post_init__(self) -> None:
        bad = next((character for character in self.cmdline if ord(character) < 0x20 or ord(character) == 0x7F), None)
        if bad is not None:
            raise BadRecipe(f"kernel command line: holds the control character {bad!r}", hint="give it as one line")
        if not self.cmdline.isascii():
            raise BadRecipe("kernel command line: holds a character that is not ASCII")
        if self.container is Container.EFI and self.chain is not Chain.UKI:
            raise BadRecipe(f"chain {self.chain.value}: cannot be one .efi file", hint="use chain uki, or an .iso")
        if self.container is Container.EFI and self.files:
            raise BadRecipe("files for the image's root: an .efi file has no root", hint="compose an .iso")
        if self.bootloader is not None and self.chain is Chain.UKI:
            raise BadRecipe("chain uki: needs no bootloader, and would not run it", hint="use chain grub")

    @property
    def kind(self) -> ImageKind:
        """What the composed image is."""
        return {Container.ISO: ImageKind.ISO, Container.EFI: ImageKind.EFI}[self.container]
