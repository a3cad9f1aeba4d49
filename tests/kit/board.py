"""A machine with real firmware on a network of the test's own: it asks DHCP what to boot, and its guest says what came.

No BMC: the boot entry is an empty URI, which means "take the URL from DHCP".
"""

from __future__ import annotations

import asyncio
import re
import secrets
import struct
from dataclasses import dataclass, replace
from ipaddress import IPv4Address
from pathlib import Path

from ironic_httpboot.blob import Blob, literal
from ironic_httpboot.demo import guest
from ironic_httpboot.emulator import firmware, uefi, varstore
from ironic_httpboot.emulator.machine import NIC_SLOT, Machine, Specification
from ironic_httpboot.image import compose, cpio
from ironic_httpboot.model import Arch, BootRecipe
from kit.lab import machine

_PCI_ROOT = bytes.fromhex("02010c00 d041030a 00000000")
_NETWORK_CARD = bytes.fromhex("01010600 00") + bytes([NIC_SLOT])
_DESCRIPTION = "HTTP boot by DHCP"
_NUMBER = 0x0A00


@dataclass(frozen=True, slots=True, kw_only=True)
class Provisions:
    """What a guest is booted from, as files, and the nonce that it must find."""

    kernel: Path
    initrds: tuple[Path, ...]
    cmdline: str
    nonce: str
    arch: Arch = Arch.X64

    @classmethod
    def make(cls, folder: Path, *, iso: bool = False, arch: Arch = Arch.X64) -> Provisions:
        """Write them. iso: the guest is to check the files of an image as well."""
        parts = guest.find_parts(arch)
        nonce = secrets.token_hex(8)
        ramdisk, checks = folder / f"ramdisk-{nonce}.cpio", folder / f"checks-{nonce}.cpio"
        guest.write_ramdisk(parts, ramdisk)
        files = {"boot/vmlinuz": parts.kernel, "boot/initrd-0.img": ramdisk} if iso else {}
        members = [cpio.file(each.path, literal(each.data), each.mode) for each in guest.checks(nonce, files)]
        compose.write(Blob.of(cpio.archive(members)), checks)
        cmdline = guest.cmdline(nonce, arch=arch)
        return cls(kernel=parts.kernel, initrds=(ramdisk, checks), cmdline=cmdline, nonce=nonce, arch=arch)

    def as_image(self, target: Path) -> None:
        """Write the image that an operator would compose from them: with Debian's signed chain."""
        recipe = BootRecipe(
            arch=self.arch,
            kernel=self.kernel,
            initrds=self.initrds,
            cmdline=self.cmdline,
        )
        compose.write(compose.compose(recipe), target)

    def as_toml(self) -> str:
        """The keys of a [[machine]]."""
        initrds = ", ".join(f'"{path}"' for path in self.initrds)
        return f'kernel = "{self.kernel}"\ninitrds = [{initrds}]\ncmdline = "{self.cmdline}"\n'


def network_path(mac: str, version: int, uri: str = "", static: str = "") -> bytes:
    """PciRoot/Pci/MAC/IPv4 or IPv6/Uri: the one card and the one family (UEFI 2.10 §10.3.4).

    uri: what to boot; without it the URL comes from DHCP. static: an IPv4 address to have, in a /24, without asking.
    """
    hardware = struct.pack("<BBH", 3, 11, 37) + bytes.fromhex(mac.replace(":", "")).ljust(32, b"\0") + b"\x01"
    address = struct.pack("<BBH", 3, 12, 27) if version == 4 else struct.pack("<BBH", 3, 13, 60)
    if static:
        # Own and other address, two ports, protocol, whether it is static, router, mask (§10.3.4.12).
        own, mask = IPv4Address(static).packed, bytes([255, 255, 255, 0])
        address += own + bytes(4 + 2 + 2 + 2) + b"\1" + bytes(4) + mask
    address = address.ljust(27 if version == 4 else 60, b"\0")
    return _PCI_ROOT + _NETWORK_CARD + hardware + address + uefi.uri_path(uri)


class Board:
    """One machine; use it in an async with statement."""

    def __init__(
        self,
        folder: Path,
        namespace: str,
        tap: str,
        *,
        name: str = "node",
        version: int = 4,
        secure_boot: bool = False,
        arch: Arch = Arch.X64,
        uri: str = "",
        static: str = "",
        tries: int = 1,
    ) -> None:
        """uri, static: see `network_path`. tries: so many boot entries, one after the other."""
        plain = machine(name, network=f"tap:{tap}", namespace=namespace, secure_boot=secure_boot, arch=arch)
        # The very first action must not be IPv6: firmware's own address is not ready then (OVMF 2022.11).
        self.specification: Specification = replace(plain, splash_ms=4000 if version == 6 else 0)
        self._folder = folder / f"board-{name}"
        self._folder.mkdir()
        self._version = version
        self._uri = uri
        self._static = static
        self._tries = tries
        found = firmware.find(plain.arch, secure_boot=secure_boot)
        self._machine = Machine(self.specification, self._folder, found)
        self._nvram = firmware.Nvram(self._machine.variables, found)

    @property
    def mac(self) -> str:
        """Its hardware address."""
        return self.specification.mac

    @property
    def console(self) -> str:
        """All that its console has said."""
        path = self._machine.console
        return path.read_text("utf-8", "replace") if path.exists() else ""

    async def __aenter__(self) -> Board:
        self._nvram.ensure()
        path = network_path(self.mac, self._version, self._uri, self._static)
        numbers = range(_NUMBER, _NUMBER + self._tries)
        entries = [uefi.boot_option(number, _DESCRIPTION, path) for number in numbers]
        order = [uefi.boot_order(numbers[1:])] if numbers[1:] else []
        image = self._nvram.path.read_bytes()
        put = (*entries, *order, uefi.boot_next(_NUMBER))
        self._nvram.path.write_bytes(varstore.rewrite(image, remove=(), put=put))
        await self._machine.start()
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self._machine.stop()

    async def until(self, pattern: str, *, seconds: float = 120) -> re.Match[str]:
        """Wait until the console has said something. Fails with its last words."""
        deadline = asyncio.get_running_loop().time() + seconds
        while (match := re.search(pattern, self.console)) is None:
            late = asyncio.get_running_loop().time() > deadline
            assert self._machine.running, f"{pattern!r} not before the machine ended:\n{self.console[-3000:]}"
            assert not late, f"{pattern!r} not within {seconds:g} s:\n{self.console[-3000:]}"
            await asyncio.sleep(0.2)
        return match

    async def passes(self, provisions: Provisions) -> None:
        """Wait for the guest's own verdict, which must be that everything is what was sent to it."""
        await self.until(r"httpboot-guest: verdict (?:pass|fail)[^\r\n]*[\r\n]", seconds=240)
        assert "httpboot-guest: verdict pass" in self.console, self.console[-3000:]
        assert f"httpboot.nonce={provisions.nonce}" in self.console
