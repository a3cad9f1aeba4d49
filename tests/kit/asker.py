"""A DHCP client of the kit's own, which asks one question from within a host, and takes the first answer to it."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator

from ironic_httpboot.dhcp import message4, message6
from ironic_httpboot.dhcp.iana import CLIENT_PORT4, CLIENT_PORT6, SERVER_PORT4, SERVER_PORT6
from ironic_httpboot.dhcp.message4 import Message4
from ironic_httpboot.dhcp.message6 import Message6
from kit.network import Namespace, entered

_SERVERS6 = "ff02::1:2"


def ask4(
    host: Namespace,
    question: Message4,
    *,
    interface: str = "eth0",
    server: str = "255.255.255.255",
    seconds: float = 10,
) -> Message4:
    """Broadcast a question, or send it to one server. Fails where no answer comes."""
    with entered(host), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        one.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, interface.encode())
        one.bind(("", CLIENT_PORT4))
        one.sendto(message4.encode(question), (server, SERVER_PORT4))
        for data in _heard(one, seconds):
            answer = message4.decode(data)
            if answer.xid == question.xid:
                return answer
    raise AssertionError(f"nobody answers message type {question.kind} within {seconds:g} s")


def ask6(host: Namespace, question: Message6, *, interface: str = "eth0", seconds: float = 10) -> Message6:
    """The same over DHCPv6, by multicast."""
    with entered(host), socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as one:
        one.bind(("::", CLIENT_PORT6))
        one.sendto(message6.encode(question), (_SERVERS6, SERVER_PORT6, 0, socket.if_nametoindex(interface)))
        for data in _heard(one, seconds):
            answer = message6.decode(data)
            if isinstance(answer, Message6) and answer.transaction == question.transaction:
                return answer
    raise AssertionError(f"nobody answers message type {question.kind} within {seconds:g} s")


def _heard(one: socket.socket, seconds: float) -> Iterator[bytes]:
    """What comes, one after the other, until the time is up."""
    deadline = time.monotonic() + seconds
    while (left := deadline - time.monotonic()) > 0:
        one.settimeout(left)
        try:
            yield one.recv(65_535)
        except TimeoutError:
            return
