"""Offers that real firmware ignores, and what `explain` says of the capture of that very run."""

from __future__ import annotations

import asyncio
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

import pytest

from ironic_httpboot.dhcp import capture, message4, message6
from ironic_httpboot.dhcp.explain import Attempt, explain
from ironic_httpboot.dhcp.firmware import Rule
from ironic_httpboot.dhcp.iana import Kind4, Kind6, Option4, Option6
from ironic_httpboot.dhcp.message4 import Message4
from ironic_httpboot.dhcp.message6 import IaAddress, IaNa, Message6, Option
from kit.answers import Answers
from kit.commands import httpboot
from kit.lab import until
from kit.wire import HOST4, Network, ip
from kit.yard import SPLASH_MS, Yard

pytestmark = pytest.mark.firmware

TIMEOUT = "Server response timeout"


def rules(attempts: tuple[Attempt, ...], machine: str, family: int) -> set[Rule | None]:
    """What became of the offers to a machine: MAC for DHCPv4, its digits are in the DUID for DHCPv6."""
    digits = machine.replace(":", "")
    found = [each for each in attempts if each.family == family]
    # EDK2's DUID is made of the machine's UUID: with one machine asking at a time the family is enough.
    mine = [each for each in found if each.machine in (machine, digits)] or found
    assert mine
    assert all(each.choice.rank is None for each in mine)
    return {verdict.rule for each in mine for verdict in each.choice.verdicts}


async def test_a_url_without_its_vendor_class_is_ignored_and_so_is_a_name_without_dns(tmp_path: Path) -> None:
    with Network(tmp_path) as network:
        async with Yard(network, ["classless", "nameless"], splash_ms=SPLASH_MS) as yard:
            network.dnsmasq(
                f"""
interface=br0
bind-interfaces
dhcp-range=192.0.2.10,192.0.2.99
dhcp-range=2001:db8::10,2001:db8::99
dhcp-host={yard.macs["classless"]},set:classless
dhcp-host={yard.macs["nameless"]},set:nameless
dhcp-option-force=tag:classless,67,http://192.0.2.1:8080/secret/node.efi
dhcp-option-force=tag:nameless,60,HTTPClient
dhcp-option-force=tag:nameless,67,http://images.example/secret/node.efi
dhcp-option-force=tag:classless,option6:59,"http://[2001:db8::1]:8080/secret/node.efi"
dhcp-option-force=tag:nameless,option6:59,"http://[2001:db8::1]:8080/secret/node.efi"
dhcp-option-force=tag:nameless,option6:16,HTTPClient
"""
            )
            with network.capture(tmp_path / "dhcp.pcap") as file:
                await yard.power_on("classless", "nameless")
                await until(
                    lambda: all(yard.console(name).count(TIMEOUT) >= 2 for name in yard.macs),
                    seconds=270,
                    what="both machines give up on both families",
                )
            assert [yard.requests(name) for name in yard.macs] == [[], []]
    attempts = explain(capture.read(file.read_bytes()))
    assert rules(attempts, yard.macs["classless"], 4) == {Rule.NO_CLASS4}
    assert rules(attempts, yard.macs["nameless"], 4) == {Rule.NO_DNS}
    assert rules(attempts, "", 6) == {Rule.NO_CLASS6, Rule.BAD_CLASS6}
    said = httpboot("explain", file)
    assert "passed over: it has a URL and no option 60 that begins with HTTPClient: the URL does not count" in said
    assert "passed over: its URL names a host and it brings no DNS server" in said
    assert "passed over: it has a URL and no option 16: the URL does not count" in said
    assert "/secret/" not in said


BROADCAST = IPv4Address("255.255.255.255")
EARLY = IPv4Address("192.0.2.50")
"""The address that is offered by a packet to itself."""


def answer4(asked: Message4, address: IPv4Address, url: str) -> Message4:
    """An offer, or the ACK, that has all that firmware wants."""
    kind = Kind4.OFFER if asked.kind == Kind4.DISCOVER else Kind4.ACK
    plain = Message4(op=2, xid=asked.xid, flags=asked.flags, yiaddr=address, chaddr=asked.chaddr)
    options: dict[int, bytes] = {
        Option4.KIND: bytes([kind]),
        Option4.SERVER_ID: IPv4Address(HOST4).packed,
        Option4.LEASE_SECONDS: (3600).to_bytes(4),
        Option4.SUBNET_MASK: bytes([255, 255, 255, 0]),
        Option4.VENDOR_CLASS: b"HTTPClient",
        Option4.BOOT_FILE: url.encode() + b"\0",
    }
    return message4.with_options(plain, options)


def hasty(asked: Message6) -> Message6 | None:
    """An ADVERTISE whose address is preferred for longer than it is valid."""
    if asked.kind != Kind6.SOLICIT:
        return None
    address = IaAddress(address=IPv6Address("2001:db8::50"), preferred=7200, valid=3600)
    inside = (Option(Option6.IA_ADDRESS, message6.encode_address(address)),)
    ia = message6.decode_ia(asked.get(Option6.IA_NA) or b"")
    options = (
        Option(Option6.CLIENT_ID, asked.get(Option6.CLIENT_ID) or b""),
        Option(Option6.SERVER_ID, bytes.fromhex("00030001525400000001")),
        Option(Option6.IA_NA, message6.encode_ia(IaNa(iaid=ia.iaid, t1=1800, t2=2880, options=inside))),
        Option(Option6.BOOT_URL, b"http://[2001:db8::1]:8080/secret/node.efi"),
        Option(Option6.VENDOR_CLASS, message6.http_client_class(b"HTTPClient")),
    )
    return Message6(kind=Kind6.ADVERTISE, transaction=asked.transaction, options=options)


async def test_a_unicast_offer_a_strange_suffix_and_lifetimes_in_the_wrong_order_end_a_boot(tmp_path: Path) -> None:
    with Network(tmp_path) as network:
        async with Yard(network, ["unicast", "suffix"], splash_ms=SPLASH_MS) as yard:
            (yard.plain / "node.efi.signed").write_bytes(yard.parts.kernel.read_bytes())
            ip("neighbour", "replace", str(EARLY), "lladdr", yard.macs["unicast"], "dev", "br0")

            def four(asked: Message4) -> tuple[Message4, IPv4Address] | None:
                if asked.hardware_address.hex(":") == yard.macs["unicast"]:
                    return answer4(asked, EARLY, "http://192.0.2.1:8080/secret/node.efi"), EARLY
                return answer4(asked, IPv4Address("192.0.2.51"), "http://192.0.2.1:8080/node.efi.signed"), BROADCAST

            async with Answers(four, hasty) as answers:
                with network.capture(tmp_path / "dhcp.pcap") as file:
                    await yard.power_on("unicast", "suffix")
                    await until(
                        lambda: (
                            TIMEOUT in yard.console("unicast")
                            and "node.efi.signed" in yard.console("suffix")
                            and "Could not retrieve NBP file size" in yard.console("suffix")
                            and answers.answered6 >= 2
                        ),
                        seconds=150,
                        what="one machine gives up on DHCPv4, the other on the file, and both get an ADVERTISE",
                    )
                    # Firmware that goes on asks for the address about four seconds after it chose.
                    await asyncio.sleep(20)
            assert Kind6.REQUEST not in answers.heard6, "it hangs, and takes no such offer"
            assert yard.console("unicast").count(TIMEOUT) == 1
    found = explain(capture.read(file.read_bytes()))
    assert rules(found, yard.macs["unicast"], 4) == {Rule.UNICAST}
    (suffix,) = [each for each in found if each.machine == yard.macs["suffix"]]
    assert suffix.choice.rank == 1
    assert "Content-Type" in suffix.choice.concerns[0]
    assert rules(found, "", 6) == {Rule.LIFETIMES}
