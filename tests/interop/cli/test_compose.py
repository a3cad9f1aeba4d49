"""`httpboot compose` as an operator runs it."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

import pytest

from ironic_httpboot.demo import guest
from ironic_httpboot.image.compose import compose
from ironic_httpboot.model import AppendedFile, BootRecipe, Chain, Container
from kit import efi
from kit.commands import HTTPBOOT, Running, httpboot
from kit.judges import judge

CHAINS = [
    (Chain.SHIM_GRUB, Container.ISO),
    (Chain.GRUB, Container.ISO),
    (Chain.UKI, Container.ISO),
    (Chain.UKI, Container.EFI),
]


@pytest.fixture
def recipe(tmp_path: Path) -> BootRecipe:
    for name in ("first", "second", "nonce", "notes"):
        (tmp_path / name).write_bytes(name.encode() * 1000)
    (tmp_path / "nonce").chmod(0o600)
    return BootRecipe(
        kernel=guest.find_parts().kernel,
        initrds=(tmp_path / "first", tmp_path / "second"),
        appended=(AppendedFile(path="etc/nonce", data=b"nonce" * 1000, mode=0o600),),
        cmdline="console=ttyS0 quiet",
        files=(("docs/Notes ü.txt", tmp_path / "notes"),),
        label="NODE_1",
    )


@pytest.fixture
def output(tmp_path: Path) -> Path:
    folder = tmp_path / "output"
    folder.mkdir()
    return folder


@pytest.mark.parametrize(("chain", "container"), CHAINS)
def test_what_is_written_is_what_the_recipe_composes(
    chain: Chain, container: Container, recipe: BootRecipe, output: Path
) -> None:
    files = recipe.files if container is Container.ISO else ()
    wanted = BootRecipe(
        chain=chain,
        container=container,
        kernel=recipe.kernel,
        initrds=recipe.initrds,
        appended=recipe.appended,
        cmdline=recipe.cmdline,
        files=files,
        label=recipe.label,
    )
    blob = compose(wanted)
    target = output / f"node-1{wanted.kind.suffix}"
    options = ["--chain", chain.value, "--cmdline", recipe.cmdline, "--label", recipe.label]
    options += [f"--initrd={path}" for path in recipe.initrds]
    options += [f"--append=etc/nonce={output.parent / 'nonce'}", *(f"--add={name}={path}" for name, path in files)]
    printed = httpboot("compose", "--kernel", recipe.kernel, *options, "-o", target)
    assert target.read_bytes() == blob.read_at(0, blob.size_bytes)
    assert printed.startswith(f"{target}: {blob.size_bytes:,} bytes, ")
    assert os.listdir(output) == [target.name]


def test_the_result_is_told_as_json(recipe: BootRecipe, output: Path) -> None:
    target = output / "node-1.iso"
    printed = httpboot("compose", "--kernel", recipe.kernel, "-o", target, "--json")
    blob = compose(BootRecipe(kernel=recipe.kernel))
    assert json.loads(printed) == {
        "file": str(target),
        "size_bytes": blob.size_bytes,
        "etag": blob.etag,
        "chain": "shim+grub",
        "arch": "x64",
    }


def test_the_same_command_writes_the_same_bytes_over_the_image_before(recipe: BootRecipe, output: Path) -> None:
    target = output / "node-1.iso"
    for cmdline in ("first", "quiet", "quiet"):
        before = target.read_bytes() if target.exists() else b""
        httpboot("compose", "--kernel", recipe.kernel, "--cmdline", cmdline, "-o", target)
        assert (target.read_bytes() == before) == (cmdline == "quiet" and b"'quiet'" in before)
    assert os.listdir(output) == ["node-1.iso"]


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["-o", "OUT/x.raw"], "--output OUT/x.raw: ends in neither .iso nor .efi"),
        (["-o", "OUT/x.efi"], "chain shim+grub: cannot be one .efi file"),
        (["-o", "OUT/x.iso", "--kernel", "OUT/none"], "OUT/none: examined → No such file or directory"),
        (["-o", "OUT/x.iso", "--kernel", "/dev/zero"], "/dev/zero: is not a regular file"),
        (["-o", "OUT/x.iso", "--kernel", "IN/first"], "IN/first: no EFI program: the file does not begin with MZ"),
        (["-o", "OUT/x.iso", "--kernel", "IN/program"], "IN/program: is an EFI program, but no Linux kernel"),
        (["-o", "OUT/x.iso", "--initrd", "OUT/none"], "OUT/none: examined → No such file or directory"),
        (["-o", "OUT/x.iso", "--cmdline", "a\nb"], "kernel command line: holds the control character '\\n'"),
        (["-o", "OUT/x.iso", "--cmdline", "a\\b"], "kernel command line: holds a backslash, which GRUB would change"),
        (
            ["-o", "OUT/x.iso", "--cmdline", "x" * 2023],
            "kernel command line: 2048 bytes with what the loader adds, more",
        ),
        (["-o", "OUT/x.iso", "--append", "etc/nonce"], "--append 'etc/nonce': is not of the form PATH=FILE"),
        (["-o", "OUT/x.iso", "--append", "a=OUT/none"], "--append a=OUT/none: read → No such file or directory"),
        (["-o", "OUT/x.iso", "--append", "a=IN/pipe"], "--append a=IN/pipe: is not a regular file"),
        (["-o", "OUT/x.iso", "--append", "/a=IN/first"], "ramdisk file '/a': is not a plain relative path"),
        (["-o", "OUT/x.iso", "--add", "boot/vmlinuz=IN/first"], "image file 'boot/vmlinuz': the image needs this name"),
        (
            ["-o", "OUT/x.iso", "--add", "a=IN/first", "--add", "a=IN/first"],
            "image file 'a': the image needs this name",
        ),
        (["-o", "OUT/x.iso", "--add", "../a=IN/first"], "image file '../a': '..' cannot be a name"),
        (["-o", "OUT/x.iso", "--label", "node 1"], "volume label 'node 1': takes 1 to 32 of A–Z, 0–9 and _"),
    ],
)
def test_bad_input_ends_with_2_and_a_clear_message_and_nothing_is_written(
    options: list[str], complaint: str, recipe: BootRecipe, output: Path
) -> None:
    (output.parent / "program").write_bytes(efi.program())
    os.mkfifo(output.parent / "pipe")

    def placed(text: str) -> str:
        return text.replace("OUT", str(output)).replace("IN", str(output.parent))

    given = [placed(option) for option in options]
    kernel = [] if "--kernel" in options else ["--kernel", str(recipe.kernel)]
    printed = httpboot("compose", *kernel, *given, code=2)
    assert f"error: {placed(complaint)}" in printed
    assert "Traceback" not in printed
    assert os.listdir(output) == []


def test_an_error_is_told_as_json(recipe: BootRecipe, output: Path) -> None:
    printed = httpboot("compose", "--kernel", output / "none", "-o", output / "x.iso", "--json", code=2)
    message = f"{output / 'none'}: examined → No such file or directory"
    assert json.loads(printed) == {"error": {"kind": "BadRecipe", "message": message, "hint": None}}


def test_a_folder_that_is_missing_ends_with_3(recipe: BootRecipe, output: Path) -> None:
    target = output / "none" / "x.iso"
    printed = httpboot("compose", "--kernel", recipe.kernel, "-o", target, code=3)
    assert f"error: {target}: written → No such file or directory" in printed


def test_a_disk_that_takes_no_more_ends_with_3_and_nothing_is_left(recipe: BootRecipe, output: Path) -> None:
    target = output / "x.iso"
    command = ("compose", "--kernel", recipe.kernel, "-o", target, "--json")
    printed = judge("prlimit", "--fsize=2000000", HTTPBOOT, *command, code=3)
    assert json.loads(printed)["error"]["message"] == f"{target}: written → File too large"
    assert os.listdir(output) == []


@pytest.mark.parametrize("option", ["--kernel", "--initrd", "--append", "--add"])
def test_no_file_to_compose_from_is_written_over(option: str, recipe: BootRecipe, output: Path) -> None:
    mine = output / "mine.iso"
    mine.write_bytes(recipe.kernel.read_bytes())
    (output.parent / "other.iso").symlink_to(mine)
    given = f"a={mine}" if option in ("--append", "--add") else str(mine)
    kernel = () if option == "--kernel" else ("--kernel", recipe.kernel)
    for target in (mine, output.parent / "other.iso"):
        printed = httpboot("compose", *kernel, option, given, "-o", target, code=2)
        assert f"error: --output {target}: is one of the files to compose from" in printed
    assert mine.read_bytes() == recipe.kernel.read_bytes()


@pytest.mark.parametrize(("how", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_an_interruption_in_the_middle_leaves_nothing_behind(
    how: signal.Signals, code: int, recipe: BootRecipe, output: Path
) -> None:
    large, target = output.parent / "large", output / "x.iso"
    with large.open("wb") as stream:
        stream.truncate(700_000_000)
    target.write_bytes(b"the image before")
    with Running("compose", "--kernel", recipe.kernel, "--initrd", large, "-o", target) as running:
        deadline = time.monotonic() + 60
        while len(os.listdir(output)) == 1:
            assert running.process.poll() is None, "it was too quick"
            assert time.monotonic() < deadline
            time.sleep(0.002)
        running.process.send_signal(how)
        running.process.wait(60)
    assert running.process.returncode == code, running.printed
    assert os.listdir(output) == ["x.iso"]
    assert target.read_bytes() == b"the image before"
