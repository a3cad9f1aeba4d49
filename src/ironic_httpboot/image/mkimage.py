"""grub-mkimage: the only module of this folder that starts a process.

Knows which modules a GRUB needs that fetches its configuration over HTTP. Refuses to know whose configuration: it
leaves room for one, and says where. What was built once from the same files is not built again.
"""

from __future__ import annotations

import hashlib
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from ironic_httpboot import config
from ironic_httpboot.blob import SourceFile, examine
from ironic_httpboot.errors import BadRecipe, HostError, MalformedMessage
from ironic_httpboot.image import grubcore, loaders, pe
from ironic_httpboot.model import Arch

ROOM_BYTES = 1024
"""For the configuration that one machine's GRUB starts with."""

_MODULES = ("efinet", "http", "normal", "configfile", "linux", "echo", "sleep", "reboot", "boot", "minicmd")
_FORMATS = {Arch.X64: ("x86_64-efi", "grub-efi-amd64-bin"), Arch.ARM64: ("arm64-efi", "grub-efi-arm64-bin")}
_SECONDS = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkGrub:
    """A GRUB image with room for a configuration: ROOM_BYTES at an offset of the file."""

    file: SourceFile
    room_at: int


def network_grub(arch: Arch, cache: Path, roots: tuple[Path, ...] | None = None) -> NetworkGrub:
    """A GRUB for an architecture that speaks HTTP, unsigned, from Debian's modules.

    cache: a folder, made if missing, where it is kept under a name made of all that it was made of. roots: where the
    program and the modules are looked for, as by `config.find_part`. Raises HostError.
    """
    form, _ = _FORMATS[arch]
    program, modules = find_parts(arch, roots)
    target = cache / f"grub-http-{arch.efi_suffix}-{_fingerprint(program, modules, form)}.efi"
    if not target.exists():
        _make(program, modules, form, target)
    return _opened(examine(target))


def find_parts(arch: Arch, roots: tuple[Path, ...] | None = None) -> tuple[Path, Path]:
    """The program, and the folder of the modules. Raises HostError, naming the package."""
    form, package = _FORMATS[arch]
    program = config.find_part("usr/bin/grub-mkimage", package="grub-common", what="grub-mkimage", roots=roots)
    listing = config.find_part(
        f"usr/lib/grub/{form}/moddep.lst", package=package, what=f"GRUB's modules for {arch.value}", roots=roots
    )
    return program, listing.parent


def _fingerprint(program: Path, modules: Path, form: str) -> str:
    """Of everything that goes into the image: all modules, as any may be needed by another."""
    digest = hashlib.sha256(f"{form} {ROOM_BYTES} {' '.join(_MODULES)}".encode())
    for path in (program, *sorted([*modules.glob("*.mod"), modules / "kernel.img", modules / "moddep.lst"])):
        try:
            digest.update(examine(path).sha256.encode())
        except BadRecipe as error:
            raise HostError(error.message, hint="run `make setup`") from error
    return digest.hexdigest()[:16]


def _make(program: Path, modules: Path, form: str, target: Path) -> None:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".making-") as folder:
            room = Path(folder, "room.cfg")
            room.write_text("\n" * (ROOM_BYTES - 1))
            made = Path(folder, target.name)
            command: list[str | Path] = [
                program,
                "-d",
                modules,
                "-O",
                form,
                "-o",
                made,
                "-p",
                "",
                "-c",
                room,
                *_MODULES,
            ]
            done = subprocess.run(command, capture_output=True, timeout=_SECONDS, check=False)
            if done.returncode != 0:
                said = done.stderr.decode(errors="replace").strip().splitlines()
                raise HostError(f"{program}: run for {form} → {said[-1] if said else f'exit code {done.returncode}'}")
            _opened(examine(made))
            made.replace(target)
    except OSError as error:
        raise HostError(f"{error.filename or target}: GRUB made → {error.strerror}") from error
    except subprocess.TimeoutExpired:
        raise HostError(f"{program}: run for {form} → not done after {_SECONDS} s") from None


def _opened(file: SourceFile) -> NetworkGrub:
    """Find the room in an image."""
    program = pe.decode(loaders.head_of(file))
    section = next(each for each in program.sections if each.name == grubcore.SECTION)
    with file.open() as stream:
        stream.seek(section.raw_offset)
        area = stream.read(section.raw_size)
    try:
        core = grubcore.decode(area)
    except MalformedMessage as error:
        raise HostError(f"{file.path.name}: made by grub-mkimage, then read → {error.message}") from error
    if core.configuration_bytes < ROOM_BYTES:
        raise HostError(
            f"{file.path}: has room for {core.configuration_bytes} bytes of configuration, not {ROOM_BYTES}"
        )
    return NetworkGrub(file=file, room_at=section.raw_offset + core.configuration_at)
