"""How often something happened lately, as a rate that whoever asks first is told as well as whoever asks often."""

from __future__ import annotations

from collections import deque

SPAN_S = 10.0
"""How far back a rate looks, in seconds."""

_PARTS = 20


class RecentRate:
    """Counts of something over the last seconds. Memory is bounded whatever is counted. For one thread at a time.

    Counts are put together by half seconds, so that the span a rate is over is exact to the count and shorter than
    ``span_s`` by up to a half second.

    Args:
        begun_s: when counting begins, in seconds of the clock that ``now_s`` of each method is of; monotonic.
        span_s: how far back to look, in seconds.
    """

    def __init__(self, begun_s: float, span_s: float = SPAN_S) -> None:
        self._begun_s = begun_s
        self._part_s = span_s / _PARTS
        # Number of the part, from 0 at the beginning, and the count in it; the newest is last.
        self._parts: deque[tuple[int, int]] = deque()

    def add(self, now_s: float, count: int = 1) -> None:
        """It happened so many times just now."""
        part = self._part(now_s)
        if self._parts and self._parts[-1][0] == part:
            count += self._parts.pop()[1]
        self._parts.append((part, count))
        self._forget(part)

    def rate(self, now_s: float) -> float:
        """Per second over ``span_s(now_s)``; 0 in the very moment that counting begins."""
        self._forget(self._part(now_s))
        span_s = self.span_s(now_s)
        return sum(count for _, count in self._parts) / span_s if span_s > 0 else 0.0

    def span_s(self, now_s: float) -> float:
        """Seconds that ``rate`` is over: less than what was asked for where counting began later than that."""
        oldest = max(0, self._part(now_s) - _PARTS + 1)
        return now_s - self._begun_s - oldest * self._part_s

    def _part(self, now_s: float) -> int:
        return int((now_s - self._begun_s) / self._part_s)

    def _forget(self, newest: int) -> None:
        while self._parts and self._parts[0][0] <= newest - _PARTS:
            self._parts.popleft()
