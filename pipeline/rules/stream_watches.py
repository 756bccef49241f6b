"""The conditions that a stream as a whole meets or not, one class each."""

from __future__ import annotations

import heapq

from pipeline.events import WindowSecond
from pipeline.rules.alert import Situation
from pipeline.rules.episodes import ROUNDING_S
from pipeline.rules.members import Members
from pipeline.rules.rule import Rule
from pipeline.rules.watch import Watch

# The stream as a whole; no track has this id.
_STREAM = -1


class _OfStream(Watch):
    """A condition that the stream as a whole meets or not."""

    follows = False

    def __init__(self, rule: Rule, members: Members) -> None:
        super().__init__(rule, members)
        self._told: Situation | None = None

    def forget(self) -> None:
        """What was told is over."""
        self._told = None

    def situation(self, count: int) -> Situation:
        """The members; in a lapse those that there were before."""
        if self._told is None or self.episodes.is_open(_STREAM):
            self._told = self._now(count)
        return self._told

    def _now(self, count: int) -> Situation:
        return Situation((), 0, ())

    def _set(self, met: bool, now_s: float, last_s: float) -> None:
        if met:
            self.episodes.begin(_STREAM, now_s)
        else:
            self.episodes.lapse(_STREAM, last_s)


class _Counting(_OfStream):
    """A condition on how many members there are."""

    looks = True

    def __init__(self, rule: Rule, members: Members) -> None:
        super().__init__(rule, members)
        self._changes = -1  # of the members, when they were counted last

    def look(self, now_s: float, last_s: float) -> bool:
        """Count them, if any came or went."""
        if self.members.changes == self._changes:
            return False
        self._changes = self.members.changes
        self._set(self._is_met(len(self.members.of)), now_s, last_s)
        return True

    def _is_met(self, count: int) -> bool:
        raise NotImplementedError

    def go(self, last_s: float) -> None:
        """Of what nobody looks at nothing is known."""
        self.episodes.lapse(_STREAM, last_s)
        self._changes = -1


class Crowd(_Counting):
    """At least so many members; while that is so, ``hysteresis`` fewer."""

    def _is_met(self, count: int) -> bool:
        assert self.rule.at_least is not None
        return count >= self.rule.at_least - (self.rule.hysteresis if self.episodes.is_open(_STREAM) else 0)

    def _now(self, count: int) -> Situation:
        members = self.members
        names = sorted(name for name, number in members.classes.items() if number)
        return Situation(heapq.nsmallest(count, members.of), len(members.of), names)


class Absent(_Counting):
    """No member at all, while the stream is there to be looked at."""

    def _is_met(self, count: int) -> bool:
        return not count


class Offline(_OfStream):
    """The stream is away."""

    starts_away = True

    def go(self, last_s: float) -> None:
        """It is."""
        self.episodes.begin(_STREAM, last_s)

    def come_back(self, now_s: float) -> None:
        """It no longer is."""
        self.episodes.lapse(_STREAM, now_s)


class CoverageBelow(_OfStream):
    """Too little of each second is observed. One that is not told of was not observed at all."""

    def __init__(self, rule: Rule, members: Members) -> None:
        super().__init__(rule, members)
        self._end_s: float | None = None
        self._turned = False  # it was sure, or ceased to be, before the newest second

    def window(self, event: WindowSecond) -> None:
        """Compare it."""
        assert self.rule.coverage is not None
        if self._end_s is not None and event.start_s > self._end_s + ROUNDING_S:
            self.episodes.begin(_STREAM, self._end_s)
            self._turned |= self.episodes.settle(event.start_s)
            self.episodes.wake()
        enough = self.rule.coverage + (self.rule.hysteresis if self.episodes.is_open(_STREAM) else 0)
        self._set(event.coverage < enough, event.start_s, event.start_s)
        self._end_s = event.end_s

    def settle(self, now_s: float) -> bool:
        """Let time go on; returns whether it is sure now, or ceased to be, though only for a while."""
        turned, self._turned = self._turned, False
        return super().settle(now_s) or turned
