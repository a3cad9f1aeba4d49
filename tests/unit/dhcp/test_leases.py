"""Addresses: one for each client, none twice, and found again."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule

from ironic_httpboot.dhcp.leases import (
    DECLINE_SECONDS,
    OFFER_SECONDS,
    Lease,
    Leases,
    State,
    decode_line,
    encode_line,
    write_address4,
    write_address6,
)
from ironic_httpboot.errors import MalformedMessage

RANGE = (100, 104)


def table(*, reserved: tuple[int, ...] = (), most: int = 1000) -> Leases:
    found = Leases(4, most=most)
    found.configure([RANGE], reserved)
    return found


def test_a_client_gets_its_address_again_also_after_its_lease_is_over() -> None:
    leases = table()
    first = leases.offer(b"a", [RANGE], 0)
    assert first == 100
    leases.bind(b"a", first, 0, 60)
    assert leases.offer(b"b", [RANGE], 1) == 101
    assert leases.held(b"a", 59) == 100
    assert leases.held(b"a", 60) is None
    assert leases.offer(b"a", [RANGE], 1000) == 100


def test_a_wish_is_granted_where_it_can_be() -> None:
    leases = table(reserved=(103,))
    assert leases.offer(b"a", [RANGE], 0, wanted=102) == 102
    assert leases.offer(b"b", [RANGE], 0, wanted=102) == 100
    assert leases.offer(b"c", [RANGE], 0, wanted=103) == 101, "reserved for another"
    assert leases.offer(b"d", [RANGE], 0, wanted=999) == 104
    assert leases.offer(b"own", [RANGE], 0, own=103) == 103


def test_what_is_withheld_is_nobodys_reserved_or_not_until_it_is_so_no_more() -> None:
    leases = table(reserved=(103,))
    leases.bind(b"had", 101, 0, 60)
    leases.withhold((100, 101, 103))
    assert leases.offer(b"a", [RANGE], 1, wanted=100) == 102
    assert leases.offer(b"own", [RANGE], 1, own=103) == 104
    assert leases.offer(b"had", [RANGE], 1) is None
    assert leases.offer(b"late", [RANGE], 99) == 102, "a lease that is over makes it nobody's"
    assert leases.holder(101, 1) is None, "nobody can take it over"
    assert not leases.available(101, b"had", 1)
    assert not leases.leasable(101, [RANGE])
    leases.withhold(())
    assert {leases.offer(key, [RANGE], 100) for key in (b"x", b"y", b"z")} == {100, 101, 104}
    assert leases.offer(b"own", [RANGE], 100, own=103) == 103


def test_the_address_that_was_free_for_longest_is_given_when_no_fresh_one_is_left() -> None:
    leases = table()
    for number in range(5):
        leases.bind(b"%d" % number, 100 + number, 0, 50 - number)
    assert leases.offer(b"new", [RANGE], 45.5) is None
    assert leases.offer(b"new", [RANGE], 46) == 104
    assert leases.offer(b"newer", [RANGE], 47) == 103


def test_asking_for_an_address_is_no_way_round_the_bound() -> None:
    leases = table(most=2, reserved=(104,))
    assert [leases.offer(b"%d" % number, [RANGE], 0, wanted=100 + number) for number in range(4)] == [
        100,
        101,
        None,
        None,
    ]
    assert not leases.available(102, b"new", 0)
    assert leases.offer(b"own", [RANGE], 0, own=104) == 104, "what is reserved is there for its machine"
    assert len(leases) == 3
    assert leases.offer(b"new", [RANGE], OFFER_SECONDS, wanted=103) == 100


def test_an_offer_that_nobody_takes_up_ends() -> None:
    leases = table(most=1)
    assert leases.offer(b"a", [RANGE], 0) == 100
    assert leases.offer(b"b", [RANGE], OFFER_SECONDS - 1) is None
    assert leases.offer(b"b", [RANGE], OFFER_SECONDS) == 100


def test_a_declined_address_rests() -> None:
    leases = table(most=1)
    leases.bind(b"a", 100, 0, 60)
    assert leases.decline(b"b", 100, 1) is False
    assert leases.decline(b"a", 100, 1) is True
    assert leases.offer(b"a", [RANGE], 100) is None
    assert leases.offer(b"a", [RANGE], 1 + DECLINE_SECONDS) == 100


def test_only_whose_address_it_is_can_give_it_back() -> None:
    leases = table()
    leases.bind(b"a", 100, 0, 60)
    assert leases.release(b"b", 100, 1) is False
    assert leases.release(b"a", 100, 1) is True
    assert leases.held(b"a", 2) is None
    assert leases.offer(b"a", [RANGE], 3) == 100


def test_other_ranges_leave_leases_as_they_are() -> None:
    leases = table()
    leases.bind(b"a", 100, 0, 60)
    leases.configure([(200, 201)], ())
    assert leases.held(b"a", 10) == 100
    assert leases.offer(b"a", [(200, 201)], 10) == 200
    leases.configure([RANGE], ())
    assert leases.offer(b"b", [RANGE], 10) == 101


def test_renewing_for_ever_takes_no_memory() -> None:
    leases = table()
    for second in range(20_000):
        leases.bind(b"a", 100, second, 60)
        leases.release(b"a", 100, second)
    assert sum(len(pool.expiries) for pool in leases._pools) < 2000


@given(
    st.sampled_from([4, 6]),
    st.integers(0, 2**32 - 1),
    st.binary(max_size=30),
    st.sampled_from([State.BOUND, State.FREE, State.DECLINED]),
    st.integers(0, 2**40),
)
def test_a_lease_is_a_line_and_again_the_lease(
    version: int, address: int, key: bytes, state: State, expires: int
) -> None:
    address += 2**100 if version == 6 else 0
    lease = Lease(address=address, key=key, state=state, expires=float(expires))
    assert decode_line(encode_line(version, lease).rstrip("\n")) == (version, lease)


@given(
    st.one_of(st.integers(0, 2**128 - 1), st.sets(st.integers(0, 7)).map(lambda ones: sum(2 ** (16 * n) for n in ones)))
)
def test_addresses_are_written_as_everywhere(number: int) -> None:
    assert write_address6(number) == str(IPv6Address(number))
    assert write_address4(number % 2**32) == str(IPv4Address(number % 2**32))


@given(st.text(max_size=60))
def test_what_is_no_line_is_malformed(text: str) -> None:
    try:
        decode_line(text)
    except MalformedMessage:
        return
    assert len(text.split(" ")) == 4


@pytest.mark.parametrize("digits", [400, 5000])
def test_a_line_with_a_time_that_no_clock_shows_is_malformed(digits: int) -> None:
    with pytest.raises(MalformedMessage, match="is no lease"):
        decode_line(f"192.0.2.1 bound {'9' * digits} 01")


def test_a_line_of_another_state_is_malformed() -> None:
    with pytest.raises(MalformedMessage, match="is no lease"):
        decode_line("192.0.2.1 lent 100 01")


class Network(RuleBasedStateMachine):
    """Clients do anything in any order; a lease file's replay must tell the same."""

    keys = Bundle("keys")

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.leases = table(reserved=(102,))
        self.lines: list[str] = []

    @rule(target=keys, key=st.binary(min_size=1, max_size=2))
    def appear(self, key: bytes) -> bytes:
        return key

    @rule(key=keys, wanted=st.none() | st.integers(98, 106), own=st.sampled_from([None, None, 102]), take=st.booleans())
    def ask(self, key: bytes, wanted: int | None, own: int | None, take: bool) -> None:
        found = self.leases.offer(key, [RANGE], self.now, wanted=wanted, own=own)
        if found is None:
            return
        assert found == own or (RANGE[0] <= found <= RANGE[1] and found != 102) or found == self.leases.remembered(key)
        assert self.leases.available(found, key, self.now)
        if take:
            self.leases.bind(key, found, self.now, 60)
            assert self.leases.held(key, self.now) == found

    @rule(key=keys, address=st.integers(98, 106))
    def give_back(self, key: bytes, address: int) -> None:
        self.leases.release(key, address, self.now)

    @rule(key=keys, address=st.integers(98, 106))
    def decline(self, key: bytes, address: int) -> None:
        self.leases.decline(key, address, self.now)

    @rule(seconds=st.integers(1, 100))
    def wait(self, seconds: int) -> None:
        self.now += seconds

    @invariant()
    def a_replay_tells_who_holds_what(self) -> None:
        self.lines += [encode_line(4, lease) for lease in self.leases.changes]
        self.leases.changes.clear()
        replayed = table()
        for line in self.lines:
            replayed.restore(decode_line(line.rstrip("\n"))[1])
        for key in {lease.key for lease in self.leases._by_address.values()}:
            assert replayed.held(key, self.now) == self.leases.held(key, self.now)


TestNetwork = Network.TestCase
