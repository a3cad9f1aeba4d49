"""UEFI firmware for a machine: which flash images, and the boot entry that is written into its variables.

Knows Debian's OVMF and AAVMF files. Refuses to know QEMU and Redfish. Variables are written while the machine is off.
"""

from __future__ import annotations

import os
import shutil
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

_PACKAGES = {Arch.X64: "ovmf", Arch.ARM64: "qemu-efi-aarch64"}
_FILES = {
    (Arch.X64, False): ("usr/share/OVMF/OVMF_CODE_4M.fd", "usr/share/OVMF/OVMF_VARS_4M.fd"),
    (Arch.X64, True): ("usr/share/OVMF/OVMF_CODE_4M.ms.fd", "usr/share/OVMF/OVMF_VARS_4M.ms.fd"),
    (Arch.ARM64, False): ("usr/share/AAVMF/AAVMF_CODE.fd", "usr/share/AAVMF/AAVMF_VARS.fd"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Firmware:
    """The flash images of one kind of machine. variables: what a new machine begins with."""

    code: Path
    variables: Path


def find(arch: Arch, *, secure_boot: bool = False, roots: Sequence[Path] | None = None) -> Firmware:
    """The firmware for an architecture. Raises HostError, naming the package that brings it."""
    if (arch, secure_boot) not in _FILES:
        raise HostError(f"firmware for {arch.value} with Secure Boot: Debian 12 has none")
    code, variables = (
        config.find_part(relative, package=_PACKAGES[arch], what=f"firmware for {arch.value}", roots=roots)
        for relative in _FILES[arch, secure_boot]
    )
    return Firmware(code=code, variables=variables)


class Nvram:
    """One machine's own variables, in a file."""

    def __init__(self, path: Path, firmware: Firmware) -> None:
        self.path = path
        self._firmware = firmware
        self._seen_at = (0, 0)
        self._seen: tuple[tuple[uefi.LoadOption, ...], tuple[int, ...]] = ((), ())

    def ensure(self) -> None:
        """Have variables: the file that is there, or a new one from the firmware's own."""
        if not self.path.exists():
            partial = self.path.with_suffix(".part")
            shutil.copyfile(self._firmware.variables, partial)
            partial.replace(self.path)

    def request_boot(self, uri: str) -> None:
        """Have the next boot, and only that, go over HTTP to a URI. An empty one means "ask DHCP"."""
        self.request_path(ENTRY_DESCRIPTION.removesuffix(_OUR_MARK), uefi.uri_path(uri))

    def request_path(self, name: str, path: bytes) -> None:
        """Have the next boot, and only that, go to a device path."""
        kept = self._without_request()
        number = uefi.free_number(varstore.decode(kept))
        entry = uefi.boot_option(number, name + _OUR_MARK, path)
        self._write(varstore.rewrite(kept, remove=(), put=(entry, uefi.boot_next(number))))

    def configure(self, *, authorities: Sequence[bytes], order: Sequence[int], secure_boot: bool | None) -> None:
        """Set what outlasts a boot: CAs in DER for HTTPS boot, the boot order where one is given, Secure Boot.

        secure_boot: None where the firmware has none.
        """
        image = self.path.read_bytes()
        standing = varstore.decode(image)
        name, variable = uefi.tls_authorities(authorities)
        put = [] if variable is None else [variable]
        if order:
            put.append(uefi.boot_order(order))
        if secure_boot is not None:
            put.append(uefi.secure_boot_switch(on=secure_boot))
        gone = [name] if variable is None and any((each.name, each.guid) == name for each in standing) else []
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
        image = self.path.read_bytes()
        entries = [
            (variable.name, variable.guid)
            for variable in varstore.decode(image)
            if uefi.is_boot_option(variable) and uefi.decode_option(variable).description.endswith(_OUR_MARK)
        ]
        return varstore.rewrite(image, remove=[("BootNext", uefi.GLOBAL_VARIABLE), *entries], put=())

    def _write(self, image: bytes) -> None:
        partial = self.path.with_suffix(".part")
        try:
            with partial.open("wb") as stream:
                stream.write(image)
                stream.flush()
                os.fsync(stream.fileno())
            partial.replace(self.path)
        except OSError as error:
            raise HostError(f"{self.path}: written → {error.strerror}") from error
