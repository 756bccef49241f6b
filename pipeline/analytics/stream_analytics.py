"""What a stream's tracks amount to: events of tracks, zones, lines and windows, and the running totals.

For one frame, events come in this order, each kind by track id, then by the order in which zones or lines were given:
``window.second`` and ``window.minute`` that ended at or before the frame (by their end, the second first),
``track.started``, ``zone.left``, ``zone.entered``, ``line.crossed``, ``track.updated``, and for tracks that were let
go ``zone.left`` and ``track.ended``. The same frames always give the same events, whatever order the tracks are
listed in.

What happens in zones and at lines is told once it is confirmed, with the time at which it happened
(``pipeline.analytics.confirmation``); a window waits for what may yet belong to it. So these events may have a time
that is ``CONFIRM_WITHIN_S`` earlier than those before them, and windows may come that much later, but no more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from pipeline.analytics.confirmation import Look
from pipeline.analytics.counters import StreamCounters, WindowKind
from pipeline.analytics.event_stamper import EventKind, EventStamper
from pipeline.analytics.frame_interval import FrameInterval
from pipeline.analytics.lines import Line
from pipeline.analytics.live_tracks import LiveTracks
from pipeline.analytics.places import Places, check_places
from pipeline.analytics.speed import SpeedMeter
from pipeline.analytics.totals import LiveCounts, LiveHistory
from pipeline.analytics.track_table import TrackTable
from pipeline.analytics.zones import Zone
from pipeline.errors import ConfigError
from pipeline.events import Event, TrackEnded, TrackStarted, TrackUpdated
from pipeline.geometry.anchors import anchor_index, anchor_points
from pipeline.geometry.ground import Homography
from pipeline.types import (
    Float32Array,
    Float64Array,
    Frame,
    IndexArray,
    Int64Array,
    SourceInfo,
    TrackedFrame,
    TrackFacts,
    Tracks,
)

__all__ = ["EventStamper", "LiveCounts", "LiveHistory", "StreamAnalytics", "hold_for"]

# Media times are sums of floats: an update that is due may look early by less than this.
_TIME_ROUNDING_S = 1e-6
# How many frames' time one may stand for on slow sources.
_FRAMES_HELD = 3


def hold_for(info: SourceInfo) -> float:
    """A ``hold_s`` that suits a source: how long in seconds one of its frames may stand for what is seen.

    A file loses nothing, so a frame stays true until the next, for up to a second; on a live source the next frame is
    late because some were lost, so a quarter of a second is the limit. Slower sources get three frames' time, by what
    they say of themselves; what a camera really sends is measured (``measures_interval``).
    """
    shortest = 0.25 if info.live else 1.0
    return max(shortest, float(_FRAMES_HELD / info.fps)) if info.fps else shortest


@dataclass(frozen=True, slots=True, eq=False)
class Removed:
    """Zones and lines that are counted no more.

    Attributes:
        events: what ended with them.
        zones, lines: their totals, as ``StreamAnalytics.zone_totals`` and ``line_totals`` tell them.
    """

    events: list[Event]
    zones: dict[str, dict[str, dict[str, float]]]
    lines: dict[str, dict[str, dict[str, int]]]


class StreamAnalytics:
    """Turns one stream's tracked frames into events and totals. Memory does not grow with the length of the run.

    A track keeps the class it was first shown with. ``update`` costs some tenths of a millisecond at most and touches
    no pixel.

    Args:
        stream: name of the stream.
        class_names: the model's classes; ``class_id`` indexes it.
        stamper: numbers the events; one for all streams of a run.
        update_hz: most ``track.updated`` events per track and second of media time; 0 for none.
        zones, lines: what to count in.
        homography: gives speeds in m/s; without it they are None.
        live: kept up to date with the counts of zones and lines, for drawing them.
        hold_s: longest time in seconds that one frame stands for; beyond it nothing counts as observed. See
            ``hold_for``.
        frame_s: seconds a frame stands for where there is no other to tell the distance between frames.
        measures_interval: let a frame stand for three of the usual intervals between frames where that is longer than
            ``hold_s``: for cameras, which may send fewer frames than they say.

    Attributes:
        turns: what the newest ``update`` told but for ``track.updated``, of which there may be thousands.

    Raises:
        ConfigError: two zones or lines of one name, an unknown class, or a number out of its range.
    """

    def __init__(
        self,
        stream: str,
        class_names: Sequence[str],
        *,
        stamper: EventStamper,
        update_hz: float = 5.0,
        zones: Sequence[Zone] = (),
        lines: Sequence[Line] = (),
        homography: Homography | None = None,
        live: LiveHistory | None = None,
        hold_s: float = 0.5,
        frame_s: float = 0.04,
        measures_interval: bool = False,
    ) -> None:
        if update_hz < 0:
            raise ConfigError(f"update_hz: expected 0 or more events per second, got {update_hz}")
        if hold_s <= 0 or frame_s <= 0:
            raise ConfigError(f"hold_s and frame_s: expected more than 0 seconds, got {hold_s} and {frame_s}")
        self.stream = stream
        self._hold_s = hold_s
        self._interval = FrameInterval() if measures_interval else None
        self._names = tuple(class_names)
        self._stamper = stamper
        self._update_period_s = 1 / update_hz if update_hz else float("inf")
        self._table = TrackTable()
        self._live = live or LiveHistory()
        self._live.shapes = (tuple(zones), tuple(lines))
        self._speed = SpeedMeter(homography, self._table) if homography else None
        self._counters = StreamCounters(
            self._names,
            tuple(zone.name for zone in zones),
            tuple(line.name for line in lines),
            table=self._table,
            history=self._live,
            hold_s=hold_s,
            frame_s=frame_s,
        )
        self._places = Places(
            zones, lines, self._names, table=self._table, counters=self._counters, stamp=self._stamp_look
        )
        self._zone_names = tuple(zone.name for zone in zones)
        self._class = self._table.column(np.int32)
        self._box = self._table.column(np.float32, (4,))
        self._score = self._table.column(np.float32)
        self._age_s = self._table.column(np.float32)
        self._shown_s = self._table.column(np.float64)
        self._told_s = self._table.column(np.float64)
        self._seen_s = self._table.column(np.float64, fill=-1.0)
        self.turns: Sequence[Event] = ()
        self._speeds_by_row: Float64Array | None = None  # of the newest frame, once somebody asked
        self._newest: Look | None = None
        self._stays_s: float | None = None  # how long the newest frame is shown, if it is known to be the last
        self._size = (0, 0)

    def update(self, tracked: TrackedFrame) -> list[Event]:
        """Take in the next frame and return what it gave rise to.

        Raises:
            ValueError: a frame that is not later than the one before.
        """
        frame, tracks = tracked.frame, tracked.tracks
        self._speeds_by_row = None
        if self._newest is not None and frame.pts_s <= self._newest.pts_s:
            raise ValueError(f"frame at {frame.pts_s} s: expected one later than {self._newest.pts_s} s")
        if self._interval is not None:
            self._interval.add(frame.index, frame.pts_s)
            self._counters.hold(max(self._hold_s, _FRAMES_HELD * (self._interval.seconds or 0.0)))
        events = self._window_events(self._counters.advance(frame.pts_s, self._places.waiting_since_s()))
        self._newest = Look(frame.pts_s, frame.captured_s)
        self._stays_s = frame.duration_s if frame.is_last else None
        waited = self._fit(frame) + self._places.overdue(frame.pts_s)
        if len(tracks):
            order = np.argsort(tracks.track_id)
            track_ids, unseen_s = tracks.track_id[order], tracks.unseen_s[order]
            rows, new = self._table.rows(track_ids)
            self._box.values[rows] = tracks.xyxy[order]
            self._score.values[rows] = tracks.score[order]
            self._age_s.values[rows] = tracks.age_s[order]
            self._shown_s.values[rows] = frame.pts_s
            if new.any():
                self._class.values[rows[new]] = tracks.class_id[order[new]]
                self._told_s.values[rows[new]] = frame.pts_s
                events += self._started(track_ids[new], rows[new])
            seen = unseen_s == 0
            self._seen_s.values[rows[seen]] = frame.pts_s
            events += waited + self._look(track_ids[seen], rows[seen])
            self._counters.observe(rows, self._class.values[rows], self._places.inside(rows))
            turns = list(events)
            events += self._updated(track_ids, rows, unseen_s, frame.pts_s)
        else:
            events += waited
            turns = list(events)
            nothing = np.zeros(0, np.intp)
            self._counters.observe(nothing, nothing, self._places.inside(nothing))
        ended = self._end_tracks(self._table.known(tracked.ended.tolist()), "lost")
        events += ended
        self.turns = [*turns, *ended]
        self._counters.totals.remember(frame.index)
        return events

    def change(self, zones: Sequence[Zone], lines: Sequence[Line]) -> Removed:
        """Count in other zones and at other lines from the next frame on; tracks, windows and totals go on.

        A zone or line that has the name of one before goes on with its counts. Tracks are in a zone that was moved
        until they are seen outside it. A line that was moved is crossed only by what is seen on both its sides then.

        Returns:
            What to tell, and the totals of what is no more.

        Raises:
            ConfigError: two zones or lines of one name, or an unknown class; nothing is changed.
        """
        check_places(zones, lines, self._names)
        events = [] if self._newest is None else self._places.part_with(zones, lines, self._newest)
        names = {zone.name for zone in zones}, {line.name for line in lines}
        removed = Removed(
            events,
            {name: totals for name, totals in self.zone_totals().items() if name not in names[0]},
            {name: totals for name, totals in self.line_totals().items() if name not in names[1]},
        )
        self._places.change(zones, lines, self._size)
        self._zone_names = tuple(zone.name for zone in zones)
        self._live.shapes = (tuple(zones), tuple(lines))
        return removed

    @property
    def tracks(self) -> LiveTracks:
        """The live tracks, for what looks at all of them at once after ``update``."""
        return LiveTracks(
            table=self._table,
            class_names=self._names,
            class_id=self._class,
            xyxy=self._box,
            score=self._score,
            seen_s=self._seen_s,
            speeds=self._all_speeds,
            zones_of=self._zones_of,
        )

    def _all_speeds(self) -> Float64Array:
        if self._speeds_by_row is None:
            everything = slice(None)
            speeds = None if self._speed is None else self._speed.speeds(everything)
            self._speeds_by_row = np.full(len(self._seen_s.values), np.nan) if speeds is None else speeds
        return self._speeds_by_row

    def _zones_of(self, row: int) -> list[str]:
        inside = self._places.inside(np.array([row], np.intp))[0].tolist()
        return [name for name, is_inside in zip(self._zone_names, inside, strict=True) if is_inside]

    def facts(self, tracks: Tracks) -> TrackFacts | None:
        """In which zones the tracks of the newest frame are, and how fast they move; None without either."""
        if self._speed is None and not self._zone_names:
            return None
        rows, _ = self._table.rows(tracks.track_id)
        zones = [
            tuple(name for name, inside in zip(self._zone_names, row, strict=True) if inside)
            for row in self._places.inside(rows).tolist()
        ]
        return TrackFacts(zones, self._speeds(rows))

    def gap(self) -> list[Event]:
        """The stream broke off after the newest frame: its tracks end, and nothing is observed until the next.

        The tracker must be reset as well, so that its ids are not used again.
        """
        self._counters.interrupt()
        if self._interval is not None:
            self._interval.interrupt()
        return self._end_tracks(self._table.all(), "gap")

    def finish(self) -> list[Event]:
        """The stream is over: its tracks end, and the last, partial windows close. Calling it again gives nothing."""
        events = self._end_tracks(self._table.all(), "end")
        return events + self._window_events(self._counters.finish(self._stays_s))

    def objects(self) -> dict[str, dict[str, int]]:
        """Per class name of which there was any: ``unique`` tracks so far, and ``max`` at once."""
        return self._counters.totals.objects()

    def zone_totals(self) -> dict[str, dict[str, dict[str, float]]]:
        """Per zone and class name: ``unique`` tracks, ``max`` at once, and ``dwell_s``, summed over those that left."""
        return self._counters.totals.zones()

    def line_totals(self) -> dict[str, dict[str, dict[str, int]]]:
        """Per line and class name: crossings ``in`` and ``out`` so far."""
        return self._counters.totals.lines()

    def _fit(self, frame: Frame) -> list[Event]:
        size = (frame.width, frame.height)
        if size == self._size:
            return []
        self._size = size
        if self._speed:
            self._speed.fit(*size)
        return self._places.fit(*size)

    def _look(self, track_ids: Int64Array, rows: IndexArray) -> list[Event]:
        """Zones, lines and speeds of the tracks that were detected in this frame."""
        if not (self._places or self._speed) or not len(rows):
            return []
        look, boxes = self._newest_look(), self._box.values[rows]
        if self._speed:
            self._speed.update(rows, anchor_points(boxes)[:, anchor_index("bottom_center")], look.pts_s)
        if not self._places:
            return []
        speeds = self._speeds(rows) if self._speed else []
        return self._places.look(track_ids, rows, boxes, self._class.values[rows], look, speeds)

    def _started(self, track_ids: Int64Array, rows: IndexArray) -> list[Event]:
        self._counters.started(self._class.values[rows])
        return [self._stamp(TrackStarted, **track) for track in self._describe(track_ids.tolist(), rows)]

    def _updated(self, track_ids: Int64Array, rows: IndexArray, unseen_s: Float32Array, pts_s: float) -> list[Event]:
        due = pts_s - self._told_s.values[rows] >= self._update_period_s - _TIME_ROUNDING_S
        if not due.any():
            return []
        rows = rows[due]
        self._told_s.values[rows] = pts_s
        described = self._describe(track_ids[due].tolist(), rows)
        extra = zip(self._age_s.values[rows].tolist(), unseen_s[due].tolist(), self._speeds(rows), strict=True)
        return [
            self._stamp(TrackUpdated, age_s=round(age, 3), unseen_s=round(unseen, 3), speed_mps=speed, **track)
            for track, (age, unseen, speed) in zip(described, extra, strict=True)
        ]

    def _end_tracks(self, tracks: list[tuple[int, int]], reason: Literal["lost", "gap", "end"]) -> list[Event]:
        if not tracks:
            return []
        track_ids = [track_id for track_id, _ in tracks]
        rows = np.array([row for _, row in tracks], np.intp)
        events = self._places.end(rows.tolist())
        for row, track in zip(rows.tolist(), self._describe(track_ids, rows), strict=True):
            events += self._places.leave(row, float(self._shown_s.values[row]), self._newest_look())
            events.append(
                self._stamp(TrackEnded, age_s=round(float(self._age_s.values[row]), 3), reason=reason, **track)
            )
        self._counters.ended(self._class.values[rows])
        self._table.release(track_ids)
        return events

    def _window_events(self, closed: Sequence[tuple[WindowKind, dict[str, Any]]]) -> list[Event]:
        return [self._stamp(kind, **fields) for kind, fields in closed]

    def _speeds(self, rows: IndexArray) -> list[float | None]:
        if self._speed is None:
            return [None] * len(rows)
        return [None if np.isnan(speed) else round(speed, 3) for speed in self._all_speeds()[rows].tolist()]

    def _describe(self, track_ids: Sequence[int], rows: IndexArray) -> list[dict[str, Any]]:
        """What every event of a track tells."""
        boxes: list[list[float]] = np.round(self._box.values[rows].astype(np.float64), 2).tolist()
        scores: list[float] = np.round(self._score.values[rows].astype(np.float64), 4).tolist()
        names = [self._names[class_id] for class_id in self._class.values[rows].tolist()]
        return [
            {"track_id": track_id, "class_name": name, "score": score, "xyxy": (left, top, right, bottom)}
            for track_id, name, score, (left, top, right, bottom) in zip(track_ids, names, scores, boxes, strict=True)
        ]

    def _newest_look(self) -> Look:
        assert self._newest is not None, "events come from frames"
        return self._newest

    def _stamp(self, kind: type[EventKind], *, pts_s: float | None = None, **fields: Any) -> EventKind:
        look = self._newest_look()
        moment = look.pts_s if pts_s is None else pts_s
        return self._stamper(kind, stream=self.stream, pts_s=moment, captured_s=look.captured_s, **fields)

    def _stamp_look(self, kind: type[EventKind], look: Look, **fields: Any) -> EventKind:
        return self._stamper(kind, stream=self.stream, pts_s=look.pts_s, captured_s=look.captured_s, **fields)
