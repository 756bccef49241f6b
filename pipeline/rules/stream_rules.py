"""All rules of a stream: what its tracks and events amount to is told as alerts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.analytics.event_stamper import EventStamper
from pipeline.analytics.live_tracks import LiveTracks
from pipeline.analytics.track_table import Column
from pipeline.events import (
    Event,
    LineCrossed,
    TrackEnded,
    TrackStarted,
    TrackUpdated,
    WindowSecond,
    ZoneEntered,
    ZoneLeft,
)
from pipeline.rules.alert import EndOfAlert, Moment, RuleAlert
from pipeline.rules.rule import Rule
from pipeline.rules.stillness import Stillness
from pipeline.rules.successors import Lost, Successors
from pipeline.rules.watches import Crossed, Subject, Watch, make_watch
from pipeline.types import BoolArray


@dataclass(slots=True, eq=False)
class _Watched:
    """A rule with its condition and its alert."""

    watch: Watch
    alert: RuleAlert
    quality: _Quality | None

    def is_good(self, subject: Subject) -> bool:
        """Whether an object was seen as well as the rule asks for."""
        return self.quality is None or bool(self.quality.passed.values[subject.row])

    def settle(self, now: Moment) -> None:
        """Let time go on."""
        if self.watch.episodes.settle(now.pts_s):
            self.watch.changed = True
            if not self.watch.sure:
                self.watch.forget()


class _Quality:
    """Which tracks were seen once as well as some rules ask for."""

    def __init__(self, rule: Rule, tracks: LiveTracks) -> None:
        self.score, self.size = rule.min_score, rule.min_size
        self._tracks = tracks
        self.passed: Column = tracks.table.column(np.bool_)

    def look(self, seen: BoolArray) -> list[int]:
        """The rows of those that pass for the first time, of those ``seen`` in this frame."""
        good = seen & ~self.passed.values & (self._tracks.score.values >= self.score)
        if any(self.size) and good.any():
            boxes = self._tracks.xyxy.values
            good &= (boxes[:, 2] - boxes[:, 0] >= self.size[0]) & (boxes[:, 3] - boxes[:, 1] >= self.size[1])
        self.passed.values[good] = True
        return np.flatnonzero(good).tolist()


class StreamRules:
    """Watches for the conditions of rules in one stream, and makes the events of their alerts.

    It is given every event of the stream, in order. What it costs goes with what changes, but for speeds, stillness,
    scores and sizes, which are compared for all tracks at once.

    Args:
        stream: name of the stream.
        rules: checked already, see ``check_rules``.
        tracks: the live ones.
        stamper: numbers the run's events.

    Attributes:
        away: whether the stream went away and is not back.
    """

    def __init__(self, stream: str, rules: Sequence[Rule], tracks: LiveTracks, stamper: EventStamper) -> None:
        self._stream = stream
        self._tracks = tracks
        self._stamper = stamper
        self._watched: list[_Watched] = []
        self._subjects: dict[int, Subject] = {}
        self._subject_of_row: dict[int, Subject] = {}
        self._stillness: Stillness | None = None
        self._qualities: list[_Quality] = []
        self._lost = Successors(0.0)
        self._of_objects: dict[tuple[str | None, str], tuple[_Watched, ...]] = {}
        self._last_s = 0.0
        self.away = False
        self._takers: dict[type[Event], Callable[[Any, float], None]] = {
            TrackStarted: self._start,
            TrackEnded: self._end,
            ZoneEntered: self._enter,
            ZoneLeft: self._leave,
            LineCrossed: self._cross,
            WindowSecond: self._window,
        }
        self._take(rules, [])

    @property
    def rules(self) -> tuple[Rule, ...]:
        """Those that count."""
        return tuple(one.watch.rule for one in self._watched)

    def update(self, events: Sequence[Event], now: Moment) -> list[Event]:
        """Take in a frame, after analytics did.

        Args:
            events: what analytics made of it.
            now: the frame's.
        """
        if self.away:
            self.away = False
            for one in self._watched:
                one.settle(now)
                one.watch.come_back(now.pts_s)
        if not self._watched:
            self._last_s = now.pts_s
            return []
        seen = self._tracks.seen_s.values == now.pts_s
        good = [(quality, quality.look(seen)) for quality in self._qualities]
        self._tell(events, now.pts_s)
        if self._stillness is not None:
            self._stillness.update(self._tracks.xyxy.values, seen, now.pts_s)
        for quality, rows in good:
            for row in rows:
                self._join_all(self._subject_of_row[row], now.pts_s, quality)
        for one in self._watched:
            one.watch.look(now.pts_s, self._last_s)
        self._last_s = now.pts_s
        return self._alerts(now, self._watched)

    def go(self, events: Sequence[Event], now: Moment) -> list[Event]:
        """The stream went away; ``events`` is what analytics made of that, ``now`` the end of its last frame."""
        self.away = True
        for one in self._watched:
            one.watch.go(self._last_s)
        self._tell(events, now.pts_s)
        return self._alerts(now, self._watched)

    def wait(self, now: Moment) -> list[Event]:
        """Time goes on while the stream is away."""
        return self._alerts(now, self._watched) if self.away else []

    def change(self, rules: Sequence[Rule], events: Sequence[Event], now: Moment) -> list[Event]:
        """Go on with other rules; those that are the same go on with all they know, and alerts of the others end.

        Args:
            rules: from now on, checked already.
            events: what analytics made of other zones and lines.
            now: the end of the newest frame.
        """
        self._tell(events, now.pts_s)
        kept = [one for one in self._watched if one.watch.rule in rules]
        ended: list[Event] = []
        for one in self._watched:
            if one not in kept:
                ended += one.alert.end("reload", now)
                one.watch.close()
        self._take(rules, kept, now.pts_s)
        return ended

    def finish(self, events: Sequence[Event], now: Moment, reason: EndOfAlert = "end") -> list[Event]:
        """The stream ends, or is made anew: end the alerts, and give back what the table of tracks keeps for them.

        Nothing is judged any more, since all tracks end with it; but a line that was crossed was crossed.

        Args:
            events: what analytics made of that.
            now: the end of the last frame.
            reason: why it ends.
        """
        self._tell([event for event in events if isinstance(event, LineCrossed)], now.pts_s)
        told = self._alerts(now, [one for one in self._watched if isinstance(one.watch, Crossed)])
        for one in self._watched:
            told += one.alert.end(reason, now)
            one.watch.close()
        for quality in self._qualities:
            self._tracks.table.drop(quality.passed)
        if self._stillness is not None:
            self._stillness.close()
        self._watched, self._qualities, self._stillness = [], [], None
        return told

    def _take(self, rules: Sequence[Rule], kept: Sequence[_Watched], now_s: float = 0.0) -> None:
        """Have these rules, some of which there are already."""
        if not self._watched:
            self._subjects, self._subject_of_row = {}, {}  # Nobody told of what came and went meanwhile.
        if any(rule.when == "stationary" for rule in rules) and self._stillness is None:
            self._stillness = Stillness(self._tracks.table)
        before = {one.watch.rule.name: one for one in kept}
        qualities = {(one.quality.score, one.quality.size): one.quality for one in kept if one.quality is not None}
        for quality in self._qualities:
            if quality not in qualities.values():
                self._tracks.table.drop(quality.passed)
        self._watched = []
        for rule in rules:
            if rule.name in before:
                self._watched.append(before[rule.name])
                continue
            asked = (rule.min_score, rule.min_size)
            own: _Quality | None = None
            if asked != (0.0, (0.0, 0.0)):
                own = qualities.setdefault(asked, _Quality(rule, self._tracks))
            watch = make_watch(rule, self._tracks, self._stillness)
            if self.away:
                watch.go(now_s)
            self._watched.append(_Watched(watch, RuleAlert(rule, self._stream, self._stamper), own))
        self._qualities = list(qualities.values())
        self._lost.within_s = max((rule.clear_s for rule in rules), default=0.0)
        self._of_objects.clear()
        self._know_all(now_s)

    def _know_all(self, now_s: float) -> None:
        """Look at the tracks that there are already."""
        for track_id, row in self._tracks.table.all():
            subject = self._subjects.get(track_id) or self._meet(track_id, row)
            subject.zones = set(self._tracks.zones_of(row))
            self._join_all(subject, now_s)

    def _meet(self, track_id: int, row: int) -> Subject:
        subject = Subject(track_id, row, self._tracks.class_name(row))
        self._subjects[track_id] = self._subject_of_row[row] = subject
        return subject

    def _tell(self, events: Sequence[Event], now_s: float) -> None:
        """Tell the watches what happened."""
        for event in events:
            kind = type(event)
            if kind is not TrackUpdated and kind in self._takers:  # of these there are many
                self._takers[kind](event, now_s)

    def _enter(self, event: ZoneEntered, now_s: float) -> None:
        subject = self._subjects.get(event.track_id)
        if subject is None:
            return
        subject.zones.add(event.zone)
        for one in self._about(event.zone, event.class_name):
            self._join(one, subject, now_s)

    def _leave(self, event: ZoneLeft, now_s: float) -> None:
        subject = self._subjects.get(event.track_id)
        if subject is None:
            return
        subject.zones.discard(event.zone)
        for one in self._about(event.zone, event.class_name):
            one.watch.leave(subject, self._last_s)

    def _cross(self, event: LineCrossed, now_s: float) -> None:
        subject = self._subjects.get(event.track_id)
        if subject is None:
            return
        for one in self._watched:
            if one.watch.rule.line == event.line and one.watch.takes(event.class_name) and one.is_good(subject):
                one.watch.cross(subject, event, now_s)

    def _window(self, event: WindowSecond, now_s: float) -> None:
        for one in self._watched:
            one.watch.window(event)

    def _start(self, event: TrackStarted, now_s: float) -> None:
        rows = self._tracks.table.known([event.track_id])
        if not rows:
            return  # it ended in the very frame
        subject = self._meet(*rows[0])
        before = self._lost.take(event.class_name, event.xyxy, now_s)
        if before is not None:
            if before.stand is not None and self._stillness is not None:
                self._stillness.take_stand(subject.row, before.stand)
            for one in self._watched:
                one.watch.succeed(before.track_id, subject)
        for one in self._about(None, event.class_name):
            self._join(one, subject, now_s)

    def _end(self, event: TrackEnded, now_s: float) -> None:
        subject = self._subjects.pop(event.track_id, None)
        if subject is None:
            return
        if self._subject_of_row.get(subject.row) is subject:
            del self._subject_of_row[subject.row]
        # It has left the zones that it was in before it ended.
        for one in self._about(None, event.class_name):
            one.watch.leave(subject, self._last_s)
        stand = None if self._stillness is None else self._stillness.stand_of(subject.row)
        self._lost.add(Lost(event.track_id, event.class_name, event.xyxy, now_s, stand))

    def _join_all(self, subject: Subject, now_s: float, quality: _Quality | None = None) -> None:
        """Have an object be a member of the rules that it fits, of those that ask for a quality or, without, of all."""
        for zone in (None, *subject.zones):
            for one in self._about(zone, subject.class_name):
                if quality is None or one.quality is quality:
                    self._join(one, subject, now_s)

    def _join(self, one: _Watched, subject: Subject, now_s: float) -> None:
        if one.is_good(subject):
            one.watch.join(subject, now_s)

    def _about(self, zone: str | None, class_name: str) -> tuple[_Watched, ...]:
        """The rules that are about objects of a class in a zone; None for those about the whole picture."""
        found = self._of_objects.get((zone, class_name))
        if found is None:
            found = tuple(
                one for one in self._watched if one.watch.rule.zone == zone and one.watch.joined_by(class_name)
            )
            self._of_objects[zone, class_name] = found
        return found

    def _alerts(self, now: Moment, watched: Sequence[_Watched]) -> list[Event]:
        """What there is to tell now."""
        events: list[Event] = []
        for one in watched:
            one.settle(now)
            may_start = one.watch.sure and (not self.away or one.watch.starts_away)
            if may_start or one.alert.active:
                events += one.alert.look(one.watch.sure, one.watch.situation, now, away=self.away)
        return events
