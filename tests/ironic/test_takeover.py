"""Two conductors of one database, each with a store of its own: one is killed, the other takes its nodes over."""

from __future__ import annotations

import signal
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from openstack.baremetal.v1.node import Node

from ironic_httpboot.emulator.serve import Emulator
from ironic_httpboot.http.store import Store
from kit import conductor
from kit.conductor import SYSTEM
from kit.ironic import Ironic, Operator, boot_of, until, write_guest

pytestmark = pytest.mark.timeout(900)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """What is at work. urls: where each conductor's store is served, as machines are told."""

    folder: Path
    emulator: Emulator
    conductors: tuple[Ironic, Ironic]
    urls: tuple[str, str]

    def kill(self, which: Ironic, host: str) -> None:
        """Kill a conductor, and have it known: on SQLite alone Ironic has no heartbeats whose absence would tell."""
        which.stop(signal.SIGKILL)
        with sqlite3.connect(which.database, timeout=30) as database:
            database.execute("UPDATE conductors SET online = 0 WHERE hostname = ?", (host,))

    def owned_by(self, which: int, node: Node) -> None:
        """Wait until a conductor has taken a node over."""
        api = Operator(self.conductors[which]).api

        def done() -> bool:
            urls = self.urls_of(which, node.id)
            return urls == [self.told()] and not api.get_node(node).reservation

        until(done, seconds=90, what="the node is taken over", log=self.conductors[which].log)

    def told(self) -> str | None:
        uri: str | None = boot_of(self.emulator.url, SYSTEM).get("HttpBootUri")
        return uri

    def urls_of(self, which: int, node: str) -> list[str]:
        """What is in a conductor's store for a node, as URLs."""
        published = Store(self.conductors[which].store).published().get(node, ())
        return [f"{self.urls[which]}{each.path}" for each in published]


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    write_guest(tmp_path)
    urls = ("http://192.0.2.1:8080", "http://192.0.2.2:8080")
    options = {"httpboot": {"sweep_seconds": "1"}, "conductor": {"sync_local_state_interval": "1"}}
    made = [
        Ironic(tmp_path / name, url=url, host=name, database=tmp_path / "ironic.sqlite", options=options)
        for name, url in zip(("one", "two"), urls, strict=True)
    ]
    with conductor.emulated(tmp_path / "bmc") as emulator, made[0]:
        try:
            yield Pair(folder=tmp_path, emulator=emulator, conductors=(made[0], made[1]), urls=urls)
        finally:
            made[1].stop()


def test_a_second_conductor_takes_over_from_a_killed_one_and_the_first_one_back(pair: Pair) -> None:
    first, second = pair.conductors
    operator = Operator(first)
    node = operator.enroll("node", bmc=pair.emulator.url, system=SYSTEM, mac=conductor.MAC)
    operator.deploy(node, pair.folder / "vmlinuz", pair.folder / "ramdisk.cpio")
    (url,) = pair.urls_of(0, node.id)
    assert pair.told() == url

    pair.kill(first, "one")
    second.start()
    pair.owned_by(1, node)
    (other,) = pair.urls_of(1, node.id)
    assert pair.told() == other
    assert pair.urls_of(0, node.id) == [url]

    # What the first one had published was for a boot that nobody is told of any more.
    pair.kill(second, "two")
    first.start()
    pair.owned_by(0, node)
    (again,) = pair.urls_of(0, node.id)
    assert again != url
    assert pair.told() == again

    operator.provision(node, "deleted", "available")
    assert pair.urls_of(0, node.id) == []
    assert pair.told() is None
