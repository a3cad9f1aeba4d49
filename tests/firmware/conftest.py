"""Around each test on firmware: nothing keeps running, and what a failure left to look at is kept."""

from __future__ import annotations

import os
import re
import shutil
import signal
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from kit.commands import qemu_processes

RESULTS = Path(__file__).parents[2] / "test-results"
_KEPT = ("console.log", "qemu.log", "state.json")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Let fixtures know how the test went."""
    report = yield
    if report.when == "call":
        item.stash[_FAILED] = report.failed
    return report


_FAILED = pytest.StashKey[bool]()


@pytest.fixture(autouse=True)
def nothing_is_left_running(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[None]:
    """After each test: QEMU has ended, and after a failure its logs are in test-results/."""
    yield
    left = qemu_processes(tmp_path)
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    failed = request.node.stash.get(_FAILED, False)
    if failed or left:
        target = RESULTS / re.sub(r"\W+", "-", request.node.name)
        for path in tmp_path.rglob("*"):
            if path.name in _KEPT:
                (target / path.parent.name).mkdir(parents=True, exist_ok=True)
                shutil.copy(path, target / path.parent.name)
    assert failed or not left, f"QEMU was left running: {left}"
