"""An alert of a rule: when it starts, what it is about, when it is over."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from pipeline.analytics.event_stamper import EventStamper
from pipeline.events import AlertEnded, AlertStarted, AlertUpdated, Event
from pipeline.rules.episodes import ROUNDING_S
from pipeline.rules.rule import Rule

EndOfAlert = Literal["cleared", "gap", "schedule", "reload", "end"]

# Most ids that an event lists.
LISTED = 64
_UPDATE_S = 1.0


@dataclass(frozen=True, slots=True)
class Moment:
    """When something is looked at.

    Attributes:
        pts_s: media time.
        captured_s: ``time.monotonic()`` of the frame; None for now.
        utc_s: seconds since 1970.
    """

    pts_s: float
    captured_s: float | None
    utc_s: float


@dataclass(frozen=True, slots=True)
class Situation:
    """What meets a rule's condition.

    Attributes:
        tracks: ids of the objects, by number; of many the first.
        count: how many there are.
        classes: names of their classes, each once.
    """

    tracks: Sequence[int]
    count: int
    classes: Sequence[str]


class Watched(Protocol):
    """A condition, as an alert looks at it."""

    @property
    def sure(self) -> bool:
        """Whether something meets it for long enough."""
        ...

    def situation(self, count: int) -> Situation:
        """What does, with so many ids at most; asked only where it is to be told."""
        ...

    def since_s(self) -> float:
        """Media time since when something does."""
        ...


class RuleAlert:
    """The alerts of one rule in one stream, of which there is one at a time.

    Args:
        rule: whose.
        stream: name of the stream.
        stamper: numbers the run's events.

    Attributes:
        wake_s: media time from which on ``look`` may have something to tell, though its condition be the same as at the
            last look; besides, a schedule makes a difference at whole minutes.
    """

    def __init__(self, rule: Rule, stream: str, stamper: EventStamper) -> None:
        self._rule = rule
        self._stream = stream
        self._stamper = stamper
        self._told: dict[str, Any] | None = None  # what was told of the alert that is on
        self._since_s = self._started_s = self._told_s = 0.0
        self._ended_s: float | None = None
        self.wake_s = -math.inf
        self._counted = (float("nan"), False)  # the minute since 1970, and whether the rule counts in it

    @property
    def active(self) -> bool:
        """Whether there is one now."""
        return self._told is not None

    @property
    def idle(self) -> bool:
        """Whether one is on that has nothing more to tell until something changes."""
        return self._told is not None and self.wake_s == math.inf

    def look(self, watched: Watched, now: Moment, *, away: bool = False) -> list[Event]:
        """Let time go on.

        Args:
            watched: the condition.
            now: the time.
            away: nothing is observed just now.
        """
        self.wake_s = math.inf
        sure = watched.sure
        if self._told is None and not sure:
            return []
        counts = self._counts(now.utc_s)
        if self._told is None:
            if self._ended_s is not None and now.pts_s - self._ended_s < self._rule.cooldown_s:
                self.wake_s = self._ended_s + self._rule.cooldown_s - ROUNDING_S
                return []
            return self._start(watched, now) if counts else []
        if not sure:
            return self.end("gap" if away else "cleared", now)
        if not counts:
            return self.end("schedule", now)
        if now.pts_s - self._told_s >= _UPDATE_S:
            return self._update(watched.situation(LISTED), now)
        self.wake_s = self._told_s + _UPDATE_S - ROUNDING_S
        return []

    def _counts(self, utc_s: float) -> bool:
        """Whether the rule counts now. No clock is ahead of another by anything but whole minutes."""
        minute = utc_s // 60
        if minute != self._counted[0]:
            self._counted = minute, self._rule.schedule.counts_at(utc_s)
        return self._counted[1]

    def end(self, reason: EndOfAlert, now: Moment) -> list[Event]:
        """End the alert that is on, if there is one."""
        if self._told is None:
            return []
        told, self._told, self._ended_s = self._told, None, now.pts_s
        duration_s = round(now.pts_s - self._started_s, 6)
        return [self._stamp(AlertEnded, now, reason=reason, duration_s=duration_s, **told)]

    def _start(self, watched: Watched, now: Moment) -> list[Event]:
        self._since_s, self._started_s = watched.since_s(), now.pts_s
        self._tell_of(watched.situation(LISTED), now, self._stamper.last_seq + 1)
        assert self._told is not None
        return [self._stamp(AlertStarted, now, **self._told)]

    def _update(self, situation: Situation, now: Moment) -> list[Event]:
        assert self._told is not None
        if self._told["tracks"] == tuple(situation.tracks) and self._told["count"] == situation.count:
            return []
        self._tell_of(situation, now, self._told["alert_id"])
        return [self._stamp(AlertUpdated, now, **self._told)]

    def _tell_of(self, situation: Situation, now: Moment, alert_id: int) -> None:
        rule = self._rule
        self._told_s, self.wake_s = now.pts_s, now.pts_s + _UPDATE_S - ROUNDING_S
        self._told = {
            "alert_id": alert_id,
            "rule": rule.name,
            "severity": rule.severity,
            "text": rule.words.format_map(self._words(situation, now)),
            "since_s": round(self._since_s, 6),
            "count": situation.count,
            "tracks": tuple(situation.tracks),
            "classes": tuple(situation.classes),
            "zone": rule.zone,
            "line": rule.line,
        }

    def _words(self, situation: Situation, now: Moment) -> Mapping[str, object]:
        rule = self._rule
        return {
            "rule": rule.name,
            "stream": self._stream,
            "zone": rule.zone or "",
            "in_zone": f" in {rule.zone}" if rule.zone else "",
            "line": rule.line or "",
            "count": situation.count,
            "classes": ", ".join(situation.classes or rule.classes or ["anything"]),
            "seconds": now.pts_s - self._since_s,
            "severity": rule.severity,
            "time": rule.schedule.local(now.utc_s).strftime("%H:%M:%S"),
        }

    def _stamp(self, kind: type[Event], now: Moment, **fields: Any) -> Event:
        return self._stamper(kind, stream=self._stream, pts_s=now.pts_s, captured_s=now.captured_s, **fields)
