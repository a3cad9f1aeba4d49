"""A DHCP server that answers as a test wants it, right or wrong. Use it in an async with statement in a network."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable, Sequence
from ipaddress import IPv4Address, IPv6Address
from types import TracebackType
from typing import Any, cast

from ironic_httpboot.dhcp import message4, message6
from ironic_httpboot.dhcp.client import identify6
from ironic_httpboot.dhcp.iana import ALL_RELAYS_AND_SERVERS, CLIENT_PORT4, SERVER_PORT4, SERVER_PORT6
from ironic_httpboot.dhcp.message4 import Message4
from ironic_httpboot.dhcp.message6 import Message6
from kit.network import BRIDGE

Answer4 = Callable[[Message4], Sequence[tuple[Message4, IPv4Address]]]
Answer6 = Callable[[Message6, str], Sequence[Message6]]
"""What to answer; a DHCPv6 machine is told by the MAC in its link-local address."""


class _Port(asyncio.DatagramProtocol):
    def __init__(self, answer: Callable[[bytes, Any], Sequence[tuple[bytes, Any]]]) -> None:
        self._answer = answer

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def error_received(self, exc: Exception) -> None:
        raise exc

    def datagram_received(self, data: bytes, peer: Any) -> None:
        for answer in self._answer(data, peer):
            self._transport.sendto(*answer)


class Answers:
    """For as long as the async with statement lasts."""

    def __init__(self, answer4: Answer4, answer6: Answer6) -> None:
        self._answer4 = answer4
        self._answer6 = answer6

    async def __aenter__(self) -> Answers:
        loop = asyncio.get_running_loop()
        four = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        four.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        four.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, BRIDGE.encode())
        four.bind(("", SERVER_PORT4))
        six = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        six.bind(("::", SERVER_PORT6))
        group = socket.inet_pton(socket.AF_INET6, ALL_RELAYS_AND_SERVERS)
        six.setsockopt(
            socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, group + struct.pack("@I", socket.if_nametoindex(BRIDGE))
        )
        for each in (four, six):
            each.setblocking(False)
        self._ports = [
            (await loop.create_datagram_endpoint(lambda: _Port(self._take4), sock=four))[0],
            (await loop.create_datagram_endpoint(lambda: _Port(self._take6), sock=six))[0],
        ]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for each in self._ports:
            each.close()

    def _take4(self, data: bytes, peer: Any) -> Sequence[tuple[bytes, Any]]:
        answers = self._answer4(message4.decode(data))
        return [(message4.encode(answer), (str(address), CLIENT_PORT4)) for answer, address in answers]

    def _take6(self, data: bytes, peer: Any) -> Sequence[tuple[bytes, Any]]:
        message = message6.decode(data)
        assert isinstance(message, Message6)
        mac = identify6(message, (), IPv6Address(peer[0].partition("%")[0])).mac
        return [(message6.encode(answer), peer) for answer in self._answer6(message, mac.hex(":"))]
