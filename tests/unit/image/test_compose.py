"""From recipe to image: everything is in it, the same recipe is the same image, and a bad recipe is refused by name."""

from __future__ import annotations

import gzip
import hashlib
import os
import pickle
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ironic_httpboot.blob import Blob, examine, literal, whole
from ironic_httpboot.errors import BadRecipe, FileChanged, HostError
from ironic_httpboot.image import compose as composer
from ironic_httpboot.image import pe
from ironic_httpboot.image.compose import compose
from ironic_httpboot.model import AppendedFile, Arch, BootRecipe, Chain, Container
from kit import efi
from kit.images import cpio_entries, fat_files, iso_files
from kit.recipes import Pantry, recipes

EFI_PARTITION = "boot/grub/efi.img"
CHAINS = [
    (Chain.SHIM_GRUB, Container.ISO),
    (Chain.GRUB, Container.ISO),
    (Chain.UKI, Container.ISO),
    (Chain.UKI, Container.EFI),
]


@pytest.fixture(scope="module")
def pantry(tmp_path_factory: pytest.TempPathFactory) -> Pantry:
    return Pantry.stock(tmp_path_factory.mktemp("pantry"))


@pytest.fixture
def recipe(tmp_path: Path) -> BootRecipe:
    efi.loaders(tmp_path)
    for name, data in {"vmlinuz": efi.kernel(), "first": b"first ramdisk", "second": b"second", "notes": b"n"}.items():
        (tmp_path / name).write_bytes(data)
    return BootRecipe(
        kernel=tmp_path / "vmlinuz",
        initrds=(tmp_path / "first", tmp_path / "second"),
        appended=(AppendedFile(path="etc/nonce", data=b"42", mode=0o600),),
        cmdline="console=ttyS0",
        files=(("docs/Notes.txt", tmp_path / "notes"),),
    )


def parts_of(blob: Blob, container: Container) -> dict[str, bytes]:
    """What an image holds: an ISO's files, those of its EFI partition after "efi:", and a UKI's sections after "."."""
    data = blob.read_at(0, blob.size_bytes)
    if container is Container.EFI:
        return _sections(data)
    files = iso_files(data)
    programs = {f"efi:{path}": program for path, program in fat_files(files[EFI_PARTITION]).items()}
    for program in programs.values():
        files |= _sections(program)
    return files | programs


def _sections(program: bytes) -> dict[str, bytes]:
    found = pe.decode(program[: pe.HEADER_BYTES]).sections
    return {each.name: program[each.raw_offset :][: each.virtual_size] for each in found}


def composed(recipe: BootRecipe, **changes: object) -> dict[str, bytes]:
    recipe = replace(recipe, **changes)  # type: ignore[arg-type]  # a test names the fields
    return parts_of(compose(recipe, [recipe.kernel.parent]), recipe.container)


def refusal(recipe: BootRecipe, **changes: object) -> BadRecipe:
    with pytest.raises(BadRecipe) as caught:
        composed(recipe, **changes)
    return caught.value


def test_shim_and_grub_stand_where_firmware_and_shim_look(recipe: BootRecipe) -> None:
    found = composed(recipe)
    root = recipe.kernel.parent
    assert found["efi:EFI/BOOT/BOOTX64.EFI"] == (root / "usr/lib/shim/shimx64.efi.signed").read_bytes()
    assert found["efi:EFI/BOOT/GRUBX64.EFI"] == (root / "usr/lib/grub/x86_64-efi-signed/gcdx64.efi.signed").read_bytes()


def test_grub_alone_stands_where_firmware_looks(recipe: BootRecipe) -> None:
    found = composed(recipe, chain=Chain.GRUB)
    grub = recipe.kernel.parent / "usr/lib/grub/x86_64-efi/monolithic/gcdx64.efi"
    assert {path: data for path, data in found.items() if path.startswith("efi:")} == {
        "efi:EFI/BOOT/BOOTX64.EFI": grub.read_bytes()
    }


def test_an_iso_holds_kernel_ramdisks_configuration_and_the_operators_files(recipe: BootRecipe) -> None:
    found = composed(recipe)
    assert found["boot/vmlinuz"] == efi.kernel()
    assert (found["boot/initrd-0.img"], found["boot/initrd-1.img"]) == (b"first ramdisk", b"second")
    assert [(each.path, each.data) for each in cpio_entries(found["boot/initrd-2.img"])][-1] == ("etc/nonce", b"42")
    assert b"linux /boot/vmlinuz 'console=ttyS0'\n" in found["boot/grub/grub.cfg"]
    assert b"initrd /boot/initrd-0.img /boot/initrd-1.img /boot/initrd-2.img\n" in found["boot/grub/grub.cfg"]
    assert found["docs/Notes.txt"] == b"n"
    assert ".disk/info" in found


def test_a_unified_kernel_image_is_the_same_alone_and_in_an_iso(recipe: BootRecipe) -> None:
    alone = compose(
        replace(recipe, chain=Chain.UKI, container=Container.EFI, files=()),
        [recipe.kernel.parent],
    )
    found = composed(recipe, chain=Chain.UKI)
    assert found["efi:EFI/BOOT/BOOTX64.EFI"] == alone.read_at(0, alone.size_bytes)
    assert found[".linux"] == efi.kernel()
    assert found[".cmdline"] == b"console=ttyS0"
    assert found[".initrd"].startswith(b"first ramdisk\0\0\0" + b"second\0\0" + b"070701")
    assert found["docs/Notes.txt"] == b"n"


@pytest.mark.parametrize(("chain", "container"), CHAINS)
def test_nothing_but_the_kernel_is_needed(chain: Chain, container: Container, recipe: BootRecipe) -> None:
    blob = compose(
        BootRecipe(kernel=recipe.kernel, chain=chain, container=container),
        [recipe.kernel.parent],
    )
    assert blob.size_bytes > 0


def test_the_same_recipe_is_the_same_image_in_another_process(recipe: BootRecipe) -> None:
    plain = replace(recipe, files=())
    wanted = [recipe, *(replace(plain, chain=chain, container=container) for chain, container in CHAINS)]
    roots = [recipe.kernel.parent]
    program = (
        "import hashlib, pickle, sys; from ironic_httpboot.image.compose import compose\n"
        "recipes, roots = pickle.load(sys.stdin.buffer)\n"
        "for blob in [compose(recipe, roots) for recipe in recipes]:\n"
        "    print(blob.etag, hashlib.sha256(blob.read_at(0, blob.size_bytes)).hexdigest())\n"
    )
    there = subprocess.run(
        [sys.executable, "-c", program],
        input=pickle.dumps((wanted, roots)),
        env={**os.environ, "PYTHONHASHSEED": "7", "TZ": "Asia/Tokyo", "LANG": "C"},
        capture_output=True,
        check=True,
    )
    here = [compose(each, roots) for each in wanted]
    digests = [hashlib.sha256(blob.read_at(0, blob.size_bytes)).hexdigest() for blob in here]
    assert there.stdout.decode().splitlines() == [
        f"{blob.etag} {digest}" for blob, digest in zip(here, digests, strict=True)
    ]


@pytest.mark.parametrize(
    "changes",
    [
        {"cmdline": "console=ttyS1"},
        {"label": "OTHER"},
        {"chain": Chain.GRUB},
        {"chain": Chain.UKI},
        {"initrds": ()},
        {"appended": ()},
        {"appended": (AppendedFile(path="etc/nonce", data=b"43", mode=0o600),)},
        {"appended": (AppendedFile(path="etc/nonce", data=b"42", mode=0o644),)},
        {"files": ()},
    ],
)
def test_another_recipe_is_another_image(changes: dict[str, object], recipe: BootRecipe) -> None:
    roots = [recipe.kernel.parent]
    other = replace(recipe, **changes)  # type: ignore[arg-type]  # a test names the fields
    assert compose(other, roots).etag != compose(recipe, roots).etag


def test_ramdisks_in_another_order_are_another_image(recipe: BootRecipe) -> None:
    found = composed(recipe, initrds=recipe.initrds[::-1])
    assert (found["boot/initrd-0.img"], found["boot/initrd-1.img"]) == (b"second", b"first ramdisk")


def test_a_file_that_was_edited_since_is_refused_by_name(recipe: BootRecipe) -> None:
    blob = compose(recipe, [recipe.kernel.parent])
    recipe.initrds[0].write_bytes(b"edited")
    with pytest.raises(FileChanged, match=r"first: changed since it was examined .13 bytes then, 6 now.") as caught:
        blob.read_at(0, blob.size_bytes)
    assert caught.value.hint == "compose and publish the image again"


def test_an_edited_file_composes_to_another_image(recipe: BootRecipe) -> None:
    before = compose(recipe, [recipe.kernel.parent])
    recipe.initrds[0].write_bytes(b"edited")
    after = compose(recipe, [recipe.kernel.parent])
    assert after.etag != before.etag
    assert after.read_at(0, after.size_bytes)


@pytest.mark.parametrize(
    ("data", "complaint", "hint"),
    [
        (gzip.compress(efi.kernel()), "no EFI program", "it is compressed with gzip: unpack it first"),
        (b"just text\n", "no EFI program", None),
        (efi.kernel(Arch.ARM64), "is a program for arm64, not for x64", None),
        (efi.program(), "is an EFI program, but no Linux kernel", None),
    ],
)
@pytest.mark.parametrize("chain", Chain)
def test_a_kernel_that_cannot_boot_is_refused_by_name(
    chain: Chain, data: bytes, complaint: str, hint: str | None, recipe: BootRecipe
) -> None:
    recipe.kernel.write_bytes(data)
    error = refusal(recipe, chain=chain)
    assert error.message.startswith(f"{recipe.kernel}: {complaint}")
    assert error.hint == hint


@pytest.mark.parametrize("what", ["kernel", "initrd", "file"])
def test_a_file_that_is_missing_is_refused_by_name(what: str, recipe: BootRecipe) -> None:
    path = {"kernel": recipe.kernel, "initrd": recipe.initrds[1], "file": recipe.files[0][1]}[what]
    path.unlink()
    assert refusal(recipe).message == f"{path}: examined → No such file or directory"


def test_a_loader_that_is_missing_is_named_with_its_package(recipe: BootRecipe) -> None:
    (recipe.kernel.parent / "usr/lib/shim/shimx64.efi.signed").unlink()
    with pytest.raises(HostError, match=r"^signed shim for x64: looked for .* → not found") as caught:
        compose(recipe, [recipe.kernel.parent])
    assert caught.value.hint == "install the package shim-signed, or run `make setup`"


@pytest.mark.parametrize(("chain", "added"), [(Chain.SHIM_GRUB, 25), (Chain.GRUB, 25), (Chain.UKI, 0)])
def test_a_command_line_may_be_as_long_as_the_kernel_takes_and_no_longer(
    chain: Chain, added: int, recipe: BootRecipe
) -> None:
    recipe.kernel.write_bytes(efi.kernel(cmdline_bytes=100))
    assert composed(recipe, chain=chain, cmdline="x" * (100 - added))
    assert refusal(recipe, chain=chain, cmdline="x" * (101 - added)).message == (
        "kernel command line: 101 bytes with what the loader adds, more than the kernel's 100"
    )


@pytest.mark.parametrize("cmdline", ["a\\b", "a='b c'", 'a"b'])
def test_quotes_and_backslashes_need_a_unified_kernel_image(cmdline: str, recipe: BootRecipe) -> None:
    assert refusal(recipe, cmdline=cmdline).message.startswith("kernel command line: ")
    assert composed(recipe, cmdline=cmdline, chain=Chain.UKI)[".cmdline"] == cmdline.encode()


@pytest.mark.parametrize(
    "path", ["boot/vmlinuz", "boot/initrd-1.img", "boot/grub/grub.cfg", EFI_PARTITION, ".disk/info"]
)
def test_a_name_that_the_image_needs_for_itself_is_refused(path: str, recipe: BootRecipe) -> None:
    assert refusal(recipe, files=((path, recipe.kernel),)).message == (
        f"image file {path!r}: the image needs this name for itself, or it is given twice"
    )


def test_a_name_that_is_given_twice_is_refused(recipe: BootRecipe) -> None:
    files = (("a", recipe.kernel), ("a", recipe.initrds[0]))
    assert refusal(recipe, files=files).message.startswith("image file 'a': ")
    appended = (AppendedFile(path="a", data=b""), AppendedFile(path="./a", data=b""))
    assert refusal(recipe, appended=appended).message == "ramdisk file 'a': given twice"


@pytest.mark.parametrize("path", ["boot", "boot/grub", ".disk"])
def test_a_file_where_the_image_needs_a_folder_is_refused(path: str, recipe: BootRecipe) -> None:
    name = path.rpartition("/")[2]
    assert refusal(recipe, files=((path, recipe.kernel),)).message.endswith(f"lies below {name!r}, which is a file")


@settings(deadline=None, max_examples=40)
@given(data=st.data())
def test_any_recipe_composes_to_an_image_that_holds_it(data: st.DataObject, pantry: Pantry) -> None:
    wanted = data.draw(recipes(pantry))
    blob = compose(wanted, [pantry.root])
    found = parts_of(blob, wanted.container)
    for path, source in wanted.files:
        assert found[path] == source.read_bytes()
    if wanted.chain is Chain.UKI:
        assert found[".linux"] == wanted.kernel.read_bytes()
        assert found.get(".cmdline", b"") == wanted.cmdline.encode()
    else:
        assert found["boot/vmlinuz"] == wanted.kernel.read_bytes()
        for number, initrd in enumerate(wanted.initrds):
            assert found[f"boot/initrd-{number}.img"] == initrd.read_bytes()
    start = data.draw(st.integers(0, blob.size_bytes))
    count = data.draw(st.integers(0, 5000))
    assert blob.read_at(start, count) == blob.read_at(0, blob.size_bytes)[start : start + count]
    assert compose(wanted, [pantry.root]) == blob


def test_an_image_is_written_whole_and_says_how_far_it_is(tmp_path: Path) -> None:
    blob = Blob.of(literal(bytes(range(256)) * 10_000))
    steps: list[int] = []
    composer.write(blob, tmp_path / "x.iso", steps.append)
    assert (tmp_path / "x.iso").read_bytes() == bytes(range(256)) * 10_000
    assert steps == [1 << 20, 1 << 20, 2_560_000 - (1 << 21)]
    assert os.listdir(tmp_path) == ["x.iso"]


def test_an_image_replaces_the_one_before_and_may_replace_its_own_source(tmp_path: Path) -> None:
    target = tmp_path / "x.iso"
    target.write_bytes(b"ramdisk")
    composer.write(Blob.of((*literal(b"head "), *whole(examine(target)))), target)
    assert target.read_bytes() == b"head ramdisk"


def test_an_image_may_be_read_as_other_files_of_this_user_may(tmp_path: Path) -> None:
    composer.write(Blob.of(literal(b"x")), tmp_path / "x.iso")
    (tmp_path / "plain").touch()
    assert (tmp_path / "x.iso").stat().st_mode == (tmp_path / "plain").stat().st_mode


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("none/x.iso", "No such file or directory"),
        ("file/x.iso", "Not a directory"),
        ("folder", "Is a directory"),
        ("n" * 251 + ".iso", "File name too long"),
    ],
)
def test_a_target_that_cannot_be_written_is_named_with_the_reason_and_nothing_is_left(
    name: str, reason: str, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    with pytest.raises(HostError) as caught:
        composer.write(Blob.of(literal(b"x")), tmp_path / name)
    assert caught.value.message == f"{tmp_path / name}: written → {reason}"
    assert sorted(os.listdir(tmp_path)) == ["file", "folder"]


def test_a_source_that_changes_meanwhile_leaves_nothing_behind_and_the_old_image_in_place(tmp_path: Path) -> None:
    source, target = tmp_path / "ramdisk", tmp_path / "x.iso"
    source.write_bytes(b"x" * (3 << 20))
    target.write_bytes(b"old")

    def edit(sent_bytes: int) -> None:
        source.write_bytes(b"edited")

    with pytest.raises(FileChanged, match=f"^{source}: changed since it was examined"):
        composer.write(Blob.of(whole(examine(source))), target, edit)
    assert target.read_bytes() == b"old"
    assert sorted(os.listdir(tmp_path)) == ["ramdisk", "x.iso"]


def test_an_interruption_leaves_nothing_behind(tmp_path: Path) -> None:
    def interrupt(sent_bytes: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        composer.write(Blob.of(literal(b"x" * 3_000_000)), tmp_path / "x.iso", interrupt)
    assert os.listdir(tmp_path) == []


def test_chains_are_described_in_words() -> None:
    assert composer.describe(Arch.X64, Chain.SHIM_GRUB) == "shim and GRUB, both signed by Debian, for x64"
    assert len({composer.describe(arch, chain) for arch in Arch for chain in Chain}) == 6


def test_a_bootloader_of_the_operators_own_takes_the_place_of_ours(recipe: BootRecipe, tmp_path: Path) -> None:
    (tmp_path / "esp.img").write_bytes(b"an EFI system partition")
    image = compose(replace(recipe, bootloader=tmp_path / "esp.img"), [tmp_path])
    files = iso_files(image.read_at(0, image.size_bytes))
    assert files[EFI_PARTITION] == b"an EFI system partition"
    assert b"linux /boot/vmlinuz" in files["boot/grub/grub.cfg"]
    with pytest.raises(BadRecipe, match="needs no bootloader"):
        replace(recipe, chain=Chain.UKI, bootloader=tmp_path / "esp.img")
