"""Small EFI programs and kernels, and a folder of loaders made of them, for tests that need no real ones."""

from __future__ import annotations

import struct
from pathlib import Path

from ironic_httpboot.model import Arch

_HEADER_BYTES = 0x400
_SECTION_BYTES = 0x200


def program(arch: Arch = Arch.X64, body: bytes = b"program", *, subsystem: int = 10, magic: int = 0x20B) -> bytes:
    """A PE32+ file with one section that holds body, and room for some more section headers."""
    coff_at, optional_bytes = 0x80, 240
    raw_bytes = -(-max(len(body), 1) // _SECTION_BYTES) * _SECTION_BYTES
    image = bytearray(_HEADER_BYTES)
    image[0:2] = b"MZ"
    struct.pack_into("<I", image, 0x3C, coff_at)
    struct.pack_into("<4sHHIIIHH", image, coff_at, b"PE\0\0", arch.pe_machine, 1, 0, 0, 0, optional_bytes, 0x22)
    optional_at = coff_at + 24
    struct.pack_into("<H", image, optional_at, magic)
    struct.pack_into("<II", image, optional_at + 32, 0x1000, _SECTION_BYTES)
    struct.pack_into("<IIIH", image, optional_at + 56, 0x1000 + raw_bytes, _HEADER_BYTES, 0, subsystem)
    struct.pack_into("<I", image, optional_at + 108, 16)
    struct.pack_into(
        "<8sIIIIIIHHI",
        image,
        optional_at + optional_bytes,
        b".text",
        len(body),
        0x1000,
        raw_bytes,
        _HEADER_BYTES,
        0,
        0,
        0,
        0,
        0x6000_0020,
    )
    return bytes(image) + body.ljust(raw_bytes, b"\0")


def kernel(arch: Arch = Arch.X64, body: bytes = b"kernel", *, cmdline_bytes: int = 2047) -> bytes:
    """An EFI program with what marks a kernel. cmdline_bytes: the longest command line that it takes; x64 says so."""
    image = bytearray(program(arch, body))
    match arch:
        case Arch.X64:
            image[0x202:0x206] = b"HdrS"
            struct.pack_into("<I", image, 0x238, cmdline_bytes)
        case Arch.ARM64:
            image[0x38:0x3C] = b"ARM\x64"
    return bytes(image)


def loaders(root: Path, arch: Arch = Arch.X64) -> Path:
    """A folder laid out as Debian's packages lay out shim, GRUB and the EFI stub, each a program of its own."""
    suffix = arch.efi_suffix
    folder = {Arch.X64: "x86_64-efi", Arch.ARM64: "arm64-efi"}[arch]
    for relative in (
        f"usr/lib/shim/shim{suffix}.efi.signed",
        f"usr/lib/grub/{folder}-signed/gcd{suffix}.efi.signed",
        f"usr/lib/grub/{folder}/monolithic/gcd{suffix}.efi",
        f"usr/lib/systemd/boot/efi/linux{suffix}.efi.stub",
    ):
        path = root / relative
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(program(arch, relative.encode()))
    return root
