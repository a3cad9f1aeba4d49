"""Which address a client gets: leases in memory, with time passed in.

Knows ranges, reservations, offers that nobody took up, addresses that a client found in use, and the lines of the lease
file. Refuses to know messages, clocks and files. One table serves one family; inside, an address is a number.
"""

from __future__ import annotations

import heapq
import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum
from ipaddress import IPv4Address, IPv6Address
from typing import TypeAlias

from ironic_httpboot.errors import MalformedMessage

Range: TypeAlias = tuple[int, int]

OFFER_SECONDS = 30.0
"""How long an offered address is kept for a client: firmware collects offers for 4 s before it takes one."""
DECLINE_SECONDS = 600.0
RESERVED = b"\0"
"""Before a machine's MAC: the key of the address that is reserved for it. No hardware type (RFC 2132 §9.14)."""
FILE_HEADER = "httpboot leases 1"
MOST_LEASES = 1_000_000
_SPARE_ENTRIES = 1024


class State(Enum):
    """What an address is to its client."""

    OFFERED = "offered"
    BOUND = "bound"
    FREE = "free"
    DECLINED = "declined"


_EIGHT_PARTS = struct.Struct(">8H")
_ZEROS = tuple(f":{'0:' * count}" for count in range(8, 1, -1))
"""Runs of parts that are left out, the longest first; a single one is not."""
_WORDS = {state: state.value for state in State}


@dataclass(slots=True, kw_only=True)
class Lease:
    """One address. Changed in place by its table only. expires: seconds since the epoch. key: whose it is or was."""

    address: int
    key: bytes
    state: State
    expires: float


@dataclass(slots=True, kw_only=True)
class _Pool:
    """One range. fresh: below it, all are known. expiries: when each that is known may be free, as a heap."""

    range: Range
    fresh: int
    expiries: list[tuple[float, int]] = field(default_factory=list)


class Leases:
    """The leases of one family. changes: what the lease file is yet to be told, in order; the shell takes it out."""

    def __init__(self, version: int, *, most: int = MOST_LEASES) -> None:
        """most: how many addresses are remembered at once, which bounds the memory for ranges of any size. Reserved
        addresses, of which there are as many as are configured, may be more."""
        self.version = version
        self.changes: list[Lease] = []
        self._most = most
        self._by_key: dict[bytes, Lease] = {}
        self._by_address: dict[int, Lease] = {}
        self._reserved: frozenset[int] = frozenset()
        self._withheld: frozenset[int] = frozenset()
        self._pools: tuple[_Pool, ...] = ()

    def __len__(self) -> int:
        return len(self._by_address)

    def worth_keeping(self) -> Iterator[Lease]:
        """What a lease file is to hold: all but offers and what nobody had."""
        return (lease for lease in self._by_address.values() if lease.state is not State.OFFERED and lease.key)

    def configure(self, ranges: Iterable[Range], reserved: Iterable[int]) -> None:
        """Say which addresses may be leased, and which are kept for those who are given them by name.

        Replaces what was said before; leases stay as they are.
        """
        self._reserved = frozenset(reserved)
        self._pools = tuple(_Pool(range=each, fresh=each[0]) for each in sorted(set(ranges)))
        for lease in self._by_address.values():
            self._note_expiry(lease)

    def withhold(self, addresses: Iterable[int]) -> None:
        """Say which addresses nobody is to have, reserved or not. Replaces what was said before.

        Who has one of them keeps it until it asks again.
        """
        before, self._withheld = self._withheld, frozenset(addresses)
        for address in before - self._withheld:
            lease = self._by_address.get(address)
            if lease is not None:
                self._note_expiry(lease)
                continue
            for pool in self._pools:
                if pool.range[0] <= address < pool.fresh:
                    pool.fresh = address

    def held(self, key: bytes, now: float) -> int | None:
        """The address that a client has, if its lease is not over."""
        lease = self._by_key.get(key)
        return lease.address if lease and lease.state is State.BOUND and lease.expires > now else None

    def remembered(self, key: bytes) -> int | None:
        """The address that a client has, had, or was offered."""
        lease = self._by_key.get(key)
        return lease.address if lease else None

    def holder(self, address: int, now: float) -> bytes | None:
        """The key of who has an address, or is offered it, at the moment; None for nobody, where it is in use by a
        stranger, and where nobody is to have it."""
        if address in self._withheld:
            return None
        lease = self._by_address.get(address)
        return lease.key if lease and lease.state is not State.DECLINED and lease.expires > now else None

    def available(self, address: int, key: bytes, now: float) -> bool:
        """Whether a client may have an address: nobody else does, and there is room to remember it."""
        if address in self._withheld:
            return False
        lease = self._by_address.get(address)
        if lease is None:
            return len(self._by_address) < self._most or address in self._reserved
        return (lease.key == key and lease.state is not State.DECLINED) or lease.expires <= now

    def leasable(self, address: int, ranges: Sequence[Range]) -> bool:
        """Whether an address of these ranges is for anyone: it is neither reserved nor withheld."""
        for first, last in ranges:
            if first <= address <= last:
                return not self._is_kept(address)
        return False

    def offer(
        self, key: bytes, ranges: Sequence[Range], now: float, *, wanted: int | None = None, own: int | None = None
    ) -> int | None:
        """An address for a client, kept for it for a moment; None where there is none.

        own: the one reserved for it. wanted: the one it asks for. In this order: its own, the one that it had, the one
        that it asks for, a fresh one, the one that has been free for longest.
        """
        lease = self._by_key.get(key)
        if own is not None and self.available(own, key, now):
            return self._keep(own, key, now)
        if lease and lease.state is not State.DECLINED and self.leasable(lease.address, ranges):
            return self._keep(lease.address, key, now)
        if wanted is not None and self.leasable(wanted, ranges) and self.available(wanted, key, now):
            return self._keep(wanted, key, now)
        found = self._next_fresh(ranges)
        if found is None:
            found = self._longest_free(ranges, now)
        return None if found is None else self._keep(found, key, now)

    def hand_over(self, address: int, key: bytes, now: float) -> int:
        """Offer a client an address that another has, and that is meant for both of them."""
        return self._keep(address, key, now)

    def bind(self, key: bytes, address: int, now: float, seconds: float) -> None:
        """Lease an address, which must be available, to a client."""
        lease = self._take(address, key)
        lease.state, lease.expires = State.BOUND, now + seconds
        self.changes.append(lease)

    def release(self, key: bytes, address: int, now: float) -> bool:
        """Give an address back. Whether the client had it."""
        lease = self._by_address.get(address)
        if lease is None or lease.key != key or lease.state is State.DECLINED:
            return False
        told = lease.state is State.BOUND
        lease.state, lease.expires = State.FREE, now
        self._note_expiry(lease)
        if told:
            self.changes.append(lease)
        return True

    def decline(self, key: bytes, address: int, now: float) -> bool:
        """Give nobody an address for a while that a client found in use. Whether the client had it."""
        lease = self._by_address.get(address)
        if lease is None or lease.key != key or lease.state is State.DECLINED:
            return False
        self._by_key.pop(key, None)
        lease.state, lease.expires = State.DECLINED, now + DECLINE_SECONDS
        self._note_expiry(lease)
        self.changes.append(lease)
        return True

    def restore(self, lease: Lease) -> None:
        """Take over a lease from a lease file; a later one of the same address or client replaces an earlier one."""
        self._forget_holder(lease.address)
        if lease.key and lease.state is not State.DECLINED:
            before = self._by_key.get(lease.key)
            if before is not None:
                before.state, before.expires, before.key = State.FREE, 0.0, b""
            self._by_key[lease.key] = lease
        self._by_address[lease.address] = lease
        self._note_expiry(lease)

    def _keep(self, address: int, key: bytes, now: float) -> int:
        lease = self._by_address.get(address)
        if lease is not None and lease.key == key and lease.state is State.BOUND and lease.expires > now:
            return address
        lease = self._take(address, key)
        lease.state, lease.expires = State.OFFERED, now + OFFER_SECONDS
        return address

    def _take(self, address: int, key: bytes) -> Lease:
        """The entry of an address, made this client's. Whatever else the client had is free at once."""
        before = self._by_key.get(key)
        if before is not None and before.address != address:
            told = before.state is State.BOUND
            before.state, before.expires, before.key = State.FREE, 0.0, b""
            self._note_expiry(before)
            if told:
                self.changes.append(before)
        lease = self._by_address.get(address)
        if lease is None:
            lease = Lease(address=address, key=key, state=State.FREE, expires=0.0)
            self._by_address[address] = lease
            self._note_expiry(lease)
        elif lease.key != key:
            self._forget_holder(address)
            lease.key = key
        self._by_key[key] = lease
        return lease

    def _forget_holder(self, address: int) -> None:
        lease = self._by_address.get(address)
        if lease is not None and self._by_key.get(lease.key) is lease:
            del self._by_key[lease.key]

    def _next_fresh(self, ranges: Sequence[Range]) -> int | None:
        """An address that was never given, if there is one and room to remember it."""
        if len(self._by_address) >= self._most:
            return None
        for pool in self._pools:
            if pool.range not in ranges:
                continue
            while pool.fresh <= pool.range[1] and (pool.fresh in self._by_address or self._is_kept(pool.fresh)):
                pool.fresh += 1
            if pool.fresh <= pool.range[1]:
                return pool.fresh
        return None

    def _longest_free(self, ranges: Sequence[Range], now: float) -> int | None:
        """The address whose lease was over first. What a pool noted may be old: the lease itself says when."""
        for pool in self._pools:
            if pool.range not in ranges:
                continue
            while pool.expiries and pool.expiries[0][0] <= now:
                address = pool.expiries[0][1]
                lease = self._by_address[address]
                if self._is_kept(address):
                    heapq.heappop(pool.expiries)
                elif lease.expires > now:
                    heapq.heapreplace(pool.expiries, (lease.expires, address))
                else:
                    return address
        return None

    def _is_kept(self, address: int) -> bool:
        return address in self._reserved or address in self._withheld

    def _note_expiry(self, lease: Lease) -> None:
        for pool in self._pools:
            if pool.range[0] <= lease.address <= pool.range[1]:
                break
        else:
            return
        heapq.heappush(pool.expiries, (lease.expires, lease.address))
        if len(pool.expiries) > 2 * len(self._by_address) + _SPARE_ENTRIES:
            first, last = pool.range
            held = [each for each in self._by_address.values() if first <= each.address <= last]
            pool.expiries = [(each.expires, each.address) for each in held]
            heapq.heapify(pool.expiries)


def encode_line(version: int, lease: Lease) -> str:
    """A line of the lease file: what became of an address."""
    address = write_address4(lease.address) if version == 4 else write_address6(lease.address)
    return f"{address} {_WORDS[lease.state]} {lease.expires:.0f} {lease.key.hex() or '-'}\n"


def write_address4(number: int) -> str:
    """As `str` of an IPv4Address writes it, at a fifth of the time."""
    return ".".join(map(str, number.to_bytes(4)))


def write_address6(number: int) -> str:
    """As RFC 5952 and `str` of an IPv6Address write it, at a tenth of the time."""
    text = ":{:x}:{:x}:{:x}:{:x}:{:x}:{:x}:{:x}:{:x}:".format(*_EIGHT_PARTS.unpack(number.to_bytes(16)))
    for zeros in _ZEROS:
        if zeros in text:
            before, _, behind = text.partition(zeros)
            return f"{before[1:]}::{behind[:-1]}"
    return text[1:-1]


def decode_line(line: str) -> tuple[int, Lease]:
    """Read a line: IP version and lease. Raises MalformedMessage."""
    try:
        address_text, state, expires, key = line.split(" ")
        address = IPv6Address(address_text) if ":" in address_text else IPv4Address(address_text)
        lease = Lease(
            address=int(address),
            key=b"" if key == "-" else bytes.fromhex(key),
            state=State(state),
            expires=float(int(expires)),
        )
    except (ValueError, OverflowError) as error:
        raise MalformedMessage(f"lease file: {line[:80]!r} is no lease") from error
    return address.version, lease
