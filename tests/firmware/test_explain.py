"""Answers that real firmware passes over, and what `explain` says of the capture of that very run."""

from __future__ import annotations

import asyncio
import time
import uuid
from dataclasses import replace
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from ironic_httpboot.dhcp import capture
from ironic_httpboot.dhcp.explain import Attempt, explain
from ironic_httpboot.dhcp.firmware import Rule
from ironic_httpboot.dhcp.iana import Kind6, Option4
from kit import captures
from kit.answers import Answers
from kit.asker import ask4
from kit.board import Board
from kit.commands import httpboot
from kit.dhcp import PXE, question4
from kit.lab import until
from kit.network import BRIDGE, SERVER4, SERVER6, entered
from kit.offers import Offer4, Offer6, Turns4, Turns6
from kit.others import start_dnsmasq
from kit.shelf import files, images
from kit.site import site

pytestmark = pytest.mark.firmware

TIMEOUT = "Server response timeout"
DNSMASQ, DNSMASQ6 = "192.0.2.9", "2001:db8::9"
PLAIN4 = f"http://{SERVER4}:8080/secret"
PLAIN6 = f"http://[{SERVER6}]:8080/secret"
EARLY = "192.0.2.50"
"""The address that is offered by a packet to itself."""

NAMED, NUMBERED = "http://images.example:8080/secret/node.efi", f"{PLAIN4}/node.efi"
WRONG4 = [
    Offer4(server="192.0.2.2", address="192.0.2.52", url=NUMBERED, http_client=False),
    Offer4(server="192.0.2.3", address="192.0.2.53", url=NAMED),
    Offer4(server="192.0.2.4", address=EARLY, url=NUMBERED, unicast=True),
]
OTHER4 = Offer4(server=SERVER4, address="192.0.2.62", url=f"{PLAIN4}/node.efi.signed")
PROXY = f"""
interface=eth0
bind-interfaces
port=53
address=/images.example/{SERVER4}
dhcp-range=192.0.2.0,proxy
pxe-service=x86-64_EFI,boot,node.efi
dhcp-option-force=60,HTTPClient
dhcp-boot={NUMBERED}
"""
"""dnsmasq as a proxy, which is to stay silent, and as the name server."""


def attempts(file: Path, board: Board, *, before: float = float("inf")) -> list[Attempt]:
    """What `explain` makes of a machine's attempts, in a capture as far as a moment."""
    datagrams = (each for each in capture.read(file.read_bytes()) if each.at < before)
    # EDK2's DUID is made of the machine's UUID (RFC 6355), in the byte order of SMBIOS.
    known = {board.mac, f"0004{uuid.UUID(board.specification.uuid).bytes_le.hex()}"}
    return [each for each in explain(datagrams) if each.machine in known]


async def asks_again(board: Board, turns: Turns4) -> None:
    """Run a machine until it sends another DISCOVER: by then it has looked at what it was offered."""
    async with board:
        await until(lambda: turns.asked[board.mac] >= 2, seconds=120, what="another DISCOVER")
    assert "Station IP" not in board.console


def rules(attempt: Attempt) -> dict[str, Rule | None]:
    """What became of each server's offer."""
    return {each.offer.server: each.rule for each in attempt.choice.verdicts}


async def test_over_dhcpv4_firmware_passes_over_what_explain_says(tmp_path: Path) -> None:
    """Each wrong offer is one that the right one differs from in a single thing, and a new DISCOVER follows it."""
    folder, provisions = files(tmp_path)
    with site(tmp_path) as here, here.neighbour(f"{DNSMASQ}/24") as neighbour, entered(here.host):
        four, plain, lonely, silent, suffix = map(here.board, ("four", "plain", "lonely", "silent", "suffix"))
        fixed = here.board("fixed", uri=NUMBERED, static="192.0.2.77")
        start_dnsmasq(neighbour, tmp_path, PROXY)
        here.host.run("ip", "neighbour", "replace", EARLY, "lladdr", four.mac, "dev", BRIDGE)
        turns = Turns4(
            {
                four.mac: [WRONG4, [Offer4(server=SERVER4, address="192.0.2.51", url=NAMED, dns=DNSMASQ)]],
                plain.mac: [[Offer4(server=SERVER4, address="192.0.2.60", http_client=False)]],
                lonely.mac: [[Offer4(server=SERVER4, url=NUMBERED)]],
                fixed.mac: [[replace(OTHER4, http_client=False)]],
                suffix.mac: [[Offer4(server=SERVER4, address="192.0.2.61", url=f"{PLAIN4}/node.efi.signed")]],
            }
        )
        file = tmp_path / "ignored4.pcap"
        async with images(folder) as requests, Answers(turns, lambda message, mac: []):
            with here.host.capturing(file):
                for board in (plain, lonely, silent):
                    async with board:
                        await until(
                            lambda board=board: turns.asked[board.mac] >= 2, seconds=90, what="another DISCOVER"
                        )
                    assert "Station IP" not in board.console
                async with suffix:
                    await suffix.until("Could not retrieve NBP file size")
                assert (requests[0].method, requests[0].status) == ("HEAD", 200)
                assert not any(each.method == "GET" and each.sent_bytes == each.total_bytes for each in requests)
                pxe = await asyncio.to_thread(ask4, here.host, question4(vendor=PXE), interface=BRIDGE)
                assert pxe.by_code[Option4.SERVER_ID] == IPv4Address(DNSMASQ).packed, "its proxy answers PXEClient"
                requests.clear()
                async with four, fixed:
                    await asyncio.gather(four.passes(provisions), fixed.passes(provisions))
                assert {each.path.rpartition("/")[2] for each in requests} == {"node.efi"}, "not what DHCP said"
        captures.keep(file)
    assert "Station IP address is 192.0.2.51" in four.console
    assert "Station IP address is 192.0.2.62" in fixed.console, "not the one that its boot entry says"
    (attempt,) = attempts(file, four)
    assert rules(attempt) == {
        "192.0.2.2": Rule.NO_CLASS4,
        "192.0.2.3": Rule.NO_DNS,
        "192.0.2.4": Rule.UNICAST,
        SERVER4: None,
    }
    assert (attempt.choice.rank, attempt.choice.url, attempt.accepted) == (3, NAMED, SERVER4)
    assert [rules(each) for each in attempts(file, plain)] == [{SERVER4: Rule.NO_PROXY}]
    assert [rules(each) for each in attempts(file, lonely)] == [{SERVER4: Rule.ALONE}]
    assert [rules(each) for each in attempts(file, silent)] == [{}], "dnsmasq's own proxy mode says nothing"
    (strange,) = attempts(file, suffix)
    assert strange.choice.rank == 1
    assert "Content-Type" in strange.choice.concerns[0]
    said = httpboot("explain", file)
    assert f"{silent.mac} asked by DHCPv4 as HTTPClient:Arch:00016:UNDI:003000\n  no offer came" in said
    assert "/secret/" not in said


async def test_an_offer_is_taken_and_then_no_redirect_is_followed_and_no_error_forgiven(tmp_path: Path) -> None:
    """`explain` says so much: the offer was good, so the trouble is in HTTP."""
    folder, _ = files(tmp_path)
    asked: list[str] = []

    async def redirect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        asked.append(head.split(b" ")[0].decode())
        answer = f"HTTP/1.1 302 Found\r\nLocation: {NUMBERED}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        writer.write(answer.encode())
        await writer.drain()
        writer.close()

    with site(tmp_path) as here, entered(here.host):
        board = here.board("moved", tries=2)
        urls = (f"http://{SERVER4}:8081/moved.efi", f"{PLAIN4}/missing.efi")
        turns = Turns4({board.mac: [[Offer4(server=SERVER4, address="192.0.2.70", url=url)] for url in urls]})
        elsewhere = await asyncio.start_server(redirect, SERVER4, 8081)
        async with elsewhere, images(folder) as requests, Answers(turns, lambda message, mac: []):
            with here.host.capturing(tmp_path / "dhcp.pcap") as file:
                async with board:
                    await board.until("Resource Redirected")
                    await board.until("Client Error: 404")
        assert asked[0] == "HEAD"
        assert {each.status for each in requests} == {404}, "nothing was fetched from where the redirect leads"
    assert [(each.choice.rank, each.choice.url) for each in attempts(file, board)] == [(1, url) for url in urls]


async def test_over_dhcpv6_firmware_passes_over_what_explain_says(tmp_path: Path) -> None:
    folder, _ = files(tmp_path)
    url = f"{PLAIN6}/node.efi"
    with site(tmp_path) as here, here.neighbour(f"{DNSMASQ6}/64") as neighbour, entered(here.host):
        six = here.board("six", version=6, tries=2)
        hasty = here.board("hasty", version=6)
        fixed = here.board("fixed", version=6, uri=url)
        dnsmasq = "interface=eth0\nbind-interfaces\nenable-ra\ndhcp-range=2001:db8::,ra-only,64\n"
        start_dnsmasq(neighbour, tmp_path, dnsmasq)
        wrong = [
            Offer6(server=2, address="2001:db8::52", url=url, vendor_class=None),
            Offer6(server=3, address="2001:db8::53", url=url, vendor_class=b"HTTPClient".rjust(16, b"\0")[2:]),
        ]
        right = Offer6(server=1, address="2001:db8::51", url=url)
        other = Offer6(server=1, address="2001:db8::60", url=f"{PLAIN6}/node.efi.signed")
        started: list[bool] = []
        turns = Turns6(
            {
                six.mac: [wrong, [right]],
                hasty.mac: [[Offer6(server=1, address="2001:db8::70", url=url, preferred=7200, valid=3600)]],
                fixed.mac: [[], [], [other]],
            },
            answered_release=3,
            on_release=lambda number: started.append("BdsDxe: starting Boot" in six.console),
        )
        file = tmp_path / "ignored6.pcap"
        async with images(folder) as requests, Answers(lambda message: [], turns):
            with here.host.capturing(file):
                async with hasty, six:
                    await six.until("BdsDxe: starting Boot")
                    await until(lambda: turns.count(hasty.mac, Kind6.SOLICIT) > 0, seconds=60, what="it asks")
                    await asyncio.sleep(8)  # what goes on sends its REQUEST after some four seconds
                assert started[:3] == [False, False, False], "it waits for the answer before it starts what it has"
                assert turns.heard[hasty.mac] == [Kind6.SOLICIT], "it hangs"
                assert TIMEOUT not in hasty.console
                # Its words for an ADVERTISE that will not do; nobody had asked the HTTP server for anything.
                assert six.console.count("Could not retrieve NBP file size") == 1
                assert [each.method for each in requests] == ["HEAD", "GET"]
                requests.clear()
                async with fixed:
                    await until(lambda: turns.count(fixed.mac, Kind6.SOLICIT) >= 2, seconds=90, what="it asks again")
                    alone, before = list(requests), time.time()
                    await fixed.until("BdsDxe: starting Boot")
                assert alone == [], "the address that it made itself will not do, though the URL is known"
                assert {each.path.rpartition("/")[2] for each in requests} == {"node.efi"}, "not what DHCP said"
        captures.keep(file)
    first, second = attempts(file, six)
    assert set(rules(first).values()) == {Rule.NO_CLASS6, Rule.BAD_CLASS6}
    assert (second.choice.rank, second.accepted, second.unanswered_releases) == (1, right.duid.hex(), 2)
    assert [set(rules(each).values()) for each in attempts(file, hasty)] == [{Rule.LIFETIMES}]
    assert [rules(each) for each in attempts(file, fixed, before=before)] == [{}]
    said = httpboot("explain", file)
    assert "passed over: it has a URL and no option 16: the URL does not count" in said
    assert "passed over: its option 16 does not hold HTTPClient in bytes 6 to 15" in said
    assert "→ boots nothing: the firmware says “Could not retrieve NBP file size”, and has not asked for it" in said
    assert "but: 2 RELEASE messages were not answered" in said
    assert "→ boots nothing, and goes no further" in said
