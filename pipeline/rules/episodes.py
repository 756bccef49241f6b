"""Since when each subject of a rule meets its condition, however its detections flicker."""

from __future__ import annotations

import bisect
import heapq
import math
from collections import Counter

# Media times are sums of floats: what is due may look early by less than this.
ROUNDING_S = 1e-6


class Episodes:
    """A subject's episode is the time from when it first met the condition, through lapses of up to ``clear_s``.

    A subject is *sure* once it has met the condition, lapses included, over ``for_s`` seconds, and stays so until its
    episode is over. What it costs goes with what changes, not with how many subjects there are.

    Args:
        for_s, clear_s: as `Rule` has them.

    Attributes:
        lapsed: those who don't meet it now, but whose episode goes on: since when, and when they met it last.
        sure: the sure subjects.
        classes: how many of them there are of each class.
        wake_s: media time from which on ``settle`` has something to do.

    >>> parked = Episodes(for_s=5, clear_s=2)
    >>> parked.begin(7, 10, "car")
    >>> parked.settle(15), parked.sure
    (True, {7})
    >>> parked.lapse(7, 20)
    >>> parked.settle(21), parked.settle(23), parked.sure
    (False, True, set())
    """

    def __init__(self, for_s: float, clear_s: float) -> None:
        self._for_s = for_s
        self._clear_s = clear_s
        self._open: dict[int, float] = {}  # since when
        self._due: list[tuple[float, int]] = []  # when an open one will have lasted long enough
        self._over: list[tuple[float, int]] = []  # by when a lapsed one met it last
        self._settled_s = -math.inf
        self._resumed: dict[int, tuple[float, float]] = {}  # after a lapse: when, and when it was met last before
        self._class_of: dict[int, str] = {}
        self._in_order: list[int] = []  # the sure ones
        self.lapsed: dict[int, tuple[float, float]] = {}
        self.sure: set[int] = set()
        self.classes: Counter[str] = Counter()
        self._changed = False
        self.wake_s = math.inf

    def begin(self, subject: int, now_s: float, class_name: str = "") -> None:
        """A subject meets the condition from now on."""
        if subject in self._open:
            return
        since_s, last_s = self.lapsed.pop(subject, (now_s, now_s))
        # Where frames come seldom nothing was seen of a lapse between two of them.
        if self._is_over(last_s, now_s) and last_s < self._settled_s:
            since_s = now_s
            self._remove(subject)
        elif last_s < now_s:
            self._resumed[subject] = (now_s, last_s)
        self._open[subject] = since_s
        self._class_of.setdefault(subject, class_name)
        if subject not in self.sure:
            due_s = since_s + self._for_s - ROUNDING_S
            heapq.heappush(self._due, (due_s, subject))
            if due_s < self.wake_s:
                self.wake_s = due_s

    def lapse(self, subject: int, last_s: float) -> None:
        """A subject no longer meets the condition; it did at ``last_s``, the time of the frame before."""
        since_s = self._open.pop(subject, None)
        if since_s is None:
            return
        resumed_s, before_s = self._resumed.pop(subject, (since_s, last_s))
        if resumed_s > last_s:  # It came back and went between two frames.
            last_s = before_s
        if since_s <= last_s:
            self.lapsed[subject] = (since_s, last_s)
            heapq.heappush(self._over, (last_s, subject))
            self.wake_s = -math.inf  # for ``begin`` to know that a frame went by without it
        else:  # It came and went between two frames.
            self._forget(subject)

    def pulse(self, subject: int, now_s: float, class_name: str = "") -> None:
        """A subject meets the condition for a moment, which is enough to be sure."""
        since_s, last_s = self.lapsed.get(subject, (now_s, now_s))
        self.lapsed[subject] = (now_s if self._is_over(last_s, now_s) else since_s, now_s)
        self._class_of.setdefault(subject, class_name)
        self._watch_over(now_s, subject)
        self._add(subject)

    def succeed(self, before: int, after: int) -> None:
        """What is known of a subject that lapsed is known of another, new one, which it turns out to be."""
        if before in self.lapsed and after not in self.lapsed and after not in self._open:
            self.lapsed[after] = self.lapsed.pop(before)
            self._class_of[after] = self._class_of[before]
            self._watch_over(self.lapsed[after][1], after)
            if before in self.sure:
                self._add(after)
            self._forget(before)

    def settle(self, now_s: float) -> bool:
        """Let time go on to a frame; returns whether other subjects are sure than the last time."""
        self._settled_s = now_s
        while self._due and self._due[0][0] <= now_s:
            subject = heapq.heappop(self._due)[1]
            since_s = self._open.get(subject)
            # One that lapsed meanwhile, and came again, has another entry for its new time.
            if since_s is not None and since_s + self._for_s - ROUNDING_S <= now_s:
                self._add(subject)
        while self._over and self._is_over(self._over[0][0], now_s):
            last_s, subject = heapq.heappop(self._over)
            if self.lapsed.get(subject, (0.0, now_s))[1] == last_s:
                del self.lapsed[subject]
                self._forget(subject)
        self.wake_s = min(
            self._due[0][0] if self._due else math.inf,
            self._over[0][0] + self._clear_s if self._over else math.inf,
        )
        changed, self._changed = self._changed, False
        return changed

    def wake(self) -> None:
        """Have ``settle`` called in this frame."""
        self.wake_s = -math.inf

    def since_s(self) -> float:
        """When the first of the sure ones' episodes began; to be asked where there are some."""
        return min(self._open[one] if one in self._open else self.lapsed[one][0] for one in self.sure)

    def first(self, count: int) -> list[int]:
        """The first of the sure ones by number, so many at most."""
        return self._in_order[:count]

    def is_open(self, subject: int) -> bool:
        """Whether it meets the condition now."""
        return subject in self._open

    def _watch_over(self, last_s: float, subject: int) -> None:
        """A subject's episode may be over, that met the condition then for the last time."""
        heapq.heappush(self._over, (last_s, subject))
        if last_s + self._clear_s < self.wake_s:
            self.wake_s = last_s + self._clear_s

    def _is_over(self, last_s: float, now_s: float) -> bool:
        return now_s - last_s > self._clear_s + ROUNDING_S

    def _add(self, subject: int) -> None:
        if subject not in self.sure:
            self.sure.add(subject)
            bisect.insort(self._in_order, subject)
            self.classes[self._class_of[subject]] += 1
            self._changed = True
            self.wake_s = -math.inf

    def _remove(self, subject: int) -> None:
        if subject in self.sure:
            self.sure.discard(subject)
            del self._in_order[bisect.bisect_left(self._in_order, subject)]
            name = self._class_of[subject]
            self.classes[name] -= 1
            if not self.classes[name]:
                del self.classes[name]
            self._changed = True
            self.wake_s = -math.inf

    def _forget(self, subject: int) -> None:
        """The episode of a subject is over."""
        self._remove(subject)
        del self._class_of[subject]
