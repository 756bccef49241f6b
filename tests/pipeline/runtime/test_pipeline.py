"""The loop: every frame is accounted for on every way out, in order, and every handle is given back."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence

import pytest

from pipeline.errors import SourceError
from pipeline.event_codec import event_type
from pipeline.events import StreamEnded, StreamStarted, WindowSecond
from pipeline.interfaces import Sink
from pipeline.runtime.pipeline import Pipeline
from pipeline.runtime.streams.stream import Stream
from pipeline.types import Frame, TrackedFrame
from tests.support.fakes import BlobDetector, MemorySink, MemorySource, moving_box
from tests.support.waiting import PATIENCE_S
from trackers.sort import SortTracker


class StallingSink(MemorySink):
    """Like its parent, but in a thread of its own."""

    may_stall = True


def pipeline(
    source: MemorySource,
    sinks: Sequence[Sink],
    *,
    detector: BlobDetector | None = None,
    detect_every: int = 1,
    duration_s: float | None = None,
) -> Pipeline:
    stream = Stream(source=source, tracker=SortTracker(), sinks=sinks, detect_every=detect_every, duration_s=duration_s)
    return Pipeline(stream, detector or BlobDetector())


def ended(sink: MemorySink) -> StreamEnded:
    last = sink.events[-1]
    assert isinstance(last, StreamEnded)
    return last


def assert_balanced(sink: MemorySink) -> None:
    ledger = ended(sink).ledger
    assert ledger.decoded == ledger.processed + sum(ledger.dropped.values()) + sum(ledger.failed.values())


@pytest.mark.parametrize("kind", [MemorySink, StallingSink])
def test_every_frame_reaches_the_sink_once_and_in_order(kind: type[MemorySink]) -> None:
    sink, source = kind(), MemorySource(moving_box(25))
    report = pipeline(source, [sink]).run()
    assert [tracked.frame.index for tracked in sink.frames] == list(range(25))
    assert [event.seq for event in sink.events] == list(range(1, len(sink.events) + 1))
    assert isinstance(sink.events[0], StreamStarted)
    assert ended(sink).reason == "end"
    assert sink.calls[0] == "open"
    assert sink.calls[-1] == "close"
    assert sink.closed_with == [None]
    assert source.closed.is_set()
    stream = report.streams["memory"]
    assert (stream.decoded, stream.processed, stream.dropped, stream.failed) == (25, 25, {}, {})
    assert stream.media_s == 2.5
    assert stream.objects["blob"].unique == 1
    assert stream.objects["blob"].max == 1
    assert {"decode", "detect", "track", "analytics", "sinks"} <= set(report.stages)


def test_media_time_ends_with_the_last_picture() -> None:
    class Slides(MemorySource):
        """Three slides at ten a second, of which the last stays for six seconds."""

        def __iter__(self) -> Iterator[Frame]:
            for frame in super().__iter__():
                yield frame.timed(6.0 if frame.index == 2 else 0.1, 0.0, is_last=frame.index == 2)

    sink = MemorySink()
    report = pipeline(Slides(moving_box(3)), [sink]).run()
    assert report.streams["memory"].media_s == 6.2
    assert ended(sink).pts_s == pytest.approx(6.2)


def test_windows_cover_the_whole_stream() -> None:
    sink = MemorySink()
    pipeline(MemorySource(moving_box(25)), [sink]).run()
    windows = [event for event in sink.events if isinstance(event, WindowSecond)]
    assert [window.frames for window in windows] == [10, 10, 5]
    assert sum(window.coverage for window in windows) == pytest.approx(2.5, abs=0.11)


def test_one_object_keeps_its_identity_where_nobody_looked() -> None:
    sink, detector = MemorySink(), BlobDetector()
    pipeline(MemorySource(moving_box(30)), [sink], detector=detector, detect_every=3).run()
    assert detector.looked_at == 10
    assert [tracked.detections is not None for tracked in sink.frames] == [index % 3 == 0 for index in range(30)]
    assert {int(track) for tracked in sink.frames for track in tracked.tracks.track_id} == {1}
    assert [event_type(event) for event in sink.events].count("track.started") == 1


def test_duration_ends_the_run_in_time() -> None:
    sink, source = MemorySink(), MemorySource(moving_box(50))
    report = pipeline(source, [sink], duration_s=1.2).run()
    assert len(sink.frames) == 12
    assert ended(sink).reason == "duration"
    assert_balanced(sink)
    assert set(report.streams["memory"].dropped) == {"duration"}


@pytest.mark.parametrize(
    ("source", "sinks", "detector", "message"),
    [
        (
            lambda: MemorySource(moving_box(20), error=SourceError("the camera broke")),
            [MemorySink],
            BlobDetector,
            "camera",
        ),
        (lambda: MemorySource(moving_box(20)), [MemorySink], lambda: BlobDetector(fail_at=7), "detector broke"),
        (lambda: MemorySource(moving_box(20)), [MemorySink, lambda: MemorySink(fail_at=6)], BlobDetector, "sink broke"),
        (
            lambda: MemorySource(moving_box(20)),
            [MemorySink, lambda: StallingSink(fail_at=6)],
            BlobDetector,
            "sink broke",
        ),
    ],
    ids=["source", "detector", "sink", "sink in its thread"],
)
def test_a_failure_is_raised_with_everything_closed_and_counted(
    source: Callable[[], MemorySource],
    sinks: Sequence[Callable[[], MemorySink]],
    detector: Callable[[], BlobDetector],
    message: str,
) -> None:
    made, opened = source(), [sink() for sink in sinks]
    threads = threading.active_count()
    with pytest.raises(Exception, match=message) as raised:
        pipeline(made, opened, detector=detector()).run()
    assert made.closed.is_set()
    assert threading.active_count() == threads
    assert opened[0].closed_with == [raised.value]
    assert ended(opened[0]).reason == "error"
    assert message in str(ended(opened[0]).error)
    assert_balanced(opened[0])


def test_a_sink_that_will_not_open_is_closed_and_the_source_too() -> None:
    source, sink = MemorySource(moving_box(5)), MemorySink(fail_open=True)
    with pytest.raises(OSError, match="would not open"):
        pipeline(source, [sink]).run()
    assert source.closed.is_set()
    assert sink.calls[-1] == "close"


def test_stop_from_another_thread_ends_a_stalled_run_cleanly() -> None:
    arrived = threading.Event()

    class Telling(MemorySink):
        def on_frame(self, tracked: TrackedFrame) -> None:
            super().on_frame(tracked)
            if len(self.frames) == 12:
                arrived.set()

    sink = Telling()
    source = MemorySource(moving_box(12), stall_s=PATIENCE_S)
    run = pipeline(source, [sink])

    def stop() -> None:
        arrived.wait(PATIENCE_S)
        run.stop()
        threading.Timer(1.0, source.closed.set).start()  # as a read ends that is out of time

    stopper = threading.Thread(target=stop)
    stopper.start()
    report = run.run()
    stopper.join()
    assert ended(sink).reason == "interrupted"
    assert_balanced(sink)
    assert report.streams["memory"].processed == 12
    assert sink.closed_with == [None]


def test_a_keyboard_interrupt_still_finishes_the_outputs() -> None:
    class Interrupting(MemorySink):
        def on_frame(self, tracked: TrackedFrame) -> None:
            self.calls.append("frame")
            if self.calls.count("frame") == 6:
                raise KeyboardInterrupt

    sink = Interrupting()
    with pytest.raises(KeyboardInterrupt):
        pipeline(MemorySource(moving_box(20)), [sink]).run()
    assert ended(sink).reason == "interrupted"
    assert_balanced(sink)
    assert sink.closed_with == [None]


def test_failures_of_the_source_are_in_the_report() -> None:
    sink = MemorySink()
    report = pipeline(MemorySource(moving_box(4), failed={"decode": 2}), [sink]).run()
    assert report.streams["memory"].failed == {"decode": 2}
    assert report.streams["memory"].decoded == 6
    assert_balanced(sink)


class TestManyStreams:
    def test_each_stream_comes_through_whole_and_in_order(self) -> None:
        shared, own = MemorySink(), [MemorySink(), MemorySink()]
        streams = [
            Stream(source=MemorySource(moving_box(count), stream=name), tracker=SortTracker(), sinks=[sink])
            for name, count, sink in zip(("left", "right"), (30, 17), own, strict=True)
        ]
        report = Pipeline(streams, BlobDetector(), sinks=[shared]).run()
        assert [len(sink.frames) for sink in own] == [30, 17]
        for sink, name in zip(own, ("left", "right"), strict=True):
            assert {tracked.frame.stream for tracked in sink.frames} == {name}
            assert [tracked.frame.index for tracked in sink.frames] == list(range(len(sink.frames)))
        assert [event.seq for event in shared.events] == list(range(1, len(shared.events) + 1))
        assert {name: stream.processed for name, stream in report.streams.items()} == {"left": 30, "right": 17}
        assert shared.calls.count("open") == 2
        assert shared.calls.count("close") == 1

    @pytest.mark.parametrize("kind", [MemorySink, StallingSink])
    def test_one_that_fails_does_not_touch_the_other(self, kind: type[MemorySink]) -> None:
        good, bad = MemorySink(), kind(fail_at=5)
        streams = [
            Stream(source=MemorySource(moving_box(40), stream="good"), tracker=SortTracker(), sinks=[good]),
            Stream(source=MemorySource(moving_box(40), stream="bad"), tracker=SortTracker(), sinks=[bad]),
        ]
        report = Pipeline(streams, BlobDetector()).run()
        assert len(good.frames) == 40
        assert report.streams["good"].error is None
        assert report.streams["bad"].error == "the sink broke"
        for stream in report.streams.values():
            assert stream.decoded == stream.processed + sum(stream.dropped.values()) + sum(stream.failed.values())

    def test_a_failing_shared_sink_ends_the_run(self) -> None:
        streams = [
            Stream(source=MemorySource(moving_box(40), stream=name), tracker=SortTracker()) for name in ("one", "two")
        ]
        with pytest.raises(OSError, match="the sink broke"):
            Pipeline(streams, BlobDetector(), sinks=[MemorySink(fail_at=5)]).run()

    def test_a_stream_can_join_and_leave_while_others_run(self) -> None:
        class Conductor(MemorySink):
            """Adds a stream at one frame and removes it at a later one."""

            def on_frame(self, tracked: TrackedFrame) -> None:
                super().on_frame(tracked)
                if len(self.frames) == 5:
                    run.add(
                        Stream(
                            source=MemorySource(moving_box(1000), stream="guest"), tracker=SortTracker(), sinks=[guest]
                        )
                    )
                if len(self.frames) == 60:
                    run.remove("guest")

        guest, host = MemorySink(), Conductor()
        source = MemorySource(moving_box(65), stream="host")
        run = Pipeline(Stream(source=source, tracker=SortTracker(), sinks=[host]), BlobDetector())
        report = run.run()
        assert len(host.frames) == 65
        assert ended(host).reason == "end"
        assert ended(guest).reason == "removed"
        assert_balanced(guest)
        assert 0 < len(guest.frames) < 1000
        assert report.streams["guest"].processed == len(guest.frames)
