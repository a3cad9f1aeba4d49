"""Variables that we write into Debian's flash images, read by virt-firmware, and the other way round."""

from __future__ import annotations

import json
import os
import shutil
import stat
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


def test_owner_and_mode_of_the_file_stay(nvram: Nvram) -> None:
    somebody = 12345 if os.geteuid() == 0 else os.geteuid()
    os.chown(nvram.path, somebody, -1)
    nvram.path.chmod(0o640)
    nvram.request_boot(URL)
    now = nvram.path.stat()
    assert (now.st_uid, stat.S_IMODE(now.st_mode)) == (somebody, 0o640)


def test_the_template_of_a_firmware_is_found_in_the_hosts_descriptors(tmp_path: Path) -> None:
    executable = {"filename": "/f/CODE.fd", "format": "raw"}
    template = {"filename": "/f/VARS.fd", "format": "raw"}
    (tmp_path / "10-bios.json").write_text(json.dumps({"mapping": {"device": "memory", "filename": "/f/bios"}}))
    (tmp_path / "20-broken.json").write_text("{")
    (tmp_path / "30-uefi.json").write_text(
        json.dumps({"mapping": {"device": "flash", "executable": executable, "nvram-template": template}})
    )
    assert firmware.template_for(Path("/f/CODE.fd"), (tmp_path,)) == Path("/f/VARS.fd")
    assert firmware.template_for(Path("/f/OTHER.fd"), (tmp_path,)) is None


def test_virt_firmware_finds_the_authorities_of_https_boot(nvram: Nvram) -> None:
    nvram.configure(authorities=[b"in DER: one", b"in DER: another"], order=(), secure_boot=None)
    assert "TlsCaCertificate" in printed(nvram)
    nvram.configure(authorities=[], order=(), secure_boot=None)
    assert "TlsCaCertificate" not in printed(nvram)


def test_the_store_that_is_made_for_arm64_has_the_head_of_debians_own(tmp_path: Path) -> None:
    found = firmware.find(Arch.ARM64)
    made = Nvram(tmp_path / "variables.fd", found)
    made.ensure()
    enrolled = found.variables.with_name("AAVMF_VARS.ms.fd").read_bytes()
    head = 0x48 + 28  # of volume and store; Debian's holds keys behind it
    assert made.path.read_bytes()[:head] == enrolled[:head]
    made.request_boot(URL)
    assert f"devpath=URI({URL})" in printed(made)
