"""A unified kernel image: systemd's EFI stub with kernel, ramdisks and command line as further sections.

Knows which sections the stub reads (systemd-stub(7)) and where PE keeps them. Refuses to know paths. The image is
unsigned: Secure Boot needs another chain, or a signature made elsewhere.
"""

from __future__ import annotations

import struct

from ironic_httpboot.blob import Assembly, Content, FileSlice, SourceFile, length_of, literal
from ironic_httpboot.errors import BadRecipe
from ironic_httpboot.image import pe

_READABLE_DATA = 0x4000_0040
_LARGEST_IMAGE_BYTES = 0x7FFF_F000
_PAGE_BYTES = 4096
_OS_RELEASE = b"ID=httpboot\nNAME=httpboot\nPRETTY_NAME=httpboot\n"
_RAMDISK_ALIGNMENT = 4


def unified(stub: SourceFile, head: bytes, *, cmdline: str, kernel: Content, initrds: tuple[Content, ...]) -> Content:
    """Lay out a unified kernel image.

    stub: the EFI stub, head: its first bytes, as `pe.decode` takes them. initrds: in order; each begins at a multiple
    of 4 bytes, as the kernel wants. Raises BadRecipe where the stub has no room for more sections or is cut short,
    and above 2 GiB.
    """
    program = pe.decode(head)
    stub_end = _end_of(stub, program)
    ramdisk = Assembly()
    for initrd in initrds:
        ramdisk.add(initrd)
        ramdisk.pad(_RAMDISK_ALIGNMENT)
    # The kernel comes last: it may be unpacked in place and must have nothing behind it (systemd ukify).
    given = {
        ".osrel": literal(_OS_RELEASE),
        ".cmdline": literal(cmdline.encode("ascii")),
        ".initrd": ramdisk.content,
        ".linux": kernel,
    }
    parts = {name: content for name, content in given.items() if content}

    sections_end = program.sections_at + pe.SECTION_BYTES * (len(program.sections) + len(parts))
    room_end = min(len(head), program.header_size, *(each.raw_offset for each in program.sections if each.raw_size))
    if sections_end > room_end:
        raise BadRecipe(
            f"{stub.path}: has no room in its headers for {len(parts)} more sections: "
            f"they would end at {sections_end}, and what follows begins at {room_end}"
        )

    sections, body = _laid_out(parts, program, raw_offset=_aligned(stub_end, program.file_alignment))
    memory_bytes = _end_in_memory(sections, program)
    if memory_bytes > _LARGEST_IMAGE_BYTES:
        raise BadRecipe(
            f"unified kernel image: {memory_bytes} bytes in memory, "
            f"more than the {_LARGEST_IMAGE_BYTES} of a PE program"
        )

    headers = bytearray(head[:room_end])
    added = b"".join(section.encode() for section in sections)
    headers[sections_end - len(added) : sections_end] = added
    struct.pack_into("<H", headers, program.coff_at + 6, len(program.sections) + len(sections))
    struct.pack_into("<I", headers, program.optional_at + 56, memory_bytes)
    if program.signed:
        # The stub's signature is of the stub alone, and is left behind.
        struct.pack_into("<II", headers, program.certificates_at, 0, 0)
    image = Assembly()
    image.add(literal(bytes(headers)))
    image.add((FileSlice(stub, room_end, stub_end - room_end),))
    image.pad_to(_aligned(stub_end, program.file_alignment))
    image.add(body)
    return image.content


def _laid_out(parts: dict[str, Content], program: pe.Program, *, raw_offset: int) -> tuple[list[pe.Section], Content]:
    """The sections that carry the parts, behind those of a program, and what the file holds from raw_offset on."""
    sections: list[pe.Section] = []
    body = Assembly()
    for name, content in parts.items():
        size_bytes = length_of(content)
        sections.append(
            pe.Section(
                name=name,
                virtual_size=size_bytes,
                virtual_address=_end_in_memory(sections, program),
                raw_size=_aligned(size_bytes, program.file_alignment),
                raw_offset=raw_offset + body.position,
                characteristics=_READABLE_DATA,
            )
        )
        body.add(content)
        body.pad(program.file_alignment)
    return sections, body.content


def _end_in_memory(added: list[pe.Section], program: pe.Program) -> int:
    """Where a program with more sections ends in memory, and the next one would begin."""
    end = added[-1].virtual_address + added[-1].raw_size if added else program.image_size
    return _aligned(end, max(_PAGE_BYTES, program.section_alignment))


def _end_of(stub: SourceFile, program: pe.Program) -> int:
    """Where the stub's last section ends in its file."""
    end = max((section.raw_offset + section.raw_size for section in program.sections), default=0)
    if not end or not program.file_alignment:
        raise BadRecipe(f"{stub.path}: has no sections to which more could be added")
    if end > stub.size_bytes:
        raise BadRecipe(f"{stub.path}: is cut short: {stub.size_bytes} bytes, but its sections end at {end}")
    return end


def _aligned(value: int, multiple: int) -> int:
    return -(-value // multiple) * multiple
