"""Boots in pieces: a loader that fetches its configuration, the kernel and the ramdisks by URLs of their own.

Knows what GRUB and iPXE need beside a recipe. Refuses to know who publishes: a function that takes a blob and a file
name and returns its URL is given, and called once for each piece.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias
from urllib.parse import urlsplit

from ironic_httpboot.blob import Blob, Content, FileSlice, examine, literal, whole
from ironic_httpboot.errors import BadRecipe
from ironic_httpboot.image import cpio, grub, ipxe, loaders, mkimage
from ironic_httpboot.image.loaders import Loader
from ironic_httpboot.model import BootRecipe, BootUrl

Publish: TypeAlias = Callable[[Blob, str], BootUrl]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pieces:
    """What was published for one machine.

    loader: what firmware is to fetch. then: what the loader itself is to be told by DHCP when it asks, if it does.
    """

    loader: BootUrl
    then: BootUrl | None


def over_grub(recipe: BootRecipe, publish: Publish, cache: Path, roots: tuple[Path, ...] | None = None) -> Pieces:
    """Publish a GRUB that knows where its configuration is, and what that names.

    cache: see `mkimage.network_grub`. GRUB asks for an address and nothing else. Raises BadRecipe, HostError.
    """
    _check(recipe, roots)
    kernel, initrds = _published(recipe, publish)
    if len({grub.server_of(url) for url in (kernel, *initrds)}) > 1:
        raise BadRecipe("GRUB: kernel and ramdisks must come from one server")
    path = _path(kernel)
    longest = loaders.longest_cmdline(examine(recipe.kernel), recipe.arch)
    used = len(f"BOOT_IMAGE={path} {recipe.cmdline}")
    if used > longest:
        raise BadRecipe(f"kernel command line: {used} bytes with what GRUB adds, more than the kernel's {longest}")
    text = grub.configuration(kernel=path, initrds=[_path(each) for each in initrds], cmdline=recipe.cmdline)
    configuration = publish(Blob.of(literal(text.encode("ascii"))), "grub.cfg")
    start = grub.network_start(configuration).encode("ascii")
    if len(start) >= mkimage.ROOM_BYTES:
        raise BadRecipe(
            f"GRUB's start: {len(start)} bytes, more than the {mkimage.ROOM_BYTES - 1} that are free for it"
        )
    image = mkimage.network_grub(recipe.arch, cache, roots)
    return Pieces(loader=publish(Blob.of(_with(image, start)), f"grub{recipe.arch.efi_suffix}.efi"), then=None)


def over_ipxe(
    recipe: BootRecipe, publish: Publish, loader: Path | None = None, roots: tuple[Path, ...] | None = None
) -> Pieces:
    """Publish an iPXE and the script that it runs.

    loader: the operator's own iPXE; Debian's otherwise. An iPXE asks DHCP itself: it is to be told `then`.
    Raises BadRecipe, HostError.
    """
    _check(recipe, roots)
    file = examine(loader) if loader else loaders.find(Loader.IPXE, recipe.arch, roots)
    inspection = loaders.look_into(file)
    kernel, initrds = _published(recipe, publish)
    loaders.check_for_network(inspection, recipe.arch, https=kernel.scheme == "https")
    text = ipxe.script(kernel=kernel, initrds=initrds, cmdline=recipe.cmdline)
    script = publish(Blob.of(literal(text.encode("ascii"))), "boot.ipxe")
    return Pieces(loader=publish(Blob.of(whole(file)), f"ipxe{recipe.arch.efi_suffix}.efi"), then=script)


def _check(recipe: BootRecipe, roots: tuple[Path, ...] | None) -> None:
    if recipe.files:
        raise BadRecipe("files for the image's root: a boot in pieces has no image", hint="compose an .iso")
    loaders.inspect(examine(recipe.kernel), recipe.arch)


def _published(recipe: BootRecipe, publish: Publish) -> tuple[BootUrl, list[BootUrl]]:
    """Kernel and ramdisks, the appended files as one more."""
    initrds: list[Content] = [whole(examine(path)) for path in recipe.initrds]
    if recipe.appended:
        initrds.append(cpio.archive(cpio.file(each.path, literal(each.data), each.mode) for each in recipe.appended))
    kernel = publish(Blob.of(whole(examine(recipe.kernel))), "vmlinuz.efi")
    return kernel, [publish(Blob.of(each), f"initrd-{number}.img") for number, each in enumerate(initrds)]


def _path(url: BootUrl) -> str:
    return urlsplit(url.text).path


def _with(image: mkimage.NetworkGrub, start: bytes) -> Content:
    """The image with a configuration in its room: one shared file, and a kilobyte for each machine."""
    at, end = image.room_at, image.room_at + mkimage.ROOM_BYTES
    return (
        FileSlice(image.file, 0, at),
        *literal(start.ljust(mkimage.ROOM_BYTES - 1, b"\n") + b"\0"),
        FileSlice(image.file, end, image.file.size_bytes - end),
    )
