"""What a server remembers of those who ask, without its sockets."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address

import pytest

from ironic_httpboot.dhcp import message4, message6
from ironic_httpboot.dhcp.iana import LONGEST_CLIENT_ID4, LONGEST_DUID, Option4
from ironic_httpboot.dhcp.interfaces import Interface
from ironic_httpboot.dhcp.policy import Machines, Mode, Policy
from ironic_httpboot.dhcp.serve import DhcpServer, Settings
from ironic_httpboot.events import Event, Failed
from kit.dhcp import PXE, SERVER4, SERVER6, SUBNET4, SUBNET6, question4, question6

MOST = 100
FLOOD = 2_000
CARD = Interface(name="br0", index=1, mac=bytes(6), address4=SERVER4, address6=SERVER6, has_ipv6=True)
FIRST4, LAST4 = IPv4Address("192.1.0.0"), IPv4Address("192.9.0.0")
WIDE4 = replace(SUBNET4, network=SUBNET4.network.supernet(new_prefix=8), ranges=((FIRST4, LAST4),))
WIDE6 = replace(SUBNET6, ranges=((IPv6Address("2001:db8::1:0"), IPv6Address("2001:db8::ffff:0")),))
PLAIN4, WANTING4, PLAIN6, WANTING6 = "DHCPv4", "DHCPv4 with option 50", "DHCPv6", "DHCPv6 with an address in it"


def asked(server: DhcpServer, kind: str, number: int) -> bool:
    """Whether a machine is answered with an address that asks as one of so many."""
    mac = b"\x02" + number.to_bytes(5)
    if kind in (PLAIN4, WANTING4):
        address = IPv4Address(int(IPv4Address("192.2.0.0")) + number)
        options: dict[int, bytes] = {Option4.REQUESTED_ADDRESS: address.packed} if kind == WANTING4 else {}
        data = message4.encode(question4(vendor=PXE, mac=mac, options=options))
        return server.answer4("br0", SERVER4, data, "192.2.0.9", 0) is not None
    wanted = str(IPv6Address(int(IPv6Address("2001:db8::2:0")) + number)) if kind == WANTING6 else None
    data = message6.encode(question6(duid=b"\0\x03\0\x01" + mac, address=wanted))
    answer = server.answer6(CARD, SERVER6, data, "fe80::9", 0)
    return answer is not None and b"no address is free" not in answer[0]


@pytest.mark.parametrize("kind", [PLAIN4, WANTING4, PLAIN6, WANTING6])
def test_a_flood_takes_bounded_memory(kind: str) -> None:
    """Each question is another machine's. Without its bound, leases or buckets take several times as much."""
    policy = Policy(mode=Mode.SERVER, machines=Machines(), subnets=(WIDE4, WIDE6))
    settings = Settings(interfaces=("br0",), policy=policy, most_leases=MOST, most_clients=MOST)
    server = DhcpServer(settings)
    server.reload(policy)
    asked(server, kind, 0)
    tracemalloc.start()
    try:
        given = sum(asked(server, kind, number) for number in range(FLOOD))
        used, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert given == MOST
    assert used < 300_000


@pytest.mark.parametrize(("version", "longest"), [(4, LONGEST_CLIENT_ID4), (6, LONGEST_DUID)])
def test_who_has_a_long_name_takes_no_memory_with_it(version: int, longest: int) -> None:
    """A message has room for 60,000 bytes of it. Neither leases nor buckets, nor what is told of it, keep them."""
    policy = Policy(mode=Mode.SERVER, machines=Machines(), subnets=(WIDE4, WIDE6))
    told: list[Event] = []
    server = DhcpServer(Settings(interfaces=("br0",), policy=policy), told.append)
    server.reload(policy)

    def answered(number: int, size: int) -> bool:
        name = b"\0\x02" + number.to_bytes(4) + bytes(size - 6)
        if version == 6:
            return server.answer6(CARD, SERVER6, message6.encode(question6(duid=name)), "fe80::9", 0) is not None
        asks = replace(question4(vendor=b"", options={Option4.CLIENT_ID: name}), hlen=0)
        return server.answer4("br0", SERVER4, message4.encode(asks), "192.2.0.9", 0) is not None

    assert answered(0, longest)
    tracemalloc.start()
    try:
        given = sum(answered(number, 60_000) for number in range(100))
        used, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (given, used < 500_000) == (0, True)
    assert not answered(1, longest + 1)
    assert isinstance(told[-1], Failed)
    assert f"{longest + 1} bytes, more than {longest}" in told[-1].reason
