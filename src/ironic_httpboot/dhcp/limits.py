"""How much one client may ask: so many messages at once, and then so many a second.

Knows clients by any bytes that tell them apart. Refuses to know clocks. Memory is bounded: who has not asked for
longest is forgotten first.
"""

from __future__ import annotations

BURST = 20
PER_SECOND = 4.0
"""A boot takes a dozen messages in the worst case seen (OVMF 2022.11 with iPXE after it)."""
MOST_CLIENTS = 65_536


class Limiter:
    """A bucket of messages for each client. A dict keeps its order: the first entry is the oldest."""

    def __init__(self, *, burst: int = BURST, per_second: float = PER_SECOND, most: int = MOST_CLIENTS) -> None:
        self._burst = float(burst)
        self._per_second = per_second
        self._most = most
        self._left: dict[bytes, tuple[float, float]] = {}

    def allows(self, client: bytes, now: float) -> bool:
        """Whether a client may be answered now; if so, it has one message less. now: seconds of any clock."""
        left = self._burst
        before = self._left.pop(client, None)
        if before is not None:
            left = min(left, before[0] + max(0.0, now - before[1]) * self._per_second)
        allowed = left >= 1
        self._left[client] = (left - 1 if allowed else left, now)
        if len(self._left) > self._most:
            del self._left[next(iter(self._left))]
        return allowed

    def __len__(self) -> int:
        return len(self._left)
