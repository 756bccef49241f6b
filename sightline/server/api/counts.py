"""What was counted: in this run so far, and over time from the store."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel

from pipeline.runtime.report import StreamReport
from sightline.server.api.asked import check_names
from sightline.server.api.problems import BUSY, NOT_NOW
from sightline.server.api.stored import asked, moment, unix_seconds
from sightline.server.run_access import InvalidError, Mistake, RunAccess

_MOST_WINDOWS = 50_000
_MOST_STEPS = 2000
_Time = Annotated[str | None, Query(max_length=40, description="UTC, ISO 8601; or seconds since 1970.")]


class Seen(BaseModel):
    """Objects of a class: different ones, and the most at once."""

    unique: int
    max: int


class Visits(Seen):
    """The same in a zone, and the seconds that those who left had stayed, in all."""

    dwell_s: float


class StreamCounts(BaseModel):
    """Counts of one stream so far, by zone and line, then by class; crossings ``in`` and ``out``."""

    objects: dict[str, Seen]
    zones: dict[str, dict[str, Visits]]
    lines: dict[str, dict[str, dict[str, int]]]


class Counts(BaseModel):
    """Counts of every stream."""

    streams: dict[str, StreamCounts]


class Series(BaseModel):
    """Counts per step: how many came, and the most at once."""

    entered: list[int]
    max: list[int]


class History(BaseModel):
    """Counts over time, by class. ``start`` is in seconds since 1970; a step begins every ``step_s`` after it."""

    start: float
    step_s: int
    steps: int
    objects: dict[str, Series]
    zones: dict[str, dict[str, Series]]
    lines: dict[str, dict[str, dict[str, list[int]]]]


def counts_router(run: RunAccess) -> APIRouter:
    """``/api/counts``."""
    router = APIRouter(prefix="/api/counts", tags=["counts"])

    @router.get("", responses=BUSY)
    def counts() -> Counts:
        """What was counted in this run so far."""
        return Counts(streams={name: _counts(stream) for name, stream in run.report().streams.items()})

    @router.get("/history", responses=NOT_NOW)
    def history(
        stream: Annotated[str, Query(min_length=1, max_length=64)],
        since: _Time = None,
        until: _Time = None,
        step_s: Annotated[int, Query(ge=60, le=86_400, description="Seconds; a multiple of 60.")] = 3600,
    ) -> History:
        """Counts over time, of the minutes that the store keeps; by default of the last day."""
        begin, end = moment("since", since), moment("until", until)
        sql = (
            "SELECT wall, data FROM events WHERE type = 'window.minute' AND stream = ? AND (? IS NULL OR wall >= ?) "
            "AND (? IS NULL OR wall < ?) ORDER BY id DESC LIMIT ?"
        )
        with asked(run) as connection:
            rows = connection.execute(sql, (stream, begin, begin, end, end, _MOST_WINDOWS)).fetchall()
            if not rows:
                check_names(run, connection, {"stream": stream})
        return _history([(wall, json.loads(data)) for wall, data in reversed(rows)], step_s)

    return router


def _counts(stream: StreamReport) -> StreamCounts:
    return StreamCounts(
        objects={label: Seen(unique=seen.unique, max=seen.max) for label, seen in stream.objects.items()},
        zones={
            zone: {
                label: Visits(unique=int(seen["unique"]), max=int(seen["max"]), dwell_s=seen["dwell_s"])
                for label, seen in classes.items()
            }
            for zone, classes in stream.zones.items()
        },
        lines={line: {label: dict(ways) for label, ways in classes.items()} for line, classes in stream.lines.items()},
    )


def _history(windows: Iterable[tuple[str, Any]], step_s: int) -> History:
    """Minutes, in the order of time, added up to steps."""
    placed = [(int((unix_seconds(wall) - 1) // step_s), window) for wall, window in windows]
    first = min((step for step, _ in placed), default=0)
    steps = max((step for step, _ in placed), default=first - 1) - first + 1
    if steps > _MOST_STEPS:
        raise InvalidError([Mistake("step_s", f"{steps} steps are more than {_MOST_STEPS}; ask for longer ones")])
    history = History(start=float(first * step_s), step_s=step_s, steps=steps, objects={}, zones={}, lines={})
    for step, window in placed:
        _add(history.objects, window["objects"], step - first, steps)
        for zone, classes in window["zones"].items():
            _add(history.zones.setdefault(zone, {}), classes, step - first, steps)
        for line, classes in window["lines"].items():
            of_line = history.lines.setdefault(line, {})
            for label, crossed in classes.items():
                ways = of_line.setdefault(label, {"in": [0] * steps, "out": [0] * steps})
                ways["in"][step - first] += crossed["in"]
                ways["out"][step - first] += crossed["out"]
    return history


def _add(series: dict[str, Series], classes: dict[str, Any], step: int, steps: int) -> None:
    for label, counts in classes.items():
        mine = series.setdefault(label, Series(entered=[0] * steps, max=[0] * steps))
        mine.entered[step] += counts["entered"]
        mine.max[step] = max(mine.max[step], counts["max"])
