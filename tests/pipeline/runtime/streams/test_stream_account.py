"""A stream that is changed, or removed and added again, is one stream: one account, one time, ids of its own."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from pipeline.analytics.lines import Line
from pipeline.analytics.options import AnalyticsOptions
from pipeline.analytics.zones import Zone
from pipeline.events import StreamEnded, StreamOffline, StreamOnline, StreamStarted, TrackStarted, WindowSecond
from pipeline.runtime.pipeline import Pipeline
from pipeline.runtime.report import Report
from pipeline.runtime.streams.stream import Stream
from pipeline.runtime.streams.stream_account import StreamAccount
from pipeline.types import Frame, TrackedFrame
from tests.support.fakes import BlobDetector, MemorySink, MemorySource, moving_box
from tests.support.waiting import PATIENCE_S
from trackers.sort import SortTracker

FIRST = 20
ZONE = Zone(name="all", polygon=((0, 0), (1, 0), (1, 1), (0, 1)), units="fraction")
MIDDLE = Line(name="middle", start=(40, 0), end=(40, 119), units="pixels")


class Camera(MemorySource):
    """A file, or a camera whose frames come 0.05 s after each other."""

    def __init__(self, count: int, *, live: bool = False) -> None:
        super().__init__(moving_box(count), fps=20, stream="door")
        self.info = replace(self.info, live=live)
        self.begun = 0

    def __iter__(self) -> Iterator[Frame]:
        self.begun += 1
        for frame in super().__iter__():
            if self.closed.is_set():
                return
            if self.info.live:
                time.sleep(0.05)
            yield frame


class Watching(MemorySink):
    """Does things at the n-th frame that it sees."""

    def __init__(self, at: dict[int, Callable[[], object]]) -> None:
        super().__init__()
        self._at = at

    def on_frame(self, tracked: TrackedFrame) -> None:
        super().on_frame(tracked)
        if len(self.frames) in self._at:
            self._at.pop(len(self.frames))()


def run(first: Stream, change: Callable[[Pipeline], object], *, at: int = FIRST) -> tuple[Report, Watching]:
    watching = Watching({at: lambda: change(pipeline)})
    pipeline = Pipeline(first, BlobDetector(), sinks=[watching], queue=1, batch=1)
    return pipeline.run(), watching


def kinds(sink: MemorySink, *wanted: type[Any]) -> list[type[Any]]:
    return [type(event) for event in sink.events if isinstance(event, wanted)]


def check_one_stream(report: Report, seen: MemorySink) -> None:
    """What holds for a stream however often it was changed."""
    frames = [tracked.frame for tracked in seen.frames]
    indices = [frame.index for frame in frames]
    assert indices == sorted(set(indices))
    times = [frame.pts_s for frame in frames]
    assert all(later > earlier for earlier, later in pairwise(times))
    ids = [event.track_id for event in seen.events if isinstance(event, TrackStarted)]
    assert len(ids) == len(set(ids)) >= 2
    assert [event.seq for event in seen.events] == list(range(1, len(seen.events) + 1))
    (account,) = report.streams.values()
    assert account.decoded == account.processed + sum(account.dropped.values()) + sum(account.failed.values())
    assert account.processed == len(frames)
    assert account.objects["blob"].unique == len(ids)
    last = [event for event in seen.events if isinstance(event, StreamEnded)][-1]
    assert (last.ledger.decoded, last.ledger.processed) == (account.decoded, account.processed)
    assert account.media_s == pytest.approx(times[-1] + 0.05, abs=2e-3)


def test_what_a_source_gives_until_the_next_begins_is_numbered_too() -> None:
    source = MemorySource(moving_box(4), fps=20)
    account, frames = StreamAccount(), list(source)
    old = account.placer(source, frame_s=0.05)
    assert [old(frame).index for frame in frames[:2]] == [0, 1]
    new = account.placer(source, frame_s=0.05)
    assert old(frames[2]).index == 2, "it has not been stopped yet"
    first = new(frames[0])
    assert first.index == 3
    assert first.pts_s == pytest.approx(0.15)
    old(frames[3])  # nobody sees it any more
    second = new(frames[1])
    assert second.index == 4
    assert second.pts_s == pytest.approx(0.2)


@pytest.mark.parametrize("tracker", [SortTracker, lambda: SortTracker(min_hits=1)])
def test_what_did_not_change_goes_on(tracker: Callable[[], SortTracker]) -> None:
    source, sink = Camera(60), MemorySink()
    counted = AnalyticsOptions(zones=[ZONE], lines=[MIDDLE])
    first = Stream(source=source, tracker=tracker(), sinks=[sink], analytics=counted)
    second = Stream(source=source, tracker=tracker(), sinks=[sink], analytics=counted, detect_every=2)
    report, seen = run(first, lambda pipeline: pipeline.replace(second))
    check_one_stream(report, seen)
    assert [tracked.frame.index for tracked in seen.frames] == list(range(60)), "not one frame is lost"
    assert [tracked.frame.pts_s for tracked in seen.frames] == [number / 20 for number in range(60)]
    assert source.begun == 1
    assert sink.calls.count("open") == 1
    assert sink.closed_with == [None]
    assert len(sink.frames) == 60
    assert kinds(seen, StreamStarted, StreamOffline, StreamOnline, StreamEnded) == [
        *(StreamStarted, StreamOffline, StreamOnline, StreamEnded)
    ]
    assert [event.index for event in seen.events if isinstance(event, WindowSecond)] == [0, 1, 2]
    assert report.streams["door"].lines["middle"]["blob"] in ({"in": 1, "out": 0}, {"in": 0, "out": 1})


def test_what_did_change_is_completed() -> None:
    source, old, new = Camera(60), MemorySink(), MemorySink()
    first = Stream(source=source, tracker=SortTracker(), sinks=[old], analytics=AnalyticsOptions(zones=[ZONE]))
    second = Stream(
        source=source, tracker=SortTracker(), sinks=[new], analytics=AnalyticsOptions(zones=[ZONE], lines=[MIDDLE])
    )
    report, seen = run(first, lambda pipeline: pipeline.replace(second))
    check_one_stream(report, seen)
    assert old.closed_with == new.closed_with == [None]
    assert len(old.frames) + len(new.frames) == 60
    assert new.calls[0] == "open"
    unique = report.streams["door"].zones["all"]["blob"]["unique"]
    assert unique == report.streams["door"].objects["blob"].unique


@pytest.mark.parametrize("live", [False, True])
def test_another_source_goes_on_in_time(live: bool) -> None:
    cameras = [Camera(40, live=live), Camera(40, live=live)]
    first, second = (Stream(source=camera, tracker=SortTracker(min_hits=1)) for camera in cameras)
    report, seen = run(first, lambda pipeline: pipeline.replace(second))
    check_one_stream(report, seen)
    assert all(camera.closed.is_set() for camera in cameras)
    assert kinds(seen, StreamStarted, StreamOffline, StreamOnline, StreamEnded) == [
        *(StreamStarted, StreamOffline, StreamOnline, StreamEnded)
    ]
    if live:
        captured = [tracked.frame.captured_s for tracked in seen.frames]
        media_s, real_s = seen.frames[-1].frame.pts_s - seen.frames[0].frame.pts_s, captured[-1] - captured[0]
        # Frames that are late by themselves are not what is measured: the sources' times are nominal.
        assert media_s <= real_s + 0.1
        assert media_s > 1.5
    else:
        steps = {round(b.frame.pts_s - a.frame.pts_s, 6) for a, b in pairwise(seen.frames)}
        assert min(steps) == pytest.approx(0.05)


def test_a_stream_that_is_removed_and_added_again_gives_no_id_twice() -> None:
    cameras = [Camera(40), Camera(40)]
    other = MemorySource(moving_box(10), stream="yard", stall_s=PATIENCE_S)
    first, second = (Stream(source=camera, tracker=SortTracker(min_hits=1)) for camera in cameras)

    def change(pipeline: Pipeline) -> None:
        pipeline.remove("door")
        pipeline.add(second)
        threading.Timer(0.5, other.closed.set).start()

    watching = Watching({})
    pipeline = Pipeline(
        [first, Stream(source=other, tracker=SortTracker())], BlobDetector(), sinks=[watching], queue=1, batch=1
    )
    watching._at[FIRST] = lambda: change(pipeline)
    report = pipeline.run()
    door = MemorySink()
    door.frames = [tracked for tracked in watching.frames if tracked.frame.stream == "door"]
    door.events = [event for event in watching.events if event.stream == "door"]
    assert [event.reason for event in door.events if isinstance(event, StreamEnded)] == ["removed", "end"]
    started = [event.pts_s for event in door.events if isinstance(event, StreamStarted)]
    assert started[0] == 0 < started[1]
    ids = [event.track_id for event in door.events if isinstance(event, TrackStarted)]
    assert len(ids) == len(set(ids)) >= 2
    times = [tracked.frame.pts_s for tracked in door.frames]
    assert times == sorted(set(times))
    account = report.streams["door"]
    assert account.processed == len(door.frames)
    assert account.objects["blob"].unique == len(ids)


def test_many_changes_are_one_account() -> None:
    source, sink = Camera(90), MemorySink()
    streams = [
        Stream(source=source, tracker=SortTracker(min_hits=1), sinks=[sink], detect_every=1 + number % 3)
        for number in range(8)
    ]
    watching = Watching({})
    pipeline = Pipeline(streams[0], BlobDetector(), sinks=[watching], queue=1, batch=1)
    for number, stream in enumerate(streams[1:], 1):
        watching._at[10 * number] = lambda stream=stream: pipeline.replace(stream)  # type: ignore[misc]
    report = pipeline.run()
    check_one_stream(report, watching)
    assert [tracked.frame.index for tracked in watching.frames] == list(range(90))
    assert kinds(watching, StreamOffline, StreamOnline) == [StreamOffline, StreamOnline] * 7
    assert sink.closed_with == [None]


def test_a_source_that_has_ended_is_not_begun_again(caplog: pytest.LogCaptureFixture) -> None:
    """A change that was built for a stream which ended meanwhile changes nothing."""
    source, other = Camera(5), MemorySource(moving_box(40), stream="yard")
    first = Stream(source=source, tracker=SortTracker())
    second = Stream(source=source, tracker=SortTracker(), detect_every=2)
    watching = Watching({})
    yard = Stream(source=other, tracker=SortTracker())
    pipeline = Pipeline([first, yard], BlobDetector(), sinks=[watching], queue=1, batch=1)
    watching._at[40] = lambda: pipeline.replace(second)
    report = pipeline.run()
    assert source.begun == 1
    assert report.streams["door"].processed == 5
    assert "ended before its change" in caplog.text
