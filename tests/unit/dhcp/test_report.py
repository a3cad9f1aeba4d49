"""What an operator is told of questions and answers."""

from __future__ import annotations

from ironic_httpboot.dhcp.decide4 import decide4
from ironic_httpboot.dhcp.decide6 import Arrival6, decide6
from ironic_httpboot.dhcp.iana import Kind4, Kind6, Option4
from ironic_httpboot.dhcp.message4 import Message4
from ironic_httpboot.dhcp.message6 import Message6
from ironic_httpboot.dhcp.policy import Mode, Policy
from ironic_httpboot.dhcp.report import Reporter
from ironic_httpboot.events import Event, Failed, Reached
from kit.dhcp import PXE, SERVER4, SERVER6, SERVER_DUID, leases, policy, question4, question6


def told(messages: list[Message4], given: Policy) -> list[str]:
    events: list[Event] = []
    reporter, table = Reporter(events.append), leases(4)
    for message in messages:
        reporter.heard4(message, "br0", decide4(message, SERVER4, given, table, 0), 0)
    return lines(events)


def told6(messages: list[Message6], given: Policy) -> list[str]:
    events: list[Event] = []
    reporter, table = Reporter(events.append), leases(6)
    arrival = Arrival6(peer=SERVER6, server=SERVER6, duid=SERVER_DUID)
    for message in messages:
        reporter.heard6(message, "br0", arrival, decide6(message, arrival, given, table, 0), 0)
    return lines(events)


def lines(events: list[Event]) -> list[str]:
    found = []
    for event in events:
        match event:
            case Reached():
                found.append(f"{event.machine} {event.stage.value}: {event.detail}")
            case Failed():
                found.append(f"{event.machine} {event.reason}")
    return found


def test_a_boot_is_told_step_by_step_and_no_url_is_shown() -> None:
    take: dict[int, bytes] = {Option4.REQUESTED_ADDRESS: bytes((192, 0, 2, 10)), Option4.SERVER_ID: SERVER4.packed}
    said = told([question4(), question4(Kind4.REQUEST, options=take)], policy())
    assert said == [
        "52:54:00:12:34:56 DISCOVER: HTTPClient x64 asks on br0",
        "52:54:00:12:34:56 OFFER: address 192.0.2.10 and a URL",
        "52:54:00:12:34:56 lease: 192.0.2.10",
    ]


def test_who_gets_no_answer_is_told_with_the_reason() -> None:
    assert told([question4(vendor=PXE)], policy(Mode.PROXY)) == [
        (
            "52:54:00:12:34:56 ignored DISCOVER on br0: a proxy answers HTTPClient and iPXE only: "
            'option 60 is "PXEClient:Arch:00007:UNDI:003001"'
        )
    ]


def test_the_same_is_told_of_the_other_family() -> None:
    messages = [question6(), question6(Kind6.REQUEST, server=SERVER_DUID), question6(Kind6.REQUEST)]
    assert told6(messages, policy()) == [
        "52:54:00:12:34:56 DISCOVER: HTTPClient x64 asks on br0",
        "52:54:00:12:34:56 OFFER: address 2001:db8::10 and a URL",
        "52:54:00:12:34:56 lease: 2001:db8::10",
        "52:54:00:12:34:56 ignored REQUEST on br0: it names no server",
    ]
