"""Which machine it is, and which URL it gets."""

from __future__ import annotations

import uuid
from ipaddress import IPv4Address, IPv6Address

from ironic_httpboot.dhcp.client import Client
from ironic_httpboot.dhcp.policy import Boot, Machine, Machines, Mode
from kit.dhcp import HTTP, MAC, SERVER4, SUBNET4, SUBNET6, policy

NUMBER = uuid.UUID(int=7)
HTTP_CLIENT = Client(key=b"k", vendor_class=HTTP, architecture=0x10)


def test_a_machine_is_found_by_the_most_certain_of_what_is_known() -> None:
    by_mac, by_uuid, by_duid = Machine(name="m", mac=MAC), Machine(name="u", uuid=NUMBER), Machine(name="d", duid=b"d")
    machines = Machines((by_mac, by_uuid, by_duid))
    assert machines.find(Client(key=b"", mac=MAC)) is by_mac
    assert machines.find(Client(key=b"", mac=MAC, uuids=(NUMBER,))) is by_uuid
    assert machines.find(Client(key=b"", mac=MAC, uuids=(NUMBER,), duid=b"d")) is by_duid
    assert machines.find(Client(key=b"", mac=bytes(6))) is None


def test_a_url_names_the_address_at_which_the_question_came_in() -> None:
    boot = Boot(url="http://{server}:80/a.iso")
    assert boot.url_for(HTTP_CLIENT, SERVER4) == "http://192.0.2.1:80/a.iso"
    assert boot.url_for(HTTP_CLIENT, IPv6Address("2001:db8::1")) == "http://[2001:db8::1]:80/a.iso"
    assert boot.url_for(HTTP_CLIENT, IPv6Address(0)) is None, "no address of ours is there that a machine could reach"


def test_firmware_gets_no_url_whose_address_is_of_the_other_family() -> None:
    """It takes that for a host's name (firmware.Rule.FAMILY). iPXE has both families at once, whichever asked."""
    six, ipxe = IPv6Address("2001:db8::1"), Client(key=b"k", user_classes=(b"iPXE",))
    of4, of6, named = (
        Boot(url=f"http://{host}:80/a", script=f"http://{host}/b") for host in ("192.0.2.9", "[::9]", "a")
    )
    assert [bool(each.url_for(HTTP_CLIENT, SERVER4)) for each in (of4, of6, named)] == [True, False, True]
    assert [bool(each.url_for(HTTP_CLIENT, six)) for each in (of4, of6, named)] == [False, True, True]
    assert all(each.url_for(ipxe, server) for each in (of4, of6, named) for server in (SERVER4, six))


def test_over_ipv6_a_machine_gets_what_is_for_ipv6_and_else_what_is_for_both() -> None:
    six, ipxe = IPv6Address("2001:db8::1"), Client(key=b"k", user_classes=(b"iPXE",))
    both = Boot(url="http://{server}/a", script="http://{server}/b")
    apart = Boot(url="http://{server}/a", url6="http://{server}/6a", script="http://{server}/b", script6="http://a/6b")
    assert [each.url_for(HTTP_CLIENT, six) for each in (both, apart)] == [
        "http://[2001:db8::1]/a",
        "http://[2001:db8::1]/6a",
    ]
    assert [each.url_for(ipxe, six) for each in (both, apart)] == ["http://[2001:db8::1]/b", "http://a/6b"]
    assert [apart.url_for(client, SERVER4) for client in (HTTP_CLIENT, ipxe)] == [
        "http://192.0.2.1/a",
        "http://192.0.2.1/b",
    ]


def test_no_url_is_shown_where_a_value_is_printed() -> None:
    assert "secret" not in repr(policy()) + repr(
        Boot(url="http://a/secret/b.iso", script="http://a/secret", url6="http://a/secret", script6="http://a/secret")
    )


def test_reserved_addresses_are_told_by_family() -> None:
    machines = Machines((Machine(name="m", mac=MAC, addresses=(IPv4Address("192.0.2.9"), IPv6Address("2001:db8::9"))),))
    assert list(machines.reserved(4)) == [IPv4Address("192.0.2.9")]
    assert list(machines.reserved(6)) == [IPv6Address("2001:db8::9")]


def test_a_network_is_found_by_any_of_its_addresses() -> None:
    given = policy(Mode.SERVER)
    assert given.subnet_of(IPv4Address("192.0.2.200")) is SUBNET4
    assert given.subnet_of(IPv6Address("2001:db8::200")) is SUBNET6
    assert given.subnet_of(IPv4Address("198.51.100.1")) is None
