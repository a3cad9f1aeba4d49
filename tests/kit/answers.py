"""A DHCP server that answers as a test wants it, right or wrong. Use it in an async with statement in a network."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable
from ipaddress import IPv4Address
from types import TracebackType
from typing import Any, cast

from ironic_httpboot.dhcp import message4, message6
from ironic_httpboot.dhcp.iana import ALL_RELAYS_AND_SERVERS, SERVER_PORT4, SERVER_PORT6
from ironic_httpboot.dhcp.message4 import Message4
from ironic_httpboot.dhcp.message6 import Message6
from kit.wire import BRIDGE

Answer4 = Callable[[Message4], tuple[Message4, IPv4Address] | None]
Answer6 = Callable[[Message6], Message6 | None]


class _Port(asyncio.DatagramProtocol):
    def __init__(self, answer: Callable[[bytes, Any], tuple[bytes, Any] | None]) -> None:
        self._answer = answer

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def error_received(self, exc: Exception) -> None:
        raise exc

    def datagram_received(self, data: bytes, peer: Any) -> None:
        answer = self._answer(data, peer)
        if answer is not None:
            self._transport.sendto(*answer)


class Answers:
    """heard6: the kinds of DHCPv6 messages that came after the first answer over DHCPv6."""

    def __init__(self, answer4: Answer4, answer6: Answer6) -> None:
        self._answer4 = answer4
        self._answer6 = answer6
        self.heard6: list[int] = []
        self.answered6 = 0

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

    def _take4(self, data: bytes, peer: Any) -> tuple[bytes, Any] | None:
        answer = self._answer4(message4.decode(data))
        return None if answer is None else (message4.encode(answer[0]), (str(answer[1]), 68))

    def _take6(self, data: bytes, peer: Any) -> tuple[bytes, Any] | None:
        message = message6.decode(data)
        assert isinstance(message, Message6)
        if self.answered6:
            self.heard6.append(message.kind)
        answer = self._answer6(message)
        if answer is None:
            return None
        self.answered6 += 1
        return message6.encode(answer), peer
