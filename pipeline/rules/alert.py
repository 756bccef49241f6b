"""An alert of a rule: when it starts, what it is about, when it is over."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pipeline.analytics.event_stamper import EventStamper
from pipeline.events import AlertEnded, AlertStarted, AlertUpdated, Event
from pipeline.rules.rule import Rule

EndOfAlert = Literal["cleared", "gap", "schedule", "reload", "end"]

# Most ids that an event lists.
_LISTED = 64
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
        tracks: ids of the objects, by number.
        classes: names of their classes, each once.
        since_s: media time since when.
    """

    tracks: Sequence[int]
    classes: Sequence[str]
    since_s: float


class RuleAlert:
    """The alerts of one rule in one stream, of which there is one at a time.

    Args:
        rule: whose.
        stream: name of the stream.
        stamper: numbers the run's events.
    """

    def __init__(self, rule: Rule, stream: str, stamper: EventStamper) -> None:
        self._rule = rule
        self._stream = stream
        self._stamper = stamper
        self._told: dict[str, Any] | None = None  # what was told of the alert that is on
        self._since_s = self._started_s = self._told_s = 0.0
        self._ended_s: float | None = None

    @property
    def active(self) -> bool:
        """Whether there is one now."""
        return self._told is not None

    def look(self, sure: bool, situation: Callable[[], Situation], now: Moment, *, away: bool = False) -> list[Event]:
        """Let time go on.

        Args:
            sure: whether something meets the condition for long enough.
            situation: tells what; asked only where it is to be told.
            now: the time.
            away: nothing is observed just now.
        """
        if self._told is None and not sure:
            return []
        counts = self._rule.schedule.counts_at(now.utc_s)
        if self._told is None:
            rested = self._ended_s is None or now.pts_s - self._ended_s >= self._rule.cooldown_s
            return self._start(situation(), now) if counts and rested else []
        if not sure:
            return self.end("gap" if away else "cleared", now)
        if not counts:
            return self.end("schedule", now)
        return self._update(situation(), now) if now.pts_s - self._told_s >= _UPDATE_S else []

    def end(self, reason: EndOfAlert, now: Moment) -> list[Event]:
        """End the alert that is on, if there is one."""
        if self._told is None:
            return []
        told, self._told, self._ended_s = self._told, None, now.pts_s
        duration_s = round(now.pts_s - self._started_s, 6)
        return [self._stamp(AlertEnded, now, reason=reason, duration_s=duration_s, **told)]

    def _start(self, situation: Situation, now: Moment) -> list[Event]:
        self._since_s, self._started_s = situation.since_s, now.pts_s
        self._told, self._told_s = self._fields(situation, now, self._stamper.last_seq + 1), now.pts_s
        return [self._stamp(AlertStarted, now, **self._told)]

    def _update(self, situation: Situation, now: Moment) -> list[Event]:
        assert self._told is not None
        if self._told["tracks"] == tuple(situation.tracks[:_LISTED]) and self._told["count"] == len(situation.tracks):
            return []
        self._told, self._told_s = self._fields(situation, now, self._told["alert_id"]), now.pts_s
        return [self._stamp(AlertUpdated, now, **self._told)]

    def _fields(self, situation: Situation, now: Moment, alert_id: int) -> dict[str, Any]:
        rule = self._rule
        return {
            "alert_id": alert_id,
            "rule": rule.name,
            "severity": rule.severity,
            "text": rule.words.format_map(self._words(situation, now)),
            "since_s": round(self._since_s, 6),
            "count": len(situation.tracks),
            "tracks": tuple(situation.tracks[:_LISTED]),
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
            "count": len(situation.tracks),
            "classes": ", ".join(situation.classes or rule.classes or ["anything"]),
            "seconds": now.pts_s - self._since_s,
            "severity": rule.severity,
            "time": rule.schedule.local(now.utc_s).strftime("%H:%M:%S"),
        }

    def _stamp(self, kind: type[Event], now: Moment, **fields: Any) -> Event:
        return self._stamper(kind, stream=self._stream, pts_s=now.pts_s, captured_s=now.captured_s, **fields)
