"""The conditions that objects meet, each for itself, one class each."""

from __future__ import annotations

import math

from pipeline.events import LineCrossed
from pipeline.rules.members import Members, Subject
from pipeline.rules.rule import Rule
from pipeline.rules.stillness import Stillness
from pipeline.rules.watch import Watch


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

    @property
    def bounds(self) -> tuple[float, float]:
        """The speeds past which it is met, and past which it is met no more."""
        return self._speed, self._speed - self.rule.hysteresis

    def is_met(self, speed: float, was_met: bool) -> bool:
        """Whether an object of that speed meets it."""
        return speed > self.bounds[was_met]

    def band(self, is_met: bool) -> tuple[float, float]:
        """Speeds between which, both excluded, that stays so."""
        bound = self.bounds[is_met]
        return (bound, math.inf) if is_met else (-math.inf, bound)

    def is_open(self, track_id: int) -> bool:
        """Whether an object meets it now."""
        return self.episodes.is_open(track_id)

    def begin(self, subject: Subject, now_s: float) -> None:
        """An object meets it from now on."""
        self.episodes.begin(subject.track_id, now_s, subject.class_name)

    def cease(self, subject: Subject, last_s: float) -> None:
        """An object meets it no more, since the frame after that time."""
        self.episodes.lapse(subject.track_id, last_s)


class Slow(Fast):
    """Slower than a speed; while that is so, slower than ``hysteresis`` more."""

    @property
    def bounds(self) -> tuple[float, float]:
        """The speeds past which it is met, and past which it is met no more."""
        return self._speed, self._speed + self.rule.hysteresis

    def is_met(self, speed: float, was_met: bool) -> bool:
        """Whether an object of that speed meets it."""
        return speed < self.bounds[was_met]

    def band(self, is_met: bool) -> tuple[float, float]:
        """Speeds between which, both excluded, that stays so."""
        bound = self.bounds[is_met]
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
