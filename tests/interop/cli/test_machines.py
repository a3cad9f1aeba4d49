"""Machines of a file whose payload is a loader: what is published for them, and what they are told."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

import pytest

from ironic_httpboot import config
from ironic_httpboot.cli.machines import Images, policy_of
from ironic_httpboot.demo import guest
from ironic_httpboot.dhcp.client import Client
from ironic_httpboot.dhcp.policy import Boot
from ironic_httpboot.errors import BadConfig
from ironic_httpboot.http.store import Store

FILE = """
[http]
store = "store"

[dhcp]
interfaces = ["lo"]

[[machine]]
name = "one"
mac = "52:54:00:00:00:01"
kernel = "{kernel}"
payload = "{payload}"
"""


def read(folder: Path, payload: str) -> config.ServeFile:
    path = folder / "httpboot.toml"
    path.write_text(FILE.format(kernel=guest.find_parts().kernel, payload=payload))
    return config.read(path, config.ServeFile)


ASKS = Client(key=b"1", mac=bytes.fromhex("525400123456"), architecture=16, vendor_class=b"HTTPClient")


def boot_of(folder: Path, text: str) -> Boot:
    """What the machine that asks boots by a file."""
    path = folder / "httpboot.toml"
    path.write_text(text)
    file = config.read(path, config.ServeFile)
    assert file.dhcp is not None
    machine = policy_of(file, file.dhcp, None).machines.find(ASKS)
    assert machine is not None
    assert machine.boot is not None
    return machine.boot


@pytest.mark.parametrize(("payload", "loader", "names"), [("grub", "grubx64.efi", 3), ("ipxe", "ipxex64.efi", 3)])
def test_each_piece_is_published_and_withdrawn_with_its_machine(
    payload: str, loader: str, names: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = read(tmp_path, payload)
    monkeypatch.setattr(config, "made_folder", lambda: tmp_path / "made")
    images = Images(Store(tmp_path / "store"), 8080, "192.0.2.1")
    boot = images.boot_of(file.machine[0])
    assert boot.url is not None
    assert boot.url.startswith("http://192.0.2.1:8080/")
    assert boot.url.endswith(f"/{loader}")
    assert (boot.script is not None) is (payload == "ipxe")
    assert images.boot_of(file.machine[0]) == boot, "it is published once"
    assert len(list((tmp_path / "store").iterdir())) == names
    images.keep(())
    assert list((tmp_path / "store").iterdir()) == []


def test_without_one_address_the_urls_cannot_be_written_down(tmp_path: Path) -> None:
    file = read(tmp_path, "ipxe")
    with pytest.raises(BadConfig, match="payload ipxe writes URLs down"):
        Images(Store(tmp_path / "store"), 8080).boot_of(file.machine[0])


def test_a_machine_with_a_script_of_its_own_boots_the_loader_that_others_do(tmp_path: Path) -> None:
    boot = boot_of(
        tmp_path,
        '[dhcp]\ninterfaces = ["lo"]\nurl = "http://{server}/all.iso"\n[dhcp.loaders]\nx64 = "http://{server}/ipxe.efi"\n'
        '[[machine]]\nmac = "52:54:00:12:34:56"\nscript = "http://{server}/one.ipxe"\n',
    )
    server = IPv4Address("192.0.2.1")
    assert boot.url_for(ASKS, server) == "http://192.0.2.1/ipxe.efi"
    assert boot.url_for(replace(ASKS, architecture=19), server) == "http://192.0.2.1/all.iso"
    assert boot.url_for(replace(ASKS, user_classes=(b"iPXE",)), server) == "http://192.0.2.1/one.ipxe"


def test_a_machine_with_a_url_for_ipv6_is_told_that_over_ipv6(tmp_path: Path) -> None:
    boot = boot_of(
        tmp_path,
        '[dhcp]\ninterfaces = ["lo"]\nscript = "http://{server}/all.ipxe"\n'
        '[[machine]]\nmac = "52:54:00:12:34:56"\nurl = "http://boot.example/4.efi"\n'
        'url6 = "http://{server}:8086/6.efi"\nscript = "http://boot.example/4.ipxe"\nscript6 = "http://{server}/6.ipxe"\n',
    )
    four, six = IPv4Address("192.0.2.1"), IPv6Address("2001:db8::1")
    again = replace(ASKS, user_classes=(b"iPXE",))
    assert [boot.url_for(client, four) for client in (ASKS, again)] == [
        "http://boot.example/4.efi",
        "http://boot.example/4.ipxe",
    ]
    assert [boot.url_for(client, six) for client in (ASKS, again)] == [
        "http://[2001:db8::1]:8086/6.efi",
        "http://[2001:db8::1]/6.ipxe",
    ]
