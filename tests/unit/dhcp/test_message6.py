"""DHCPv6 messages: what is read is written again to the same bytes, and only what is malformed is refused."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from ipaddress import IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ironic_httpboot.dhcp import message6
from ironic_httpboot.dhcp.iana import Kind6, Option6, Status6
from ironic_httpboot.dhcp.message6 import IaAddress, IaNa, Message6, Option, Relay6, VendorClass, decode, encode
from ironic_httpboot.errors import MalformedMessage

# An HTTP boot's SOLICIT as OVMF 2022.11 lays it out, annotated by option.
SOLICIT = (
    bytes.fromhex("01 123456")
    + bytes.fromhex("0001 0012 0004 00112233445566778899aabbccddeeff")  # DUID-UUID
    + bytes.fromhex("0008 0002 0000")
    + bytes.fromhex("0003 000c 12345678 00000000 00000000")
    + bytes.fromhex("0006 0008 003b 003c 0017 0010")
    + bytes.fromhex("003d 0002 0010")
    + bytes.fromhex("003e 0003 010300")
    + bytes.fromhex("0010 0027 00000157 0021")
    + b"HTTPClient:Arch:00016:UNDI:003000"
)
LINK, PEER = IPv6Address("2001:db8::1"), IPv6Address("fe80::1")


def test_the_options_of_an_http_boots_solicit_are_read() -> None:
    message = decode(SOLICIT)
    assert isinstance(message, Message6)
    assert (message.kind, message.transaction) == (Kind6.SOLICIT, 0x123456)
    assert message6.decode_ia(message.get(Option6.IA_NA) or b"") == IaNa(iaid=0x12345678)
    assert message6.numbers(message.get(Option6.REQUESTED_OPTIONS) or b"") == (59, 60, 23, 16)
    vendor = message6.decode_vendor_class(message.get(Option6.VENDOR_CLASS) or b"")
    assert vendor == VendorClass(enterprise=343, classes=(b"HTTPClient:Arch:00016:UNDI:003000",))
    assert message.get(Option6.RAPID_COMMIT) is None
    assert encode(message) == SOLICIT


def test_the_vendor_class_that_firmware_looks_for_has_the_name_at_its_sixth_byte() -> None:
    data = message6.http_client_class(b"HTTPClient")
    assert data.hex() == "00000157000a48545450436c69656e74"
    assert data[6:16] == b"HTTPClient"


def test_a_relays_message_carries_another_one() -> None:
    relay = Relay6(
        kind=Kind6.RELAY_FORWARD,
        hop_count=1,
        link_address=LINK,
        peer_address=PEER,
        options=(Option(Option6.INTERFACE_ID, b"eth7"), Option(Option6.RELAY_MESSAGE, SOLICIT)),
    )
    read = decode(encode(relay))
    assert read == relay
    assert isinstance(read, Relay6)
    assert decode(read.relayed or b"") == decode(SOLICIT)


def test_a_chain_of_a_thousand_relays_is_read_no_deeper_than_is_asked() -> None:
    data = SOLICIT
    for number in range(1000):
        relay = Relay6(
            kind=Kind6.RELAY_FORWARD,
            hop_count=number % 256,
            link_address=LINK,
            peer_address=PEER,
            options=(Option(Option6.RELAY_MESSAGE, data),),
        )
        data = encode(relay)
        if len(data) > 65000:
            break
    assert encode(decode(data)) == data


def test_addresses_stand_in_an_association() -> None:
    address = IaAddress(address=IPv6Address("2001:db8::5"), preferred=300, valid=600)
    ia = IaNa(iaid=7, t1=150, t2=240, options=(Option(Option6.IA_ADDRESS, message6.encode_address(address)),))
    assert message6.decode_ia(message6.encode_ia(ia)).addresses == (address,)


def test_a_status_has_a_code_and_words() -> None:
    option = message6.status(Status6.NO_BINDING, "not here")
    assert message6.decode_status(option.data) == (Status6.NO_BINDING, "not here")


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "0 bytes"),
        (b"\x01\0\0", "3 bytes"),
        (bytes((12, 0)) + bytes(31), "relay message: 33 bytes, less than the 34"),
        (b"\x01\0\0\0\0\x01\0", "option at offset 4: its header runs over the end at 7"),
        (b"\x01\0\0\0\0\x01\0\x05ab", "option 1 at offset 4: runs over the end at 10"),
    ],
)
def test_what_is_malformed_is_refused_with_option_and_offset(data: bytes, why: str) -> None:
    with pytest.raises(MalformedMessage, match=why):
        decode(data)


@pytest.mark.parametrize(
    ("read", "data"),
    [
        (message6.decode_ia, bytes(11)),
        (message6.decode_address, bytes(23)),
        (message6.decode_vendor_class, bytes(3)),
        (message6.decode_classes, b"\0\x05abc"),
        (message6.decode_classes, b"\0"),
        (message6.numbers, b"\0"),
        (message6.addresses, b""),
        (message6.addresses, bytes(15)),
        (message6.decode_status, b"\0"),
        (message6.link_layer_address, b"\0\x01"),
    ],
)
def test_the_insides_of_options_are_checked(read: Callable[[bytes], object], data: bytes) -> None:
    with pytest.raises(MalformedMessage):
        read(data)


@given(st.binary(max_size=300))
def test_any_bytes_are_read_and_written_again_or_are_malformed(data: bytes) -> None:
    try:
        message = decode(data)
    except MalformedMessage:
        return
    assert encode(message) == data


@given(
    st.sampled_from([1, 5, 12, 13]),
    st.binary(min_size=33, max_size=33),
    st.lists(st.tuples(st.integers(0, 65535), st.binary(max_size=50)), max_size=8),
)
def test_any_options_are_kept_in_their_order(kind: int, header: bytes, options: list[tuple[int, bytes]]) -> None:
    head = bytes((kind,)) + (header if kind in (12, 13) else header[:3])
    data = head + message6.encode_options(Option(*each) for each in options)
    message = decode(data)
    assert message.options == tuple(options)
    assert encode(message) == data


@given(st.binary(max_size=80))
def test_the_insides_of_any_option_are_read_or_are_malformed(data: bytes) -> None:
    for read in (message6.decode_ia, message6.decode_address, message6.decode_vendor_class, message6.decode_classes):
        with contextlib.suppress(MalformedMessage):
            read(data)
