"""A stream that goes on from what it came to in another process: ids, frame numbers, media time, counts."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

import msgspec
import pytest

from pipeline.analytics.event_stamper import EventStamper
from pipeline.analytics.lines import Line
from pipeline.analytics.options import AnalyticsOptions
from pipeline.analytics.zones import Zone
from pipeline.events import LineCrossed, StreamEnded, StreamStarted, TrackStarted
from pipeline.runtime.frame_ledger import in_flight
from pipeline.runtime.pipeline import Pipeline
from pipeline.runtime.report import StreamReport
from pipeline.runtime.streams.stream import Stream
from pipeline.runtime.streams.stream_past import RunPasts, StreamPast
from pipeline.types import Frame
from tests.support.fakes import BlobDetector, MemorySink, MemorySource, moving_box
from trackers.sort import SortTracker

COUNTED = AnalyticsOptions(
    zones=[Zone(name="all", polygon=((0, 0), (1, 0), (1, 1), (0, 1)), units="fraction")],
    lines=[Line(name="middle", start=(40, 0), end=(40, 119), units="pixels")],
)


def run(
    past: StreamPast | None = None, stamper: EventStamper | None = None
) -> tuple[StreamReport, MemorySink, RunPasts, Pipeline]:
    sink = MemorySink()
    stream = Stream(
        source=MemorySource(moving_box(40), fps=20, stream="door"),
        tracker=SortTracker(),
        analytics=COUNTED,
        past=past,
    )
    pipeline = Pipeline(stream, BlobDetector(), sinks=[sink], stamper=stamper)
    report = pipeline.run()
    return report.streams["door"], sink, pipeline.pasts_so_far(), pipeline


class Camera(MemorySource):
    """Frames that come 0.05 s after each other."""

    def __init__(self) -> None:
        super().__init__(moving_box(8), fps=20, stream="door")
        self.info = replace(self.info, live=True)

    def __iter__(self) -> Iterator[Frame]:
        for frame in super().__iter__():
            yield frame
            time.sleep(0.05)


def carried(pasts: RunPasts) -> StreamPast:
    """As it comes to another process."""
    return msgspec.json.decode(msgspec.json.encode(pasts), type=RunPasts).streams["door"]


def test_all_goes_on() -> None:
    first, before, pasts, _ = run()
    second, after, _, _ = run(carried(pasts))
    ids = [event.track_id for event in (*before.events, *after.events) if isinstance(event, TrackStarted)]
    assert ids == list(range(1, len(ids) + 1)) and len(ids) >= 2
    frames = [tracked.frame for tracked in (*before.frames, *after.frames)]
    assert [frame.index for frame in frames] == list(range(80))
    assert all(later.pts_s > earlier.pts_s for earlier, later in pairwise(frames))
    assert second.decoded == second.processed == 80
    assert second.objects["blob"].unique == len(ids)
    crossings = sum(isinstance(event, LineCrossed) for event in (*before.events, *after.events))
    assert sum(second.lines["middle"]["blob"].values()) == crossings == 2 * sum(first.lines["middle"]["blob"].values())
    assert second.zones["all"]["blob"]["unique"] == 2 * first.zones["all"]["blob"]["unique"]
    (ended,) = (event for event in after.events if isinstance(event, StreamEnded))
    assert ended.ledger.decoded == 80
    (started,) = (event for event in after.events if isinstance(event, StreamStarted))
    assert started.pts_s == pytest.approx(frames[39].pts_s, abs=0.06)


def test_a_camera_s_media_time_goes_on_by_the_time_that_passed() -> None:
    begun_s = time.monotonic()
    past = StreamPast(highest_id=7, number=99, pts_s=50.0, captured=time.time() - 30.0)
    sink = MemorySink()
    Pipeline(Stream(source=Camera(), tracker=SortTracker(), past=past), BlobDetector(), sinks=[sink]).run()
    first = sink.frames[0].frame
    assert first.index >= 100
    assert first.pts_s == pytest.approx(80.0 + first.captured_s - begun_s, abs=1.0)
    assert min(event.track_id for event in sink.events if isinstance(event, TrackStarted)) == 8


def test_what_a_stream_came_to_is_of_one_moment() -> None:
    _, sink, pasts, pipeline = run()
    assert pasts.run == sink.events[0].run and pasts.seq == sink.events[-1].seq
    assert in_flight(pasts.streams["door"].frames) == 0
    again = pipeline.pasts_so_far()
    assert (again.seq, again.streams["door"].number) == (pasts.seq, 39), "it can be asked after the end"


def test_runs_that_share_a_stamper_are_one_run_to_readers() -> None:
    stamper = EventStamper()
    _, before, _, _ = run(stamper=stamper)
    _, after, _, _ = run(stamper=stamper)
    events = [*before.events, *after.events]
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    assert len({event.run for event in events}) == 1
