"""DHCP messages as firmware and others send them, and a server's side without sockets."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import IPv4Address, IPv6Address, ip_network

from ironic_httpboot.dhcp import message6
from ironic_httpboot.dhcp.iana import INTEL_ENTERPRISE, Kind4, Kind6, Op, Option4, Option6
from ironic_httpboot.dhcp.leases import Leases
from ironic_httpboot.dhcp.message4 import Message4, with_options
from ironic_httpboot.dhcp.message6 import IaAddress, IaNa, Message6, Option, VendorClass
from ironic_httpboot.dhcp.policy import Boot, Machine, Machines, Mode, Policy, Subnet

SERVER4, SERVER6 = IPv4Address("192.0.2.1"), IPv6Address("2001:db8::1")
SERVER_DUID = bytes.fromhex("00030001020000000001")
MAC = bytes.fromhex("525400123456")
HTTP = b"HTTPClient:Arch:00016:UNDI:003000"
PXE = b"PXEClient:Arch:00007:UNDI:003001"
URL = "http://{server}:8080/secret/node.iso"
SCRIPT = "http://{server}:8080/secret/boot.ipxe"
SUBNET4 = Subnet(
    network=ip_network("192.0.2.0/24"),
    ranges=((IPv4Address("192.0.2.10"), IPv4Address("192.0.2.12")),),
    router=SERVER4,
    dns=(IPv4Address("192.0.2.53"),),
    domain="example.org",
    lease_seconds=600,
)
SUBNET6 = Subnet(
    network=ip_network("2001:db8::/64"),
    ranges=((IPv6Address("2001:db8::10"), IPv6Address("2001:db8::12")),),
    dns=(IPv6Address("2001:db8::53"),),
    lease_seconds=600,
)
DEFAULT = Boot(url=URL, script=SCRIPT)


def policy(
    mode: Mode = Mode.SERVER, *machines: Machine, default: Boot | None = DEFAULT, unknown: bool = True
) -> Policy:
    """What to answer by; both networks are there in server mode."""
    subnets = (SUBNET4, SUBNET6) if mode is Mode.SERVER else ()
    return Policy(mode=mode, machines=Machines(machines, default=default), subnets=subnets, unknown=unknown)


def leases(version: int, *, reserved: tuple[int, ...] = ()) -> Leases:
    """An empty table for the network of one family."""
    table = Leases(version)
    subnet = SUBNET4 if version == 4 else SUBNET6
    table.configure([(int(first), int(last)) for first, last in subnet.ranges], reserved)
    return table


def question4(
    kind: Kind4 = Kind4.DISCOVER,
    vendor: bytes = HTTP,
    options: Mapping[int, bytes] | None = None,
    *,
    mac: bytes = MAC,
    ciaddr: str = "0.0.0.0",
    giaddr: str = "0.0.0.0",
    hops: int = 0,
) -> Message4:
    """A client's message. options: more of them, or others."""
    given: dict[int, bytes] = {Option4.KIND: bytes((kind,)), Option4.LARGEST_MESSAGE: b"\x05\xc0"}
    if vendor:
        given |= {
            Option4.VENDOR_CLASS: vendor,
            Option4.ARCHITECTURE: int(vendor.split(b":")[2]).to_bytes(2),
            Option4.MACHINE_ID: bytes(range(17)),
        }
    message = Message4(
        op=Op.REQUEST,
        xid=0x1234,
        flags=0x8000,
        hops=hops,
        chaddr=mac.ljust(16, b"\0"),
        ciaddr=IPv4Address(ciaddr),
        giaddr=IPv4Address(giaddr),
    )
    return with_options(message, {**given, **(options or {})})


def question6(
    kind: Kind6 = Kind6.SOLICIT,
    *options: Option,
    vendor: bytes = HTTP,
    duid: bytes = b"\0\x03\0\x01" + MAC,
    iaids: tuple[int, ...] = (1,),
    address: str | None = None,
    server: bytes | None = None,
) -> Message6:
    """A client's message. address: in each association. server: the DUID of the one that it is for."""
    inside: tuple[Option, ...] = ()
    if address is not None:
        packed = message6.encode_address(IaAddress(address=IPv6Address(address), preferred=0, valid=0))
        inside = (Option(Option6.IA_ADDRESS, packed),)
    found = [Option(Option6.CLIENT_ID, duid)]
    if server is not None:
        found.append(Option(Option6.SERVER_ID, server))
    found += [Option(Option6.IA_NA, message6.encode_ia(IaNa(iaid=iaid, options=inside))) for iaid in iaids]
    if vendor:
        given = VendorClass(enterprise=INTEL_ENTERPRISE, classes=(vendor,))
        found.append(Option(Option6.VENDOR_CLASS, message6.encode_vendor_class(given)))
        found.append(Option(Option6.ARCHITECTURE, b"\0\x10"))
    return Message6(kind=kind, transaction=0x123456, options=(*found, *options))
