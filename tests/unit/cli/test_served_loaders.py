"""Loaders of the operator's own that machines are told to fetch from here: those that cannot work are told."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_address
from pathlib import Path

import pytest

from ironic_httpboot import config
from ironic_httpboot.cli.served_loaders import ServedLoaders
from ironic_httpboot.model import Arch
from kit import efi

MACHINE = """
[[machine]]
name = "node"
mac = "52:54:00:00:00:01"
url = "{url}"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "x64.efi").write_bytes(efi.kernel())
    (tmp_path / "arm64.efi").write_bytes(efi.kernel(Arch.ARM64))
    (tmp_path / "ipxe.efi").write_bytes(efi.program(body=b"ipxe.org\0HTTP\0"))
    (tmp_path / "shim.efi").write_bytes(efi.with_section(".sbat", b"shim,1\n"))
    (tmp_path / "text.efi").write_bytes(b"an error page")
    return tmp_path


def concerns(folder: Path, dhcp: str, machine: str = "", *, port: int = 8080, here: Sequence[str] = ()) -> list[str]:
    file = folder / "httpboot.toml"
    file.write_text(f"[dhcp]\ninterfaces = ['lo']\n{dhcp}\n{machine}")
    read = config.read(file, config.ServeFile)
    assert read.dhcp is not None
    addresses = [ip_address(each) for each in here]
    return ServedLoaders([folder / "none", folder], port).concerns(read.dhcp, read.machine, addresses)


def test_what_fits_is_not_mentioned(folder: Path) -> None:
    loaders = "".join(f'{arch.value} = "http://{{server}}:8080/{arch.value}.efi"\n' for arch in Arch)
    machine = MACHINE.format(url="http://{server}:8080/arm64.efi")
    assert concerns(folder, f"[dhcp.loaders]\n{loaders}", machine) == [], "a url says nothing of who fetches it"


@pytest.mark.parametrize(
    ("dhcp", "machine", "concern"),
    [
        (
            '[dhcp.loaders]\nx64 = "http://{server}:8080/arm64.efi"',
            "",
            "dhcp.loaders.x64: FOLDER/arm64.efi: is a program for arm64, not x64",
        ),
        (
            "",
            MACHINE.format(url="http://{server}:8080/x64.efi") + 'arch = "arm64"',
            "machine node: url: FOLDER/x64.efi: is a program for x64, not arm64",
        ),
        ('url = "http://{server}:8080/text.efi"', "", "dhcp.url: FOLDER/text.efi: no EFI program"),
        (
            'script = "https://boot.example/a.ipxe"\nurl = "http://{server}:8080/ipxe.efi"',
            "",
            "dhcp.url: FOLDER/ipxe.efi: this iPXE was built without HTTPS",
        ),
        (
            "",
            MACHINE.format(url="http://{server}:8080/shim.efi"),
            "machine node: url: FOLDER/shim.efi: a shim fetches grubx64.efi beside it, which is not there",
        ),
        (
            "",
            MACHINE.format(url="http://boot.example/a.efi") + 'url6 = "http://{server}:8080/text.efi"',
            "machine node: url6: FOLDER/text.efi: no EFI program",
        ),
    ],
)
def test_what_cannot_work_is_said_with_key_file_and_reason(folder: Path, dhcp: str, machine: str, concern: str) -> None:
    (said,) = concerns(folder, dhcp, machine)
    assert said.startswith(concern.replace("FOLDER", str(folder)))


@pytest.mark.parametrize(
    "url",
    [
        "http://{server}:8081/text.efi",
        "http://192.0.2.1:8080/text.efi",
        "https://{server}:8080/text.efi",
        "http://{server}:8080/missing.efi",
        "http://{server}:8080/none/../text.efi",
    ],
)
def test_what_leads_elsewhere_is_not_looked_into(folder: Path, url: str) -> None:
    assert concerns(folder, f'url = "{url}"') == []


@pytest.mark.parametrize("host", ["192.0.2.1", "[2001:db8::1]", "[2001:db8:0:0::1]"])
def test_the_addresses_that_are_listened_on_lead_here_too(folder: Path, host: str) -> None:
    here = ("192.0.2.1", "2001:db8::1")
    assert len(concerns(folder, f'url = "http://{host}:8080/text.efi"', here=here)) == 1


def test_port_80_need_not_be_said(folder: Path) -> None:
    assert len(concerns(folder, 'url = "http://{server}/text.efi"', port=80)) == 1
