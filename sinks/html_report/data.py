"""What a report shows of one run, read from a store of events."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.types import Image
from sinks.html_report.evidence import ShownEvent, read_evidence

_MOST_POINTS = 300  # of a curve; more could not be told apart
_SECONDS_UP_TO = 1800  # a longer run is shown by the minute


@dataclass(slots=True)
class StreamData:
    """One stream of the run.

    Attributes:
        name, source, width, height: as ``stream.started`` told; size in pixels.
        wall: when it started, UTC.
        ended: why it ended, or None while it has not, or where nobody could tell (a killed run).
        ledger: frames by what became of them: ``decoded``, ``processed``, ``dropped``, ``failed``.
        length_s: media time of its newest event, in seconds.
        objects: number of different tracks per class, the most frequent class first.
        step_s: seconds of media time that each value of ``counts`` stands for.
        starts_s: float64 ``(N,)``, the times where they begin, increasing.
        counts: per class, float64 ``(N,)``: objects at once, on average.
        lines: per line, class and direction (``in``, ``out``), the crossings.
        dwells: per zone, float64 ``(N,)``, seconds that each visit lasted.
        stays: float64 ``(N,)``, seconds that each track lasted.
        heat: float64 ``(rows, columns)``: how often the foot of an object was there; None without a position.
        picture: uint8 ``(height, width, 3)``, BGR, or None.
        shown: events that have evidence, as far as there is room, of ``evidence_count`` in all.
    """

    name: str
    source: str = ""
    width: int = 0
    height: int = 0
    wall: str = ""
    ended: str | None = None
    ledger: dict[str, int] = field(default_factory=dict)
    length_s: float = 0.0
    objects: dict[str, int] = field(default_factory=dict)
    step_s: float = 1.0
    starts_s: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    counts: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    lines: dict[str, dict[str, Counter[str]]] = field(default_factory=dict)
    dwells: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    stays: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    heat: NDArray[np.float64] | None = None
    picture: Image | None = None
    shown: list[ShownEvent] = field(default_factory=list)
    evidence_count: int = 0


def read_run(connection: sqlite3.Connection, run: str, *, stream: str | None = None) -> list[StreamData]:
    """The streams of a run, in the order they started; only one of them if it is named."""
    names = connection.execute(
        "SELECT stream FROM events WHERE run = ? AND (?2 IS NULL OR stream = ?2) AND stream <> '' "
        "GROUP BY stream ORDER BY min(seq)",
        (run, stream),
    ).fetchall()
    return [_Reader(connection, run, name).read() for (name,) in names]


class _Reader:
    def __init__(self, connection: sqlite3.Connection, run: str, stream: str) -> None:
        self._connection = connection
        self._key = (run, stream)
        self._data = StreamData(stream)

    def read(self) -> StreamData:
        self._read_stream()
        self._read_objects()
        self._read_counts()
        self._read_lines_and_zones()
        self._read_picture()
        self._read_heat()
        self._data.shown, self._data.evidence_count = read_evidence(self._connection, *self._key)
        return self._data

    def _rows(self, what: str, view: str, rest: str = "") -> sqlite3.Cursor:
        return self._connection.execute(f"SELECT {what} FROM {view} WHERE run = ? AND stream = ? {rest}", self._key)

    def _read_stream(self) -> None:
        data = self._data
        data.length_s = self._rows("max(pts_s)", "events").fetchone()[0]
        for kind, text in self._rows("type, data", "events", "AND type IN ('stream.started', 'stream.ended')"):
            event = json.loads(text)
            if kind == "stream.started":
                data.source, data.wall = event["source"], event["wall"]
                data.width, data.height = event["width"], event["height"]
            else:
                ledger = event["ledger"]
                data.ended = event["reason"]
                data.ledger = {
                    "decoded": ledger["decoded"],
                    "processed": ledger["processed"],
                    "dropped": sum(ledger["dropped"].values()),
                    "failed": sum(ledger["failed"].values()),
                }

    def _read_objects(self) -> None:
        counted = self._rows(
            "class, count(DISTINCT track_id)", "events", "AND type = 'track.started' GROUP BY class ORDER BY 2 DESC, 1"
        )
        self._data.objects = dict(counted.fetchall())
        self._data.stays = _numbers(self._rows("age_s", "tracks"))

    def _read_counts(self) -> None:
        data = self._data
        kind = "second" if data.length_s <= _SECONDS_UP_TO else "minute"
        windows = [
            (start_s, end_s - start_s, json.loads(objects))
            for start_s, end_s, objects in self._rows(
                "start_s, end_s, json_extract(data, '$.objects')", f"{kind}s", "ORDER BY start_s"
            )
        ]
        if not windows:
            return
        length_s = 1.0 if kind == "second" else 60.0
        merged = -(-len(windows) // _MOST_POINTS)
        data.step_s = length_s * merged
        steps = np.array([int(start_s // data.step_s) for start_s, _, _ in windows])
        known, places = np.unique(steps, return_inverse=True)
        data.starts_s = known * data.step_s
        weights = np.bincount(places, [observed for _, observed, _ in windows])
        for name in sorted({name for _, _, objects in windows for name in objects}):
            means = [objects.get(name, {}).get("mean", 0.0) * observed for _, observed, objects in windows]
            data.counts[name] = np.bincount(places, means) / np.maximum(weights, 1e-9)

    def _read_lines_and_zones(self) -> None:
        data = self._data
        for line, name, direction, count in self._rows(
            "line, class, direction, count(*)", "crossings", "GROUP BY line, class, direction ORDER BY line, class"
        ):
            data.lines.setdefault(line, {}).setdefault(name, Counter())[direction] = count
        for (zone,) in self._rows("DISTINCT zone", "visits", "ORDER BY zone").fetchall():
            visits = self._connection.execute(
                "SELECT dwell_s FROM visits WHERE run = ? AND stream = ? AND zone = ?", (*self._key, zone)
            )
            data.dwells[zone] = _numbers(visits)

    def _read_picture(self) -> None:
        row = self._connection.execute(
            "SELECT f.jpeg, f.width, f.height FROM frames AS f JOIN runs AS r ON r.id = f.run_id "
            "WHERE r.run = ? AND f.stream = ?",
            self._key,
        ).fetchone()
        if row is None:
            return
        picture: Any = cv2.imdecode(np.frombuffer(row[0], np.uint8), cv2.IMREAD_COLOR)
        self._data.picture = picture
        if not self._data.width:  # stream.started is not among the types that were kept
            self._data.width, self._data.height = row[1], row[2]

    def _read_heat(self) -> None:
        """Where the feet of objects were: the middle of the lower edge of their boxes."""
        width, height = self._data.width, self._data.height
        cursor = self._rows(
            "(x1 + x2) / 2, y2", "events", "AND type IN ('track.started', 'track.updated') AND x1 IS NOT NULL"
        )
        if not (width and height):
            return
        columns = 240
        shape = (max(1, round(columns * height / width)), columns)
        heat = np.zeros(shape)
        while rows := cursor.fetchmany(10_000):
            x, y = np.array(rows, np.float64).T
            # A foot may lie a little outside, where an object leaves the picture.
            x, y = np.clip(x, 0, width - 1), np.clip(y, 0, height - 1)
            heat += np.histogram2d(y, x, bins=shape, range=((0, height), (0, width)))[0]
        if heat.any():
            self._data.heat = heat


def _numbers(cursor: sqlite3.Cursor) -> NDArray[np.float64]:
    return np.array([row[0] for row in cursor], np.float64)
