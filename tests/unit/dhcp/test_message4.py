"""DHCPv4 messages: what is read is written again to the same bytes, and only what is malformed is refused."""

from __future__ import annotations

import uuid
from ipaddress import IPv4Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ironic_httpboot.dhcp import message4
from ironic_httpboot.dhcp.iana import Kind4, Op, Option4
from ironic_httpboot.dhcp.message4 import Message4, Option, decode, encode, with_options
from ironic_httpboot.errors import MalformedMessage

# An HTTP boot's DISCOVER as OVMF 2022.11 lays it out, annotated by field.
DISCOVER = (
    bytes.fromhex("01 01 06 00")  # request, Ethernet, 6 bytes, no hops
    + bytes.fromhex("4a6f8d21 0000 8000")  # xid, secs, broadcast
    + bytes(16)  # ciaddr yiaddr siaddr giaddr
    + bytes.fromhex("525400123456").ljust(16, b"\0")
    + bytes(64)
    + bytes(128)
    + bytes.fromhex("63825363")
    + bytes.fromhex("35 01 01")
    + bytes.fromhex("39 02 05c0")
    + bytes.fromhex("37 04 01 03 06 43")
    + bytes.fromhex("61 11 00 00112233445566778899aabbccddeeff")
    + bytes.fromhex("5e 03 01 03 00")
    + bytes.fromhex("5d 02 0010")
    + bytes((60, 33))
    + b"HTTPClient:Arch:00016:UNDI:003000"
    + b"\xff"
    + bytes(20)
)


def with_tail(options: bytes, file: bytes = b"", sname: bytes = b"") -> bytes:
    return DISCOVER[:44] + sname.ljust(64, b"\0") + file.ljust(128, b"\0") + DISCOVER[236:240] + options


def test_the_fields_and_options_of_an_http_boots_discover_are_read() -> None:
    message = decode(DISCOVER)
    assert (message.op, message.xid, message.broadcast) == (Op.REQUEST, 0x4A6F8D21, True)
    assert message.kind == Kind4.DISCOVER
    assert message.hardware_address.hex(":") == "52:54:00:12:34:56"
    assert message.by_code[Option4.VENDOR_CLASS] == b"HTTPClient:Arch:00016:UNDI:003000"
    assert message4.arch_types(message.by_code[Option4.ARCHITECTURE]) == (0x10,)
    assert message4.machine_uuid(message.by_code[Option4.MACHINE_ID]) == uuid.UUID(
        "33221100-5544-7766-8899-aabbccddeeff"
    )
    assert encode(message) == DISCOVER


def test_padding_between_options_and_a_missing_end_are_kept() -> None:
    for options in (b"\0\0\x35\x01\x01\0\xff\0\0", b"\x35\x01\x01", b"", b"\0", b"\xff\xff\x01"):
        data = with_tail(options)
        assert encode(decode(data)) == data
        assert Option4.PAD not in decode(data).by_code


def test_an_option_that_is_split_is_read_as_one() -> None:
    # RFC 3396 §5: the options field, then file, then sname.
    data = with_tail(b"\x34\x01\x03\x43\x02ht\xff", file=b"\x43\x02tp\xff", sname=b"\x43\x03://\xff")
    message = decode(data)
    assert message.by_code[Option4.BOOT_FILE] == b"http://"
    assert (message.boot_file, message.server_name) == (b"", b"")
    assert encode(message) == data


def test_file_and_sname_end_at_their_nul() -> None:
    message = decode(with_tail(b"\xff", file=b"http://192.0.2.1/a.efi\0rest", sname=b"server"))
    assert (message.boot_file, message.server_name) == (b"http://192.0.2.1/a.efi", b"server")


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "0 bytes, less than the 240"),
        (DISCOVER[:239], "239 bytes"),
        (DISCOVER[:236] + b"\0\0\0\0\xff", "cookie 00000000 at offset 236"),
        (with_tail(b"\x3c\x05HTTP"), "option 60 at offset 240 of options: runs over the end at 246"),
        (with_tail(b"\x3c"), "option 60 at offset 240"),
        (with_tail(b"\x34\x01\x01\xff", file=b"\x01" * 126 + b"\x43\x7f"), "of file"),
    ],
)
def test_what_is_malformed_is_refused_with_option_and_offset(data: bytes, why: str) -> None:
    with pytest.raises(MalformedMessage, match=why):
        decode(data)


def test_the_insides_of_options_are_checked() -> None:
    for read, data in (
        (message4.addresses, b"abc"),
        (message4.addresses, b""),
        (message4.arch_types, b"\0"),
        (message4.machine_uuid, bytes(16)),
        (message4.machine_uuid, b"\x01" + bytes(16)),
        (message4.suboptions, b"\x01\x05abc"),
        (message4.suboptions, b"\x01"),
    ):
        with pytest.raises(MalformedMessage):
            read(data)
    assert message4.suboptions(b"\x01\x02ab\x02\x00") == (Option(1, b"ab"), Option(2, b""))
    assert message4.addresses(bytes((192, 0, 2, 1))) == (IPv4Address("192.0.2.1"),)


def test_a_user_class_may_be_bare_or_have_its_length() -> None:
    assert message4.user_classes(b"iPXE") == (b"iPXE",)
    assert message4.user_classes(b"\x04iPXE\x03abc") == (b"iPXE", b"abc")
    assert message4.user_classes(b"") == ()


def test_an_answer_is_as_long_as_relays_demand() -> None:
    message = with_options(decode(DISCOVER), {Option4.KIND: bytes((Kind4.OFFER,))})
    assert len(encode(message)) == 300


def test_what_does_not_fit_goes_on_in_file_and_sname() -> None:
    url = b"http://192.0.2.1/" + b"x" * 230 + b".efi\0"
    options: dict[int, bytes] = {Option4.KIND: b"\x02", Option4.BOOT_FILE: url, Option4.VENDOR_SPECIFIC: b"v" * 120}
    message = with_options(Message4(op=Op.REPLY, xid=1), options)
    encoded = encode(message)
    assert len(encoded) <= 548
    assert decode(encoded).by_code[Option4.BOOT_FILE] == url
    roomy = with_options(Message4(op=Op.REPLY, xid=1), options, 1472)
    assert Option4.OVERLOAD not in roomy.by_code


option_codes = st.integers(1, 254).filter(lambda code: code != Option4.OVERLOAD)


@given(st.dictionaries(option_codes, st.binary(max_size=600), max_size=8), st.integers(0, 1500))
def test_whatever_is_put_into_a_message_is_read_again(options: dict[int, bytes], largest: int) -> None:
    message = with_options(Message4(op=Op.REPLY, xid=7), options, largest)
    decoded = decode(encode(message))
    assert {code: data for code, data in decoded.by_code.items() if code != Option4.OVERLOAD} == options
    assert encode(decoded) == encode(message)


headers = st.binary(min_size=236, max_size=236).map(lambda data: data + DISCOVER[236:240])
tails = st.one_of(
    st.binary(max_size=400),
    st.lists(st.tuples(st.sampled_from([0, 52, 53, 60, 67, 82, 93, 97, 255]), st.binary(max_size=40)), max_size=12).map(
        lambda items: b"".join(
            bytes((code, len(data))) + data if code % 255 else bytes((code,)) for code, data in items
        )
    ),
)


@given(st.one_of(st.binary(max_size=600), st.tuples(headers, tails).map(b"".join)))
def test_any_bytes_are_read_and_written_again_or_are_malformed(data: bytes) -> None:
    try:
        message = decode(data)
    except MalformedMessage:
        return
    assert encode(message) == data
