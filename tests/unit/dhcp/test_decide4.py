"""What a DHCPv4 client gets, and why another gets nothing."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ironic_httpboot.dhcp import message4
from ironic_httpboot.dhcp.decide4 import Reply4, decide4
from ironic_httpboot.dhcp.iana import Kind4, Option4
from ironic_httpboot.dhcp.leases import Leases
from ironic_httpboot.dhcp.message4 import Message4, decode, encode
from ironic_httpboot.dhcp.policy import Boot, Ignore, Machine, Mode, Policy, Subnet
from ironic_httpboot.errors import MalformedMessage
from kit.dhcp import DEFAULT, HTTP, MAC, PXE, SERVER4, SUBNET4, SUBNET6, URL, leases, policy, question4

BROADCAST = IPv4Address("255.255.255.255")


def answer(message: Message4, given: Policy | None = None, table: Leases | None = None, now: float = 0) -> Reply4:
    reply = decide4(message, SERVER4, given or policy(), table if table is not None else leases(4), now)
    assert isinstance(reply, Reply4), reply
    assert decode(encode(reply.message)) == reply.message
    return reply


def why_not(message: Message4, given: Policy | None = None, table: Leases | None = None, now: float = 0) -> str:
    reply = decide4(message, SERVER4, given or policy(), table if table is not None else leases(4), now)
    assert isinstance(reply, Ignore), reply
    return reply.why


def request(address: str, server: IPv4Address | None = SERVER4, mac: bytes = MAC) -> Message4:
    options: dict[int, bytes] = {Option4.REQUESTED_ADDRESS: IPv4Address(address).packed}
    if server is not None:
        options[Option4.SERVER_ID] = server.packed
    return question4(Kind4.REQUEST, options=options, mac=mac)


def test_firmware_gets_an_address_and_its_url_with_all_that_it_looks_for() -> None:
    reply = answer(question4())
    options = reply.message.by_code
    assert (reply.kind, reply.address, reply.port) == (Kind4.OFFER, BROADCAST, 68)
    assert reply.message.yiaddr == IPv4Address("192.0.2.10")
    assert options[Option4.VENDOR_CLASS] == b"HTTPClient"
    assert options[Option4.BOOT_FILE] == b"http://192.0.2.1:8080/secret/node.iso\0"
    assert options[Option4.SERVER_ID] == SERVER4.packed
    assert options[Option4.MACHINE_ID] == bytes(range(17))
    assert options[Option4.DNS_SERVERS] == bytes((192, 0, 2, 53))
    assert options[Option4.LEASE_SECONDS] == (600).to_bytes(4)
    assert reply.url_sent


def test_other_clients_of_a_server_get_an_address_only() -> None:
    reply = answer(question4(vendor=b""))
    assert not {Option4.VENDOR_CLASS, Option4.BOOT_FILE} & reply.message.by_code.keys()
    assert not reply.url_sent


def test_a_proxy_gives_a_url_and_no_address() -> None:
    reply = answer(question4(), policy(Mode.PROXY))
    options = reply.message.by_code
    assert reply.message.yiaddr == message4.UNSPECIFIED
    assert (reply.address, reply.port) == (BROADCAST, 68)
    assert options[Option4.BOOT_FILE].startswith(b"http://192.0.2.1:8080/")
    assert not {Option4.LEASE_SECONDS, Option4.SUBNET_MASK, Option4.ROUTERS} & options.keys()


@pytest.mark.parametrize(
    ("message", "why"),
    [
        (question4(vendor=PXE), 'option 60 is "PXEClient:Arch:00007:UNDI:003001"'),
        (question4(vendor=b""), "it has no option 60"),
        (question4(Kind4.REQUEST), "a proxy answers DISCOVER and INFORM, not REQUEST"),
        (question4(vendor=b"HTTPClient:Arch:00019"), "no URL that IPv4 reaches is configured for arm64"),
    ],
)
def test_a_proxy_says_nothing_to_others_and_the_reason_is_known(message: Message4, why: str) -> None:
    only_x64 = policy(Mode.PROXY, default=Boot(loaders={"x64": URL}))
    assert why in why_not(message, only_x64)


def test_the_loader_is_chosen_by_architecture() -> None:
    boot = Boot(loaders={"x64": "http://192.0.2.9/x64.efi", "riscv64": "http://192.0.2.9/rv.efi"}, url=URL)
    for number, url in (
        (0x10, b"http://192.0.2.9/x64.efi"),
        (0x1C, b"http://192.0.2.9/rv.efi"),
        (0x13, b"http://192.0.2.1:8080/secret/node.iso"),
    ):
        reply = answer(question4(vendor=b"HTTPClient:Arch:%05d" % number), policy(default=boot))
        assert reply.message.by_code[Option4.BOOT_FILE] == url + b"\0"


@pytest.mark.parametrize("mode", Mode)
def test_an_ipxe_that_asks_again_gets_the_script(mode: Mode) -> None:
    reply = answer(question4(vendor=PXE, options={Option4.USER_CLASS: b"iPXE"}), policy(mode))
    assert reply.message.by_code[Option4.BOOT_FILE] == b"http://192.0.2.1:8080/secret/boot.ipxe\0"
    assert reply.message.by_code[Option4.VENDOR_CLASS] == b"PXEClient"


def test_a_machine_gets_what_is_configured_for_it_and_its_reserved_address() -> None:
    reserved = IPv4Address("192.0.2.77")
    node = Machine(name="node", mac=MAC, boot=Boot(url="http://192.0.2.9/own.iso"), addresses=(reserved,))
    table = leases(4, reserved=(int(reserved),))
    reply = answer(question4(), policy(Mode.SERVER, node), table)
    assert (reply.machine, reply.message.yiaddr) == (node, reserved)
    assert reply.message.by_code[Option4.BOOT_FILE] == b"http://192.0.2.9/own.iso\0"
    assert answer(request("192.0.2.77"), policy(Mode.SERVER, node), table).kind is Kind4.ACK
    assert answer(request("192.0.2.77", mac=bytes(6)), policy(Mode.SERVER, node), table).kind is Kind4.NAK


def test_a_reserved_address_is_the_machines_whatever_its_firmware_and_its_system_call_themselves() -> None:
    reserved = IPv4Address("192.0.2.11")
    given = policy(Mode.SERVER, Machine(name="node", mac=MAC, addresses=(reserved,)))
    table = leases(4, reserved=(int(reserved),))
    system: dict[int, bytes] = {Option4.CLIENT_ID: b"\xff\0\0\0\1\0\4" + bytes(16)}
    answer(request("192.0.2.11"), given, table)
    found = answer(question4(vendor=b"", options=system), given, table, 60)
    assert found.message.yiaddr == reserved
    assert found.message.by_code[Option4.CLIENT_ID] == system[Option4.CLIENT_ID]
    for more in ({50: reserved.packed}, {50: reserved.packed, 54: SERVER4.packed}):
        assert answer(question4(Kind4.REQUEST, b"", system | more), given, table, 60).kind is Kind4.ACK
    assert answer(question4(Kind4.REQUEST, b"", system, ciaddr="192.0.2.11"), given, table, 60).kind is Kind4.ACK
    assert answer(question4(), given, table, 70).message.yiaddr == reserved, "the firmware again"
    assert "given back" in why_not(question4(Kind4.RELEASE, b"", system, ciaddr="192.0.2.11"), given, table, 80)


def test_a_reserved_address_is_nobody_elses_also_where_it_stands_in_a_range() -> None:
    reserved = IPv4Address("192.0.2.11")
    given = policy(Mode.SERVER, Machine(name="node", mac=MAC, addresses=(reserved,)))
    table = leases(4, reserved=(int(reserved),))
    assert answer(request("192.0.2.11", mac=bytes(6)), given, table).kind is Kind4.NAK
    assert answer(request("192.0.2.11"), given, table).kind is Kind4.ACK


def test_a_machine_that_was_known_only_later_keeps_its_lease_of_what_is_then_reserved_for_it() -> None:
    table = leases(4)
    answer(request("192.0.2.10"), table=table)
    table.configure(SUBNET4.numbers, (int(IPv4Address("192.0.2.10")),))
    given = policy(Mode.SERVER, Machine(name="node", mac=MAC, addresses=(IPv4Address("192.0.2.10"),)))
    assert answer(question4(Kind4.REQUEST, ciaddr="192.0.2.10"), given, table, 60).kind is Kind4.ACK
    assert answer(question4(), given, table, 60).message.yiaddr == IPv4Address("192.0.2.10")


def test_unknown_machines_get_nothing_where_so_configured() -> None:
    assert "not known" in why_not(question4(), policy(unknown=False))
    assert not answer(question4(), policy(default=None)).url_sent
    assert "nothing is configured" in why_not(question4(), policy(Mode.PROXY, default=None))


def test_discover_request_renew_and_release_are_one_conversation() -> None:
    table = leases(4)
    offered = answer(question4(), table=table).message.yiaddr
    assert table.changes == [], "an offer is no promise"
    acknowledged = answer(request(str(offered)), table=table, now=5)
    assert (acknowledged.kind, acknowledged.message.yiaddr) == (Kind4.ACK, offered)
    assert len(table.changes) == 1
    renewal = question4(Kind4.REQUEST, ciaddr=str(offered))
    renewed = answer(renewal, table=table, now=300)
    assert (renewed.kind, renewed.address) == (Kind4.ACK, offered)
    assert "given back" in why_not(question4(Kind4.RELEASE, ciaddr=str(offered)), table=table, now=310)
    assert table.held(SUBNET4.key + b"\x01" + MAC, 310) is None


def test_a_client_that_took_another_servers_offer_gives_ours_free() -> None:
    table = leases(4)
    first = answer(question4(), table=table).message.yiaddr
    assert "another server" in why_not(request("192.0.2.200", IPv4Address("192.0.2.2")), table=table)
    for number in range(3):
        answer(question4(mac=bytes((2, 0, 0, 0, 0, number))), table=table)
    assert table.available(int(first), b"anyone", 0) is False, "somebody else was offered it"


def test_what_cannot_be_had_is_refused_by_broadcast() -> None:
    table = leases(4)
    answer(request("192.0.2.10"), table=table)
    for message in (request("192.0.2.10", mac=bytes(6)), request("203.0.113.5", None)):
        refused = answer(message, table=table)
        assert (refused.kind, refused.address) == (Kind4.NAK, BROADCAST)
        assert not {Option4.LEASE_SECONDS, Option4.BOOT_FILE} & refused.message.by_code.keys()


def test_a_relay_is_told_to_broadcast_a_refusal() -> None:
    sent = replace(question4(Kind4.REQUEST, options={50: bytes((203, 0, 113, 5))}, giaddr="192.0.2.254"), flags=0)
    refused = answer(sent)
    assert (refused.kind, refused.address, refused.port) == (Kind4.NAK, IPv4Address("192.0.2.254"), 67)
    assert refused.message.broadcast


@pytest.mark.parametrize(
    "message",
    [
        request("192.0.2.11", None),
        request("192.0.2.200", None),
        question4(Kind4.REQUEST, ciaddr="192.0.2.11"),
        question4(Kind4.REQUEST, ciaddr="192.0.2.200"),
    ],
)
def test_of_a_lease_that_is_not_known_nothing_is_said(message: Message4) -> None:
    assert "nothing is known" in why_not(message)
    table = leases(4)
    answer(request("192.0.2.11", mac=bytes(6)), table=table)
    assert "nothing is known" in why_not(message, table=table)


def test_who_starts_again_with_another_address_than_its_own_is_refused() -> None:
    table = leases(4)
    answer(request("192.0.2.10"), table=table)
    for address in ("192.0.2.11", "192.0.2.200"):
        assert answer(request(address, None), table=table).kind is Kind4.NAK
        assert "nothing is known" in why_not(question4(Kind4.REQUEST, ciaddr=address), table=table)


def test_where_no_network_is_configured_nobody_is_refused() -> None:
    nowhere = replace(policy(), subnets=(SUBNET6,))
    for server in (None, SERVER4):
        assert "no network is configured" in why_not(request("192.0.2.77", server), nowhere)


def test_a_declined_address_is_given_to_nobody_for_a_while() -> None:
    table = leases(4)
    answer(request("192.0.2.10"), table=table)
    declined = question4(Kind4.DECLINE, options={Option4.REQUESTED_ADDRESS: bytes((192, 0, 2, 10))})
    assert "in use by another machine" in why_not(declined, table=table)
    assert answer(question4(), table=table, now=1).message.yiaddr == IPv4Address("192.0.2.11")


def test_who_got_its_address_through_a_relay_renews_and_returns_it_past_the_relay() -> None:
    other = Subnet(network=ip_network("203.0.113.0/24"), ranges=((IPv4Address("203.0.113.10"),) * 2,))
    both = replace(policy(), subnets=(SUBNET4, other))
    table = leases(4)
    taken: dict[int, bytes] = {50: bytes((203, 0, 113, 10)), Option4.SERVER_ID: SERVER4.packed}
    answer(question4(Kind4.REQUEST, options=taken, giaddr="203.0.113.1"), both, table)
    renewed = answer(question4(Kind4.REQUEST, ciaddr="203.0.113.10"), both, table)
    assert (renewed.kind, renewed.address) == (Kind4.ACK, IPv4Address("203.0.113.10"))
    assert "given back" in why_not(question4(Kind4.RELEASE, ciaddr="203.0.113.10"), both, table)


def test_a_question_on_one_network_costs_a_client_nothing_on_another() -> None:
    other = Subnet(
        network=ip_network("203.0.113.0/24"), ranges=((IPv4Address("203.0.113.10"), IPv4Address("203.0.113.12")),)
    )
    both = replace(policy(), subnets=(SUBNET4, other))
    table = leases(4)
    table.configure([*SUBNET4.numbers, *other.numbers], ())
    answer(request("192.0.2.10"), both, table)
    elsewhere = answer(question4(giaddr="203.0.113.1"), both, table)
    assert elsewhere.message.yiaddr == IPv4Address("203.0.113.10")
    assert answer(question4(mac=bytes(6)), both, table).message.yiaddr == IPv4Address("192.0.2.11")
    assert answer(question4(Kind4.REQUEST, ciaddr="192.0.2.10"), both, table).kind is Kind4.ACK


@pytest.mark.parametrize("kind", [Kind4.DECLINE, Kind4.RELEASE])
def test_what_another_server_is_told_changes_nothing_here(kind: Kind4) -> None:
    table = leases(4)
    answer(request("192.0.2.10"), table=table)
    options: dict[int, bytes] = {50: bytes((192, 0, 2, 10)), Option4.SERVER_ID: bytes((192, 0, 2, 2))}
    told = question4(kind, options=options, ciaddr="192.0.2.10")
    assert "for another server" in why_not(told, table=table)
    assert answer(question4(Kind4.REQUEST, ciaddr="192.0.2.10"), table=table).kind is Kind4.ACK


def test_a_full_network_is_said_to_be_full() -> None:
    table = leases(4)
    for number in range(3):
        answer(question4(mac=bytes((2, 0, 0, 0, 0, number))), table=table)
    assert "no address of 192.0.2.0/24 is free" in why_not(question4(), table=table)
    assert answer(question4(), table=table, now=31).message.yiaddr == IPv4Address("192.0.2.10"), "offers end"


def test_a_client_gets_its_identifier_back_with_whatever_it_is_told() -> None:
    named: dict[int, bytes] = {Option4.CLIENT_ID: b"\0name"}
    off_link: dict[int, bytes] = {50: bytes((203, 0, 113, 5))}
    for message in (
        question4(options=named),
        question4(Kind4.INFORM, options=named, ciaddr="192.0.2.200"),
        question4(Kind4.REQUEST, options=named | off_link),
    ):
        assert answer(message).message.by_code[Option4.CLIENT_ID] == b"\0name"


def test_a_relay_gets_its_own_words_back() -> None:
    agent = b"\x01\x04eth7\x02\x02ab"
    relayed = question4(options={Option4.RELAY_AGENT: agent}, giaddr="192.0.2.254", hops=1)
    reply = answer(relayed)
    assert (reply.address, reply.port) == (IPv4Address("192.0.2.254"), 67)
    assert reply.message.giaddr == IPv4Address("192.0.2.254")
    assert list(reply.message.by_code)[-1] == Option4.RELAY_AGENT
    assert reply.message.by_code[Option4.RELAY_AGENT] == agent


def test_a_relay_may_name_another_link_and_another_server() -> None:
    agent = b"\x05\x04" + bytes((192, 0, 2, 0)) + b"\x0b\x04" + bytes((203, 0, 113, 7))
    reply = answer(question4(options={Option4.RELAY_AGENT: agent}, giaddr="203.0.113.7"))
    assert reply.message.by_code[Option4.SERVER_ID] == bytes((203, 0, 113, 7))
    assert reply.message.yiaddr == IPv4Address("192.0.2.10")
    assert reply.message.siaddr == SERVER4
    assert reply.message.by_code[Option4.BOOT_FILE].startswith(b"http://192.0.2.1:8080/")
    taken = {Option4.RELAY_AGENT: agent, 50: bytes((192, 0, 2, 10)), Option4.SERVER_ID: bytes((203, 0, 113, 7))}
    assert answer(question4(Kind4.REQUEST, options=taken, giaddr="203.0.113.7")).kind is Kind4.ACK


@pytest.mark.parametrize("mode", Mode)
def test_a_client_that_plays_the_relay_changes_nothing_in_its_answer(mode: Mode) -> None:
    reply = answer(question4(options={Option4.RELAY_AGENT: b"\x0b\x04\x06\x06\x06\x06"}), policy(mode))
    assert reply.message.by_code[Option4.SERVER_ID] == SERVER4.packed
    assert reply.message.siaddr == SERVER4
    assert reply.message.by_code[Option4.BOOT_FILE].startswith(b"http://192.0.2.1:8080/")


@pytest.mark.parametrize("mode", Mode)
@pytest.mark.parametrize(
    ("message", "why"),
    [
        (question4(giaddr="203.0.113.1"), "relay 203.0.113.1 is on none of our networks"),
        (question4(hops=17), "a loop"),
        (replace(question4(vendor=b""), hlen=0), "no hardware address, no client identifier and no UUID"),
        (Message4(op=2, xid=1), "an answer, not a question"),
        (Message4(op=1, xid=1), "BOOTP"),
        (question4(giaddr="192.0.2.254", options={Option4.RELAY_AGENT: b"\x05\x09"}), "option 82"),
    ],
)
def test_what_nobody_should_answer_is_not_answered(mode: Mode, message: Message4, why: str) -> None:
    assert why in why_not(message, policy(mode))


@pytest.mark.parametrize("mode", Mode)
def test_an_offer_goes_nowhere_else_by_what_a_client_calls_its_address(mode: Mode) -> None:
    assert answer(question4(ciaddr="203.0.113.9"), policy(mode)).address == BROADCAST


def test_an_acknowledgement_goes_nowhere_else_by_what_a_client_calls_its_address() -> None:
    taken: dict[int, bytes] = {50: bytes((192, 0, 2, 10)), Option4.SERVER_ID: SERVER4.packed}
    assert answer(question4(Kind4.REQUEST, options=taken, ciaddr="203.0.113.9")).address == BROADCAST


def test_who_has_an_address_gets_what_it_asks_for_without_another() -> None:
    reply = answer(question4(Kind4.INFORM, ciaddr="192.0.2.200"))
    assert (reply.kind, reply.address) == (Kind4.ACK, IPv4Address("192.0.2.200"))
    assert reply.message.yiaddr == message4.UNSPECIFIED
    assert Option4.LEASE_SECONDS not in reply.message.by_code
    assert reply.message.by_code[Option4.ROUTERS] == SERVER4.packed
    assert "is an address of none of our networks" in why_not(question4(Kind4.INFORM, ciaddr="203.0.113.9"))
    nowhere = replace(policy(), subnets=())
    assert "is an address of none of our networks" in why_not(question4(Kind4.INFORM, ciaddr="192.0.2.200"), nowhere)


def test_a_proxy_sends_what_it_is_asked_for_to_no_address_that_is_not_on_its_networks() -> None:
    proxy, told = policy(Mode.PROXY), replace(policy(Mode.PROXY), subnets=policy().subnets)
    for known, ciaddr, address in (
        (proxy, "8.8.8.8", BROADCAST),
        (proxy, "192.0.2.200", BROADCAST),
        (told, "8.8.8.8", BROADCAST),
        (told, "192.0.2.200", IPv4Address("192.0.2.200")),
    ):
        reply = answer(question4(Kind4.INFORM, ciaddr=ciaddr), known)
        assert (reply.kind, reply.address, reply.port, reply.url_sent) == (Kind4.ACK, address, 68, True)


@given(
    st.sampled_from(list(Kind4)),
    st.dictionaries(st.sampled_from([50, 51, 54, 57, 60, 61, 77, 82, 93, 97]), st.binary(max_size=40)),
    st.sampled_from(list(Mode)),
    st.sampled_from(["0.0.0.0", "192.0.2.10", "203.0.113.1"]),
)
def test_any_message_that_can_be_read_is_answered_or_ignored(
    kind: Kind4, options: dict[int, bytes], mode: Mode, address: str
) -> None:
    try:
        message = question4(kind, HTTP, options, ciaddr=address, giaddr=address)
    except MalformedMessage:
        return
    reply = decide4(message, SERVER4, policy(mode, default=DEFAULT), leases(4), 0)
    assert isinstance(reply, Ignore) or decode(encode(reply.message)) == reply.message
