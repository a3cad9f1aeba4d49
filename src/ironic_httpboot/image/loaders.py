"""Finds and inspects what a boot needs besides the operator's own files: shim, GRUB, iPXE, EFI stub; and kernels.

Knows where Debian's packages put them, by architecture, what makes a file bootable, and what can work when firmware has
fetched it over HTTP. Refuses to know recipes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from ironic_httpboot import config
from ironic_httpboot.blob import SourceFile, examine
from ironic_httpboot.errors import BadRecipe, HostError, MalformedMessage
from ironic_httpboot.image import grubcore, pe
from ironic_httpboot.model import Arch

_GZIP_MAGIC = b"\x1f\x8b"
_X86_BOOT_MAGIC, _X86_BOOT_MAGIC_AT = b"HdrS", 0x202
_X86_CMDLINE_SIZE = slice(0x238, 0x23C)
_ARM64_MAGIC = slice(0x38, 0x3C)
_ARM64_MAGICS = (b"ARM\x64", b"\xcd\x23\x82\x81")
"""Of a plain kernel, and of one that unpacks itself (Linux arch/arm64/kernel/head.S, drivers/firmware/efi/libstub)."""

_ARM64_CMDLINE_BYTES = 2047
"""COMMAND_LINE_SIZE without the NUL (Linux arch/arm64/include/uapi/asm/setup.h)."""


class Loader(Enum):
    """A program that stands between firmware and kernel."""

    SHIM = "signed shim"
    SIGNED_GRUB = "signed GRUB for media"
    GRUB = "GRUB for media"
    EFI_STUB = "EFI stub"
    IPXE = "iPXE with the firmware's network driver"
    IPXE_OWN_DRIVERS = "iPXE with drivers of its own"


_WHERE: dict[tuple[Loader, Arch], tuple[str, str]] = {
    (Loader.SHIM, Arch.X64): ("usr/lib/shim/shimx64.efi.signed", "shim-signed"),
    (Loader.SHIM, Arch.ARM64): ("usr/lib/shim/shimaa64.efi.signed", "shim-signed"),
    (Loader.SIGNED_GRUB, Arch.X64): (
        "usr/lib/grub/x86_64-efi-signed/gcdx64.efi.signed",
        "grub-efi-amd64-signed",
    ),
    (Loader.SIGNED_GRUB, Arch.ARM64): (
        "usr/lib/grub/arm64-efi-signed/gcdaa64.efi.signed",
        "grub-efi-arm64-signed",
    ),
    (Loader.GRUB, Arch.X64): ("usr/lib/grub/x86_64-efi/monolithic/gcdx64.efi", "grub-efi-amd64-bin"),
    (Loader.GRUB, Arch.ARM64): ("usr/lib/grub/arm64-efi/monolithic/gcdaa64.efi", "grub-efi-arm64-bin"),
    (Loader.EFI_STUB, Arch.X64): ("usr/lib/systemd/boot/efi/linuxx64.efi.stub", "systemd-boot-efi"),
    (Loader.EFI_STUB, Arch.ARM64): ("usr/lib/systemd/boot/efi/linuxaa64.efi.stub", "systemd-boot-efi"),
    (Loader.IPXE, Arch.X64): ("usr/lib/ipxe/snponly.efi", "ipxe"),
    # Not usr/lib/ipxe/ipxe.efi: that is a symbolic link to this.
    (Loader.IPXE_OWN_DRIVERS, Arch.X64): ("boot/ipxe.efi", "ipxe"),
}
"""Path below a root, and the Debian 12 package that brings it."""


def find(loader: Loader, arch: Arch, roots: Sequence[Path] | None = None) -> SourceFile:
    """Find a loader below the first root that has it, and see that it is for the architecture.

    roots: this host's own and the packages that `make setup` unpacked, unless given. Raises HostError, BadRecipe.
    """
    if (loader, arch) not in _WHERE:
        raise HostError(f"{loader.value} for {arch.value}: Debian 12 has none")
    relative, package = _WHERE[loader, arch]
    what = f"{loader.value} for {arch.value}"
    file = examine(config.find_part(relative, package=package, what=what, roots=roots))
    inspect(file, arch)
    return file


def head_of(file: SourceFile) -> bytes:
    """The bytes that `pe.decode` wants. Raises FileChanged."""
    with file.open() as stream:
        return stream.read(pe.HEADER_BYTES)


def inspect(file: SourceFile, arch: Arch) -> pe.Program:
    """See that a file is an EFI program for an architecture. Raises BadRecipe, saying what it is instead."""
    head = head_of(file)
    try:
        program = pe.decode(head)
    except MalformedMessage as error:
        hint = "it is compressed with gzip: unpack it first" if head.startswith(_GZIP_MAGIC) else None
        raise BadRecipe(f"{file.path}: {error.message}", hint=hint) from error
    if program.machine != arch.pe_machine:
        known = {candidate.pe_machine: candidate.value for candidate in Arch}
        found = known.get(program.machine, f"machine type {program.machine:#06x}")
        raise BadRecipe(f"{file.path}: is a program for {found}, not for {arch.value}")
    return program


def longest_cmdline(kernel: SourceFile, arch: Arch) -> int:
    """The longest command line in bytes that a kernel takes.

    Raises BadRecipe where the file is an EFI program but no kernel. Source: Linux Documentation/arch/x86/boot.rst,
    Documentation/arch/arm64/booting.rst.
    """
    inspect(kernel, arch)
    head = head_of(kernel)
    match arch:
        case Arch.X64 if head[_X86_BOOT_MAGIC_AT:].startswith(_X86_BOOT_MAGIC):
            return int.from_bytes(head[_X86_CMDLINE_SIZE], "little")
        case Arch.ARM64 if head[_ARM64_MAGIC] in _ARM64_MAGICS:
            return _ARM64_CMDLINE_BYTES
        case _:
            raise BadRecipe(f"{kernel.path}: is an EFI program, but no Linux kernel")


class Kind(Enum):
    """What an EFI program is."""

    SHIM = "shim"
    GRUB = "GRUB"
    IPXE = "iPXE"
    UKI = "unified kernel image"
    EFI_STUB = "EFI stub"
    KERNEL = "Linux kernel"
    OTHER = "EFI program"


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection:
    """What a look into a loader shows. arch: None for a machine that the project does not know.

    grub: what is built in, where it is a GRUB. features: an iPXE's, as it prints them.
    """

    file: SourceFile
    kind: Kind
    arch: Arch | None
    signed: bool
    grub: grubcore.Core | None = None
    features: tuple[str, ...] = ()


_IPXE_MARK = b"ipxe.org"
_IPXE_FEATURES = ("HTTP", "HTTPS", "TFTP", "iSCSI", "DNS", "bzImage", "EFI", "Menu")
_SBAT = {b"shim": Kind.SHIM, b"grub": Kind.GRUB}
_NEEDED_FOR_HTTP = ("efinet", "http")
_SMALL_ENOUGH_BYTES = 64 << 20


def look_into(file: SourceFile) -> Inspection:
    """See what an EFI program is. Raises BadRecipe where it is none, or its parts contradict each other."""
    try:
        program = pe.decode(head_of(file))
        arch = next((candidate for candidate in Arch if candidate.pe_machine == program.machine), None)
        kind, grub, features = _recognise(file, program)
    except MalformedMessage as error:
        raise BadRecipe(f"{file.path}: {error.message}") from error
    return Inspection(file=file, kind=kind, arch=arch, signed=program.signed, grub=grub, features=features)


def _recognise(file: SourceFile, program: pe.Program) -> tuple[Kind, grubcore.Core | None, tuple[str, ...]]:
    sections = {section.name: section for section in program.sections}
    with file.open() as stream:

        def content(name: str) -> bytes:
            stream.seek(sections[name].raw_offset)
            return stream.read(min(sections[name].raw_size, _SMALL_ENOUGH_BYTES))

        if grubcore.SECTION in sections:
            return Kind.GRUB, grubcore.decode(content(grubcore.SECTION)), ()
        if ".linux" in sections:
            return Kind.UKI, None, ()
        if ".sdmagic" in sections:
            return Kind.EFI_STUB, None, ()
        if ".sbat" in sections:
            names = {line.partition(b",")[0] for line in content(".sbat").splitlines()}
            for name, kind in _SBAT.items():
                if name in names:
                    return kind, None, ()
        head = head_of(file)
        if head[_X86_BOOT_MAGIC_AT:].startswith(_X86_BOOT_MAGIC) or head[_ARM64_MAGIC] in _ARM64_MAGICS:
            return Kind.KERNEL, None, ()
        stream.seek(0)
        everything = stream.read(_SMALL_ENOUGH_BYTES)
    if _IPXE_MARK in everything:
        return Kind.IPXE, None, tuple(name for name in _IPXE_FEATURES if b"\0%b\0" % name.encode() in everything)
    return Kind.OTHER, None, ()


def check_for_network(loader: Inspection, arch: Arch, *, secure_boot: bool = False, https: bool = False) -> None:
    """See that a loader can go on once firmware has fetched it over HTTP. Raises BadRecipe, with the reason.

    https: whether what it fetches next has an https:// URL.
    """
    path = loader.file.path
    if loader.arch is not arch:
        raise BadRecipe(
            f"{path}: is a program for {loader.arch.value if loader.arch else 'another machine'}, not {arch.value}"
        )
    if secure_boot and not loader.signed:
        raise BadRecipe(
            f"{path}: is not signed, and Secure Boot starts nothing unsigned (Access Denied)",
            hint="boot a composed .iso: it holds Debian's signed shim, GRUB and kernel",
        )
    match loader.kind:
        case Kind.GRUB if loader.grub is not None:
            missing = [name for name in _NEEDED_FOR_HTTP if name not in loader.grub.modules]
            if missing:
                raise BadRecipe(
                    f"{path}: this GRUB has no module {' and none '.join(missing)} built in: "
                    "over HTTP it stops at its prompt",
                    hint='use payload = "grub", which builds one that has, or boot a composed .iso',
                )
            if https:
                raise BadRecipe(f"{path}: GRUB speaks no TLS: what it fetches needs an http:// URL")
        case Kind.IPXE if https and "HTTPS" not in loader.features:
            raise BadRecipe(
                f"{path}: this iPXE was built without HTTPS: its script needs an http:// URL",
                hint="build one with DOWNLOAD_PROTO_HTTPS",
            )
        case Kind.EFI_STUB:
            raise BadRecipe(f"{path}: is an EFI stub without a kernel", hint="compose a unified kernel image from it")
        case _:
            pass
