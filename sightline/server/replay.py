"""What zones and lines would have counted: the tracks that a store keeps, once more through the counting.

A store has a track's box where it began, up to ``events.update_hz`` times a second while it lasted, and where it ended.
Boxes that lie within a tenth of a second count as one frame. So crossings are found as in the run itself, but for those
of tracks that went there and back between two of those boxes.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pipeline.analytics.event_stamper import EventStamper
from pipeline.analytics.lines import Line
from pipeline.analytics.stream_analytics import StreamAnalytics
from pipeline.analytics.zones import Zone
from pipeline.events import Event, LineCrossed, ZoneEntered
from pipeline.types import Frame, TrackedFrame, Tracks

_FRAME_S = 0.1
_MOST_ROWS = 100_000
_ROWS = """
SELECT run_id, type, pts_s, wall, class, track_id, data FROM stored_events
WHERE stream = ? AND type IN ('track.started', 'track.updated', 'track.ended') AND wall >= ?
ORDER BY id DESC LIMIT ?
"""
_SIZE = """
SELECT data FROM stored_events WHERE stream = ? AND type IN ('stream.started', 'stream.online')
AND json_extract(data, '$.width') > 0 ORDER BY id DESC LIMIT 1
"""


@dataclass(slots=True)
class Replayed:
    """What was counted.

    Attributes:
        tracks: how many there were.
        begin, end: wall time of the first and the last box; None where there was none.
        complete: whether all boxes were looked at that the store keeps of that time.
        entered: per zone, tracks that came in, by class.
        crossed: per line and direction, crossings by class.
    """

    tracks: int = 0
    begin: str | None = None
    end: str | None = None
    complete: bool = True
    entered: dict[str, Counter[str]] = field(default_factory=dict)
    crossed: dict[str, dict[str, Counter[str]]] = field(default_factory=dict)


@dataclass(slots=True)
class _Moment:
    """The boxes of about one moment, by track."""

    pts_s: float
    shown: dict[int, tuple[list[float], float, str]] = field(default_factory=dict)
    ended: list[int] = field(default_factory=list)


def replay(
    connection: sqlite3.Connection,
    stream: str,
    zones: Sequence[Zone],
    lines: Sequence[Line],
    class_names: Sequence[str],
    *,
    since: str,
    within_s: float,
) -> Replayed:
    """Count the tracks that were stored since then.

    Args:
        connection: to the store.
        stream: whose tracks.
        zones, lines: what to count in.
        class_names: what the model tells apart; classes in ``zones`` and ``lines`` are among them.
        since: wall time, as the store has it.
        within_s: stop after so many seconds, with the newest tracks left out.
    """
    until_s = time.monotonic() + within_s
    found = Replayed(
        entered={zone.name: Counter() for zone in zones},
        crossed={line.name: {"in": Counter(), "out": Counter()} for line in lines},
    )
    rows = connection.execute(_ROWS, (stream, since, _MOST_ROWS)).fetchall()[::-1]
    found.complete = len(rows) < _MOST_ROWS
    names = list(dict.fromkeys([*class_names, *(str(row[4]) for row in rows)]))
    size = _size(connection, stream)
    seen: set[tuple[int, int]] = set()
    for run_id, begin, end in _runs(rows):
        counting = StreamAnalytics(
            stream, names, stamper=EventStamper("replay"), update_hz=0, zones=zones, lines=lines, hold_s=1.0
        )
        for number, moment in enumerate(_moments(rows[begin:end])):
            seen.update((run_id, track_id) for track_id in moment.shown)
            _count(found, counting.update(_frame(moment, number, stream, size, names)))
            if time.monotonic() > until_s:
                found.complete = False
                break
        _count(found, counting.finish())
    found.tracks = len(seen)
    if rows:
        found.begin, found.end = rows[0][3], rows[-1][3]
    return found


def _size(connection: sqlite3.Connection, stream: str) -> tuple[int, int]:
    """Height and width of the stream's pictures in pixels."""
    row = connection.execute(_SIZE, (stream,)).fetchone()
    data = {"width": 1920, "height": 1080} if row is None else json.loads(row[0])
    return int(data["height"]), int(data["width"])


def _runs(rows: Sequence[tuple[Any, ...]]) -> Iterator[tuple[int, int, int]]:
    """Run, first row and end of each stretch of rows in which media time goes on."""
    begin = 0
    for row in range(1, len(rows) + 1):
        if row == len(rows) or rows[row][0] != rows[begin][0] or rows[row][2] < rows[row - 1][2] - 1:
            yield int(rows[begin][0]), begin, row
            begin = row


def _moments(rows: Sequence[tuple[Any, ...]]) -> Iterator[_Moment]:
    """The rows of a run, gathered by time; a track comes once in each."""
    moment: _Moment | None = None
    for _, kind, pts_s, _, label, track_id, data in rows:
        if moment is None or pts_s >= moment.pts_s + _FRAME_S or track_id in moment.shown:
            if moment is not None:
                yield moment
            last_s = -1.0 if moment is None else moment.pts_s
            moment = _Moment(max(float(pts_s), last_s + 1e-3))
        if kind == "track.ended":
            moment.ended.append(track_id)
        else:
            event = json.loads(data)
            moment.shown[track_id] = (event["xyxy"], event["score"], label)
    if moment is not None:
        yield moment


def _frame(moment: _Moment, number: int, stream: str, size: tuple[int, int], names: Sequence[str]) -> TrackedFrame:
    boxes = list(moment.shown.values())
    count = len(boxes)
    tracks = Tracks(
        xyxy=np.array([box for box, _, _ in boxes], np.float32).reshape(-1, 4),
        score=np.array([score for _, score, _ in boxes], np.float32),
        class_id=np.array([names.index(label) for _, _, label in boxes], np.int32),
        track_id=np.array(list(moment.shown), np.int64),
        age_s=np.zeros(count, np.float32),
        unseen_s=np.zeros(count, np.float32),
    )
    frame = Frame(_no_picture, number, moment.pts_s, 0.0, stream, size=size)
    return TrackedFrame(frame, None, tracks, np.array(moment.ended, np.int64))


def _no_picture() -> Any:
    raise RuntimeError("counting looks at no picture")


def _count(found: Replayed, events: Sequence[Event]) -> None:
    for event in events:
        if isinstance(event, ZoneEntered):
            found.entered[event.zone][event.class_name] += 1
        elif isinstance(event, LineCrossed):
            found.crossed[event.line][event.direction][event.class_name] += 1
