"""Loaders and kernels: found where packages put them, and refused, saying what they are instead."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ironic_httpboot.blob import SourceFile, examine
from ironic_httpboot.errors import BadRecipe, HostError
from ironic_httpboot.image import loaders
from ironic_httpboot.image.loaders import Kind, Loader
from ironic_httpboot.model import Arch
from kit import efi


def file(folder: Path, data: bytes) -> SourceFile:
    path = folder / "vmlinuz"
    path.write_bytes(data)
    return examine(path)


@pytest.mark.parametrize(
    ("loader", "arch"),
    [(loader, arch) for loader in Loader for arch in Arch if arch is Arch.X64 or "iPXE" not in loader.value],
)
def test_every_loader_is_found_for_every_architecture(loader: Loader, arch: Arch, tmp_path: Path) -> None:
    found = loaders.find(loader, arch, [tmp_path / "none", efi.loaders(tmp_path / "root", arch)])
    assert found.path.is_relative_to(tmp_path / "root")


def test_each_loader_is_a_file_of_its_own(tmp_path: Path) -> None:
    root = efi.loaders(tmp_path)
    assert len({loaders.find(loader, Arch.X64, [root]).sha256 for loader in Loader}) == len(Loader)


def test_an_ipxe_for_arm64_is_said_to_be_none_of_debians(tmp_path: Path) -> None:
    with pytest.raises(HostError, match=r"network driver for arm64: Debian 12 has none$"):
        loaders.find(Loader.IPXE, Arch.ARM64, [tmp_path])


def test_a_loader_that_is_missing_is_named_with_its_package(tmp_path: Path) -> None:
    with pytest.raises(HostError) as caught:
        loaders.find(Loader.SIGNED_GRUB, Arch.ARM64, [tmp_path])
    assert str(caught.value) == (
        f"signed GRUB for media for arm64: looked for usr/lib/grub/arm64-efi-signed/gcdaa64.efi.signed in {tmp_path} "
        "→ not found\n  hint: install the package grub-efi-arm64-signed, or run `make setup`"
    )


def test_a_loader_for_another_architecture_is_refused(tmp_path: Path) -> None:
    path = efi.loaders(tmp_path) / "usr/lib/shim/shimx64.efi.signed"
    path.write_bytes(efi.program(Arch.ARM64))
    with pytest.raises(BadRecipe) as caught:
        loaders.find(Loader.SHIM, Arch.X64, [tmp_path])
    assert caught.value.message == f"{path}: is a program for arm64, not for x64"


def test_a_program_for_no_known_architecture_is_named_by_number(tmp_path: Path) -> None:
    image = bytearray(efi.program())
    struct.pack_into("<H", image, 0x84, 0x5064)
    with pytest.raises(BadRecipe, match=r"vmlinuz: is a program for machine type 0x5064, not for x64$"):
        loaders.inspect(file(tmp_path, bytes(image)), Arch.X64)


@pytest.mark.parametrize(
    ("data", "complaint", "hint"),
    [
        (b"", "no EFI program: the file does not begin with MZ", None),
        (b"#!/bin/sh\n", "no EFI program: the file does not begin with MZ", None),
        (
            gzip.compress(efi.kernel()),
            "no EFI program: the file does not begin with MZ",
            "it is compressed with gzip: unpack it first",
        ),
        (efi.program(magic=0x10B), "no 64-bit EFI program: magic 0x10b at offset 152", None),
        (efi.program()[:100], "EFI program: COFF header at offset 128 lies beyond 100 bytes", None),
    ],
)
def test_a_kernel_that_is_no_efi_program_is_refused_by_name(
    data: bytes, complaint: str, hint: str | None, tmp_path: Path
) -> None:
    kernel = file(tmp_path, data)
    with pytest.raises(BadRecipe) as caught:
        loaders.longest_cmdline(kernel, Arch.X64)
    assert (caught.value.message, caught.value.hint) == (f"{kernel.path}: {complaint}", hint)


@pytest.mark.parametrize("arch", Arch)
def test_an_efi_program_that_is_no_kernel_is_refused_by_name(arch: Arch, tmp_path: Path) -> None:
    kernel = file(tmp_path, efi.program(arch))
    with pytest.raises(BadRecipe) as caught:
        loaders.longest_cmdline(kernel, arch)
    assert caught.value.message == f"{kernel.path}: is an EFI program, but no Linux kernel"


def test_a_kernel_for_another_architecture_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(BadRecipe, match=r"vmlinuz: is a program for arm64, not for x64$"):
        loaders.longest_cmdline(file(tmp_path, efi.kernel(Arch.ARM64)), Arch.X64)


def test_an_x64_kernel_says_how_long_its_command_line_may_be(tmp_path: Path) -> None:
    assert loaders.longest_cmdline(file(tmp_path, efi.kernel(cmdline_bytes=255)), Arch.X64) == 255


def test_an_arm64_kernel_takes_2047_bytes_packed_or_not(tmp_path: Path) -> None:
    plain = bytearray(efi.kernel(Arch.ARM64))
    assert loaders.longest_cmdline(file(tmp_path, bytes(plain)), Arch.ARM64) == 2047
    plain[0x38:0x3C] = struct.pack("<I", 0x818223CD)
    assert loaders.longest_cmdline(file(tmp_path, bytes(plain)), Arch.ARM64) == 2047


@given(end=st.integers(0, 0x600), arch=st.sampled_from(Arch))
def test_a_kernel_that_is_cut_short_anywhere_is_taken_or_refused(
    end: int, arch: Arch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    kernel = file(tmp_path_factory.getbasetemp(), efi.kernel(arch)[:end])
    try:
        assert loaders.longest_cmdline(kernel, arch) >= 0
    except BadRecipe as error:
        assert str(kernel.path) in error.message


HTTP_GRUB = efi.with_section("mods", efi.grub_area("normal", "efinet", "http", configuration="net_bootp"))
IPXE = efi.program(body=b"ipxe.org\0HTTP\0TFTP\0")


@pytest.mark.parametrize(
    ("image", "kind"),
    [
        (efi.with_section(".sbat", b"sbat,1,x\nshim,4,UEFI shim\n"), Kind.SHIM),
        (efi.with_section(".sbat", b"sbat,1,x\ngrub,5,FSF\n"), Kind.GRUB),
        (HTTP_GRUB, Kind.GRUB),
        (IPXE, Kind.IPXE),
        (efi.with_section(".linux", b"kernel"), Kind.UKI),
        (efi.with_section(".sdmagic", b"####"), Kind.EFI_STUB),
        (efi.kernel(), Kind.KERNEL),
        (efi.program(), Kind.OTHER),
    ],
    ids=lambda value: value.name if isinstance(value, Kind) else "",
)
def test_a_loader_is_known_by_what_stands_in_it(image: bytes, kind: Kind, tmp_path: Path) -> None:
    assert loaders.look_into(file(tmp_path, image)).kind is kind


def test_what_is_built_into_a_grub_is_seen(tmp_path: Path) -> None:
    found = loaders.look_into(file(tmp_path, HTTP_GRUB))
    assert found.grub is not None
    assert (found.grub.modules, found.grub.configuration) == (("normal", "efinet", "http"), "net_bootp")
    loaders.check_for_network(found, Arch.X64)


@pytest.mark.parametrize(
    ("image", "options", "complaint"),
    [
        (HTTP_GRUB, {"arch": Arch.ARM64}, "is a program for x64, not arm64"),
        (HTTP_GRUB, {"secure_boot": True}, "is not signed, and Secure Boot starts nothing unsigned (Access Denied)"),
        (HTTP_GRUB, {"https": True}, "GRUB speaks no TLS: what it fetches needs an http:// URL"),
        (
            efi.with_section("mods", efi.grub_area("normal", "efinet", "tftp")),
            {},
            "this GRUB has no module http built in: over HTTP it stops at its prompt",
        ),
        (
            efi.with_section("mods", efi.grub_area("normal")),
            {},
            "this GRUB has no module efinet and none http built in: over HTTP it stops at its prompt",
        ),
        (IPXE, {"https": True}, "this iPXE was built without HTTPS: its script needs an http:// URL"),
        (efi.with_section(".sdmagic", b"####"), {}, "is an EFI stub without a kernel"),
    ],
)
def test_a_loader_that_cannot_go_on_over_the_network_is_refused_with_the_reason(
    image: bytes, options: dict[str, object], complaint: str, tmp_path: Path
) -> None:
    found = loaders.look_into(file(tmp_path, image))
    with pytest.raises(BadRecipe) as caught:
        loaders.check_for_network(found, **{"arch": Arch.X64, **options})  # type: ignore[arg-type]
    assert caught.value.message == f"{tmp_path / 'vmlinuz'}: {complaint}"


def test_an_ipxe_with_https_may_have_an_https_script(tmp_path: Path) -> None:
    found = loaders.look_into(file(tmp_path, efi.program(body=b"ipxe.org\0HTTP\0HTTPS\0")))
    loaders.check_for_network(found, Arch.X64, https=True)


@given(end=st.integers(0x400, len(HTTP_GRUB)))
def test_a_grub_that_is_cut_short_anywhere_is_taken_or_refused(
    end: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    cut = file(tmp_path_factory.getbasetemp(), HTTP_GRUB[:end])
    try:
        assert loaders.look_into(cut).kind is Kind.GRUB
    except BadRecipe as error:
        assert str(cut.path) in error.message
