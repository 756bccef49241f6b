"""Rules with what became of them so far: which of them have something to tell, and what."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pipeline.events import Event
from pipeline.rules.alert import Moment, RuleAlert
from pipeline.rules.episodes import Episodes
from pipeline.rules.watch import Watch


@dataclass(slots=True, eq=False)
class Watched:
    """A rule with its condition and its alert."""

    watch: Watch
    alert: RuleAlert


class Concerned:
    """Which conditions of some rules an event concerns, found out once for each kind of event.

    Args:
        watches: the conditions.
    """

    def __init__(self, watches: Sequence[Watch]) -> None:
        self._watches = watches
        self._across: dict[tuple[str, str], tuple[Watch, ...]] = {}
        self._followed: dict[str, tuple[Episodes, ...]] = {}

    def across(self, line: str, class_name: str) -> tuple[Watch, ...]:
        """Those about objects of a class that cross a line."""
        key = (line, class_name)
        if key not in self._across:
            self._across[key] = tuple(
                watch for watch in self._watches if watch.rule.line == line and watch.members.takes(class_name)
            )
        return self._across[key]

    def following(self, class_name: str) -> tuple[Episodes, ...]:
        """The episodes of those that single objects of a class meet, each for itself."""
        if class_name not in self._followed:
            self._followed[class_name] = tuple(
                watch.episodes for watch in self._watches if watch.follows and watch.members.takes(class_name)
            )
        return self._followed[class_name]


def tell_due(watched: Iterable[Watched], now: Moment, *, every: bool, away: bool) -> list[Event]:
    """What there is to tell now, of those rules for which something has changed, or is due.

    Args:
        watched: the rules.
        now: the time.
        every: look at all of them.
        away: the stream is not there.
    """
    events: list[Event] = []
    now_s = now.pts_s
    for one in watched:
        due = every or one.alert.wake_s <= now_s
        if due or one.watch.episodes.wake_s <= now_s:
            changed = one.watch.settle(now_s)
            if (due or changed) and (one.alert.active or not away or one.watch.starts_away):
                events += one.alert.look(one.watch, now, away=away)
    return events
