"""How far apart a camera's frames are, whatever it says of itself: some say nothing, some say 25 and send 2."""

from __future__ import annotations

from collections import deque
from statistics import median

_REMEMBERED = 15
# A camera slower than this is not distinguished from one that stalls.
_LONGEST_S = 5.0
# A single distance longer than this is taken for a stall until there is another.
_LONGEST_FIRST_S = 1.5


class FrameInterval:
    """The usual time between one frame of a source and the next: the median of the last ones.

    Frames that were left out on the way here are counted by their numbers, so that being slow changes nothing.
    """

    def __init__(self) -> None:
        self._last: tuple[int, float] | None = None
        self._intervals: deque[float] = deque(maxlen=_REMEMBERED)

    def add(self, index: int, pts_s: float) -> None:
        """A frame has come.

        Args:
            index: its number among all that the source gave.
            pts_s: its media time in seconds.
        """
        if self._last is not None and index > self._last[0]:
            interval_s = (pts_s - self._last[1]) / (index - self._last[0])
            if interval_s <= _LONGEST_S:
                self._intervals.append(interval_s)
        self._last = (index, pts_s)

    def interrupt(self) -> None:
        """The source was away: the time until its next frame says nothing."""
        self._last = None

    @property
    def seconds(self) -> float | None:
        """The usual interval; None as long as there is none to go by."""
        if not self._intervals or (len(self._intervals) == 1 and self._intervals[0] > _LONGEST_FIRST_S):
            return None
        return median(self._intervals)
