"""Finds and inspects what an image needs besides the operator's own files: shim, GRUB and the EFI stub; and kernels.

Knows where Debian's packages put them, by architecture, and what makes a file bootable. Refuses to know recipes.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from pathlib import Path

from ironic_httpboot import config
from ironic_httpboot.blob import SourceFile, examine
from ironic_httpboot.errors import BadRecipe, MalformedMessage
from ironic_httpboot.image import pe
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
}
"""Path below a root, and the Debian 12 package that brings it."""


def find(loader: Loader, arch: Arch, roots: Sequence[Path] | None = None) -> SourceFile:
    """Find a loader below the first root that has it, and see that it is for the architecture.

    roots: this host's own and the packages that `make setup` unpacked, unless given. Raises HostError, BadRecipe.
    """
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
