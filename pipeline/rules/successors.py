"""The new id of an object that was lost where it stands."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import numpy as np

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
        self._of_class: defaultdict[str, _OfClass] = defaultdict(_OfClass)

    def add(self, lost: Lost) -> None:
        """Remember a track."""
        self._of_class[lost.class_name].add(lost)

    def take(self, class_name: str, xyxy: Box, now_s: float) -> Lost | None:
        """The track that a new one goes on with, which is then no longer remembered.

        It is the one of its class that it overlaps most, if enough; of several the one that was let go last.
        """
        return self._of_class[class_name].take(xyxy, now_s, self.within_s)


class _OfClass:
    """Those of one class, in the order in which they were let go, with the sides of their boxes in an array."""

    def __init__(self) -> None:
        self._lost: list[Lost] = []
        self._sides = np.zeros((2, 64))
        self._first = 0  # those before it are too old

    def add(self, lost: Lost) -> None:
        count = len(self._lost)
        if count == self._sides.shape[1]:
            self._lost = self._lost[self._first :]
            kept = self._sides[:, self._first : count]
            self._sides = np.zeros((2, max(64, 2 * len(self._lost))))
            count, self._first = len(self._lost), 0
            self._sides[:, :count] = kept
        self._sides[:, count] = lost.xyxy[0], lost.xyxy[2]
        self._lost.append(lost)

    def take(self, xyxy: Box, now_s: float, within_s: float) -> Lost | None:
        while self._first < len(self._lost) and now_s - self._lost[self._first].at_s > within_s:
            self._first += 1
        left, right = self._sides[:, self._first : len(self._lost)]
        beside = (left < xyxy[2]) & (right > xyxy[0])
        best, most = -1, _OVERLAP
        for one in np.flatnonzero(beside).tolist():
            if (overlap := _overlap(self._lost[self._first + one].xyxy, xyxy)) >= most:
                best, most = self._first + one, overlap
        if best < 0:
            return None
        self._sides[:, best] = np.nan  # it is beside nothing any more
        return self._lost[best]


def _overlap(one: Box, other: Box) -> float:
    """Intersection over union of two boxes; plain numbers are quicker than arrays where there are few."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    if width <= 0 or height <= 0:
        return 0.0
    both = width * height
    return both / ((one[2] - one[0]) * (one[3] - one[1]) + (other[2] - other[0]) * (other[3] - other[1]) - both)
