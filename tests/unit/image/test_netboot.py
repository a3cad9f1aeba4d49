"""Boots in pieces: what is published, and what must not be asked for."""

from __future__ import annotations

from pathlib import Path

import pytest

from ironic_httpboot.blob import Blob
from ironic_httpboot.errors import BadRecipe
from ironic_httpboot.image import grub, netboot
from ironic_httpboot.model import AppendedFile, BootRecipe, BootUrl
from kit import efi


class Shelf:
    """Keeps what is published. base: what its URLs begin with."""

    def __init__(self, base: str = "http://192.0.2.1:8080") -> None:
        self._base = base
        self.blobs: dict[str, bytes] = {}

    def publish(self, blob: Blob, name: str) -> BootUrl:
        self.blobs[name] = blob.read_at(0, blob.size_bytes)
        return BootUrl.parse(f"{self._base}/secret-of-{name}/{name}")


@pytest.fixture
def recipe(tmp_path: Path) -> BootRecipe:
    (tmp_path / "vmlinuz").write_bytes(efi.kernel())
    (tmp_path / "initrd").write_bytes(b"ramdisk")
    return BootRecipe(
        kernel=tmp_path / "vmlinuz",
        initrds=(tmp_path / "initrd",),
        appended=(AppendedFile(path="etc/x", data=b"x"),),
        cmdline="quiet",
    )


def ipxe_of(folder: Path, *features: bytes) -> Path:
    path = folder / "own-ipxe.efi"
    path.write_bytes(efi.program(body=b"\0".join((b"ipxe.org", *features, b""))))
    return path


def test_ipxe_is_told_a_script_that_names_every_piece(recipe: BootRecipe, tmp_path: Path) -> None:
    shelf = Shelf()
    pieces = netboot.over_ipxe(recipe, shelf.publish, ipxe_of(tmp_path, b"HTTP"))
    assert set(shelf.blobs) == {"vmlinuz.efi", "initrd-0.img", "initrd-1.img", "boot.ipxe", "ipxex64.efi"}
    assert pieces.loader.name == "ipxex64.efi"
    assert pieces.then is not None
    assert pieces.then.name == "boot.ipxe"
    script = shelf.blobs["boot.ipxe"].decode()
    for name in ("vmlinuz.efi", "initrd-0.img", "initrd-1.img"):
        assert f"http://192.0.2.1:8080/secret-of-{name}/{name}" in script


def test_a_script_with_https_urls_needs_an_ipxe_that_speaks_it(recipe: BootRecipe, tmp_path: Path) -> None:
    with pytest.raises(BadRecipe, match="built without HTTPS"):
        netboot.over_ipxe(recipe, Shelf("https://192.0.2.1").publish, ipxe_of(tmp_path, b"HTTP"))
    netboot.over_ipxe(recipe, Shelf("https://192.0.2.1").publish, ipxe_of(tmp_path, b"HTTP", b"HTTPS"))


def test_grub_is_not_asked_for_what_it_cannot_fetch(recipe: BootRecipe, tmp_path: Path) -> None:
    with pytest.raises(BadRecipe) as caught:
        netboot.over_grub(recipe, Shelf("https://192.0.2.1").publish, tmp_path / "cache")
    assert caught.value.message == "GRUB: speaks no TLS: what it fetches needs an http:// URL"


@pytest.mark.parametrize(
    ("server", "command"), [("192.0.2.1", "net_bootp"), ("[2001:db8::1]:8080", "net_ipv6_autoconf")]
)
def test_grub_asks_for_an_address_of_its_servers_family(server: str, command: str) -> None:
    lines = grub.network_start(BootUrl.parse(f"http://{server}/secret/grub.cfg")).splitlines()
    assert lines[1:4] == [command, f"set root=(http,{server})", "configfile /secret/grub.cfg"]


def test_files_for_an_images_root_have_no_place_in_pieces(recipe: BootRecipe, tmp_path: Path) -> None:
    with_files = BootRecipe(kernel=recipe.kernel, files=(("notes", recipe.kernel),))
    with pytest.raises(BadRecipe, match="a boot in pieces has no image"):
        netboot.over_ipxe(with_files, Shelf().publish, ipxe_of(tmp_path, b"HTTP"))
