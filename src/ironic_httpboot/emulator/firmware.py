"""UEFI firmware for a machine: which flash images, and the boot entry that is written into its variables.

Knows Debian's OVMF and AAVMF files. Refuses to know QEMU and Redfish. Variables are written while the machine is off.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ironic_httpboot import config
from ironic_httpboot.emulator import uefi, varstore
from ironic_httpboot.errors import HostError, MalformedMessage
from ironic_httpboot.model import Arch

ENTRY_DESCRIPTION = "HTTP boot (BMC)"
"""By its end an entry is known again; firmware shows it on the console."""

_OUR_MARK = " (BMC)"

_QCOW2 = b"QFI\xfb"
_DESCRIPTOR_FOLDERS = (Path("/etc/qemu/firmware"), Path("/usr/share/qemu/firmware"))
_PACKAGES = {Arch.X64: "ovmf", Arch.ARM64: "qemu-efi-aarch64"}
_FILES = {
    (Arch.X64, False): ("usr/share/OVMF/OVMF_CODE_4M.fd", "usr/share/OVMF/OVMF_VARS_4M.fd"),
    (Arch.X64, True): ("usr/share/OVMF/OVMF_CODE_4M.ms.fd", "usr/share/OVMF/OVMF_VARS_4M.ms.fd"),
    (Arch.ARM64, False): ("usr/share/AAVMF/AAVMF_CODE.fd", "usr/share/AAVMF/AAVMF_VARS.fd"),
    (Arch.ARM64, True): ("usr/share/AAVMF/AAVMF_CODE.ms.fd", "usr/share/AAVMF/AAVMF_VARS.ms.fd"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Firmware:
    """The flash images of one kind of machine. variables: what a new machine begins with."""

    code: Path
    variables: Path


def find(arch: Arch, *, secure_boot: bool = False, roots: Sequence[Path] | None = None) -> Firmware:
    """The firmware for an architecture. Raises HostError, naming the package that brings it."""
    code, variables = (
        config.find_part(relative, package=_PACKAGES[arch], what=f"firmware for {arch.value}", roots=roots)
        for relative in _FILES[arch, secure_boot]
    )
    return Firmware(code=code, variables=variables)


def template_for(code: Path, folders: Sequence[Path] = _DESCRIPTOR_FOLDERS) -> Path | None:
    """What new variables for a firmware's code are copied from, as the host's firmware descriptors say.

    They are what libvirt goes by as well (QEMU's docs/interop/firmware.json).
    """
    for descriptor in sorted(path for folder in folders for path in folder.glob("*.json")):
        try:
            mapping = json.loads(descriptor.read_text())["mapping"]
            if mapping["executable"]["filename"] == str(code):
                return Path(mapping["nvram-template"]["filename"])
        except (OSError, ValueError, KeyError, TypeError):
            continue  # one of firmware without variables, or of another form
    return None


class Nvram:
    """One machine's own variables, in a file."""

    def __init__(self, path: Path, firmware: Firmware | None) -> None:
        """firmware: whose variables a new machine begins with; None where nobody knows."""
        self.path = path
        self._firmware = firmware
        self._seen_at = (0, 0)
        self._seen: tuple[tuple[uefi.LoadOption, ...], tuple[int, ...]] = ((), ())

    def ensure(self) -> None:
        """Have variables: the file that is there, or a new one from the firmware's own. Raises HostError."""
        if os.path.lexists(self.path):
            return
        if self._firmware is None:
            raise HostError(
                f"{self.path}: looked for → not there, and no template is known from which to make it",
                hint="name one in the definition, <nvram template='…'>, or start the machine once without the emulator",
            )
        template = self._firmware.variables
        try:
            image = template.read_bytes()
        except OSError as error:
            raise HostError(f"{template}: read as template of {self.path} → {error.strerror}") from error
        self._write(varstore.formatted(image))

    def request_boot(self, uri: str) -> None:
        """Have the next boot, and only that, go over HTTP to a URI. An empty one means "ask DHCP"."""
        self.request_path(ENTRY_DESCRIPTION.removesuffix(_OUR_MARK), uefi.uri_path(uri))

    def request_path(self, name: str, path: bytes) -> None:
        """Have the next boot, and only that, go to a device path."""
        kept = self._without_request()
        number = uefi.free_number(varstore.decode(kept))
        entry = uefi.boot_option(number, name + _OUR_MARK, path)
        self._write(varstore.rewrite(kept, remove=(), put=(entry, uefi.boot_next(number))))

    def configure(self, *, authorities: Sequence[bytes] | None, order: Sequence[int], secure_boot: bool | None) -> None:
        """Set what outlasts a boot: CAs in DER for HTTPS boot, the boot order where one is given, Secure Boot.

        authorities: None for those that stand. secure_boot: None where the firmware has none.
        """
        image = self._read()
        standing = varstore.decode(image)
        name, variable = uefi.tls_authorities(authorities or ())
        put = [] if variable is None else [variable]
        if order:
            put.append(uefi.boot_order(order))
        if secure_boot is not None:
            put.append(uefi.secure_boot_switch(on=secure_boot))
        unwanted = authorities is not None and variable is None
        gone = [name] if unwanted and any((each.name, each.guid) == name for each in standing) else []
        put = [each for each in put if each not in standing]
        if gone or put:
            self._write(varstore.rewrite(image, remove=gone, put=put))

    def entries(self) -> tuple[tuple[uefi.LoadOption, ...], tuple[int, ...]]:
        """The boot entries and their order, as last seen. May be asked while the machine runs."""
        try:
            now = self.path.stat()
            if (now.st_mtime_ns, now.st_ino) != self._seen_at:
                variables = varstore.decode(self.path.read_bytes())
                found = sorted((each for each in variables if uefi.is_boot_option(each)), key=lambda each: each.name)
                self._seen = tuple(uefi.decode_option(each) for each in found), uefi.decode_order(variables)
                self._seen_at = now.st_mtime_ns, now.st_ino
        except (OSError, MalformedMessage):
            pass  # not there yet, or caught in the middle of a write by the firmware: as it was before
        return self._seen

    def clear_request(self) -> None:
        """Take an earlier request out again, also one that was consumed: its entry stays behind."""
        self._write(self._without_request())

    def request_pending(self) -> bool:
        """Whether the firmware has yet to take up BootNext. May be asked while the machine runs."""
        try:
            return any(variable.name == "BootNext" for variable in varstore.decode(self.path.read_bytes()))
        except (OSError, MalformedMessage):
            return True  # caught in the middle of a write by the firmware: ask again

    def _without_request(self) -> bytes:
        image = self._read()
        entries = [
            (variable.name, variable.guid)
            for variable in varstore.decode(image)
            if uefi.is_boot_option(variable) and uefi.decode_option(variable).description.endswith(_OUR_MARK)
        ]
        return varstore.rewrite(image, remove=[("BootNext", uefi.GLOBAL_VARIABLE), *entries], put=())

    def _read(self) -> bytes:
        try:
            image = self.path.read_bytes()
        except OSError as error:
            raise HostError(f"{self.path}: read → {error.strerror}", hint=_hint(error)) from error
        if image.startswith(_QCOW2):
            raise HostError(
                f"{self.path}: is in qcow2 format → only raw can be edited", hint="convert it with qemu-img"
            )
        return image

    def _write(self, image: bytes) -> None:
        """Put a new file in the old one's place, with its owner and mode."""
        partial = self.path.with_suffix(".part")
        try:
            uid, gid, mode = self._ownership()
            with partial.open("wb") as stream:
                os.fchmod(stream.fileno(), mode)
                os.fchown(stream.fileno(), uid, gid)
                stream.write(image)
                stream.flush()
                os.fsync(stream.fileno())
            partial.replace(self.path)
        except OSError as error:
            raise HostError(f"{self.path}: written → {error.strerror}", hint=_hint(error)) from error

    def _ownership(self) -> tuple[int, int, int]:
        """uid, gid and mode of the file. A new one made by root belongs to its folder's owner, who runs QEMU."""
        try:
            now = self.path.stat()
        except FileNotFoundError:
            if os.geteuid() != 0:
                return -1, -1, 0o600
            folder = self.path.parent.stat()
            return folder.st_uid, folder.st_gid, 0o600
        return now.st_uid, now.st_gid, stat.S_IMODE(now.st_mode)


def _hint(error: OSError) -> str | None:
    return "run the emulator as root, or as the file's owner" if isinstance(error, PermissionError) else None
