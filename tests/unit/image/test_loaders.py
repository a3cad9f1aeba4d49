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
from ironic_httpboot.image.loaders import Loader
from ironic_httpboot.model import Arch
from kit import efi


def file(folder: Path, data: bytes) -> SourceFile:
    path = folder / "vmlinuz"
    path.write_bytes(data)
    return examine(path)


@pytest.mark.parametrize("arch", Arch)
@pytest.mark.parametrize("loader", Loader)
def test_every_loader_is_found_for_every_architecture(loader: Loader, arch: Arch, tmp_path: Path) -> None:
    found = loaders.find(loader, arch, [tmp_path / "none", efi.loaders(tmp_path / "root", arch)])
    assert found.path.is_relative_to(tmp_path / "root")


def test_the_four_loaders_are_four_files(tmp_path: Path) -> None:
    root = efi.loaders(tmp_path)
    assert len({loaders.find(loader, Arch.X64, [root]).sha256 for loader in Loader}) == 4


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
