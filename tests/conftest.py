"""What holds for every test."""

from __future__ import annotations

import signal

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling


class _Scheduling(LoadScopeScheduling):  # type: ignore[misc] # xdist has no types
    """Tests go to whichever worker is free; those of a module that share an Ironic all go to the same one.

    xdist has a mark for this, which it cannot read where pytest is newer than 9.0 (xdist 3.8).
    """

    def _split_scope(self, nodeid: str) -> str:
        module, _, _ = nodeid.partition("::")
        return module if module.startswith("tests/ironic/") else nodeid


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> _Scheduling:
    """Who runs what."""
    return _Scheduling(config, log)


def pytest_configure(config: pytest.Config) -> None:
    """A shell ignores SIGINT for what it runs in the background, and every child would inherit that."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # So that whoever ends the tests from outside ends what they have started as well.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    # nohup's children inherit what it ignores, too. The tests themselves go on.
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        signal.signal(signal.SIGHUP, lambda number, frame: None)
