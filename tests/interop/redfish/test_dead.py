"""A BMC that is dead, each in a way of its own, is reported in time, with the limits that are there by default."""

from __future__ import annotations

import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager

import pytest

from ironic_httpboot.errors import BmcError
from ironic_httpboot.redfish import Credentials, Transport, probe
from kit.network import namespace
from kit.scripted import Asked, Say, ScriptedBmc

MOST_SECONDS = 15
WHO = Credentials(username="operator", password="correct horse")


ASK = """
import time
from ironic_httpboot.errors import BmcUnreachable
from ironic_httpboot.redfish import Transport, probe
began = time.monotonic()
try:
    probe(Transport("https://192.0.2.9"))
except BmcUnreachable as error:
    print(time.monotonic() - began, error.message)
"""


def reported(url: str, credentials: Credentials | None = None) -> tuple[str, float]:
    """What an operator is told, and after how many seconds."""
    began = time.monotonic()
    with pytest.raises(BmcError) as failure, Transport(url) as transport:
        probe(transport, credentials=credentials)
    return failure.value.message, time.monotonic() - began


@contextmanager
def accepting(then: Callable[[socket.socket, threading.Event], None]) -> Iterator[int]:
    """A port that takes connections, and what becomes of the first; it ends with the test."""
    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                then(connection, over)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            over.set()
            thread.join()


def silence(connection: socket.socket, over: threading.Event) -> None:
    over.wait()


def one_byte_a_second(connection: socket.socket, over: threading.Event) -> None:
    for byte in b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}":
        if over.wait(1):
            return
        try:
            connection.sendall(bytes([byte]))
        except OSError:
            return  # the client has had enough


def test_an_address_from_which_nothing_comes_back() -> None:
    with namespace(bridge=("192.0.2.1/24",)) as host:
        # Its packets have somewhere to go, and are never heard of again.
        host.run("ip", "neighbour", "add", "192.0.2.9", "lladdr", "02:00:00:00:00:09", "dev", "br0")
        seconds, _, said = host.run(sys.executable, "-c", ASK).partition(" ")
    assert "192.0.2.9: GET /redfish/v1/ → timed out" in said
    assert float(seconds) < MOST_SECONDS


def test_a_port_that_is_closed() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    said, seconds = reported(f"https://127.0.0.1:{port}")
    assert "GET /redfish/v1/ → Connection refused" in said
    assert seconds < 2


@contextmanager
def dying_after_the_login() -> Iterator[ScriptedBmc]:
    def answer(asked: Asked) -> Say:
        if asked.path == "/redfish/v1/":
            links = {"Sessions": {"@odata.id": "/sessions"}}
            return Say(200, {"Systems": {"@odata.id": "/redfish/v1/Systems"}, "Links": links})
        if asked.method == "POST":
            return Say(201, {}, {"X-Auth-Token": "t0ken", "Location": "/sessions/1"})
        bmc.wait_seconds(60)
        return Say(500)

    with ScriptedBmc(answer) as bmc:
        yield bmc


def test_those_that_take_connections_and_then_no_more() -> None:
    """All at once, as each takes its time."""
    ways = [("http", silence), ("https", silence), ("http", one_byte_a_second), ("https", one_byte_a_second)]
    with ExitStack() as stack, ThreadPoolExecutor() as pool:
        urls = [f"{scheme}://127.0.0.1:{stack.enter_context(accepting(then))}" for scheme, then in ways]
        bmc = stack.enter_context(dying_after_the_login())
        later = pool.submit(reported, bmc.url, WHO)
        for url, (said, seconds) in zip(urls, pool.map(reported, urls), strict=True):
            assert "127.0.0.1: GET /redfish/v1/ → " in said, url
            assert seconds < MOST_SECONDS, url
        said, seconds = later.result()
        assert "GET /redfish/v1/Systems → timed out" in said
        assert seconds < MOST_SECONDS, "the logout that is tried included"
        assert [each.method for each in bmc.asked] == ["GET", "POST", "GET", "DELETE"]
