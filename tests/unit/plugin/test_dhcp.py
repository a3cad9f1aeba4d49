"""Machine files of the DHCP provider `httpboot`: `httpboot serve` reads what Ironic's options say."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from ironic.conf import CONF

from ironic_httpboot import config
from ironic_httpboot.model import BootUrl
from ironic_httpboot.plugin.dhcp import forget, machine_file, remembered
from ironic_httpboot.plugin.dhcp_options import options
from ironic_httpboot.plugin.payload import Offer

OURS = Offer(
    url=BootUrl.parse("http://192.0.2.1:8080/s/boot.efi"), then=BootUrl.parse("http://192.0.2.1:8080/t/boot.ipxe")
)
THEIRS = Offer(url=BootUrl.parse("https://images.example/rescue.iso"))
MACS = ["52:54:00:00:00:01", "52:54:00:00:00:02"]


@pytest.fixture(autouse=True)
def configured(tmp_path: Path) -> Iterator[None]:
    CONF.set_override("url", "http://192.0.2.1:8080", group="httpboot")
    CONF.set_override("machines", str(tmp_path), group="httpboot")
    yield
    CONF.clear_override("url", group="httpboot")
    CONF.clear_override("machines", group="httpboot")


def read(text: str, folder: Path) -> tuple[config.BootedMachineTable, ...]:
    (folder / "node.toml").write_text(text)
    return config.read(folder / "node.toml", config.MachinesFile).machine


def test_each_port_is_a_machine_and_our_urls_name_whichever_address_the_server_has(tmp_path: Path) -> None:
    found = read(machine_file("node-1", MACS, options({4: OURS}, "httpboot", tags=False)), tmp_path)
    assert [machine.mac for machine in found] == MACS
    assert {(machine.name, machine.url, machine.script) for machine in found} == {
        ("node-1", "http://{server}:8080/s/boot.efi", "http://{server}:8080/t/boot.ipxe")
    }


def test_the_operators_own_url_stays_as_it_is(tmp_path: Path) -> None:
    (found, _) = read(machine_file("node-1", MACS, options({4: THEIRS}, "httpboot", tags=False)), tmp_path)
    assert (found.url, found.script) == ("https://images.example/rescue.iso", None)


def offer(base: str) -> Offer:
    return Offer(url=BootUrl.parse(f"{base}/s/boot.efi"), then=BootUrl.parse(f"{base}/t/boot.ipxe"))


@pytest.mark.parametrize(
    ("url", "url6"),
    [
        ("https://boot.example", None),
        ("http://boot.example:8080", None),
        ("https://192.0.2.1", None),
        ("http://192.0.2.1:8080", "http://[2001:db8::1]:8086"),
        ("http://192.0.2.1:8080", "https://[2001:db8::1]:8080"),
        ("http://four.example", "http://six.example"),
    ],
)
def test_machines_are_told_the_configured_url_where_no_other_address_can_stand_for_it(
    tmp_path: Path, url: str, url6: str | None
) -> None:
    CONF.set_override("url", url, group="httpboot")
    CONF.set_override("url6", url6, group="httpboot")
    offers = {4: offer(url), **({6: offer(url6)} if url6 else {})}
    try:
        (found, _) = read(machine_file("node-1", MACS, options(offers, "httpboot", tags=False)), tmp_path)
    finally:
        CONF.clear_override("url6", group="httpboot")
    assert (found.url, found.script) == (f"{url}/s/boot.efi", f"{url}/t/boot.ipxe")
    assert (found.url6, found.script6) == ((f"{url6}/s/boot.efi", f"{url6}/t/boot.ipxe") if url6 else (None, None))


def test_each_family_is_told_the_pieces_that_are_its_own(tmp_path: Path) -> None:
    CONF.set_override("url6", "http://[2001:db8::1]:8080", group="httpboot")
    six = Offer(
        url=BootUrl.parse("http://[2001:db8::1]:8080/s6/boot.efi"),
        then=BootUrl.parse("http://[2001:db8::1]:8080/t6/boot.ipxe"),
    )
    try:
        (found, _) = read(machine_file("node-1", MACS, options({4: OURS, 6: six}, "httpboot", tags=False)), tmp_path)
    finally:
        CONF.clear_override("url6", group="httpboot")
    assert (found.url, found.script) == ("http://{server}:8080/s/boot.efi", "http://{server}:8080/t/boot.ipxe")
    assert (found.url6, found.script6) == ("http://{server}:8080/s6/boot.efi", "http://{server}:8080/t6/boot.ipxe")


def test_files_of_nodes_that_are_gone_are_found_and_forgotten(tmp_path: Path) -> None:
    (tmp_path / "node-1.toml").write_text("")
    (tmp_path / ".node-2.toml.part").write_text("")
    assert remembered() == {"node-1"}
    forget("node-1")
    forget("node-1")
    assert remembered() == set()
