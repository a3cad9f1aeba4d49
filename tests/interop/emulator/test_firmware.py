"""Variables that we write into Debian's flash images, read by virt-firmware, and the other way round."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest

from ironic_httpboot.emulator import firmware, uefi, varstore
from ironic_httpboot.emulator.firmware import ENTRY_DESCRIPTION, Nvram
from ironic_httpboot.errors import HostError
from ironic_httpboot.model import Arch
from kit.judges import judge

VIRT_FW_VARS = Path(sys.executable).parent / "virt-fw-vars"
URL = "http://192.0.2.1:8080/token/x.iso"


@pytest.fixture(params=[False, True], ids=["plain", "secure boot"])
def nvram(request: pytest.FixtureRequest, tmp_path: Path) -> Nvram:
    made = Nvram(tmp_path / "variables.fd", firmware.find(Arch.X64, secure_boot=request.param))
    made.ensure()
    return made


def printed(nvram: Nvram) -> str:
    return judge(VIRT_FW_VARS, "--input", nvram.path, "--print", "--verbose").decode()


def options(nvram: Nvram) -> list[uefi.LoadOption]:
    variables = varstore.decode(nvram.path.read_bytes())
    return [uefi.decode_option(variable) for variable in variables if uefi.is_boot_option(variable)]


def test_virt_firmware_reads_the_entry_and_boot_next(nvram: Nvram) -> None:
    before = printed(nvram)
    nvram.request_boot(URL)
    after = printed(nvram)
    assert f'boot entry: title="{ENTRY_DESCRIPTION}" devpath=URI({URL})' in after
    assert "BootNext" in after
    assert [line for line in before.splitlines() if line not in after] == [], "what was there is still there"


def test_a_request_replaces_the_one_before_and_can_be_taken_out(nvram: Nvram) -> None:
    before = nvram.path.read_bytes()
    nvram.request_boot("http://192.0.2.1/first.iso")
    nvram.request_boot(URL)
    assert printed(nvram).count("devpath=URI(") == 1
    assert nvram.request_pending()
    nvram.clear_request()
    assert not nvram.request_pending()
    assert varstore.decode(nvram.path.read_bytes()) == varstore.decode(before)


def test_the_keys_of_secure_boot_survive_a_rewrite(tmp_path: Path) -> None:
    nvram = Nvram(tmp_path / "variables.fd", firmware.find(Arch.X64, secure_boot=True))
    nvram.ensure()
    judge(VIRT_FW_VARS, "--input", nvram.path, "--output-json", tmp_path / "before.json")
    nvram.request_boot(URL)
    judge(VIRT_FW_VARS, "--input", nvram.path, "--output-json", tmp_path / "after.json")
    before, after = (
        {each["name"]: each for each in json.loads((tmp_path / name).read_text())["variables"]}
        for name in ("before.json", "after.json")
    )
    assert {"PK", "KEK", "db", "dbx"} <= before.keys()
    assert {name: after[name] for name in before} == before


def test_what_virt_firmware_writes_we_read(nvram: Nvram) -> None:
    judge(VIRT_FW_VARS, "--inplace", nvram.path, "--set-boot-uri", URL)
    assert [option.uri for option in options(nvram) if option.uri is not None] == [URL]
    assert nvram.request_pending()


def test_both_put_the_same_bytes_into_a_uri_path(nvram: Nvram) -> None:
    judge(VIRT_FW_VARS, "--inplace", nvram.path, "--set-boot-uri", URL)
    (theirs,) = [option for option in options(nvram) if option.uri is not None]
    assert theirs.device_path == uefi.uri_path(URL)


def test_missing_firmware_is_named_with_its_package(tmp_path: Path) -> None:
    with pytest.raises(HostError, match="firmware for arm64") as failure:
        firmware.find(Arch.ARM64, roots=(tmp_path,))
    assert failure.value.hint is not None
    assert "qemu-efi-aarch64" in failure.value.hint


def test_variables_that_are_there_are_kept(nvram: Nvram) -> None:
    nvram.request_boot(URL)
    before = nvram.path.read_bytes()
    nvram.ensure()
    assert nvram.path.read_bytes() == before


def test_a_full_disk_loses_no_variables(nvram: Nvram) -> None:
    before = nvram.path.read_bytes()
    shutil.rmtree(nvram.path.with_suffix(".part"), ignore_errors=True)
    nvram.path.with_suffix(".part").mkdir()  # nothing can be written there now
    with pytest.raises(HostError, match="written"):
        nvram.request_boot(URL)
    assert nvram.path.read_bytes() == before
