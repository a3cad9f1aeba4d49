"""Who asks, read from messages of both families."""

from __future__ import annotations

import uuid
from dataclasses import replace
from ipaddress import IPv6Address

from ironic_httpboot.dhcp.client import Wants, identify4, identify6
from ironic_httpboot.dhcp.iana import Kind6, Option4, Option6
from ironic_httpboot.dhcp.message6 import Message6, Option, Relay6, encode
from kit.dhcp import HTTP, MAC, PXE, question4, question6

GLOBAL = IPv6Address("2001:db8::7")


def test_what_a_client_is_after_is_in_its_vendor_and_user_class() -> None:
    ipxe: dict[int, bytes] = {Option4.USER_CLASS: b"iPXE"}
    assert identify4(question4(vendor=HTTP)).wants is Wants.URL
    assert identify4(question4(vendor=PXE)).wants is Wants.PXE
    assert identify4(question4(vendor=PXE, options=ipxe)).wants is Wants.SCRIPT
    assert identify4(question4(vendor=b"")).wants is Wants.ADDRESS
    user = Option(Option6.USER_CLASS, b"\0\x04iPXE")
    assert identify6(question6(Kind6.SOLICIT, user), (), GLOBAL).wants is Wants.SCRIPT
    assert identify6(question6(), (), GLOBAL).wants is Wants.URL


def test_a_v4_client_is_known_by_mac_uuid_and_architecture() -> None:
    client = identify4(question4())
    assert (client.mac, client.arch_label, client.label) == (MAC, "x64", "52:54:00:12:34:56")
    assert client.uuids == (uuid.UUID(bytes_le=bytes(range(1, 17))),)
    assert client.key == b"\x01" + MAC
    assert identify4(question4(options={Option4.CLIENT_ID: b"\xffabc"})).key == b"\xffabc"


def test_a_client_without_a_hardware_address_is_known_by_what_else_it_shows() -> None:
    """As over InfiniBand (RFC 4390), where hlen is 0."""
    bare = replace(question4(), htype=32, hlen=0)
    assert identify4(bare).key == bytes(range(17)), "option 97, whole"
    assert identify4(bare).label == bytes(range(17)).hex()
    identified = replace(question4(options={Option4.CLIENT_ID: b"\xffabc"}), htype=32, hlen=0)
    assert identify4(identified).key == b"\xffabc"
    assert identify4(replace(question4(vendor=b""), htype=32, hlen=0)).key == b""
    broken = replace(question4(options={Option4.MACHINE_ID: b"abc"}), htype=32, hlen=0)
    assert identify4(broken).key == b"", "no UUID"


def test_of_an_option_that_is_malformed_nothing_is_learnt() -> None:
    broken: dict[int, bytes] = {Option4.MACHINE_ID: b"abc", Option4.ARCHITECTURE: b"\0"}
    client = identify4(question4(options=broken))
    assert (client.uuids, client.architecture, client.arch_label) == ((), None, None)
    options = (
        Option(Option6.CLIENT_ID, b"abc"),
        Option(Option6.VENDOR_CLASS, b"\0"),
        Option(Option6.ARCHITECTURE, b"a"),
    )
    assert identify6(Message6(kind=1, transaction=1, options=options), (), GLOBAL).wants is Wants.ADDRESS


def test_a_v6_clients_mac_is_told_by_relay_then_address_then_duid() -> None:
    by_duid = question6(duid=b"\0\x01\0\x01\0\0\0\x01" + MAC)
    assert identify6(by_duid, (), GLOBAL).mac == MAC
    assert identify6(by_duid, (), IPv6Address("fe80::200:ff:fe00:9")).mac == bytes.fromhex("000000000009")
    relay = Relay6(
        kind=12,
        hop_count=0,
        link_address=GLOBAL,
        peer_address=GLOBAL,
        options=(Option(Option6.LINK_LAYER_ADDRESS, b"\0\x01\x02\0\0\0\0\x08"), Option(9, encode(by_duid))),
    )
    assert identify6(by_duid, (relay,), GLOBAL).mac == bytes.fromhex("020000000008")


def test_a_uuid_in_a_duid_is_read_both_ways() -> None:
    raw = bytes(range(16))
    client = identify6(question6(duid=b"\0\x04" + raw), (), GLOBAL)
    assert set(client.uuids) == {uuid.UUID(bytes=raw), uuid.UUID(bytes_le=raw)}
    assert client.mac == b""
