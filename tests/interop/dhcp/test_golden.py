"""Captures of real firmware and others' clients: read, written again to the same bytes, decided; and tshark agrees."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv6Address
from pathlib import Path
from typing import Any

import pytest

from ironic_httpboot.dhcp import message4, message6
from ironic_httpboot.dhcp.client import Wants, identify6
from ironic_httpboot.dhcp.decide4 import Reply4, decide4
from ironic_httpboot.dhcp.decide6 import Arrival6, Reply6, decide6
from ironic_httpboot.dhcp.iana import Kind4, Kind6, Op, Option6
from ironic_httpboot.dhcp.message6 import AnyMessage6, Message6, Relay6
from kit.captures import GOLDEN, datagrams, dissected
from kit.dhcp import SERVER4, SERVER6, SERVER_DUID, leases, policy

CAPTURES = sorted(GOLDEN.glob("*.pcap"))
OTHERS = ("dhclient4", "dhclient6")
FIRMWARE = [path for path in CAPTURES if path.stem not in OTHERS]
"""With the loaders that firmware started in them, where there are any."""
_PATHS = {"server4", "server6", "proxy4", "proxy6", "relayed4", "relayed6", "arm64", "loaders4", "loaders6", *OTHERS}


def test_there_are_captures_of_each_path() -> None:
    assert {path.stem for path in CAPTURES} >= _PATHS


@pytest.mark.parametrize("path", CAPTURES, ids=lambda path: path.stem)
def test_every_message_is_written_again_to_the_same_bytes(path: Path) -> None:
    count = 0
    for each in datagrams(path):
        count += 1
        if each.version == 4:
            assert message4.encode(message4.decode(each.data)) == each.data
        else:
            assert message6.encode(message6.decode(each.data)) == each.data
    assert count >= 4


@pytest.mark.parametrize("path", CAPTURES, ids=lambda path: path.stem)
def test_tshark_reads_the_same(path: Path) -> None:
    for each, layers in zip(datagrams(path), dissected(path), strict=True):
        if each.version == 4:
            message = message4.decode(each.data)
            dhcp = layers["dhcp"]
            codes = [option.code for option in message.options if option.code]
            types4 = [int(kind) for kind in _all(dhcp["dhcp.option.type"]) if kind not in ("0", "255")]
            assert types4 == codes
            assert int(dhcp["dhcp.id"], 16) == message.xid
            assert dhcp["dhcp.hw.mac_addr"] == message.hardware_address.hex(":")
            assert dhcp["dhcp.ip.your"] == str(message.yiaddr)
            assert dhcp["dhcp.ip.relay"] == str(message.giaddr)
        else:
            _agrees6(message6.decode(each.data), layers["dhcpv6"])


def _agrees6(message: AnyMessage6, dhcpv6: dict[str, Any]) -> None:
    """A message, and the one inside where it is a relay's."""
    assert int(dhcpv6["dhcpv6.msgtype"]) == message.kind
    found = [inner for value in dhcpv6.values() if isinstance(value, dict | list) for inner in _all(value)]
    inside = [inner for inner in found if "dhcpv6.option.type" in inner]
    types = [int(inner["dhcpv6.option.type"]) for inner in inside]
    assert sorted(types) == sorted(option.code for option in message.options)
    if isinstance(message, Message6):
        assert int(dhcpv6["dhcpv6.xid"], 16) == message.transaction
        return
    assert IPv6Address(dhcpv6["dhcpv6.linkaddr"]) == message.link_address
    assert IPv6Address(dhcpv6["dhcpv6.peeraddr"]) == message.peer_address
    (relayed,) = [inner["dhcpv6"] for inner in inside if inner["dhcpv6.option.type"] == str(int(Option6.RELAY_MESSAGE))]
    _agrees6(message6.decode(message.relayed or b""), relayed)


@pytest.mark.parametrize("path", FIRMWARE, ids=lambda path: path.stem)
def test_what_firmware_asks_is_answered_with_a_url(path: Path) -> None:
    answered = [reply for each in datagrams(path) if (reply := _decided(each.version, each.data)) is not None]
    assert answered
    for reply in answered:
        assert reply.client.mac
        match reply.client.wants:
            case Wants.URL | Wants.SCRIPT:
                assert reply.client.uuids
                assert reply.client.arch_label == ("arm64" if path.stem == "arm64" else "x64")
                assert reply.url_sent
            case Wants.PXE | Wants.ADDRESS:
                assert not reply.url_sent, "firmware's turn for PXE, and GRUB, which knows where to go on"
    assert any(reply.client.wants is Wants.URL for reply in answered)


def _decided(version: int, data: bytes) -> Reply4 | Reply6 | None:
    """The answer to a first question, or None for any other message."""
    if version == 4:
        message = message4.decode(data)
        if message.op != Op.REQUEST or message.kind != Kind4.DISCOVER:
            return None
        message = replace(message, giaddr=message4.UNSPECIFIED)  # a relay's network is none of the kit's
        reply4 = decide4(message, SERVER4, policy(), leases(4), 0)
        assert isinstance(reply4, Reply4)
        return reply4
    message_6 = message6.decode(data)
    if isinstance(message_6, Relay6):
        message_6 = replace(message_6, link_address=SERVER6)  # as above
    inner = message6.decode(message_6.relayed or b"") if isinstance(message_6, Relay6) else message_6
    if not isinstance(inner, Message6) or inner.kind != Kind6.SOLICIT:
        return None
    peer = IPv6Address("fe80::5054:ff:fe12:3456")
    assert identify6(inner, (), peer).uuids, "OVMF's DUID is its UUID"
    assert inner.get(Option6.IA_NA)
    reply6 = decide6(message_6, Arrival6(peer=peer, server=SERVER6, duid=SERVER_DUID), policy(), leases(6), 0)
    assert isinstance(reply6, Reply6)
    return reply6


def _all(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
