"""A GRUB for the network, made by Debian's grub-mkimage from Debian's modules."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from ironic_httpboot import config
from ironic_httpboot.blob import Blob, examine
from ironic_httpboot.demo import guest
from ironic_httpboot.errors import HostError
from ironic_httpboot.image import loaders, mkimage, netboot
from ironic_httpboot.model import Arch, BootRecipe, BootUrl


def test_it_has_what_http_needs_and_room_for_one_machines_configuration(tmp_path: Path) -> None:
    made = mkimage.network_grub(Arch.X64, tmp_path / "cache")
    found = loaders.look_into(made.file)
    loaders.check_for_network(found, Arch.X64)
    assert found.grub is not None
    assert {"efinet", "http", "linux", "configfile"} <= set(found.grub.modules)
    assert found.grub.configuration == "\n" * (mkimage.ROOM_BYTES - 1)


def test_it_is_made_once_and_the_same_every_time(tmp_path: Path) -> None:
    first = mkimage.network_grub(Arch.X64, tmp_path / "one")
    again = mkimage.network_grub(Arch.X64, tmp_path / "one")
    elsewhere = mkimage.network_grub(Arch.X64, tmp_path / "two")
    assert again.file == first.file, "it was not even written again"
    assert elsewhere.file.sha256 == first.file.sha256
    assert elsewhere.file.path.name == first.file.path.name
    assert [path.name for path in (tmp_path / "one").iterdir()] == [first.file.path.name]


def test_other_modules_make_another(tmp_path: Path) -> None:
    root = tmp_path / "root"
    modules = root / "usr/lib/grub/x86_64-efi"
    found = config.find_part("usr/lib/grub/x86_64-efi/moddep.lst", package="grub-efi-amd64-bin", what="modules")
    shutil.copytree(found.parent, modules, ignore=shutil.ignore_patterns("monolithic"))
    program = config.find_part("usr/bin/grub-mkimage", package="grub-common", what="grub-mkimage")
    (root / "usr/bin").mkdir(parents=True)
    shutil.copy(program, root / "usr/bin")
    before = mkimage.network_grub(Arch.X64, tmp_path / "cache", (root,))
    (modules / "hello.mod").write_bytes(b"changed")
    after = mkimage.network_grub(Arch.X64, tmp_path / "cache", (root,))
    assert before.file.path != after.file.path
    (modules / "http.mod").write_bytes(b"broken")
    with pytest.raises(
        HostError, match=r"made by grub-mkimage, then read → GRUB module at offset \d+: is no 64-bit ELF file"
    ):
        mkimage.network_grub(Arch.X64, tmp_path / "cache", (root,))


def test_a_machines_configuration_stands_in_a_copy_that_shares_the_rest(tmp_path: Path) -> None:
    published: dict[str, Blob] = {}

    def publish(blob: Blob, name: str) -> BootUrl:
        published[name] = blob
        return BootUrl.parse(f"http://192.0.2.1:8080/secret/{name}")

    recipe = BootRecipe(kernel=guest.find_parts().kernel, cmdline="console=ttyS0")
    pieces = netboot.over_grub(recipe, publish, tmp_path / "cache")
    assert pieces.then is None
    blob = published["grubx64.efi"]
    written = tmp_path / "grub.efi"
    written.write_bytes(blob.read_at(0, blob.size_bytes))
    found = loaders.look_into(examine(written))
    assert found.grub is not None
    assert "set root=(http,192.0.2.1:8080)\nconfigfile /secret/grub.cfg\n" in (found.grub.configuration or "")
    assert [file.path.parent for file in blob.files()] == [tmp_path / "cache"]
    text = published["grub.cfg"].read_at(0, 10_000).decode()
    assert "linux /secret/vmlinuz.efi 'console=ttyS0'" in text
