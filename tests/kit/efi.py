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


def with_section(name: str, content: bytes, arch: Arch = Arch.X64, body: bytes = b"program") -> bytes:
    """A program with one more section."""
    image = bytearray(program(arch, body))
    raw_bytes = -(-max(len(content), 1) // _SECTION_BYTES) * _SECTION_BYTES
    struct.pack_into("<H", image, 0x86, 2)
    header = (name.encode(), len(content), 0x10_0000, raw_bytes, len(image), 0, 0, 0, 0, 0x4000_0040)
    struct.pack_into("<8sIIIIIIHHI", image, 0x80 + 24 + 240 + 40, *header)
    return bytes(image) + content.ljust(raw_bytes, b"\0")


def grub_module(name: str) -> bytes:
    """An ELF file that says no more than its name, as GRUB's modules do."""
    names = b"\0.modname\0"
    said = name.encode() + b"\0"
    header = bytearray(64)
    header[:5] = b"\x7fELF\x02"
    table_at = len(header) + len(names) + len(said)
    struct.pack_into("<Q", header, 40, table_at)
    struct.pack_into("<HH", header, 60, 2, 0)
    strings = struct.pack("<IIQQQQ24x", 0, 3, 0, 0, len(header), len(names))
    modname = struct.pack("<IIQQQQ24x", 1, 1, 0, 0, len(header) + len(names), len(said))
    return bytes(header) + names + said + strings + modname


def grub_area(*modules: str, configuration: str = "", prefix: str = "") -> bytes:
    """What grub-mkimage builds into an image."""
    parts = [(0, grub_module(name)) for name in modules]
    if configuration:
        parts.append((2, configuration.encode() + b"\0"))
    parts.append((3, prefix.encode() + b"\0"))
    body = b"".join(struct.pack("<II", kind, 8 + len(data)) + data for kind, data in parts)
    return struct.pack("<4s4xQQ", b"mimg", 24, 24 + len(body)) + body


def loaders(root: Path, arch: Arch = Arch.X64) -> Path:
    """A folder laid out as Debian's packages lay out shim, GRUB, iPXE and the EFI stub, each a program of its own."""
    suffix = arch.efi_suffix
    folder = {Arch.X64: "x86_64-efi", Arch.ARM64: "arm64-efi"}[arch]
    for relative in (
        f"usr/lib/shim/shim{suffix}.efi.signed",
        f"usr/lib/grub/{folder}-signed/gcd{suffix}.efi.signed",
        f"usr/lib/grub/{folder}/monolithic/gcd{suffix}.efi",
        f"usr/lib/systemd/boot/efi/linux{suffix}.efi.stub",
        "usr/lib/ipxe/snponly.efi",
        "boot/ipxe.efi",
    ):
        path = root / relative
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(program(arch, relative.encode()))
    return root
