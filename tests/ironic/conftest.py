"""One workbench for the tests of a module: Ironic takes a quarter of a minute to start."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from kit.workbench import Bench, workbench


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Have one worker run all tests of a module that share a workbench."""
    for item in items:
        if "bench" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.xdist_group(item.path.stem))


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with workbench(tmp_path_factory.mktemp("ironic")) as made:
        yield made
