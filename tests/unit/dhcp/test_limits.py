"""A client that asks too much is let wait, and others are not."""

from __future__ import annotations

from ironic_httpboot.dhcp.limits import Limiter


def test_a_burst_is_allowed_and_then_so_many_a_second() -> None:
    limiter = Limiter(burst=3, per_second=2)
    assert [limiter.allows(b"a", 0) for _ in range(4)] == [True, True, True, False]
    assert limiter.allows(b"b", 0)
    assert [limiter.allows(b"a", 1) for _ in range(3)] == [True, True, False]


def test_a_clock_that_goes_back_locks_nobody_out() -> None:
    limiter = Limiter(burst=1, per_second=1)
    assert limiter.allows(b"a", 100)
    assert not limiter.allows(b"a", 50)
    assert limiter.allows(b"a", 51)


def test_a_flood_of_clients_takes_bounded_memory() -> None:
    limiter = Limiter(most=100)
    for number in range(10_000):
        assert limiter.allows(number.to_bytes(4), 0)
    assert len(limiter) == 100
