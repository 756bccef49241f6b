"""When the pictures of a live stream are handed out, and at what media time."""

from __future__ import annotations

import threading
import time

from pipeline.sources.timing.arrival_clock import ArrivalClock
from pipeline.sources.timing.pacing import Pacer


class LiveTime:
    """Media time from the timestamps, checked against the arrival; bursts are handed out at their own pace.

    Args:
        name: what to call the stream in the log.
        frame_s: nominal duration of a frame in seconds.
        bursts: whether pictures come some seconds at a time, as those of a list of pieces.
    """

    def __init__(self, name: str, frame_s: float, *, bursts: bool) -> None:
        self._clock = ArrivalClock(name, frame_s)
        self._pacer = Pacer(frame_s) if bursts else None
        self._stopping = threading.Event()

    def next(self, stamp_s: float | None, asked_s: float, came_s: float) -> float:
        """Media time of the next picture in seconds; returns when it is due.

        Args:
            stamp_s: its timestamp in seconds, on any clock; None where it has none.
            asked_s: when reading it began, by ``time.monotonic()``.
            came_s: when it was there.
        """
        if self._pacer is not None:
            self._stopping.wait(self._pacer.wait_s(stamp_s, asked_s, came_s))
            came_s = time.monotonic() - self._pacer.behind_s
        return self._clock.next(stamp_s, came_s)

    @property
    def clock_steps(self) -> int:
        """How often the timestamps had lost touch with the arrival so far."""
        return self._clock.steps

    def request_stop(self) -> None:
        """Wait no longer. For any thread."""
        self._stopping.set()
