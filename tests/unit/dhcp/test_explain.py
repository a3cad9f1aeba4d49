"""Captures of real firmware, explained: what it took, and what it ignored. And captures that lack something."""

from __future__ import annotations

import struct
import time
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

import pytest

from ironic_httpboot.dhcp import capture, message4
from ironic_httpboot.dhcp.capture import Datagram
from ironic_httpboot.dhcp.explain import Attempt, Gaps, explain, whole
from ironic_httpboot.dhcp.firmware import Rule
from ironic_httpboot.dhcp.message4 import Message4
from ironic_httpboot.errors import MalformedMessage

GOLDEN = Path(__file__).parents[2] / "golden" / "dhcp"
MAC = b"\x52\x54\0\0\0\1".ljust(16, b"\0")
SERVER, EVERYBODY = IPv4Address("192.0.2.1"), IPv4Address("255.255.255.255")


def attempts(name: str) -> tuple[Attempt, ...]:
    return explain(capture.read((GOLDEN / name).read_bytes()))


def test_what_firmware_took_is_what_it_then_asked_for() -> None:
    found = attempts("loaders4.pcap")
    assert [each.family for each in found] == [4, 4], "GRUB and iPXE asked too, and not as HTTPClient"
    for each in found:
        assert each.asked == "HTTPClient:Arch:00016:UNDI:003000"
        assert each.choice.rank == 1
        assert {verdict.offer.server for verdict in each.choice.verdicts if verdict.rule is None} == {each.accepted}


def test_what_firmware_ignored_has_its_rule_and_no_request_followed() -> None:
    found = [each for name in ("ignored4.pcap", "ignored6.pcap") for each in attempts(name)]
    useless = [each for each in found if each.choice.rank is None]
    assert {each.family for each in useless} == {4, 6}
    assert all(each.accepted is None for each in useless)
    seen = {verdict.rule for each in found for verdict in each.choice.verdicts}
    assert seen == {
        Rule.NO_CLASS4,
        Rule.NO_DNS,
        Rule.UNICAST,
        Rule.NO_PROXY,
        Rule.ALONE,
        Rule.NO_CLASS6,
        Rule.BAD_CLASS6,
        Rule.LIFETIMES,
        None,
    }


def test_what_was_taken_may_still_fail() -> None:
    (strange,) = [each for each in attempts("ignored4.pcap") if each.choice.concerns]
    assert strange.accepted == "192.0.2.1", "firmware took it, and failed at HTTP"
    assert "Content-Type" in strange.choice.concerns[0]
    assert [each.unanswered_releases for each in attempts("ignored6.pcap") if each.accepted] == [2, 2]


@pytest.mark.parametrize("name", ["loaders4.pcap", "ignored4.pcap", "ignored6.pcap"])
def test_an_offer_that_is_sent_again_is_told_once(name: str) -> None:
    for each in attempts(name):
        offers = [verdict.offer for verdict in each.choice.verdicts]
        assert len(offers) == len(set(offers))


def asked(*, clipped: bool = False) -> Datagram:
    message = Message4(op=1, xid=7, chaddr=MAC, flags=0x8000)
    payload = message4.encode(message4.with_options(message, {53: b"\1", 60: b"HTTPClient:Arch:00016"}))
    return Datagram(
        at=0,
        source=IPv4Address(0),
        source_port=68,
        destination=EVERYBODY,
        destination_port=67,
        payload=payload,
        clipped=clipped,
    )


def offered(destination: IPv4Address) -> Datagram:
    message = Message4(op=2, xid=7, chaddr=MAC, flags=0x8000, yiaddr=IPv4Address("192.0.2.9"))
    options = {53: b"\2", 54: SERVER.packed, 60: b"HTTPClient", 67: b"http://192.0.2.1/x.efi"}
    payload = message4.encode(message4.with_options(message, options))
    return Datagram(at=1, source=SERVER, source_port=67, destination=destination, destination_port=68, payload=payload)


def test_an_offer_that_is_sent_again_as_a_broadcast_is_taken() -> None:
    (attempt,) = explain([asked(), offered(IPv4Address("192.0.2.9")), offered(EVERYBODY), offered(EVERYBODY)])
    assert [each.rule for each in attempt.choice.verdicts] == [Rule.UNICAST, None]


def test_what_came_before_the_cut_counts_and_what_lacks_its_end_is_counted() -> None:
    def cut(*datagrams: Datagram) -> Iterator[Datagram]:
        yield from datagrams
        raise MalformedMessage("capture: cut")

    gaps = Gaps()
    assert len(explain(whole(cut(asked(clipped=True), asked()), gaps))) == 1
    assert gaps == Gaps(clipped=1, cut="capture: cut")
    with pytest.raises(MalformedMessage):
        explain(whole(cut(), Gaps()))


def test_many_machines_take_time_in_proportion() -> None:
    def option(code: int, data: bytes) -> bytes:
        return struct.pack(">HH", code, len(data)) + data

    def message(kind: int, number: int, more: bytes = b"") -> Datagram:
        duid = option(1, b"\0\4" + number.to_bytes(16))
        return Datagram(
            at=0,
            source=IPv6Address("fe80::1"),
            source_port=546,
            destination=IPv6Address("ff02::1:2"),
            destination_port=547,
            payload=bytes([kind]) + number.to_bytes(3) + duid + more,
        )

    vendor = option(16, b"\0\0\1\x57\0\x15HTTPClient:Arch:00016")

    def seconds(count: int) -> float:
        solicits = [message(1, number, vendor) for number in range(count)]
        replies = [message(7, 2**20 + number) for number in range(count)]
        start = time.process_time()
        assert len(explain([*solicits, *replies])) == count
        return time.process_time() - start

    seconds(100)
    assert seconds(8000) < 25 * seconds(1000), "eight times the machines: eight times the time, not 64 times"
