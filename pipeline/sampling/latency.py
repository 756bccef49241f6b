"""A sampler for cameras: it looks as often as the machine keeps up."""

from __future__ import annotations

import logging
from statistics import median

from pipeline.types import Frame, TrackedFrame

logger = logging.getLogger(__name__)
_WINDOW_S = 1.0
_CALM_WINDOWS = 3


class LatencySampler:
    """Looks as often as a latency target allows: less often while frames come out late, more often again when not.

    Once a second of capture time it compares the median latency of the frames since with the target. Above the target
    it looks at one frame fewer in so many; when three seconds in a row stayed under half of it, at one more. Half,
    because looking at twice as many frames may double the latency, and it would go back and forth.

    Args:
        target_s: latency to hold, in seconds from capture to events.
        most: never look less often than at every so many frames; beyond that the tracker can't fill in.
        name: of the stream, for the log.
    """

    # It goes by the clock, and so it is for cameras, which come at no fixed pace anyway.
    group_size: int | None = None

    def __init__(self, target_s: float = 0.15, *, most: int = 10, name: str = "") -> None:
        if target_s <= 0 or most < 1:
            raise ValueError(f"target_s and most: expected more than 0 and at least 1, got {target_s} and {most}")
        self.every = 1
        self._target_s = target_s
        self._most = most
        self._name = name
        self._since_look = 0
        self._latencies: list[float] = []
        self._window_began_s: float | None = None
        self._calm_windows = 0

    def wants(self, frame: Frame) -> bool:
        """True when enough frames have gone by."""
        due = self._since_look == 0 or self._since_look >= self.every
        self._since_look = 1 if due else self._since_look + 1
        return due

    def observe(self, tracked: TrackedFrame, latency_s: float) -> None:
        """Take the frame's latency into account."""
        captured_s = tracked.frame.captured_s
        if self._window_began_s is None:
            self._window_began_s = captured_s
        self._latencies.append(latency_s)
        if captured_s - self._window_began_s >= _WINDOW_S:
            self._adapt(median(self._latencies))
            self._latencies.clear()
            self._window_began_s = captured_s

    def _adapt(self, latency_s: float) -> None:
        before = self.every
        self._calm_windows = self._calm_windows + 1 if latency_s < self._target_s / 2 else 0
        if latency_s > self._target_s:
            self.every = min(self.every + 1, self._most)
        elif self._calm_windows >= _CALM_WINDOWS:
            self.every = max(self.every - 1, 1)
            self._calm_windows = 0
        if self.every != before:
            logger.warning(
                "%s: now detecting on one frame in %d instead of %d: latency is %.0f ms, the target %.0f ms",
                self._name,
                self.every,
                before,
                1000 * latency_s,
                1000 * self._target_s,
            )
