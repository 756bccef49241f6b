"""What the conditions of rules share: which subjects meet one, frame by frame.

A *member* is an object that a rule is about, see ``Members``. ``StreamRules`` tells what happens and what time it is; a
watch tells its `Episodes` who begins and ceases to meet its condition.
"""

from __future__ import annotations

from pipeline.events import LineCrossed, WindowSecond
from pipeline.rules.alert import Situation
from pipeline.rules.episodes import Episodes
from pipeline.rules.members import Members, Subject
from pipeline.rules.rule import Rule


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
        follows: whether single objects meet it, each for itself.
    """

    starts_away = False
    follows = True
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

    def look(self, now_s: float, last_s: float) -> bool:
        """Take in a frame, with the time of the one before, after all that happened in it was told.

        Returns:
            Whether its ``situation`` may be another, though it be met as before.
        """
        return False

    @property
    def sure(self) -> bool:
        """Whether something meets the condition for long enough."""
        return bool(self.episodes.sure)

    def settle(self, now_s: float) -> bool:
        """Let time go on; returns whether other subjects are sure than the last time."""
        changed = self.episodes.settle(now_s)
        if changed and not self.episodes.sure:
            self.forget()
        return changed

    def forget(self) -> None:
        """Nothing is sure any more."""

    def situation(self, count: int) -> Situation:
        """What is sure, with so many ids at most; to be asked where something is."""
        return Situation(self.episodes.first(count), len(self.episodes.sure), sorted(self.episodes.classes))

    def since_s(self) -> float:
        """Since when; likewise."""
        return self.episodes.since_s()
