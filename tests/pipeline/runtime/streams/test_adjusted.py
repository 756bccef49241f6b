"""A running stream goes on by another description: its tracks keep their ids and its outputs see no gap."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from pipeline.analytics.options import AnalyticsOptions
from pipeline.analytics.zones import Zone
from pipeline.detection.filters import make_filters
from pipeline.event_codec import event_type
from pipeline.events import TrackStarted, WindowMinute, ZoneEntered
from pipeline.runtime.pipeline import Pipeline
from pipeline.runtime.streams.privacy import Privacy
from pipeline.runtime.streams.stream import Stream, goes_on
from pipeline.types import BoolArray, Detections, Frame, TrackedFrame
from tests.support.fakes import BlobDetector, MemorySink, MemorySource, moving_box
from trackers.factory import create_tracker

YARD = Zone("yard", [(0, 0), (1, 0), (1, 1), (0, 1)], units="fraction")
FRAMES = 40


class Acting(MemorySink):
    """Does something at certain frames."""

    def __init__(self, at: dict[int, Callable[[], object]]) -> None:
        super().__init__()
        self._at = at

    def on_frame(self, tracked: TrackedFrame) -> None:
        super().on_frame(tracked)
        self._at.pop(len(self.frames), lambda: None)()


def played(change: Callable[[Stream], Stream], *, lag_s: float = 0.0) -> tuple[Pipeline, Acting]:
    """A run whose stream is changed at its tenth frame."""
    sink = Acting({10: lambda: pipeline.adjust(change(stream))})
    stream = Stream(
        source=MemorySource(moving_box(FRAMES)), tracker=create_tracker("bytetrack"), sinks=[sink], lag_s=lag_s
    )
    pipeline = Pipeline(stream, BlobDetector(), batch=1, queue=1)
    pipeline.run()
    return pipeline, sink


@pytest.mark.parametrize("lag_s", [0.0, 1.0], ids=["at once", "with hindsight"])
def test_zones_change_and_tracks_go_on(lag_s: float) -> None:
    pipeline, sink = played(
        lambda stream: replace(stream, analytics=replace(stream.analytics, zones=[YARD])), lag_s=lag_s
    )
    assert [tracked.frame.index for tracked in sink.frames] == list(range(FRAMES))
    assert sink.calls.count("open") == 1
    kinds = [event_type(event) for event in sink.events]
    assert kinds.count("stream.started") == kinds.count("track.started") == kinds.count("window.minute") == 1
    assert "stream.offline" not in kinds
    (started,) = (event for event in sink.events if isinstance(event, TrackStarted))
    (entered,) = (event for event in sink.events if isinstance(event, ZoneEntered))
    assert entered.track_id == started.track_id
    assert entered.pts_s >= 0.9
    (minute,) = (event for event in sink.events if isinstance(event, WindowMinute))
    assert minute.frames == FRAMES
    assert pipeline.report is not None
    visits = pipeline.report.streams["memory"].zones["yard"]["blob"]
    assert (visits["unique"], visits["max"]) == (1, 1)
    assert visits["dwell_s"] == pytest.approx((FRAMES - 1) / 10 - entered.pts_s)


def test_what_was_counted_in_a_zone_that_is_no_more_is_reported() -> None:
    def change(stream: Stream) -> Stream:
        return replace(stream, analytics=AnalyticsOptions(live=stream.analytics.live))

    sink = Acting({10: lambda: pipeline.adjust(change(stream))})
    stream = Stream(
        source=MemorySource(moving_box(FRAMES)),
        tracker=create_tracker("bytetrack"),
        sinks=[sink],
        analytics=AnalyticsOptions(zones=[YARD]),
    )
    pipeline = Pipeline(stream, BlobDetector(), batch=1, queue=1)
    report = pipeline.run()
    (visits,) = report.streams["memory"].zones["yard"].values()
    assert visits["unique"] == 1
    assert 0.5 < visits["dwell_s"] < 2


def test_filters_and_looks_change_without_another_look_at_what_was_seen() -> None:
    def nothing(detections: Detections, _: Frame) -> BoolArray:
        return np.zeros(len(detections), np.bool_)

    _, sink = played(lambda stream: replace(stream, filters=[nothing], detect_every=2))
    assert [tracked.frame.index for tracked in sink.frames] == list(range(FRAMES))
    assert [tracked.detections is None for tracked in sink.frames[-6:]].count(True) == 3
    assert len(sink.frames[9].tracks) == 1
    assert len(sink.frames[-1].tracks) == 0


def test_a_stream_with_other_parts_does_not_go_on(caplog: pytest.LogCaptureFixture) -> None:
    _, sink = played(lambda stream: replace(stream, tracker=create_tracker("bytetrack")))
    assert "before its change could be taken over" in caplog.text
    assert len(sink.frames) == FRAMES
    source, tracker = MemorySource(moving_box(1)), create_tracker("bytetrack")
    stream = Stream(source=source, tracker=tracker)
    assert goes_on(stream, replace(stream, detect_every=3))
    assert not goes_on(stream, replace(stream, sinks=[MemorySink()]))


def test_what_is_hidden_changes_in_place() -> None:
    everything = Privacy(areas={"all": [(0, 0), (1, 0), (1, 1), (0, 1)]}, units="fraction")
    _, sink = played(lambda stream: replace(stream, privacy=everything))
    shown = [bool(tracked.frame.image.max()) for tracked in sink.frames]
    assert shown[:10] == [True] * 10 and not any(shown[-20:])
    assert sink.calls.count("open") == 1


def test_what_waits_for_hindsight_stays_hidden_when_what_is_hidden_changes() -> None:
    more = Privacy(classes=["blob"], areas={"corner": [(0, 0), (5, 0), (5, 5)]})
    sink = Acting({10: lambda: pipeline.adjust(replace(stream, privacy=more))})
    nobody = make_filters(("blob",), min_size=(500, 500))
    stream = Stream(
        source=MemorySource(moving_box(FRAMES, step=1)),
        tracker=create_tracker(),
        sinks=[sink],
        filters=nobody,
        lag_s=1.0,
        privacy=Privacy(classes=["blob"]),
    )
    pipeline = Pipeline(stream, BlobDetector(), batch=1, queue=1)
    pipeline.run()
    assert [int(tracked.frame.image.max()) for tracked in sink.frames] == [0] * FRAMES
