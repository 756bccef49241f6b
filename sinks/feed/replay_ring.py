"""The newest events of a feed, kept as they were sent, for readers that missed some."""

from __future__ import annotations

from bisect import bisect_right
from typing import NamedTuple


class KeptEvent(NamedTuple):
    """One event as it was sent.

    Attributes:
        seq: its number.
        previous: number of the event published before it; less than ``seq - 1`` where event types are left out.
        payload: the encoded event.
    """

    seq: int
    previous: int
    payload: bytes


class ReplayRing:
    """Keeps the last ``capacity`` events.

    Args:
        capacity: how many; 0 keeps none.
    """

    def __init__(self, capacity: int) -> None:
        if capacity < 0:
            raise ValueError(f"capacity: expected 0 or more, got {capacity}")
        self._capacity = capacity
        self._slots: list[KeptEvent] = []
        self._oldest = 0

    def __len__(self) -> int:
        return len(self._slots)

    def __getitem__(self, position: int) -> KeptEvent:
        """The kept event at a position, 0 for the oldest."""
        if not 0 <= position < len(self._slots):
            raise IndexError(position)
        return self._slots[(self._oldest + position) % len(self._slots)]

    def clear(self) -> None:
        """Forget everything."""
        self._slots.clear()
        self._oldest = 0

    def append(self, seq: int, previous: int, payload: bytes) -> None:
        """Keep an event, letting go of the oldest when full. ``seq`` grows from call to call."""
        if len(self._slots) < self._capacity:
            self._slots.append(KeptEvent(seq, previous, payload))
        elif self._capacity:
            self._slots[self._oldest] = KeptEvent(seq, previous, payload)
            self._oldest = (self._oldest + 1) % self._capacity

    def read(self, after: int, through: int, max_events: int, max_bytes: int) -> tuple[int, list[bytes]]:
        """The first events with ``after < seq <= through``, without a gap between them.

        Args:
            after, through: the numbers asked for.
            max_events: at most so many.
            max_bytes: at most so many bytes of payload, but always one event if there is one.

        Returns:
            The number of the event published just before the first returned one, and the payloads. Without any payload
            the number says up to where nothing can be had: ``through``, or ``after`` where nothing is missing.
        """
        start = bisect_right(self, after, key=_seq)
        if start == len(self) or self[start].previous >= through:
            return max(after, through), []
        before = max(after, self[start].previous)
        payloads: list[bytes] = []
        size, last = 0, self[start].previous
        for position in range(start, min(start + max_events, len(self))):
            kept = self[position]
            size += len(kept.payload)
            if kept.seq > through or kept.previous != last or (payloads and size > max_bytes):
                break
            payloads.append(kept.payload)
            last = kept.seq
        return before, payloads


def _seq(kept: KeptEvent) -> int:
    return kept.seq
