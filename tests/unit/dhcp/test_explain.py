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
