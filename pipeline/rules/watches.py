"""The conditions of rules, one class each: which subjects meet it, frame by frame.

A *member* is an object that a rule is about, see ``Members``. ``StreamRules`` tells what happens and what time it is; a
watch tells its `Episodes` who begins and ceases to meet its condition.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Mapping

from pipeline.events import LineCrossed, WindowSecond
from pipeline.rules.alert import Situation
from pipeline.rules.episodes import Episodes
from pipeline.rules.members import Members, Subject
from pipeline.rules.rule import Rule
from pipeline.rules.speed_bands import Band
from pipeline.rules.stillness import Stillness

_ROUNDING_S = 1e-6
# The stream as a whole, where it is what meets a condition; no track has this id.
_STREAM = -1


class Watch:
    """What all conditions share.

    Args:
        rule: whose condition it is.
        members: what it is about.

    Attributes:
        rule, members: likewise.
        episodes: of the subjects.
        starts_away: whether an alert may start while the stream is away.
        looks: whether it wants to look at each frame.
    """

    starts_away = False
    looks = False

    def __init__(self, rule: Rule, members: Members) -> None:
        self.rule = rule
        self.members = members
        self.episodes = Episodes(self._lasting_s(rule), rule.clear_s)

    @staticmethod
    def _lasting_s(rule: Rule) -> float:
        """How long episodes must last."""
        return rule.for_s

    def cross(self, subject: Subject, event: LineCrossed, now_s: float) -> None:
        """An object that would be a member crossed its line."""

    def window(self, event: WindowSecond) -> None:
        """A second is over."""

    def go(self, last_s: float) -> None:
        """The stream went away; it was seen at that time for the last time."""

    def come_back(self, now_s: float) -> None:
        """The stream is back."""

    def look(self, now_s: float, last_s: float) -> None:
        """Take in a frame, with the time of the one before, after all that happened in it was told."""

    def succeed(self, before: int, after: int) -> None:
        """A track turned out to be one that was lost."""
        self.episodes.succeed(before, after)

    @property
    def sure(self) -> bool:
        """Whether something meets the condition for long enough."""
        return bool(self.episodes.sure)

    def settle(self, now_s: float) -> None:
        """Let time go on."""
        if self.episodes.settle(now_s) and not self.episodes.sure:
            self.forget()

    def forget(self) -> None:
        """Nothing is sure any more."""

    def situation(self, count: int) -> Situation:
        """What is sure, with so many ids at most; to be asked where something is."""
        return Situation(self.episodes.first(count), len(self.episodes.sure), sorted(self.episodes.classes))

    def since_s(self) -> float:
        """Since when; likewise."""
        return self.episodes.since_s()


class InZone(Watch):
    """Met by each member, for itself, as soon as it is one."""

    def join(self, subject: Subject, now_s: float) -> None:
        """It begins."""
        self.episodes.begin(subject.track_id, now_s, subject.class_name)

    def leave(self, subject: Subject, last_s: float) -> None:
        """It ceases."""
        self.episodes.lapse(subject.track_id, last_s)


class Crossed(Watch):
    """A line was crossed in a direction that counts; the moment is enough."""

    starts_away = True  # What was crossed right before that is known only then.

    def cross(self, subject: Subject, event: LineCrossed, now_s: float) -> None:
        """One more."""
        if self.rule.direction in ("both", event.direction):
            self.episodes.pulse(subject.track_id, now_s, subject.class_name)


class Fast(Watch):
    """Faster than a speed; while that is so, faster than ``hysteresis`` less."""

    def __init__(self, rule: Rule, members: Members) -> None:
        super().__init__(rule, members)
        assert rule.speed_mps is not None
        self._speed = rule.speed_mps

    def cease(self, subject: Subject, last_s: float) -> None:
        """It is compared no more."""
        self.episodes.lapse(subject.track_id, last_s)

    def compare(self, subject: Subject, speed: float, now_s: float, last_s: float) -> Band:
        """Take in a member's speed; returns between which speeds it makes no difference."""
        is_met = self.episodes.is_open(subject.track_id)
        bound = self._bound(is_met)
        if self._is_beyond(speed, bound) != is_met:
            if is_met:
                self.episodes.lapse(subject.track_id, last_s)
            else:
                self.episodes.begin(subject.track_id, now_s, subject.class_name)
            is_met = not is_met
            bound = self._bound(is_met)
        return self._band(is_met, bound)

    def _bound(self, is_met: bool) -> float:
        return self._speed - self.rule.hysteresis if is_met else self._speed

    @staticmethod
    def _is_beyond(speed: float, bound: float) -> bool:
        return speed > bound

    @staticmethod
    def _band(is_met: bool, bound: float) -> Band:
        return (bound, math.inf) if is_met else (-math.inf, bound)


class Slow(Fast):
    """Slower than a speed; while that is so, slower than ``hysteresis`` more."""

    def _bound(self, is_met: bool) -> float:
        return self._speed + self.rule.hysteresis if is_met else self._speed

    @staticmethod
    def _is_beyond(speed: float, bound: float) -> bool:
        return speed < bound

    @staticmethod
    def _band(is_met: bool, bound: float) -> Band:
        return (-math.inf, bound) if is_met else (bound, math.inf)


class Stationary(Watch):
    """Where it is for ``for_s`` seconds; it ceases to be when it moves."""

    def __init__(self, rule: Rule, members: Members, stillness: Stillness) -> None:
        super().__init__(rule, members)
        self._stillness = stillness

    @staticmethod
    def _lasting_s(rule: Rule) -> float:
        return 0.0  # What lasts is its standing there, which starts anew where it moves.

    def join(self, subject: Subject, now_s: float) -> None:
        """It is looked at from this frame on."""
        self._stillness.look_again(subject.row)

    def leave(self, subject: Subject, last_s: float) -> None:
        """It is looked at no more."""
        self.episodes.lapse(subject.track_id, last_s)

    def turn(self, subject: Subject, now_s: float, last_s: float) -> None:
        """A member stands for longer than before, or no more."""
        if self._stillness.stands(subject.row, self.rule.for_s, now_s):
            self.episodes.begin(subject.track_id, now_s, subject.class_name)
        else:
            self.episodes.lapse(subject.track_id, last_s)

    def since_s(self) -> float:
        """Since when the first of them stands."""
        return super().since_s() - self.rule.for_s


class _OfStream(Watch):
    """A condition that the stream as a whole meets or not."""

    def __init__(self, rule: Rule, members: Members) -> None:
        super().__init__(rule, members)
        self._told: Situation | None = None

    def succeed(self, before: int, after: int) -> None:
        """Who they are makes no difference."""

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


class Crowd(_OfStream):
    """At least so many members; while that is so, ``hysteresis`` fewer."""

    looks = True

    def look(self, now_s: float, last_s: float) -> None:
        """Count them."""
        assert self.rule.at_least is not None
        least = self.rule.at_least - (self.rule.hysteresis if self.episodes.is_open(_STREAM) else 0)
        self._set(len(self.members.of) >= least, now_s, last_s)

    def go(self, last_s: float) -> None:
        """All of them end with that."""
        self.episodes.lapse(_STREAM, last_s)

    def _now(self, count: int) -> Situation:
        members = self.members
        names = sorted(name for name, number in members.classes.items() if number)
        return Situation(heapq.nsmallest(count, members.of), len(members.of), names)


class Absent(_OfStream):
    """No member at all, while the stream is there to be looked at."""

    looks = True

    def look(self, now_s: float, last_s: float) -> None:
        """Whether there is one."""
        self._set(not self.members.of, now_s, last_s)

    def go(self, last_s: float) -> None:
        """Of what nobody looks at nothing is known."""
        self.episodes.lapse(_STREAM, last_s)


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

    def window(self, event: WindowSecond) -> None:
        """Compare it."""
        assert self.rule.coverage is not None
        if self._end_s is not None and event.start_s > self._end_s + _ROUNDING_S:
            self.episodes.begin(_STREAM, self._end_s)
            self.episodes.settle(event.start_s)
        enough = self.rule.coverage + (self.rule.hysteresis if self.episodes.is_open(_STREAM) else 0)
        self._set(event.coverage < enough, event.start_s, event.start_s)
        self._end_s = event.end_s


_KINDS: Mapping[str, type[Watch]] = {
    "in_zone": InZone,
    "crowd": Crowd,
    "crossed": Crossed,
    "speed_above": Fast,
    "speed_below": Slow,
    "absent": Absent,
    "offline": Offline,
    "coverage_below": CoverageBelow,
}


def make_watch(rule: Rule, members: Members, stillness: Stillness | None, now_s: float) -> Watch:
    """What watches for a rule's condition.

    Args:
        rule: whose.
        members: what it is about.
        stillness: needed for ``stationary`` alone.
        now_s: media time of the newest frame.
    """
    if rule.when == "stationary":
        assert stillness is not None
        made: Watch = Stationary(rule, members, stillness)
    else:
        made = _KINDS[rule.when](rule, members)
    if isinstance(made, InZone | Stationary):
        members.tell(made, now_s)
    return made
