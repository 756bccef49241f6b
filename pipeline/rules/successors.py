"""The new id of an object that was lost where it stands."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import defaultdict, deque
from dataclasses import dataclass
from itertools import count

from pipeline.events import Box
from pipeline.rules.stillness import Stand

# A new track is the lost one where their boxes overlap as much.
_OVERLAP = 0.3


@dataclass(slots=True, eq=False)
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
        self._of_class[lost.class_name].add(lost, self.within_s)

    def take(self, class_name: str, xyxy: Box, now_s: float) -> Lost | None:
        """The track that a new one goes on with, which is then no longer remembered.

        It is the one of its class that it overlaps most, if enough; of several the one that was let go last.
        """
        return self._of_class[class_name].take(xyxy, now_s, self.within_s)


# The left edge, a number that no other has, top, right and bottom, and whose they are: told apart by the first two.
_Entry = tuple[float, int, float, float, float, Lost]


class _OfClass:
    """Those of one class, by the left edges of their boxes.

    They are few and each is asked for at another time, for which lists are quicker than arrays.
    """

    def __init__(self) -> None:
        self._entries: list[_Entry] = []
        self._by_time: deque[_Entry] = deque()  # as they were let go; with those that were taken
        self._numbers = count()

    def add(self, lost: Lost, within_s: float) -> None:
        self._forget_old(lost.at_s, within_s)
        left, top, right, bottom = lost.xyxy
        entry = (left, next(self._numbers), top, right, bottom, lost)
        insort(self._entries, entry)
        self._by_time.append(entry)

    def take(self, xyxy: Box, now_s: float, within_s: float) -> Lost | None:
        self._forget_old(now_s, within_s)
        left, top, right, bottom = xyxy
        # One that is wider than this overlaps too little of itself.
        widest = (right - left) / _OVERLAP + 1
        near = self._entries[bisect_left(self._entries, (left - widest,)) : bisect_left(self._entries, (right,))]
        best, most = None, _OVERLAP
        for entry in near:
            _, _, other_top, other_right, other_bottom, lost = entry
            if top < other_bottom and other_top < bottom and left < other_right:
                overlap = _overlap(lost.xyxy, xyxy)
                if overlap > most or (overlap == most and (best is None or lost.at_s >= best[-1].at_s)):
                    best, most = entry, overlap
        if best is None:
            return None
        self._remove(best)
        return best[-1]

    def _forget_old(self, now_s: float, within_s: float) -> None:
        while self._by_time and now_s - self._by_time[0][-1].at_s > within_s:
            self._remove(self._by_time.popleft())

    def _remove(self, entry: _Entry) -> None:
        """Keep it no more, if it is kept still."""
        place = bisect_left(self._entries, entry[:2])
        if place < len(self._entries) and self._entries[place] is entry:
            del self._entries[place]


def _overlap(one: Box, other: Box) -> float:
    """Intersection over union of two boxes that meet."""
    both = (min(one[2], other[2]) - max(one[0], other[0])) * (min(one[3], other[3]) - max(one[1], other[1]))
    return both / ((one[2] - one[0]) * (one[3] - one[1]) + (other[2] - other[0]) * (other[3] - other[1]) - both)
