"""All rules of a stream: what its tracks and events amount to is told as alerts."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from pipeline.analytics.event_stamper import EventStamper
from pipeline.analytics.live_tracks import LiveTracks
from pipeline.events import (
    Event,
    LineCrossed,
    TrackEnded,
    TrackStarted,
    WindowSecond,
    ZoneEntered,
    ZoneLeft,
)
from pipeline.rules.alert import EndOfAlert, Moment, RuleAlert
from pipeline.rules.members import Membership, Subject
from pipeline.rules.object_watches import Crossed, Fast, Stationary
from pipeline.rules.rule import Rule
from pipeline.rules.speed_bands import SpeedBands
from pipeline.rules.stillness import Stillness
from pipeline.rules.successors import Lost, Successors
from pipeline.rules.watched import Concerned, Watched, tell_due
from pipeline.rules.watches import make_watch


class StreamRules:
    """Watches for the conditions of rules in one stream, and makes the events of their alerts.

    It is given every event of the stream, in order. What it costs goes with what changes, but for speeds, stillness,
    scores and sizes, which are compared for all tracks at once, and for all rules at once.

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
        self._watched: list[Watched] = []
        self._subjects: dict[int, Subject] = {}
        self._subject_of_row: dict[int, Subject] = {}
        self._stillness: Stillness | None = None
        self._bands: SpeedBands | None = None
        self._stationary: list[Stationary] = []
        self._looking: list[Watched] = []
        self._membership = Membership(tracks)
        self._lost = Successors(0.0)
        self._concerned = Concerned(())
        self._last_s = 0.0
        self._minute = math.nan
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
            events: what analytics made of it. ``track.updated`` makes no difference; where there are thousands of them
                they are to be left out, since only to look at each takes longer than all else here.
            now: the frame's.
        """
        if self.away:
            self.away = False
            for one in self._watched:
                one.watch.settle(now.pts_s)
                one.watch.come_back(now.pts_s)
            self._minute = math.nan  # to look at all of them
        if not self._watched:
            self._last_s = now.pts_s
            return []
        good = self._membership.look(now.pts_s)
        self._tell(events, now.pts_s)
        if self._stillness is not None:
            used = self._tracks.table.used
            seen = self._tracks.seen_s.values[:used] == now.pts_s
            self._stillness.update(self._tracks.xyxy.values[:used], seen, now.pts_s)
        for quality, rows in good:
            for row in rows:
                subject = self._subject_of_row.get(row)
                if subject is not None:  # else it ended in the very frame
                    self._membership.join(subject, now.pts_s, quality)
        self._look(now.pts_s)
        self._last_s = now.pts_s
        return self._alerts(now, self._watched)

    def _look(self, now_s: float) -> None:
        """Have the conditions look at the frame."""
        if self._bands is not None:
            self._bands.update(self._subject_of_row, now_s, self._last_s)
        if self._stillness is not None:
            for row in self._stillness.turned(now_s):
                subject = self._subject_of_row.get(row)
                if subject is not None:
                    for watch in self._stationary:
                        if subject.track_id in watch.members.of:
                            watch.turn(subject, now_s, self._last_s)
        for one in self._looking:
            if one.watch.look(now_s, self._last_s) and one.alert.idle:
                one.alert.wake_s = now_s

    def go(self, events: Sequence[Event], now: Moment) -> list[Event]:
        """The stream went away; ``events`` is what analytics made of that, ``now`` the end of its last frame."""
        self.away = True
        for one in self._watched:
            one.watch.go(self._last_s)
        self._minute = math.nan  # to look at all of them
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
                one.watch.members.tell_no_more(one.watch)
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
        self._membership.close()
        for columns in (self._stillness, self._bands):
            if columns is not None:
                columns.close()
        self._watched = []
        self._stillness = self._bands = None
        return told

    def _take(self, rules: Sequence[Rule], kept: Sequence[Watched], now_s: float = 0.0) -> None:
        """Have these rules, some of which there are already."""
        if not self._watched:
            self._subjects, self._subject_of_row = {}, {}  # Nobody told of what came and went meanwhile.
        if any(rule.when == "stationary" for rule in rules) and self._stillness is None:
            self._stillness = Stillness(self._tracks.table)
        if any(rule.when in ("speed_above", "speed_below") for rule in rules) and self._bands is None:
            self._bands = SpeedBands(self._tracks.table, self._tracks.speeds)
        before = {one.watch.rule.name: one for one in kept}
        self._membership.keep((one.watch.rule, one.watch.members) for one in kept)
        self._watched = []
        for rule in rules:
            if rule.name in before:
                self._watched.append(before[rule.name])
                continue
            watch = make_watch(rule, self._membership.of(rule), self._stillness, now_s)
            if self.away:
                watch.go(now_s)
            self._watched.append(Watched(watch, RuleAlert(rule, self._stream, self._stamper)))
        watches = [one.watch for one in self._watched]
        self._looking = [one for one in self._watched if one.watch.looks]
        self._stationary = [watch for watch in watches if isinstance(watch, Stationary)]
        if self._stillness is not None:
            self._stillness.ask({watch.rule.for_s for watch in self._stationary})
        if self._bands is not None:
            self._bands.ask([watch for watch in watches if isinstance(watch, Fast)], now_s)
        self._lost.within_s = max((rule.clear_s for rule in rules), default=0.0)
        self._concerned = Concerned(watches)
        self._know_all(now_s)
        if self._bands is not None:
            self._bands.update(self._subject_of_row, now_s, self._last_s)

    def _know_all(self, now_s: float) -> None:
        """Look at the tracks that there are already."""
        for track_id, row in self._tracks.table.all():
            subject = self._subjects.get(track_id) or self._meet(track_id, row, self._tracks.class_name(row))
            subject.zones = set(self._tracks.zones_of(row))
            self._membership.join(subject, now_s)

    def _meet(self, track_id: int, row: int, class_name: str) -> Subject:
        subject = Subject(track_id, row, class_name)
        self._subjects[track_id] = self._subject_of_row[row] = subject
        return subject

    def _tell(self, events: Sequence[Event], now_s: float) -> None:
        """Tell the watches what happened."""
        for event in events:
            taker = self._takers.get(type(event))
            if taker is not None:
                taker(event, now_s)

    def _enter(self, event: ZoneEntered, now_s: float) -> None:
        subject = self._subjects.get(event.track_id)
        if subject is None:
            return
        subject.zones.add(event.zone)
        for members in self._membership.around[event.zone, event.class_name]:
            members.join(subject, now_s)

    def _leave(self, event: ZoneLeft, now_s: float) -> None:
        subject = self._subjects.get(event.track_id)
        if subject is None:
            return
        subject.zones.discard(event.zone)
        for members in self._membership.around[event.zone, event.class_name]:
            members.leave(subject, self._last_s)

    def _cross(self, event: LineCrossed, now_s: float) -> None:
        subject = self._subjects.get(event.track_id)
        if subject is None:
            return
        for watch in self._concerned.across(event.line, event.class_name):
            if watch.members.is_good(subject):
                watch.cross(subject, event, now_s)

    def _window(self, event: WindowSecond, now_s: float) -> None:
        for one in self._watched:
            one.watch.window(event)

    def _start(self, event: TrackStarted, now_s: float) -> None:
        row = self._tracks.table.row(event.track_id)
        if row is None:
            return  # it ended in the very frame
        subject = self._meet(event.track_id, row, event.class_name)
        before = self._lost.take(event.class_name, event.xyxy, now_s)
        if before is not None:
            if before.stand is not None and self._stillness is not None:
                self._stillness.take_stand(subject.row, before.stand)
            for episodes in self._concerned.following(event.class_name):
                if before.track_id in episodes.lapsed:
                    episodes.succeed(before.track_id, subject.track_id)
        for members in self._membership.around[None, event.class_name]:
            members.join(subject, now_s)

    def _end(self, event: TrackEnded, now_s: float) -> None:
        subject = self._subjects.pop(event.track_id, None)
        if subject is None:
            return
        if self._subject_of_row.get(subject.row) is subject:
            del self._subject_of_row[subject.row]
        # It has left the zones that it was in before it ended.
        for members in self._membership.around[None, event.class_name]:
            members.leave(subject, self._last_s)
        stand = None if self._stillness is None else self._stillness.stand_of(subject.row)
        self._lost.add(Lost(event.track_id, event.class_name, event.xyxy, now_s, stand))

    def _alerts(self, now: Moment, watched: Sequence[Watched]) -> list[Event]:
        """What there is to tell now, of some of the rules."""
        minute = now.utc_s // 60
        every = minute != self._minute  # schedules begin and end with a minute
        self._minute = minute
        return tell_due(watched, now, every=every, away=self.away)
