"""What zones and lines tell of one track that goes along a path."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.analytics.event_stamper import EventStamper
from pipeline.analytics.lines import Line
from pipeline.analytics.stream_analytics import StreamAnalytics
from pipeline.analytics.zones import Zone
from pipeline.events import LineCrossed, ZoneEntered, ZoneLeft
from pipeline.geometry.ground import Homography
from tests.support.tracked_frames import standing_at, tracked_frame

Path = Sequence[tuple[float, float]]
HiddenPath = Sequence[tuple[float, float] | None]
NAMES = ("person", "car")


def watch(
    path: HiddenPath,
    *,
    zones: list[Zone] | None = None,
    lines: list[Line] | None = None,
    unseen: set[int] | None = None,
    size: tuple[int, int] = (640, 480),
    homography: Homography | None = None,
    class_id: int = 0,
    fps: float = 10,
) -> list[LineCrossed | ZoneEntered | ZoneLeft]:
    """Crossings and visits of one track whose anchor is there frame by frame; None where it is not shown."""
    counter = StreamAnalytics(
        "s", NAMES, stamper=EventStamper(), zones=zones or [], lines=lines or [], homography=homography
    )
    events = []
    for index, place in enumerate(path):
        unseen_s = 0.1 if index in (unseen or set()) else 0.0
        shown = {} if place is None else {1: standing_at(*place, class_id, unseen_s=unseen_s)}
        events += counter.update(tracked_frame(index, index / fps, shown, size=size))
    events += counter.finish()
    return [event for event in events if isinstance(event, LineCrossed | ZoneEntered | ZoneLeft)]
