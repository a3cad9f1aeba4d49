"""`httpboot compose`: put an image together and write it to a file."""

from __future__ import annotations

import stat
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import Progress

from ironic_httpboot.cli import output
from ironic_httpboot.errors import InputError
from ironic_httpboot.image import compose as composer
from ironic_httpboot.model import AppendedFile, Arch, BootRecipe, Chain, Container


def compose(
    kernel: Annotated[Path, typer.Option(help="An EFI kernel.", metavar="FILE")],
    target: Annotated[
        Path, typer.Option("-o", "--output", help="Where to write: NAME.iso or NAME.efi.", metavar="FILE")
    ],
    initrd: Annotated[
        list[Path] | None, typer.Option(help="A ramdisk; may be given several times.", metavar="FILE")
    ] = None,
    cmdline: Annotated[str, typer.Option(help="The kernel's command line.", metavar="TEXT")] = "",
    append: Annotated[
        list[str] | None,
        typer.Option(
            help="A file to add to the ramdisk, as PATH=FILE; may be given several times.", metavar="PATH=FILE"
        ),
    ] = None,
    add: Annotated[
        list[str] | None,
        typer.Option(help="A file for the ISO's root, as PATH=FILE; may be given several times.", metavar="PATH=FILE"),
    ] = None,
    chain: Annotated[Chain, typer.Option(help="What stands between firmware and kernel.")] = Chain.SHIM_GRUB,
    arch: Annotated[Arch, typer.Option(help="The machine's architecture.")] = Arch.X64,
    label: Annotated[str, typer.Option(help="The ISO's volume label.")] = "HTTPBOOT",
    as_json: output.AsJson = False,
) -> None:
    """Compose a bootable image from a kernel, ramdisks and a command line.

    The same input gives the same bytes. The file appears when it is whole.

    Example: httpboot compose --kernel vmlinuz --initrd initrd.img --cmdline console=ttyS0 -o node-1.iso
    """
    container = {".iso": Container.ISO, ".efi": Container.EFI}.get(target.suffix.lower())
    if container is None:
        raise InputError(
            f"--output {target}: ends in neither .iso nor .efi", hint="firmware knows images by these endings"
        )
    pairs = [_pair("--append", each) for each in append or ()]
    files = tuple(_pair("--add", each) for each in add or ())
    _refuse_to_overwrite(target, [kernel, *(initrd or ()), *(path for _, path in (*pairs, *files))])
    recipe = BootRecipe(
        arch=arch,
        chain=chain,
        container=container,
        kernel=kernel,
        initrds=tuple(initrd or ()),
        appended=tuple(_appended(name, path) for name, path in pairs),
        cmdline=cmdline,
        files=files,
        label=label,
    )
    with Progress(console=output.err, transient=True, disable=not output.err.is_terminal) as progress:
        composing = progress.add_task("reading", total=None)
        blob = composer.compose(recipe)
        progress.update(composing, description=f"writing {target.name}", total=blob.size_bytes)
        composer.write(blob, target, advance=lambda count: progress.advance(composing, count))
    if as_json:
        output.print_json(
            {"file": target, "size_bytes": blob.size_bytes, "etag": blob.etag, "chain": chain, "arch": arch}
        )
    else:
        output.out.print(f"{target}: {blob.size_bytes:,} bytes, {composer.describe(arch, chain)}", markup=False)


def _pair(option: str, text: str) -> tuple[str, Path]:
    name, equals, path = text.partition("=")
    if not name or not equals or not path:
        raise InputError(f"{option} {text!r}: is not of the form PATH=FILE")
    return name, Path(path)


def _refuse_to_overwrite(target: Path, sources: Iterable[Path]) -> None:
    for source in sources:
        with suppress(OSError):  # what is missing is said where it is read
            if target.samefile(source):
                raise InputError(f"--output {target}: is one of the files to compose from", hint="name another file")


def _appended(name: str, path: Path) -> AppendedFile:
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            raise InputError(f"--append {name}={path}: is not a regular file")
        return AppendedFile(path=name, data=path.read_bytes(), mode=found.st_mode & 0o777)
    except OSError as error:
        raise InputError(f"--append {name}={path}: read → {error.strerror}") from error
