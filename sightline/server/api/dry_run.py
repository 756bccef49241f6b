"""What zones and lines would have counted, had they been there."""

from __future__ import annotations

import threading
import time
from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from pipeline.event_codec import wall_time
from sightline.server.api.problems import NOT_NOW, NOT_THERE
from sightline.server.api.stored import asked
from sightline.server.api.streams import LinesConfigured, StreamName, ZonesConfigured
from sightline.server.replay import Replayed, replay
from sightline.server.run_access import NotNowError, RunAccess

_LONGEST_S = 20.0


class Proposed(BaseModel):
    """Zones and lines that are to be tried, and over how many hours back; those left out are the stream's own."""

    model_config = ConfigDict(extra="forbid", strict=True)

    zones: ZonesConfigured | None = None
    lines: LinesConfigured | None = None
    hours: Annotated[float, Field(gt=0, le=24 * 31, allow_inf_nan=False)] = 24


class ZoneResult(BaseModel):
    """Tracks that would have come in."""

    entered: int
    by_class: dict[str, int]


class LineResult(BaseModel):
    """Crossings that would have been counted; ``by_class`` has those ``in`` and ``out`` of each class."""

    model_config = ConfigDict(populate_by_name=True)

    came: Annotated[int, Field(alias="in")]
    out: int
    by_class: dict[str, dict[str, int]]


class DryRun(BaseModel):
    """What would have been counted between two times; ``complete`` is False where that is not all that is stored."""

    model_config = ConfigDict(populate_by_name=True)

    tracks: int
    begin: Annotated[str | None, Field(alias="from")]
    end: Annotated[str | None, Field(alias="to")]
    complete: bool
    zones: dict[str, ZoneResult]
    lines: dict[str, LineResult]


def dry_run_router(run: RunAccess) -> APIRouter:
    """``/api/streams/{name}/dry-run``."""
    router = APIRouter(prefix="/api/streams", tags=["streams"])
    one_at_a_time = threading.Lock()

    @router.post("/{name}/dry-run", responses={**NOT_THERE, **NOT_NOW})
    def dry_run(name: StreamName, given: Proposed) -> DryRun:
        """Count the tracks that the store keeps with other zones and lines. Nothing is changed."""
        keys: dict[str, Any] = {"zones": given.zones, "lines": given.lines}
        shapes = run.checked_shapes(name, {key: value for key, value in keys.items() if value is not None})
        zones = [section.zone(zone) for zone, section in shapes.zones.items()]
        lines = [section.line(line) for line, section in shapes.lines.items()]
        since = wall_time(time.time() - 3600 * given.hours)
        if not one_at_a_time.acquire(blocking=False):
            raise NotNowError("another dry run is under way; ask again when it is over")
        try:
            with asked(run, _LONGEST_S) as connection:
                found = replay(connection, name, zones, lines, run.class_names, since=since, within_s=_LONGEST_S)
        finally:
            one_at_a_time.release()
        return _told(found)

    return router


def _told(found: Replayed) -> DryRun:
    return DryRun(
        tracks=found.tracks,
        begin=found.begin,
        end=found.end,
        complete=found.complete,
        zones={
            zone: ZoneResult(entered=classes.total(), by_class=dict(classes)) for zone, classes in found.entered.items()
        },
        lines={
            line: LineResult(
                came=ways["in"].total(),
                out=ways["out"].total(),
                by_class={
                    label: {"in": ways["in"][label], "out": ways["out"][label]}
                    for label in sorted({*ways["in"], *ways["out"]})
                },
            )
            for line, ways in found.crossed.items()
        },
    )
