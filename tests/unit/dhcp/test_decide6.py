"""What a DHCPv6 client gets, and why another gets nothing."""

from __future__ import annotations

import uuid
from dataclasses import replace
from ipaddress import IPv6Address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ironic_httpboot.dhcp import message6
from ironic_httpboot.dhcp.decide6 import Arrival6, Reply6, decide6
from ironic_httpboot.dhcp.iana import Kind6, Option6, Status6
from ironic_httpboot.dhcp.leases import Leases
from ironic_httpboot.dhcp.message6 import AnyMessage6, IaNa, Message6, Option, Relay6, decode, encode
from ironic_httpboot.dhcp.policy import Boot, Ignore, Machine, Mode, Policy, Subnet
from kit.dhcp import MAC, SERVER6, SERVER_DUID, SUBNET6, leases, policy, question6

PEER = IPv6Address("fe80::5054:ff:fe12:3456")
ARRIVAL = Arrival6(peer=PEER, server=SERVER6, duid=SERVER_DUID)
FIRST = "2001:db8::10"


def reply_to(message: AnyMessage6, given: Policy | None = None, table: Leases | None = None, now: float = 0) -> Reply6:
    reply = decide6(message, ARRIVAL, given or policy(), table if table is not None else leases(6), now)
    assert isinstance(reply, Reply6), reply
    assert decode(encode(reply.message)) == reply.message
    return reply


def answer(message: AnyMessage6, given: Policy | None = None, table: Leases | None = None, now: float = 0) -> Message6:
    found = reply_to(message, given, table, now).message
    assert isinstance(found, Message6)
    return found


def why_not(message: AnyMessage6, given: Policy | None = None, table: Leases | None = None) -> str:
    reply = decide6(message, ARRIVAL, given or policy(), table if table is not None else leases(6), 0)
    assert isinstance(reply, Ignore), reply
    return reply.why


def association(message: Message6) -> IaNa:
    return message6.decode_ia(message.get(Option6.IA_NA) or b"")


def status_in(options: tuple[Option, ...]) -> int | None:
    return next((message6.decode_status(data)[0] for code, data in options if code == Option6.STATUS), None)


def test_firmware_gets_an_address_its_url_and_the_vendor_class_without_which_it_drops_them() -> None:
    reply = reply_to(question6())
    found = reply.message
    assert isinstance(found, Message6)
    assert (reply.kind, reply.address, reply.port) == (Kind6.ADVERTISE, PEER, 546)
    assert found.get(Option6.BOOT_URL) == b"http://[2001:db8::1]:8080/secret/node.iso"
    vendor = found.get(Option6.VENDOR_CLASS) or b""
    assert vendor[6:16] == b"HTTPClient"
    assert found.get(Option6.SERVER_ID) == SERVER_DUID
    (address,) = association(found).addresses
    assert str(address.address) == FIRST
    assert address.preferred <= address.valid == 600
    assert association(found).t1 <= association(found).t2 <= address.preferred


def test_other_clients_get_an_address_only() -> None:
    found = answer(question6(vendor=b""))
    assert found.get(Option6.BOOT_URL) is None
    assert found.get(Option6.VENDOR_CLASS) is None
    assert association(found).addresses


def test_a_proxy_gives_a_url_and_no_association() -> None:
    found = answer(question6(), policy(Mode.PROXY))
    assert found.kind == Kind6.ADVERTISE
    assert found.get(Option6.IA_NA) is None
    assert found.get(Option6.BOOT_URL) is not None
    assert "HTTPClient and iPXE only" in why_not(question6(vendor=b""), policy(Mode.PROXY))
    assert "for another server" in why_not(question6(Kind6.REQUEST, server=b"other"), policy(Mode.PROXY))


def test_solicit_request_renew_and_release_are_one_conversation() -> None:
    table = leases(6)
    answer(question6(), table=table)
    assert table.changes == [], "an offer is no promise"
    given = answer(question6(Kind6.REQUEST, server=SERVER_DUID, address=FIRST), table=table)
    assert given.kind == Kind6.REPLY
    assert [str(each.address) for each in association(given).addresses] == [FIRST]
    assert len(table.changes) == 1
    for kind, server in ((Kind6.RENEW, SERVER_DUID), (Kind6.REBIND, None)):
        extended = answer(question6(kind, server=server, address=FIRST), table=table, now=100)
        assert association(extended).addresses[0].valid == 600
    released = answer(question6(Kind6.RELEASE, server=SERVER_DUID, address=FIRST), table=table, now=200)
    assert (released.kind, status_in(released.options)) == (Kind6.REPLY, Status6.SUCCESS)
    again = answer(
        question6(Kind6.RELEASE, server=SERVER_DUID, address=FIRST, duid=b"\0\x03\0\x01stranger"), table=table
    )
    assert status_in(association(again).options) == Status6.NO_BINDING


def test_rapid_commit_saves_two_messages() -> None:
    table = leases(6)
    found = answer(question6(Kind6.SOLICIT, Option(Option6.RAPID_COMMIT, b"")), table=table)
    assert found.kind == Kind6.REPLY
    assert found.get(Option6.RAPID_COMMIT) == b""
    assert len(table.changes) == 1


def test_an_unknown_lease_is_told_to_the_one_who_asks_us_and_left_to_others_else() -> None:
    renewed = answer(question6(Kind6.RENEW, server=SERVER_DUID, address=FIRST))
    assert status_in(association(renewed).options) == Status6.NO_BINDING
    assert "nothing is known" in why_not(question6(Kind6.REBIND, address=FIRST))


def test_confirm_says_whether_an_address_belongs_here() -> None:
    assert status_in(answer(question6(Kind6.CONFIRM, address=FIRST)).options) == Status6.SUCCESS
    assert status_in(answer(question6(Kind6.CONFIRM, address="2001:db8:9::1")).options) == Status6.NOT_ON_LINK
    assert "no address" in why_not(question6(Kind6.CONFIRM))


def test_a_declined_address_is_not_given_again() -> None:
    table = leases(6)
    answer(question6(Kind6.REQUEST, server=SERVER_DUID), table=table)
    declined = answer(question6(Kind6.DECLINE, server=SERVER_DUID, address=FIRST), table=table)
    assert status_in(declined.options) == Status6.SUCCESS
    assert str(association(answer(question6(), table=table)).addresses[0].address) == "2001:db8::11"


def test_each_association_has_its_own_address_until_none_is_left() -> None:
    found = answer(question6(iaids=(1, 2, 3, 4)))
    inside = [message6.decode_ia(data) for data in found.all(Option6.IA_NA)]
    assert [len(ia.addresses) for ia in inside] == [1, 1, 1, 0]
    assert status_in(inside[3].options) == Status6.NO_ADDRESSES


def test_a_message_takes_no_more_than_so_many_addresses() -> None:
    found = answer(question6(iaids=tuple(range(40))))
    assert len(found.all(Option6.IA_NA)) == 16


def test_who_renews_addresses_that_are_gone_is_told_to_stop_using_them() -> None:
    table = leases(6)
    answer(question6(Kind6.REQUEST, server=SERVER_DUID, address=FIRST), table=table)
    found = answer(question6(Kind6.RENEW, server=SERVER_DUID, address="2001:db8::77"), table=table)
    lifetimes = [(str(each.address), each.preferred, each.valid) for each in association(found).addresses]
    assert lifetimes == [(FIRST, 375, 600), ("2001:db8::77", 0, 0)]


PREFIX = Option(Option6.IA_PD, b"\0\0\0\7" + bytes(8))
TEMPORARY = Option(Option6.IA_TA, b"\0\0\0\7")


@pytest.mark.parametrize(
    ("asked", "header", "status"), [(PREFIX, 12, Status6.NO_PREFIXES), (TEMPORARY, 4, Status6.NO_ADDRESSES)]
)
@pytest.mark.parametrize(("kind", "server"), [(Kind6.SOLICIT, None), (Kind6.REQUEST, SERVER_DUID)])
def test_of_what_is_never_given_it_is_said_that_there_is_none(
    kind: Kind6, server: bytes | None, asked: Option, header: int, status: Status6
) -> None:
    for iaids in ((), (1,)):
        told = answer(question6(kind, asked, server=server, iaids=iaids)).get(asked.code) or b""
        assert told[:header] == asked.data
        assert status_in(message6.decode_options(told, header)) == status


@pytest.mark.parametrize("asked", [PREFIX, TEMPORARY])
def test_who_asks_for_more_than_addresses_may_choose_before_anything_is_leased(asked: Option) -> None:
    table = leases(6)
    for iaids in ((), (1,)):
        found = answer(question6(Kind6.SOLICIT, Option(Option6.RAPID_COMMIT, b""), asked, iaids=iaids), table=table)
        assert found.kind == Kind6.ADVERTISE
        assert found.get(Option6.RAPID_COMMIT) is None
    assert table.changes == []


def test_who_requests_an_address_of_another_network_is_told_so() -> None:
    table = leases(6)
    found = answer(question6(Kind6.REQUEST, server=SERVER_DUID, address="2001:db8:9::1"), table=table)
    assert status_in(association(found).options) == Status6.NOT_ON_LINK
    assert not association(found).addresses
    assert table.changes == []
    assert association(answer(question6(address="2001:db8:9::1"), table=table)).addresses, "a wish is no claim"


def test_information_is_given_without_an_address() -> None:
    found = answer(question6(Kind6.INFORMATION_REQUEST, iaids=()))
    assert found.kind == Kind6.REPLY
    assert message6.addresses(found.get(Option6.DNS_SERVERS) or b"") == (IPv6Address("2001:db8::53"),)


def relayed(message: AnyMessage6, times: int = 1, link: str = "2001:db8::ff", *more: Option) -> Relay6:
    for number in range(times):
        message = Relay6(
            kind=Kind6.RELAY_FORWARD,
            hop_count=number,
            link_address=IPv6Address(link if number == 0 else "::"),
            peer_address=PEER,
            options=(Option(Option6.INTERFACE_ID, b"port %d" % number), *more, Option(9, encode(message))),
        )
    assert isinstance(message, Relay6)
    return message


def test_an_answer_goes_back_through_every_relay_by_the_interface_that_it_named() -> None:
    reply = reply_to(relayed(question6(), 2))
    assert (reply.port, reply.address) == (547, PEER)
    outer = reply.message
    assert isinstance(outer, Relay6)
    assert (outer.kind, outer.hop_count, outer.get(Option6.INTERFACE_ID)) == (Kind6.RELAY_REPLY, 1, b"port 1")
    inner = decode(outer.relayed or b"")
    assert isinstance(inner, Relay6)
    assert inner.get(Option6.INTERFACE_ID) == b"port 0"
    assert isinstance(decode(inner.relayed or b""), Message6)


def test_a_question_on_one_network_costs_a_client_nothing_on_another() -> None:
    first, last = IPv6Address("2001:db8:9::10"), IPv6Address("2001:db8:9::12")
    other = Subnet(network=ip_network("2001:db8:9::/64"), ranges=((first, last),))
    both = replace(policy(), subnets=(SUBNET6, other))
    table = leases(6)
    table.configure([*SUBNET6.numbers, *other.numbers], ())
    answer(question6(Kind6.REQUEST, server=SERVER_DUID), both, table)
    reply_to(relayed(question6(), 1, "2001:db8:9::ff"), both, table)
    renewed = answer(question6(Kind6.RENEW, server=SERVER_DUID, address=FIRST), both, table)
    assert [str(each.address) for each in association(renewed).addresses] == [FIRST]


OWN = IPv6Address("2001:db8::8")
EDK2 = b"\0\x04" + bytes(range(16))
LLT = b"\0\x01\0\x01\x12\x34\x56\x78" + MAC
NETWORKD = b"\0\x02\0\0\xab\x11" + bytes(8)
HIDDEN = IPv6Address("fe80::1234:5678:9abc:def0")
"""A link-local address that tells no MAC (RFC 7217)."""
OTHER_CARD = IPv6Address("fe80::5054:ff:fe12:3457")


def given_in_turn(
    machine: Machine, *turns: tuple[bytes, IPv6Address, tuple[int, ...]], table: Leases | None = None
) -> list[str]:
    """What is leased to each of several parties, who ask one after the other and give nothing back."""
    table = table if table is not None else leases(6, reserved=(int(OWN),))
    found = []
    for number, (duid, peer, iaids) in enumerate(turns):
        arrival, known = replace(ARRIVAL, peer=peer), policy(Mode.SERVER, machine)
        offered = decide6(question6(duid=duid, iaids=iaids), arrival, known, table, number)
        asked = question6(Kind6.REQUEST, duid=duid, iaids=iaids, server=SERVER_DUID)
        reply = decide6(asked, arrival, known, table, number)
        assert isinstance(offered, Reply6)
        assert isinstance(reply, Reply6)
        assert offered.leased == reply.leased
        found.append(" ".join(str(each).removeprefix("2001:db8::") for each in reply.leased))
    return found


def test_a_reserved_address_is_its_cards_whatever_duid_firmware_and_system_have() -> None:
    machine = Machine(name="node", mac=MAC, addresses=(OWN,))
    turns = [(EDK2, PEER, (1,)), (LLT, PEER, (2,)), (NETWORKD, PEER, (3,)), (LLT, HIDDEN, (2,)), (EDK2, PEER, (1,))]
    assert given_in_turn(machine, *turns) == ["8"] * 5


def test_a_machine_that_is_known_by_uuid_and_by_duid_is_one_machine() -> None:
    machine = Machine(name="node", uuid=uuid.UUID(bytes_le=EDK2[2:]), duid=NETWORKD, addresses=(OWN,))
    assert given_in_turn(machine, (EDK2, PEER, (1,)), (NETWORKD, HIDDEN, (2,)), (EDK2, PEER, (1,))) == ["8"] * 3


@pytest.mark.parametrize(
    ("machine", "turns", "given"),
    [
        # A system's second card, which shows itself, or is hidden behind the DUID of the first.
        (Machine(name="n", mac=MAC, addresses=(OWN,)), [(LLT, PEER, (1,)), (LLT, OTHER_CARD, (2,))], ["8", "10"]),
        (Machine(name="n", mac=MAC, addresses=(OWN,)), [(LLT, HIDDEN, (1,)), (LLT, HIDDEN, (2,))], ["8", "10"]),
        # Firmware on another card of a machine that is known by its UUID.
        (
            Machine(name="n", mac=MAC, uuid=uuid.UUID(bytes=EDK2[2:]), addresses=(OWN,)),
            [(EDK2, PEER, (1,)), (EDK2, OTHER_CARD, (2,))],
            ["8", "10"],
        ),
        (
            Machine(name="n", uuid=uuid.UUID(bytes=EDK2[2:]), addresses=(OWN,)),
            [(EDK2, PEER, (1,)), (EDK2, OTHER_CARD, (2,))],
            ["8", "10"],
        ),
        # Firmware's two clients on one card, of which the first goes on to boot; also where a system had the address.
        (Machine(name="n", mac=MAC, addresses=(OWN,)), [(EDK2, PEER, (1,)), (EDK2, PEER, (2,))], ["8", "10"]),
        (
            Machine(name="n", mac=MAC, addresses=(OWN,)),
            [(LLT, PEER, (9,)), (EDK2, PEER, (1,)), (EDK2, PEER, (2,))],
            ["8", "8", "10"],
        ),
        # Two associations in one message, of a newcomer and of the one that has it already.
        (Machine(name="n", mac=MAC, addresses=(OWN,)), [(EDK2, PEER, (1,)), (LLT, PEER, (1, 2))], ["8", "8 10"]),
        (Machine(name="n", mac=MAC, addresses=(OWN,)), [(LLT, PEER, (2,)), (LLT, PEER, (1, 2))], ["8", "10 8"]),
    ],
)
def test_no_two_that_run_at_once_get_a_reserved_address(
    machine: Machine, turns: list[tuple[bytes, IPv6Address, tuple[int, ...]]], given: list[str]
) -> None:
    assert given_in_turn(machine, *turns) == given


def test_of_two_that_ask_before_either_takes_it_a_reserved_address_is_the_first_ones() -> None:
    """As firmware's two clients do on one card; the system that had the address before gave nothing back."""
    machine = Machine(name="node", mac=MAC, addresses=(OWN,))
    known, table = policy(Mode.SERVER, machine), leases(6, reserved=(int(OWN),))
    assert given_in_turn(machine, (LLT, PEER, (9,)), table=table) == ["8"]
    for kind, server in ((Kind6.SOLICIT, None), (Kind6.REQUEST, SERVER_DUID)):
        found = [
            reply_to(question6(kind, duid=EDK2, iaids=(iaid,), server=server), known, table, 60).leased
            for iaid in (1, 2)
        ]
        assert found == [(OWN,), (IPv6Address(FIRST),)]


def test_a_system_renews_the_reserved_address_though_nothing_is_known_of_it_any_more() -> None:
    known, table = policy(Mode.SERVER, Machine(name="node", mac=MAC, addresses=(OWN,))), leases(6, reserved=(int(OWN),))
    asked = question6(Kind6.RENEW, duid=LLT, address=str(OWN), server=SERVER_DUID)
    assert reply_to(asked, known, table).leased == (OWN,)


def test_who_has_a_reserved_address_renews_it_until_another_party_takes_it() -> None:
    known = policy(Mode.SERVER, Machine(name="node", mac=MAC, addresses=(OWN,)))
    table = leases(6, reserved=(int(OWN),))
    answer(question6(Kind6.REQUEST, duid=EDK2, server=SERVER_DUID), known, table)
    assert answer(question6(duid=LLT), known, table).kind == Kind6.ADVERTISE
    renewed = answer(question6(Kind6.RENEW, duid=EDK2, address=str(OWN), server=SERVER_DUID), known, table, now=60)
    assert [each.address for each in association(renewed).addresses] == [OWN]
    answer(question6(Kind6.REQUEST, duid=LLT, server=SERVER_DUID), known, table, now=60)
    assert table.holder(int(OWN), 60) == SUBNET6.key + LLT + (1).to_bytes(4)
    assert [each.address for each in table.changes] == [int(OWN)] * 3


@pytest.mark.parametrize("kind", [Kind6.RENEW, Kind6.REBIND])
def test_a_system_goes_on_with_the_reserved_address_that_firmware_had_meanwhile(kind: Kind6) -> None:
    machine = Machine(name="node", mac=MAC, addresses=(OWN,))
    table = leases(6, reserved=(int(OWN),))
    assert given_in_turn(machine, (LLT, PEER, (2,)), (EDK2, PEER, (1,)), table=table) == ["8", "8"]
    server = SERVER_DUID if kind == Kind6.RENEW else None
    asked = question6(kind, duid=LLT, iaids=(2,), address=str(OWN), server=server)
    extended = answer(asked, policy(Mode.SERVER, machine), table, now=60)
    assert [(each.address, each.valid) for each in association(extended).addresses] == [(OWN, 600)]


def test_a_reserved_address_that_a_stranger_uses_is_given_to_no_part_of_its_machine() -> None:
    machine = Machine(name="node", mac=MAC, addresses=(OWN,))
    table = leases(6, reserved=(int(OWN),))
    assert given_in_turn(machine, (EDK2, PEER, (1,)), table=table) == ["8"]
    decline = question6(Kind6.DECLINE, duid=EDK2, address=str(OWN), server=SERVER_DUID)
    answer(decline, policy(Mode.SERVER, machine), table)
    assert given_in_turn(machine, (LLT, PEER, (1,)), table=table) == ["10"]


def test_a_relay_tells_the_hardware_address_of_the_machine() -> None:
    own = Machine(name="node", mac=bytes.fromhex("020000000009"), boot=Boot(url="http://[2001:db8::9]/own.iso"))
    told = Option(Option6.LINK_LAYER_ADDRESS, b"\0\x01" + own.mac)
    reply = reply_to(relayed(question6(), 1, "2001:db8::ff", told), policy(Mode.SERVER, own))
    assert reply.machine is own


def test_a_machine_is_known_by_its_duid_and_by_its_link_local_address() -> None:
    by_duid = Machine(name="by duid", duid=b"\0\x02abc")
    by_mac = Machine(name="by mac", mac=MAC)
    given = policy(Mode.SERVER, by_duid, by_mac)
    assert reply_to(question6(duid=b"\0\x02abc"), given).machine is by_duid
    assert reply_to(question6(duid=b"\0\x02other"), given).machine is by_mac


@pytest.mark.parametrize(
    ("message", "why"),
    [
        (relayed(question6(), 10), "a loop"),
        (relayed(question6(), 1, "2001:db8:9::1"), "on none of our networks"),
        (Relay6(kind=13, hop_count=0, link_address=PEER, peer_address=PEER), "a server's answer"),
        (Relay6(kind=12, hop_count=0, link_address=PEER, peer_address=PEER), "passed on nothing"),
        (question6(Kind6.REQUEST), "names no server"),
        (question6(Kind6.SOLICIT, server=SERVER_DUID), "names a server"),
        (question6(Kind6.ADVERTISE), "nothing that a server answers"),
        (question6(Kind6.INFORMATION_REQUEST), "for addresses, which it must not"),
        (question6(Kind6.INFORMATION_REQUEST, Option(Option6.IA_PD, b""), iaids=()), "for addresses, which it must"),
        (Message6(kind=Kind6.SOLICIT, transaction=1), "names no client"),
        (question6(Kind6.SOLICIT, Option(Option6.IA_NA, b"short")), "option 3"),
    ],
)
def test_what_nobody_should_answer_is_not_answered(message: AnyMessage6, why: str) -> None:
    assert why in why_not(message)


@given(
    st.sampled_from(list(Kind6)),
    st.lists(st.tuples(st.sampled_from([1, 2, 3, 5, 6, 9, 13, 15, 16, 61, 79]), st.binary(max_size=40)), max_size=6),
    st.sampled_from(list(Mode)),
    st.integers(0, 3),
)
def test_any_message_that_can_be_read_is_answered_or_ignored(
    kind: Kind6, options: list[tuple[int, bytes]], mode: Mode, relays: int
) -> None:
    message: AnyMessage6 = Message6(kind=kind, transaction=1, options=tuple(Option(*each) for each in options))
    message = relayed(message, relays) if relays else message
    reply = decide6(message, ARRIVAL, policy(mode), leases(6), 0)
    assert isinstance(reply, Ignore) or decode(encode(reply.message)) == reply.message
