"""One workbench for the tests of a module: Ironic takes a quarter of a minute to start."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from kit.workbench import Bench, workbench


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with workbench(tmp_path_factory.mktemp("ironic")) as made:
        yield made
