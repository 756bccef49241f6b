"""The new id of an object that was lost where it stands."""

from __future__ import annotations

from collections import defaultdict, deque
from dataclasses import dataclass

from pipeline.events import Box
from pipeline.rules.stillness import Stand

# A new track is the lost one where their boxes overlap as much.
_OVERLAP = 0.3


@dataclass(frozen=True, slots=True, eq=False)
class Lost:
    """A track that was let go.

    Attributes:
        track_id: its id.
        class_name: its class.
        xyxy: its last box in pixels.
        at_s: media time at which it was let go.
        stand: where it stood, and since when, as ``Stillness`` tells it; None where nobody asks.
    """

    track_id: int
    class_name: str
    xyxy: Box
    at_s: float
    stand: Stand | None = None


class Successors:
    """Remembers tracks that were let go, for a while.

    Args:
        within_s: for how many seconds of media time.

    Attributes:
        within_s: likewise.
    """

    def __init__(self, within_s: float) -> None:
        self.within_s = within_s
        self._lost: defaultdict[str, deque[Lost]] = defaultdict(deque)  # by class

    def add(self, lost: Lost) -> None:
        """Remember a track."""
        self._lost[lost.class_name].append(lost)

    def take(self, class_name: str, xyxy: Box, now_s: float) -> Lost | None:
        """The track that a new one goes on with, which is then no longer remembered.

        It is the one of its class that it overlaps most, if enough.
        """
        candidates = self._lost[class_name]
        while candidates and now_s - candidates[0].at_s > self.within_s:
            candidates.popleft()
        best, most = None, _OVERLAP
        for lost in candidates:
            if (overlap := _overlap(lost.xyxy, xyxy)) >= most:
                best, most = lost, overlap
        if best is not None:
            candidates.remove(best)
        return best


def _overlap(one: Box, other: Box) -> float:
    """Intersection over union of two boxes; plain numbers are quicker than arrays where there are few."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    if width <= 0:
        return 0.0
    height = min(one[3], other[3]) - max(one[1], other[1])
    if height <= 0:
        return 0.0
    both = width * height
    return both / ((one[2] - one[0]) * (one[3] - one[1]) + (other[2] - other[0]) * (other[3] - other[1]) - both)
