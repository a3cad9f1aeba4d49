"""Our unified kernel image as pefile reads it, made with Debian's stub and kernel."""

from __future__ import annotations

from pathlib import Path

import pytest

from ironic_httpboot import config
from ironic_httpboot.demo import guest
from ironic_httpboot.image.compose import compose
from ironic_httpboot.model import AppendedFile, BootRecipe, Chain, Container
from kit.judges import judge


@pytest.fixture(scope="module")
def stub() -> Path:
    return config.find_part("usr/lib/systemd/boot/efi/linuxx64.efi.stub", package="systemd-boot-efi", what="EFI stub")


@pytest.mark.parametrize("ramdisk", [b"", b"ramdisk", b"ramdisk" * 1000])
@pytest.mark.parametrize("cmdline", ["", 'console=ttyS0 name="a b" path=C:\\x it\'s'])
def test_the_stubs_sections_hold_kernel_ramdisks_and_command_line(
    cmdline: str, ramdisk: bytes, stub: Path, tmp_path: Path
) -> None:
    import pefile

    (tmp_path / "ramdisk").write_bytes(ramdisk)
    kernel = guest.find_parts().kernel
    recipe = BootRecipe(
        chain=Chain.UKI,
        container=Container.EFI,
        kernel=kernel,
        initrds=(tmp_path / "ramdisk",),
        appended=(AppendedFile(path="etc/nonce", data=b"42"),),
        cmdline=cmdline,
    )
    blob = compose(recipe)
    image = pefile.PE(data=blob.read_at(0, blob.size_bytes))
    plain = pefile.PE(str(stub))
    assert image.get_warnings() == plain.get_warnings()

    found = {each.Name.rstrip(b"\0").decode(): each for each in image.sections}
    content = {name: each.get_data(length=each.Misc_VirtualSize) for name, each in found.items()}
    assert content[".linux"] == kernel.read_bytes()
    assert content.get(".cmdline", b"") == cmdline.encode()
    assert content[".initrd"].startswith(ramdisk)
    assert judge("bsdtar", "-xOf", "-", "etc/nonce", stdin=content[".initrd"][-(-len(ramdisk) // 4) * 4 :]) == b"42"
    for each in plain.sections:
        name = each.Name.rstrip(b"\0").decode()
        assert found[name].get_data() == each.get_data()
        assert found[name].VirtualAddress == each.VirtualAddress

    header = image.OPTIONAL_HEADER
    assert header.AddressOfEntryPoint == plain.OPTIONAL_HEADER.AddressOfEntryPoint
    end = plain.OPTIONAL_HEADER.SizeOfImage
    for each in image.sections[len(plain.sections) :]:
        assert each.VirtualAddress >= end
        assert each.VirtualAddress % 4096 == 0
        assert each.PointerToRawData % header.FileAlignment == 0
        end = each.VirtualAddress + each.Misc_VirtualSize
    assert end <= header.SizeOfImage
    assert list(found)[-1] == ".linux"
