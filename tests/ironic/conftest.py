"""One workbench for the tests of a module: Ironic takes a quarter of a minute to start. One conductor for a process."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from ironic.objects.node import Node

from ironic_httpboot.emulator.serve import Emulator
from ironic_httpboot.http.store import Store
from kit import conductor
from kit.conductor import FILES, SYSTEM, at_work, create_node
from kit.ironic import boot_of, write_guest
from kit.workbench import Bench, workbench


@pytest.fixture(autouse=True)
def temporary_files_go_where_they_went() -> Iterator[None]:
    """After each test: Ironic sets tempfile's folder for the whole process when it needs one of its own."""
    before = tempfile.tempdir
    yield
    tempfile.tempdir = before


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with workbench(tmp_path_factory.mktemp("ironic")) as made:
        yield made


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a conductor in this process has: its store is in store, its images in images."""
    made = tmp_path_factory.mktemp("conductor")
    conductor.configure(made)
    write_guest(made)
    return made


@pytest.fixture(scope="session")
def emulator(folder: Path) -> Iterator[Emulator]:
    with conductor.emulated(folder / "bmc") as running:
        yield running


@pytest.fixture
def node(folder: Path, emulator: Emulator) -> Iterator[Node]:
    """A node of the conductor in this process, of which nothing may be left but a lasting choice of a device."""
    agent = {f"{mode}_{part}": f"file://{folder}/{name}" for mode in ("deploy", "rescue") for part, name in FILES}
    made = create_node(emulator.url, driver_info=agent)
    yield made
    try:
        with at_work(made) as task:
            task.driver.boot.clean_up_instance(task)
        assert Store(folder / "store").published() == {}
        assert list((folder / "machines").glob("*")) == []
        assert boot_of(emulator.url, SYSTEM)["BootSourceOverrideEnabled"] in ("Disabled", "Continuous")
    finally:
        conductor.remove(made)
