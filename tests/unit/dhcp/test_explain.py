"""Captures of real firmware, explained: what it took, and what it ignored."""

from __future__ import annotations

from pathlib import Path

import pytest

from ironic_httpboot.dhcp import capture
from ironic_httpboot.dhcp.explain import Attempt, explain
from ironic_httpboot.dhcp.firmware import Rule

GOLDEN = Path(__file__).parents[2] / "golden" / "dhcp"


def attempts(name: str) -> tuple[Attempt, ...]:
    return explain(capture.read((GOLDEN / name).read_bytes()))


def test_what_firmware_took_is_what_it_then_asked_for() -> None:
    found = attempts("ovmf-grub-ipxe-dnsmasq.pcap")
    assert [each.family for each in found] == [4, 4], "GRUB and iPXE asked too, and not as HTTPClient"
    for each in found:
        assert each.asked == "HTTPClient:Arch:00016:UNDI:003000"
        assert each.choice.rank == 1
        assert {verdict.offer.server for verdict in each.choice.verdicts if verdict.rule is None} == {each.accepted}


def test_what_firmware_ignored_has_its_rule_and_no_request_followed() -> None:
    found = attempts("ovmf-ignores-offers.pcap")
    assert {each.family for each in found} == {4, 6}
    assert all(each.choice.rank is None for each in found)
    assert all(each.accepted is None for each in found)
    seen = {verdict.rule for each in found for verdict in each.choice.verdicts}
    assert seen == {Rule.NO_CLASS4, Rule.NO_DNS, Rule.NO_CLASS6, Rule.BAD_CLASS6}


@pytest.mark.parametrize("name", ["ovmf-grub-ipxe-dnsmasq.pcap", "ovmf-ignores-offers.pcap"])
def test_an_offer_that_is_sent_again_is_told_once(name: str) -> None:
    for each in attempts(name):
        offers = [verdict.offer for verdict in each.choice.verdicts]
        assert len(offers) == len(set(offers))


def test_a_unicast_offer_and_lifetimes_in_the_wrong_order_are_told_from_a_strange_suffix() -> None:
    found = attempts("ovmf-unicast-suffix-lifetimes.pcap")
    seen = {(each.family, verdict.rule) for each in found for verdict in each.choice.verdicts}
    assert seen == {(4, Rule.UNICAST), (4, None), (6, Rule.LIFETIMES)}
    (taken,) = [each for each in found if each.choice.rank == 1]
    assert taken.accepted == "192.0.2.1", "firmware took it, and failed at HTTP"
    assert "Content-Type" in taken.choice.concerns[0]
