"""The conditions of rules, one class each: which subjects meet it, frame by frame.

A *member* is an object that a rule is about: of its classes, in its zone, and seen once well enough. ``StreamRules``
tells a watch who joins and leaves, and what time it is; the watch tells its `Episodes` who begins and ceases to meet
its condition.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from pipeline.analytics.live_tracks import LiveTracks
from pipeline.analytics.track_table import Column
from pipeline.events import LineCrossed, WindowSecond
from pipeline.rules.alert import Situation
from pipeline.rules.episodes import Episodes
from pipeline.rules.rule import Rule
from pipeline.rules.stillness import Stillness
from pipeline.types import BoolArray, Float64Array

_ROUNDING_S = 1e-6


@dataclass(slots=True, eq=False)
class Subject:
    """A track as rules know it: its id, its row in the table of tracks, its class, the zones that it is in."""

    track_id: int
    row: int
    class_name: str
    zones: set[str] = field(default_factory=set)


class Watch:
    """A condition that is met by some objects for themselves; it is as soon as they are members.

    Args:
        rule: whose condition it is.
        tracks: the live ones.

    Attributes:
        rule: whose condition it is.
        episodes: of the subjects.
        changed: whether another situation may be there than when it was asked for last.
        starts_away: whether an alert may start while the stream is away.
    """

    starts_away = False

    def __init__(self, rule: Rule, tracks: LiveTracks) -> None:
        self.rule = rule
        self.episodes = Episodes(self._lasting_s(rule), rule.clear_s)
        self.changed = False
        self._told: Situation | None = None
        self._classes = None if rule.classes is None else frozenset(rule.classes)
        self._tracks = tracks
        self._class_of: dict[int, str] = {}

    @staticmethod
    def _lasting_s(rule: Rule) -> float:
        """How long episodes must last."""
        return rule.for_s

    def takes(self, class_name: str) -> bool:
        """Whether objects of that class count."""
        return self._classes is None or class_name in self._classes

    def joined_by(self, class_name: str) -> bool:
        """Whether objects of that class are members, as far as that goes."""
        return self.takes(class_name)

    def join(self, subject: Subject, now_s: float) -> None:
        """An object is a member from now on; nothing where it is one already."""
        self._begin(subject.track_id, subject.class_name, now_s)

    def leave(self, subject: Subject, last_s: float) -> None:
        """An object is no member any more, since the frame after that time; nothing where it was none."""
        self.episodes.lapse(subject.track_id, last_s)

    def cross(self, subject: Subject, event: LineCrossed, now_s: float) -> None:
        """An object that would be a member crossed a line."""

    def window(self, event: WindowSecond) -> None:
        """A second is over."""

    def go(self, last_s: float) -> None:
        """The stream went away; it was seen at that time for the last time."""

    def come_back(self, now_s: float) -> None:
        """The stream is back."""

    def look(self, now_s: float, last_s: float) -> None:
        """Take in a frame, with the time of the one before, after all that happened in it was told."""

    def succeed(self, before: int, after: Subject) -> None:
        """A track turned out to be one that was lost."""
        if self.episodes.knows(before):
            self.episodes.succeed(before, after.track_id)
            self._class_of[after.track_id] = after.class_name

    def close(self) -> None:
        """Give back what the table of tracks keeps for it."""

    @property
    def sure(self) -> bool:
        """Whether something meets the condition for long enough."""
        return bool(self.episodes.sure)

    def forget(self) -> None:
        """What was told is over."""
        self._told = None

    def situation(self) -> Situation:
        """What does; to be asked where something is ``sure``."""
        if self.changed or self._told is None:
            self.changed = False
            self._class_of = {one: name for one, name in self._class_of.items() if self.episodes.knows(one)}
            self._told = self._situation(sorted(self.episodes.sure))  # type: ignore[arg-type]
        return self._told

    def _situation(self, tracks: list[int]) -> Situation:
        since_s = self.episodes.since_s(tracks)
        assert since_s is not None
        return Situation(tracks, _names(self._class_of[one] for one in tracks), since_s)

    def _begin(self, track_id: int, class_name: str, now_s: float) -> None:
        self._class_of[track_id] = class_name
        self.episodes.begin(track_id, now_s)


class Crossed(Watch):
    """A line was crossed in a direction that counts; the moment is enough."""

    starts_away = True  # What was crossed right before that is known only then.

    def joined_by(self, class_name: str) -> bool:
        """To be there alone is nothing."""
        return False

    def cross(self, subject: Subject, event: LineCrossed, now_s: float) -> None:
        """One more."""
        if event.line == self.rule.line and self.rule.direction in ("both", event.direction):
            self._class_of[subject.track_id] = subject.class_name
            self.episodes.pulse(subject.track_id, now_s)


class _ByRow(Watch):
    """A condition that is compared for all members at once, by rows of the table of tracks."""

    def __init__(self, rule: Rule, tracks: LiveTracks) -> None:
        super().__init__(rule, tracks)
        self._member: Column = tracks.table.column(np.bool_)
        self._met: Column = tracks.table.column(np.bool_)
        self._id: Column = tracks.table.column(np.int64)

    def join(self, subject: Subject, now_s: float) -> None:
        """It is compared from this frame on."""
        self._member.values[subject.row] = True
        self._id.values[subject.row] = subject.track_id

    def leave(self, subject: Subject, last_s: float) -> None:
        """It is compared no more."""
        if self._id.values[subject.row] == subject.track_id:
            self._member.values[subject.row] = self._met.values[subject.row] = False
        self.episodes.lapse(subject.track_id, last_s)

    def look(self, now_s: float, last_s: float) -> None:
        """Compare."""
        met = self._compare(self._met.values, now_s)
        met &= self._member.values
        changed = met != self._met.values
        if not changed.any():
            return
        for row in np.flatnonzero(changed).tolist():
            track_id = int(self._id.values[row])
            if met[row]:
                self._begin(track_id, self._tracks.class_name(row), now_s)
            else:
                self.episodes.lapse(track_id, last_s)
        self._met.values = met

    def close(self) -> None:
        """Give back the columns."""
        for column in (self._member, self._met, self._id):
            self._tracks.table.drop(column)

    def _compare(self, met: BoolArray, now_s: float) -> BoolArray:
        raise NotImplementedError


class TooFast(_ByRow):
    """Faster than a speed; while that is so, faster than ``hysteresis`` less."""

    def _compare(self, met: BoolArray, now_s: float) -> BoolArray:
        assert self.rule.speed_mps is not None
        speed: Float64Array = self._tracks.speeds()
        above: BoolArray = speed > self.rule.speed_mps
        if self.rule.hysteresis:
            above |= met & (speed > self.rule.speed_mps - self.rule.hysteresis)
        return above


class TooSlow(_ByRow):
    """Slower than a speed; while that is so, slower than ``hysteresis`` more."""

    def _compare(self, met: BoolArray, now_s: float) -> BoolArray:
        assert self.rule.speed_mps is not None
        speed: Float64Array = self._tracks.speeds()
        below: BoolArray = speed < self.rule.speed_mps
        if self.rule.hysteresis:
            below |= met & (speed < self.rule.speed_mps + self.rule.hysteresis)
        return below


class Stationary(_ByRow):
    """Where it is for ``for_s`` seconds; it ceases to be when it moves."""

    def __init__(self, rule: Rule, tracks: LiveTracks, stillness: Stillness) -> None:
        super().__init__(rule, tracks)
        self._stillness = stillness

    @staticmethod
    def _lasting_s(rule: Rule) -> float:
        return 0.0  # What lasts is its standing there, which starts anew where it moves.

    def _compare(self, met: BoolArray, now_s: float) -> BoolArray:
        since_s: Float64Array = self._stillness.since_s
        stands: BoolArray = since_s <= now_s - self.rule.for_s + _ROUNDING_S
        return stands

    def _situation(self, tracks: list[int]) -> Situation:
        found = super()._situation(tracks)
        return Situation(found.tracks, found.classes, found.since_s - self.rule.for_s)


class _OfStream(Watch):
    """A condition that the stream as a whole meets or not."""

    def join(self, subject: Subject, now_s: float) -> None:
        """Count it."""
        self._class_of[subject.track_id] = subject.class_name
        self.changed = True

    def leave(self, subject: Subject, last_s: float) -> None:
        """Count it no more."""
        if self._class_of.pop(subject.track_id, None) is not None:
            self.changed = True

    def succeed(self, before: int, after: Subject) -> None:
        """Who they are makes no difference."""

    def situation(self) -> Situation:
        """The members; in a lapse those that there were before."""
        if self._told is None or (self.changed and self.episodes.is_open(None)):
            self.changed = False
            since_s = self.episodes.since_s([None])
            assert since_s is not None
            self._told = self._since(since_s)
        return self._told

    def _since(self, since_s: float) -> Situation:
        return Situation(sorted(self._class_of), _names(self._class_of.values()), since_s)

    def _set(self, met: bool, now_s: float, last_s: float) -> None:
        if met:
            self.episodes.begin(None, now_s)
        else:
            self.episodes.lapse(None, last_s)


class Crowd(_OfStream):
    """At least so many members; while that is so, ``hysteresis`` fewer."""

    def look(self, now_s: float, last_s: float) -> None:
        """Count them."""
        assert self.rule.at_least is not None
        least = self.rule.at_least - (self.rule.hysteresis if self.episodes.is_open(None) else 0)
        self._set(len(self._class_of) >= least, now_s, last_s)

    def go(self, last_s: float) -> None:
        """All of them end with that."""
        self.episodes.lapse(None, last_s)


class Absent(_OfStream):
    """No member at all, while the stream is there to be looked at."""

    def look(self, now_s: float, last_s: float) -> None:
        """Whether there is one."""
        self._set(not self._class_of, now_s, last_s)

    def _since(self, since_s: float) -> Situation:
        return Situation((), (), since_s)

    def go(self, last_s: float) -> None:
        """Of what nobody looks at nothing is known."""
        self.episodes.lapse(None, last_s)


class Offline(_OfStream):
    """The stream is away."""

    starts_away = True

    def joined_by(self, class_name: str) -> bool:
        """Objects make no difference."""
        return False

    def go(self, last_s: float) -> None:
        """It is."""
        self.episodes.begin(None, last_s)

    def come_back(self, now_s: float) -> None:
        """It no longer is."""
        self.episodes.lapse(None, now_s)


class CoverageBelow(_OfStream):
    """Too little of each second is observed. One that is not told of was not observed at all."""

    def __init__(self, rule: Rule, tracks: LiveTracks) -> None:
        super().__init__(rule, tracks)
        self._end_s: float | None = None

    def joined_by(self, class_name: str) -> bool:
        """Objects make no difference."""
        return False

    def window(self, event: WindowSecond) -> None:
        """Compare it."""
        assert self.rule.coverage is not None
        if self._end_s is not None and event.start_s > self._end_s + _ROUNDING_S:
            self.episodes.begin(None, self._end_s)
            self.changed |= self.episodes.settle(event.start_s)
        enough = self.rule.coverage + (self.rule.hysteresis if self.episodes.is_open(None) else 0)
        self._set(event.coverage < enough, event.start_s, event.start_s)
        self._end_s = event.end_s


def make_watch(rule: Rule, tracks: LiveTracks, stillness: Stillness | None) -> Watch:
    """What watches for a rule's condition; ``stillness`` is needed for ``stationary`` alone."""
    if rule.when == "stationary":
        assert stillness is not None
        return Stationary(rule, tracks, stillness)
    kinds: dict[str, type[Watch]] = {
        "in_zone": Watch,
        "crowd": Crowd,
        "crossed": Crossed,
        "speed_above": TooFast,
        "speed_below": TooSlow,
        "absent": Absent,
        "offline": Offline,
        "coverage_below": CoverageBelow,
    }
    return kinds[rule.when](rule, tracks)


def _names(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(set(names)))
