"""A disk that is full, wherever it is: what was tried is said, the node can be told again, and nothing is left."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from ironic.common import exception, states
from ironic.conf import CONF
from ironic.objects.node import Node

from ironic_httpboot.emulator.serve import Emulator
from ironic_httpboot.http.store import Store
from kit.conductor import FILES, SYSTEM, at_work
from kit.disk import full_disk
from kit.ironic import boot_of


@contextmanager
def configured(option: str, value: Path) -> Iterator[None]:
    before = getattr(CONF.httpboot, option)
    CONF.set_override(option, str(value), group="httpboot")
    try:
        yield
    finally:
        CONF.set_override(option, before, group="httpboot")


@pytest.mark.parametrize(
    ("option", "interface", "said"),
    [
        ("store", "redfish-http-url", r"store {full}: manifest written → No space left on device"),
        ("images", "redfish-http-url", "Disk volume where '{full}/cache' is located doesn't have enough disk space"),
        ("store", "httpboot", r"store {full}: manifest written → No space left on device"),
        ("machines", "httpboot", r"\[httpboot\]machines {full}: written → No space left on device"),
    ],
    ids=["store", "images", "store by DHCP", "machines"],
)
def test_a_full_disk_is_named_and_nothing_is_left_on_it(
    node: Node, folder: Path, emulator: Emulator, tmp_path: Path, option: str, interface: str, said: str
) -> None:
    given = {part: f"file://{folder}/{name}" for part, name in FILES}
    with full_disk(tmp_path / "full") as full, configured(option, full):
        as_wanted = {"instance_info": given, "boot_interface": interface}
        with (
            at_work(node, states.DEPLOYING, **as_wanted) as task,
            pytest.raises(exception.IronicException, match=said.format(full=full)) as raised,
        ):
            task.driver.boot.prepare_instance(task)
        assert "/boot.iso" not in str(raised.value)
        assert boot_of(emulator.url, SYSTEM).get("HttpBootUri") is None
        with at_work(node) as task:
            task.driver.boot.clean_up_instance(task)
        assert sorted(path.name for path in full.rglob("*") if path.is_file()) == ["taken"]
        assert Store(folder / "store").published() == {}
        assert list((folder / "machines").glob("*")) == []

    # There is room again: the same node is prepared as if nothing had been.
    with at_work(node) as task:
        task.driver.boot.prepare_instance(task)
        assert len(Store(folder / "store").published()[node.uuid]) == 1
        task.driver.boot.clean_up_instance(task)
