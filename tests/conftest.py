"""What holds for every test."""

from __future__ import annotations

import signal

import pytest


def pytest_configure(config: pytest.Config) -> None:
    """A shell ignores SIGINT for what it runs in the background, and every child would inherit that."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # So that whoever ends the tests from outside ends what they have started as well.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
