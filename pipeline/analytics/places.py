"""What the tracks of a stream do in its zones and at its lines, as events."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Literal

import numpy as np

from pipeline.analytics.confirmation import Change, Look
from pipeline.analytics.counters import StreamCounters
from pipeline.analytics.lines import Line, LineMonitor
from pipeline.analytics.track_table import TrackTable
from pipeline.analytics.zones import Zone, ZoneMonitor
from pipeline.events import Event, LineCrossed, ZoneEntered, ZoneLeft
from pipeline.geometry.anchors import anchor_points
from pipeline.types import BoolArray, Float32Array, Float64Array, IndexArray, Int64Array

_DIRECTIONS: tuple[Literal["in", "out"], ...] = ("in", "out")


class Places:
    """Follows tracks through the zones and over the lines of a stream, and tells the counters.

    Args:
        zones, lines: what to count in.
        class_names: the model's classes.
        table: rows of the live tracks; this adds its columns.
        counters: told of all that happens.
        stamp: makes an event of a type, at a look, from the fields of that type.

    Raises:
        ConfigError: two zones or lines of one name, or an unknown class.
    """

    def __init__(
        self,
        zones: Sequence[Zone],
        lines: Sequence[Line],
        class_names: Sequence[str],
        *,
        table: TrackTable,
        counters: StreamCounters,
        stamp: Callable[..., Event],
    ) -> None:
        self._zones = ZoneMonitor(zones, class_names, table)
        self._lines = LineMonitor(lines, class_names, table)
        self._names = tuple(class_names)
        self._name(zones, lines)
        self._table = table
        self._counters = counters
        self._stamp = stamp
        self._track_id = table.column(np.int64)
        self._class = table.column(np.int32)

    def _name(self, zones: Sequence[Zone], lines: Sequence[Line]) -> None:
        self._zone_names = tuple(zone.name for zone in zones)
        self._line_names = tuple(line.name for line in lines)

    def part_with(self, zones: Sequence[Zone], lines: Sequence[Line], look: Look) -> list[Event]:
        """What is to be told before ``change`` to these zones and lines: the end of what will be no more.

        Args:
            zones, lines: from then on.
            look: the newest.
        """
        kept = {zone.name for zone in zones}
        gone = [number for number, name in enumerate(self._zone_names) if name not in kept]
        moved = [number for number, line in enumerate(self._lines.lines) if line not in lines]
        events = self._events(self._zones.waiting.end(items=gone), self._lines.waiting.end(items=moved))
        for _, row in self._table.all() if gone else ():
            for zone in np.flatnonzero(self._zones.inside(np.array([row], np.intp))[0]).tolist():
                if zone in gone:
                    events.append(self._left(Change(row, zone, -1, look), self._stay_s(row, zone, look.pts_s)))
        return events

    def change(self, zones: Sequence[Zone], lines: Sequence[Line], size: tuple[int, int]) -> None:
        """Go on with other zones and lines. Counts go on under their names; tracks stay in a zone of the same name
        until they are seen outside, and beside a line that is the very same.

        Args:
            zones, lines: from now on.
            size: width and height of the pictures in pixels; 0 before they are known.
        """
        zone_origins = _origins([zone.name for zone in zones], self._zone_names)
        line_origins = _origins([line.name for line in lines], self._line_names)
        same_lines = [
            old if old >= 0 and self._lines.lines[old] == line else -1
            for line, old in zip(lines, line_origins, strict=True)
        ]
        self._zones.change(zones, zone_origins)
        self._lines.change(lines, same_lines)
        self._name(zones, lines)
        self._counters.change(self._zone_names, self._line_names, zone_origins, line_origins)
        if all(size):
            self._zones.fit(*size)
            self._lines.place(*size)

    def __bool__(self) -> bool:
        return bool(self._zone_names or self._line_names)

    def fit(self, width: int, height: int) -> list[Event]:
        """Place zones and lines in frames of that size in pixels; what waits is settled by what was seen before."""
        events = self._events(self._zones.waiting.end(), self._lines.waiting.end())
        self._zones.fit(width, height)
        self._lines.fit(width, height)
        return events

    def inside(self, rows: IndexArray) -> BoolArray:
        """bool ``(N, Z)``: in which zones the tracks in those rows are."""
        return self._zones.inside(rows)

    def waiting_since_s(self) -> float:
        """Media time of the oldest change that is not yet told, in seconds; infinite where there is none."""
        return min(self._zones.waiting.oldest_s(), self._lines.waiting.oldest_s())

    def overdue(self, pts_s: float) -> list[Event]:
        """Tell what has waited for its confirmation for too long by that media time, in seconds."""
        return self._events(self._zones.waiting.overdue(pts_s), self._lines.waiting.overdue(pts_s))

    def look(
        self,
        track_ids: Int64Array,
        rows: IndexArray,
        boxes: Float32Array,
        class_id: IndexArray,
        look: Look,
        speeds: Sequence[float | None],
    ) -> list[Event]:
        """Take in the N tracks that were detected in a frame.

        Args:
            track_ids, rows, class_id: their ids, rows and classes ``(N,)``.
            boxes: their boxes ``(N, 4)``.
            look: the frame.
            speeds: how fast they are in metres per second, where that is known.
        """
        self._track_id.values[rows], self._class.values[rows] = track_ids, class_id
        anchors: Float64Array = anchor_points(boxes)
        moved = self._zones.update(rows, anchors, class_id, look) if self._zone_names else []
        crossed = self._lines.update(rows, anchors, class_id, look, speeds) if self._line_names else []
        return self._events(moved, crossed)

    def end(self, rows: Iterable[int]) -> list[Event]:
        """Tell what waits of tracks that are seen no more."""
        ended = list(rows)
        return self._events(self._zones.waiting.end(ended), self._lines.waiting.end(ended))

    def leave(self, row: int, shown_s: float, look: Look) -> list[Event]:
        """A track ends, and with it its stays in zones, which last until it was shown last, at that media time."""
        events = []
        only = np.array([row], np.intp)
        for zone in np.flatnonzero(self._zones.inside(only)[0]).tolist():
            events.append(self._left(Change(row, zone, -1, look), self._stay_s(row, zone, shown_s)))
        return events

    def _stay_s(self, row: int, zone: int, until_s: float) -> float:
        return until_s - float(self._zones.since_s(np.array([row], np.intp))[0, zone])

    def _events(self, moved: Sequence[Change], crossed: Sequence[Change]) -> list[Event]:
        """In the order of time; at one time who left first, then who came, by track and zone; crossings come last."""
        events: list[Event] = []
        for change in sorted(moved, key=lambda one: (one.look.pts_s, one.side, *self._order(one))):
            events.append(
                self._entered(change) if change.side > 0 else self._left(change, self._zones.stayed_s(change))
            )
        for change in sorted(crossed, key=lambda one: (one.look.pts_s, *self._order(one))):
            if change.counts:
                events.append(self._crossed(change))
        return events

    def _order(self, change: Change) -> tuple[int, int]:
        return int(self._track_id.values[change.row]), change.item

    def _track(self, change: Change) -> dict[str, object]:
        name = self._names[int(self._class.values[change.row])]
        return {"track_id": int(self._track_id.values[change.row]), "class_name": name}

    def _entered(self, change: Change) -> Event:
        self._zones.came(change)
        self._counters.zone_entered(change.item, int(self._class.values[change.row]), change.look.pts_s)
        return self._stamp(ZoneEntered, change.look, zone=self._zone_names[change.item], **self._track(change))

    def _left(self, change: Change, dwell_s: float) -> Event:
        self._counters.zone_left(change.item, int(self._class.values[change.row]), dwell_s, change.look.pts_s)
        return self._stamp(
            ZoneLeft,
            change.look,
            zone=self._zone_names[change.item],
            dwell_s=round(dwell_s, 6),
            **self._track(change),
        )

    def _crossed(self, change: Change) -> Event:
        direction, class_id = int(change.side < 0), int(self._class.values[change.row])
        self._counters.crossed(change.item, class_id, direction, change.speed_mps, change.look.pts_s)
        return self._stamp(
            LineCrossed,
            change.look,
            line=self._line_names[change.item],
            direction=_DIRECTIONS[direction],
            speed_mps=change.speed_mps,
            **self._track(change),
        )


def check_places(zones: Sequence[Zone], lines: Sequence[Line], class_names: Sequence[str]) -> None:
    """Raise ``ConfigError`` for two zones or lines of one name, and for a class that the model does not know."""
    ZoneMonitor(zones, class_names, TrackTable())
    LineMonitor(lines, class_names, TrackTable())


def _origins(names: Sequence[str], before: Sequence[str]) -> list[int]:
    """For each name its number before, -1 for a new one."""
    return [before.index(name) if name in before else -1 for name in names]
