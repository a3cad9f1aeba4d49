"""From a recipe to the one file that a machine boots: same recipe, same bytes, same ETag.

Knows which files each chain wants and where. Refuses to know how formats lay out bytes, and writes nothing itself.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from ironic_httpboot.blob import Blob, Content, SourceFile, examine, literal, whole
from ironic_httpboot.errors import BadRecipe, HostError
from ironic_httpboot.image import cpio, fat, grub, iso, loaders, uki
from ironic_httpboot.image.loaders import Loader
from ironic_httpboot.model import Arch, BootRecipe, Chain, Container

_KERNEL = "boot/vmlinuz"
_EFI_PARTITION = "boot/grub/efi.img"
_GRUB_PREFIX_BYTES = len(f"BOOT_IMAGE=/{_KERNEL} ")
"""What GRUB puts before the command line on x86."""

_DISK_INFO = b"httpboot\n"
"""Debian's signed GRUB for media takes the device that has /.disk/info as its root (gcdx64, 2.06-13+deb12u1)."""

_COPY_BLOCK_BYTES = 1 << 20
_LOADERS = {
    Chain.SHIM_GRUB: (Loader.SHIM, Loader.SIGNED_GRUB),
    Chain.GRUB: (Loader.GRUB,),
    Chain.UKI: (Loader.EFI_STUB,),
}
"""What firmware starts, and what that starts."""


def check_loaders(chain: Chain, arch: Arch, roots: Sequence[Path] | None = None) -> None:
    """See that this host has what a chain is made of, for an architecture. roots: as in `compose`.

    Raises HostError, naming the package; BadRecipe.
    """
    for each in _LOADERS[chain]:
        loaders.find(each, arch, roots)


def compose(recipe: BootRecipe, roots: Sequence[Path] | None = None) -> Blob:
    """Compose an image. Files are examined, not copied: the blob names them.

    roots: where loaders are looked for; see `loaders.find`. Raises BadRecipe, HostError before anything is served.
    """
    kernel = examine(recipe.kernel)
    _check_cmdline(recipe, kernel)
    initrds = [whole(examine(path)) for path in recipe.initrds]
    if recipe.appended:
        members = (cpio.file(file.path, literal(file.data), file.mode) for file in recipe.appended)
        initrds.append(cpio.archive(members))
    if recipe.chain is Chain.UKI:
        program = _unified(recipe, kernel, initrds, roots)
        if recipe.container is Container.EFI:
            return Blob.of(program)
        return Blob.of(_iso(recipe, partition=fat.volume({recipe.arch.removable_path: program}), files={}))
    files: dict[str, Content] = {_KERNEL: whole(kernel)}
    names = [f"boot/initrd-{number}.img" for number in range(len(initrds))]
    files |= dict(zip(names, initrds, strict=True))
    configuration = grub.configuration(
        kernel=f"/{_KERNEL}", initrds=[f"/{name}" for name in names], cmdline=recipe.cmdline
    )
    files["boot/grub/grub.cfg"] = literal(configuration.encode("ascii"))
    files[".disk/info"] = literal(_DISK_INFO)
    if recipe.bootloader is not None:
        return Blob.of(_iso(recipe, partition=whole(examine(recipe.bootloader)), files=files))
    return Blob.of(_iso(recipe, partition=fat.volume(_grub_programs(recipe, roots)), files=files))


def _check_cmdline(recipe: BootRecipe, kernel: SourceFile) -> None:
    longest = loaders.longest_cmdline(kernel, recipe.arch)
    used = len(recipe.cmdline) + (_GRUB_PREFIX_BYTES if recipe.chain is not Chain.UKI else 0)
    if used > longest:
        raise BadRecipe(
            f"kernel command line: {used} bytes with what the loader adds, more than the kernel's {longest}"
        )


def _unified(recipe: BootRecipe, kernel: SourceFile, initrds: list[Content], roots: Sequence[Path] | None) -> Content:
    stub = loaders.find(Loader.EFI_STUB, recipe.arch, roots)
    return uki.unified(
        stub, loaders.head_of(stub), cmdline=recipe.cmdline, kernel=whole(kernel), initrds=tuple(initrds)
    )


def _grub_programs(recipe: BootRecipe, roots: Sequence[Path] | None) -> dict[str, Content]:
    """The programs on the EFI partition, by path."""
    paths = (recipe.arch.removable_path, f"EFI/BOOT/GRUB{recipe.arch.efi_suffix.upper()}.EFI")
    programs = [whole(loaders.find(each, recipe.arch, roots)) for each in _LOADERS[recipe.chain]]
    return dict(zip(paths, programs, strict=False))


def _iso(recipe: BootRecipe, *, partition: Content, files: dict[str, Content]) -> Content:
    tree = {**files, _EFI_PARTITION: partition}
    for path, source in recipe.files:
        if path in tree:
            raise BadRecipe(f"image file {path!r}: the image needs this name for itself, or it is given twice")
        tree[path] = whole(examine(source))
    return iso.image(tree, boot=_EFI_PARTITION, label=recipe.label)


def write(blob: Blob, target: Path, advance: Callable[[int], None] = lambda sent_bytes: None) -> None:
    """Write a blob to a file, which appears only when it is whole. advance: called with bytes as they are written.

    Raises HostError where the disk does not take it, FileChanged where a source changed.
    """
    partial = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        with partial.open("wb") as stream:
            for start in range(0, blob.size_bytes, _COPY_BLOCK_BYTES):
                advance(stream.write(blob.read_at(start, _COPY_BLOCK_BYTES)))
            stream.flush()
            os.fsync(stream.fileno())
        partial.replace(target)
    except OSError as error:
        raise HostError(f"{target}: written → {error.strerror}") from error
    finally:
        with suppress(OSError):
            partial.unlink()


def describe(arch: Arch, chain: Chain) -> str:
    """A chain in words, for help and timelines."""
    return {
        Chain.SHIM_GRUB: f"shim and GRUB, both signed by Debian, for {arch.value}",
        Chain.GRUB: f"GRUB, unsigned, for {arch.value}",
        Chain.UKI: f"one unified kernel image, unsigned, for {arch.value}",
    }[chain]
