"""What Linux says of an interface is what `ip` says."""

from __future__ import annotations

import json
import socket
from ipaddress import IPv4Address

import pytest

from ironic_httpboot.dhcp.interfaces import look_up
from ironic_httpboot.errors import HostError
from kit.judges import judge


def test_an_interface_is_described_as_ip_does() -> None:
    (told,) = json.loads(judge("ip", "-j", "address", "show", "dev", "lo"))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        found = look_up("lo", one.fileno())
    assert (found.index, found.address4) == (told["ifindex"], IPv4Address("127.0.0.1"))
    assert (found.mac, found.address6, found.has_ipv6) == (b"", None, False)


def test_an_interface_that_is_not_there_is_named() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one, pytest.raises(HostError, match="interface none0"):
        look_up("none0", one.fileno())
