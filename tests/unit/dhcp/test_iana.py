"""The numbers that the rest relies on."""

from __future__ import annotations

from ironic_httpboot.dhcp.iana import ArchType
from ironic_httpboot.model import DHCP_ARCHITECTURES, Arch


def test_a_machine_is_named_alike_whether_it_asks_for_http_or_pxe() -> None:
    labels = {(kind.label, kind.http) for kind in ArchType}
    assert {("x64", True), ("x64", False), ("arm64", True), ("riscv64", True), ("arm32-uboot", True)} <= labels
    assert ("x86-bios", False) in labels
    assert {label for label, _ in labels} == DHCP_ARCHITECTURES


def test_images_are_composed_for_two_architectures() -> None:
    assert {kind: kind.arch for kind in ArchType if kind.http and kind.arch} == {
        ArchType.X64_HTTP: Arch.X64,
        ArchType.ARM64_HTTP: Arch.ARM64,
    }


def test_http_boot_has_its_own_numbers() -> None:
    numbers = {kind.value for kind in ArchType if kind.http}
    assert numbers == {0x0F, 0x10, 0x11, 0x12, 0x13, 0x14, 0x17, 0x18, 0x1A, 0x1C, 0x26, 0x28}
