"""Neutron's API, DHCP driver and dnsmasq take what HTTP boot needs: see docs/explanation/neutron.md."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from ironic_httpboot.demo import guest
from ironic_httpboot.dhcp import export, message6
from ironic_httpboot.dhcp.firmware import Rule, assess6
from ironic_httpboot.dhcp.iana import Kind6, Option6
from kit import neutron
from kit.asker import ask6
from kit.dhcp import MAC, question6
from kit.judges import judge
from kit.network import BRIDGE, SERVER4, SERVER6, Namespace, namespace
from kit.neutron import ONLY_FIRMWARE, Neutron, exported, http_boot, option

_GOLDEN = Path(__file__).parents[2] / "golden" / "dhcp" / "neutron-opts.txt"
_MAC = MAC.hex(":")
_URL4, _URL6 = (f"http://{host}:8080/Kq3vXb2m/node.iso" for host in (SERVER4, f"[{SERVER6}]"))
_SCRIPT = f"http://{SERVER4}:8080/Kq3vXb2m/boot.ipxe"
_HOST = export.Host(name="node", mac=_MAC, url4=_URL4, url6=_URL6, script=_SCRIPT)
_FIRMWARE, _PXE, _SYSTEM = ("-V", "HTTPClient:Arch:00016"), ("-V", "PXEClient:Arch:00007"), ("-V", "system")
_IPXE = ("-V", "PXEClient:Arch:00007", "-x", "0xaf:010101")
_RIGHT = "00:00:01:57:00:0a:48:54:54:50:43:6c:69:65:6e:74"


@pytest.fixture(scope="module")
def client() -> Iterator[tuple[Neutron, Namespace]]:
    """The agent with the machine's port, and on its network a client with that port's MAC."""
    with namespace(bridge=(f"{SERVER4}/24", f"{SERVER6}/64")) as host, namespace() as made:
        host.cable("client", made, "eth0", bridge=BRIDGE)
        for words in (("down",), ("address", _MAC), ("up",)):
            made.run("ip", "link", "set", "eth0", *words)
        with neutron.neutron(host, _MAC, dnsmasq=ONLY_FIRMWARE) as network:
            network.start()
            yield network, made


def given(client: Namespace, folder: Path, *options: str) -> dict[str, str]:
    """What a DHCPv4 client with a vendor class (-V) is given, who asks for the URL and option 60."""
    script = folder / "script"
    script.write_text("#!/bin/sh\nenv\n")
    script.chmod(0o755)
    wanted = ("-O", "bootfile", "-O", "60")
    said = client.run(
        guest.find_parts().busybox, "udhcpc", "-f", "-n", "-q", "-i", "eth0", "-s", script, *wanted, *options
    )
    found = dict(line.split("=", 1) for line in said.splitlines() if "=" in line)
    assert found["ip"] == "192.0.2.100"
    return {name: found[name] for name in ("bootfile", "vendor") if name in found}


def answer6(client: Namespace, vendor: bytes = b"HTTPClient:Arch:00016:UNDI:003000") -> message6.Message6:
    """The answer to a SOLICIT that asks for 59 and 16, as firmware does."""
    asked = message6.Option(Option6.REQUESTED_OPTIONS, bytes.fromhex("003b 003c 0017 0010"))
    return ask6(client, question6(Kind6.SOLICIT, asked, vendor=vendor))


@pytest.mark.parametrize("value", ["http://192.0.2.1/" + "a" * 239, "http://192.0.2.1/x.iso\ndhcp-option=1"])
def test_the_api_refuses_a_url_of_256_characters_and_a_second_line(
    value: str, client: tuple[Neutron, Namespace]
) -> None:
    network, _ = client
    assert "No valid key specs matched" in network.driver.ask("validate", options=[option("67", value, 4)])


def test_the_api_takes_what_export_says_and_the_driver_writes_it_for_dnsmasq(client: tuple[Neutron, Namespace]) -> None:
    network, _ = client
    network.restart(exported(network, _HOST))
    written = network.wrote("opts") + "\n"
    if os.environ.get("HTTPBOOT_GOLDEN"):
        _GOLDEN.write_text(written)
    assert written == _GOLDEN.read_text()
    assert f"[2001:db8::100],set:port-{neutron.PORT}\n" in network.wrote("host")


def test_a_port_without_a_tag_offers_the_url_to_whoever_has_the_mac(
    client: tuple[Neutron, Namespace], tmp_path: Path
) -> None:
    network, machine = client
    network.restart(http_boot(_URL4))
    for each in (_FIRMWARE, _PXE, _SYSTEM):
        assert given(machine, tmp_path, *each) == {"bootfile": _URL4, "vendor": "HTTPClient"}


def test_a_port_with_the_tag_of_an_operators_line_offers_it_to_firmware_alone(
    client: tuple[Neutron, Namespace], tmp_path: Path
) -> None:
    network, machine = client
    network.restart([*http_boot(_URL4, tag="http"), *http_boot(_URL6, tag="http")])
    assert given(machine, tmp_path, *_FIRMWARE) == {"bootfile": _URL4, "vendor": "HTTPClient"}
    assert given(machine, tmp_path, *_PXE) == given(machine, tmp_path, *_SYSTEM) == {}
    assert answer6(machine).get(Option6.BOOT_URL) == _URL6.encode()
    assert answer6(machine, vendor=b"").get(Option6.BOOT_URL) is None


@pytest.mark.parametrize("turned", [False, True])
def test_ipxe_gets_its_script_in_whatever_order_neutron_keeps_the_options(
    turned: bool, client: tuple[Neutron, Namespace], tmp_path: Path
) -> None:
    network, machine = client
    options = exported(network, _HOST)
    network.restart(options[::-1] if turned else options)
    assert given(machine, tmp_path, *_FIRMWARE) == {"bootfile": _URL4, "vendor": "HTTPClient"}
    assert given(machine, tmp_path, *_IPXE)["bootfile"] == _SCRIPT


def test_a_plain_67_beside_the_scripts_depends_on_that_order(client: tuple[Neutron, Namespace], tmp_path: Path) -> None:
    """Why `httpboot export neutron` writes tag:!ipxe,67: dnsmasq takes the last line that fits."""
    network, machine = client
    plain, script = option("67", _URL4, 4), option("tag:ipxe,67", _SCRIPT, 4)
    network.restart([plain, script])
    assert given(machine, tmp_path, *_IPXE)["bootfile"] == _SCRIPT
    network.restart([script, plain])
    assert given(machine, tmp_path, *_IPXE)["bootfile"] == _URL4


def test_a_port_whose_options_are_gone_offers_no_url(client: tuple[Neutron, Namespace], tmp_path: Path) -> None:
    network, machine = client
    network.restart(http_boot(_URL4))
    assert given(machine, tmp_path, *_FIRMWARE)
    network.restart([])
    assert given(machine, tmp_path, *_FIRMWARE) == {}


def test_dnsmasq_2_90_ends_when_a_port_changes_after_a_lease_and_the_agent_starts_it_anew(
    client: tuple[Neutron, Namespace], tmp_path: Path
) -> None:
    """A host's line with a tag, which every port with extra_dhcp_opts has, PXE's as well, is freed wrongly."""
    network, machine = client
    network.restart(http_boot(_URL4))
    assert network.hang_up(), "without a lease there is nothing wrong"
    assert given(machine, tmp_path, *_FIRMWARE)
    is_2_90 = b"version 2.90 " in judge("dnsmasq", "--version")
    assert network.hang_up() == (not is_2_90)
    network.restart(http_boot(_URL4))
    assert given(machine, tmp_path, *_FIRMWARE)


@pytest.mark.parametrize(
    ("value", "sent"),
    [
        (neutron.VENDOR_CLASS6, "000e 30303030 48545450436c69656e74"),
        ("HTTPClient", "000a 48545450436c69656e74"),
        (_RIGHT, "002f" + _RIGHT.encode().hex()),
        ("343,HTTPClient", "0003 333433 000a 48545450436c69656e74"),
    ],
)
def test_no_value_of_option_16_is_the_right_one_and_one_satisfies_firmware(
    value: str, sent: str, client: tuple[Neutron, Namespace]
) -> None:
    network, machine = client
    network.restart([option("59", _URL6, 6), option("16", value, 6)])
    answer = answer6(machine)
    assert answer.get(Option6.VENDOR_CLASS) == bytes.fromhex(sent), "dnsmasq: text, with a length before each part"
    flaw = assess6(answer, server="", size_bytes=300).flaw
    assert flaw is (None if value == neutron.VENDOR_CLASS6 else Rule.BAD_CLASS6)


def test_the_url_alone_as_ironic_39_sets_it_is_not_enough_for_firmware(client: tuple[Neutron, Namespace]) -> None:
    network, machine = client
    network.restart([option("59", _URL6, 6)])
    answer = answer6(machine)
    assert answer.get(Option6.BOOT_URL) == _URL6.encode()
    assert assess6(answer, server="", size_bytes=300).flaw is Rule.NO_CLASS6


def test_ovns_own_dhcp_never_hears_of_the_vendor_class(client: tuple[Neutron, Namespace]) -> None:
    network, _ = client
    assert network.driver.ask("ovn", options=list(http_boot(_URL4)), version=4) == {"bootfile_name": f'"{_URL4}"'}
    assert network.driver.ask("ovn", options=list(http_boot(_URL6)), version=6) == {"bootfile_name": f'"{_URL6}"'}


def test_the_page_on_neutron_says_what_was_tried() -> None:
    page = (Path(__file__).parents[3] / "docs" / "explanation" / "neutron.md").read_text()
    for line in ONLY_FIRMWARE.split():
        assert line in page
    for each in (*http_boot(_URL4), *http_boot(_URL6)):
        assert f'"opt_name": "{each["opt_name"]}"' in page
        assert f'"opt_value": "{each["opt_value"]}"'.replace("Kq3vXb2m", "…") in page
