"""Frames that wait, for a batch of looks or for what is between two looks: on every way out each is accounted for."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace

from pipeline.classification.tracks import ClassifiedTrack, TrackClassifier
from pipeline.errors import ConfigError, SourceError
from pipeline.event_codec import encode_json, event_type
from pipeline.events import Event, StreamEnded, TrackEnded, TrackStarted, WindowSecond
from pipeline.geometry.region import Region
from pipeline.runtime.pipeline import Pipeline
from pipeline.runtime.report import Report
from pipeline.runtime.sink_thread import SinkThread
from pipeline.runtime.streams.stream import Stream, StreamStatus
from pipeline.sampling.latency import LatencySampler
from pipeline.sampling.motion_gate import MotionGate
from pipeline.sampling.predictive import PredictiveSampler
from pipeline.sampling.sampler import EveryNth, Sampler
from pipeline.types import BoolArray, Detections, Frame, Image, SourceInfo, TrackedFrame
from tests.support.fakes import BlobDetector, MemorySink, MemorySource, picture
from tests.support.waiting import PATIENCE_S
from trackers.base import ArrayTracker
from trackers.buffered import BufferedTracker

PACES: dict[str, Callable[[], int | Sampler]] = {
    "auto": PredictiveSampler,
    "every third": lambda: 3,
    "gate": lambda: MotionGate(EveryNth(1)),
    "gate and auto": lambda: MotionGate(PredictiveSampler()),
}
each_pace = pytest.mark.parametrize("pace", PACES.values(), ids=PACES.keys())


def scene(count: int = 70) -> list[Image]:
    """Two boxes that come, are hidden for a moment, stand still and go."""
    images = []
    for index in range(count):
        boxes = []
        if index >= 5 and not 30 <= index < 34:
            boxes.append((10 + 2 * min(index, 40), 20, 40 + 2 * min(index, 40), 50))
        if 12 <= index < 50:
            boxes.append((130 - 2 * index, 70, 155 - 2 * index, 110))
        images.append(picture(boxes))
    return images


class Log(MemorySink):
    """Remembers frames and events in the order in which they came."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.log: list[TrackedFrame | Event] = []

    def on_frame(self, tracked: TrackedFrame) -> None:
        super().on_frame(tracked)
        self.log.append(tracked)

    def on_event(self, event: Event) -> None:
        super().on_event(event)
        self.log.append(event)


class BrokenTracker(BufferedTracker):
    """Raises at the 40th frame."""

    calls = 0

    def update(self, detections: Detections | None, pts_s: float, image: Image | None = None) -> Any:
        self.calls += 1
        if self.calls == 40:
            raise RuntimeError("the tracker broke")
        return super().update(detections, pts_s, image)


def broken_filter(detections: Detections, frame: Frame) -> BoolArray:
    if frame.index > 40:
        raise RuntimeError("the filter broke")
    return np.ones(len(detections), np.bool_)


def stream(source: MemorySource, sinks: Sequence[MemorySink], pace: int | Sampler, **settings: Any) -> Stream:
    tracker: ArrayTracker = settings.pop("tracker", None) or BufferedTracker()
    return Stream(source=source, tracker=tracker, sinks=sinks, detect_every=pace, **settings)


def end_of(sink: MemorySink) -> StreamEnded:
    last = sink.events[-1]
    assert isinstance(last, StreamEnded)
    return last


def assert_whole(report: Report, sink: Log, name: str = "memory") -> None:
    """Every frame is accounted for; what the sink saw has no gap and is in order; each id is shown while it lives."""
    account = report.streams[name]
    assert account.decoded == account.processed + sum(account.dropped.values()) + sum(account.failed.values())
    assert [tracked.frame.index for tracked in sink.frames] == list(range(len(sink.frames)))
    assert len(sink.frames) == account.processed
    last = end_of(sink)
    assert (last.ledger.decoded, last.ledger.processed) == (account.decoded, account.processed)
    assert sum(event.frames for event in sink.events if isinstance(event, WindowSecond)) == len(sink.frames)
    shown: dict[int, list[float]] = {}
    for tracked in sink.frames:
        for track_id in tracked.tracks.track_id.tolist():
            shown.setdefault(track_id, []).append(tracked.frame.pts_s)
    started = {event.track_id: event.pts_s for event in sink.events if isinstance(event, TrackStarted)}
    ended = {event.track_id: event.pts_s for event in sink.events if isinstance(event, TrackEnded)}
    assert started == {track_id: times[0] for track_id, times in shown.items()}
    assert ended.keys() == started.keys()
    assert all(ended[track_id] >= times[-1] for track_id, times in shown.items())


@each_pace
def test_a_file_comes_through_whole(pace: Callable[[], int | Sampler]) -> None:
    sink = Log()
    report = Pipeline(stream(MemorySource(scene()), [sink], pace()), BlobDetector()).run()
    assert_whole(report, sink)
    assert report.streams["memory"].processed == 70
    assert len([event for event in sink.events if event_type(event) == "track.started"]) >= 2


@each_pace
@pytest.mark.parametrize("fps", [1, 12, 30])
def test_what_stands_still_is_shown_on_every_frame(pace: Callable[[], int | Sampler], fps: int) -> None:
    sink = Log()
    source = MemorySource([picture([(30, 30, 60, 70)])] * 100, fps=fps)
    Pipeline(stream(source, [sink], pace()), BlobDetector()).run()
    assert [tracked.tracks.track_id.tolist() for tracked in sink.frames] == [[1]] * 100


@each_pace
@pytest.mark.parametrize("duration_s", [0.1, 1.7, 4.05])
def test_a_duration_ends_it_in_time(pace: Callable[[], int | Sampler], duration_s: float) -> None:
    sink = Log()
    report = Pipeline(stream(MemorySource(scene()), [sink], pace(), duration_s=duration_s), BlobDetector()).run()
    assert_whole(report, sink)
    assert len(sink.frames) == np.ceil(duration_s * 10 - 1e-9)
    assert end_of(sink).reason == "duration"


@each_pace
def test_stopping_keeps_what_was_processed(pace: Callable[[], int | Sampler]) -> None:
    class Stopping(Log):
        def on_frame(self, tracked: TrackedFrame) -> None:
            super().on_frame(tracked)
            if len(self.frames) == 20:
                run.stop()

    sink = Stopping()
    run = Pipeline(stream(MemorySource(scene()), [sink], pace()), BlobDetector())
    report = run.run()
    assert_whole(report, sink)
    assert 20 <= len(sink.frames) <= 70
    assert set(report.streams["memory"].dropped) <= {"interrupted"}
    assert not report.streams["memory"].failed


FAILURES: dict[str, dict[str, Any]] = {
    "source": {"source": lambda: MemorySource(scene(45), error=SourceError("the source broke"))},
    "tracker": {"tracker": BrokenTracker},
    "filter": {"filters": lambda: [broken_filter]},
    "sink": {"sink": lambda: Log(fail_at=25)},
}


@each_pace
@pytest.mark.parametrize("failure", FAILURES.values(), ids=FAILURES.keys())
def test_a_failure_leaves_no_gap_and_does_not_touch_the_other_stream(
    failure: dict[str, Callable[[], Any]], pace: Callable[[], int | Sampler]
) -> None:
    made = {name: make() for name, make in failure.items()}
    breaking = [made.pop("sink")] if "sink" in made else []
    source = made.pop("source", None) or MemorySource(scene())
    sink, other = Log(), Log()
    streams = [
        stream(source, [*breaking, sink], pace(), **made),
        stream(MemorySource(scene(), stream="other"), [other], pace()),
    ]
    report = Pipeline(streams, BlobDetector()).run()
    assert "broke" in str(report.streams["memory"].error)
    assert report.streams["other"].error is None
    assert_whole(report, other, "other")
    assert len(other.frames) == 70
    account = report.streams["memory"]
    assert account.decoded == account.processed + sum(account.dropped.values()) + sum(account.failed.values())
    assert [tracked.frame.index for tracked in sink.frames] == list(range(account.processed))
    assert end_of(sink).reason == "error"
    if not breaking:
        assert_whole(report, sink)
    if "source" in failure:
        assert account.processed == 45, "all that came before it broke"
    elif not breaking:
        assert account.processed >= 36, "what was tracked before it broke"


class BrokenClassifier(TrackClassifier):
    """Breaks in the middle of the stream, or only at its end."""

    def __init__(self, *, at_end: bool) -> None:
        self._at_end = at_end

    def update(self, tracked: TrackedFrame) -> list[ClassifiedTrack]:
        if tracked.frame.index == 40 and not self._at_end:
            raise RuntimeError("the classifier broke")
        return []

    def finish(self) -> list[ClassifiedTrack]:
        raise RuntimeError("the classifier broke")


@each_pace
@pytest.mark.parametrize("at_end", [False, True])
def test_the_end_is_told_though_the_classifier_broke(pace: Callable[[], int | Sampler], at_end: bool) -> None:
    sink = Log()
    classify = BrokenClassifier(at_end=at_end)
    run = Pipeline(stream(MemorySource(scene()), [sink], pace(), classify=classify), BlobDetector())
    with pytest.raises(RuntimeError, match="the classifier broke"):
        run.run()
    assert run.report is not None
    assert_whole(run.report, sink)
    assert len(sink.frames) == (70 if at_end else 40)
    assert end_of(sink).reason == "error"
    assert end_of(sink).error == "the classifier broke"


@each_pace
def test_a_detector_that_breaks_ends_it_with_everything_counted(pace: Callable[[], int | Sampler]) -> None:
    sink = Log()
    run = Pipeline(stream(MemorySource(scene()), [sink], pace()), BlobDetector(fail_at=8))
    with pytest.raises(RuntimeError, match="the detector broke"):
        run.run()
    assert run.report is not None
    assert_whole(run.report, sink)


@each_pace
def test_a_keyboard_interrupt_amid_a_frame_leaves_no_gap(pace: Callable[[], int | Sampler]) -> None:
    class Interrupting(MemorySink):
        def on_frame(self, tracked: TrackedFrame) -> None:
            super().on_frame(tracked)
            if len(self.frames) == 25:
                raise KeyboardInterrupt

    sink = Log()
    run = Pipeline(stream(MemorySource(scene()), [Interrupting(), sink], pace()), BlobDetector())
    with pytest.raises(KeyboardInterrupt):
        run.run()
    assert run.report is not None
    account = run.report.streams["memory"]
    assert account.decoded == account.processed + sum(account.dropped.values())
    assert [tracked.frame.index for tracked in sink.frames] == list(range(24))


def test_the_first_error_is_the_one_that_is_told() -> None:
    """The tracker breaks; then the sink does, at a frame that had waited."""
    breaking = MemorySink(fail_at=39)
    run = Pipeline(stream(MemorySource(scene()), [breaking], 3, tracker=BrokenTracker()), BlobDetector())
    with pytest.raises(RuntimeError, match="the tracker broke"):
        run.run()
    assert len(breaking.frames) == 39


@each_pace
def test_streams_can_be_removed_and_replaced_while_their_frames_wait(pace: Callable[[], int | Sampler]) -> None:
    class Conductor(Log):
        def on_frame(self, tracked: TrackedFrame) -> None:
            super().on_frame(tracked)
            if len(self.frames) == 10:
                run.remove("removed")
                run.replace(stream(MemorySource(scene(50), stream="replaced"), [second], pace()))

    conductor, removed, first, second = Conductor(), Log(), Log(), Log()
    streams = [
        stream(MemorySource(scene(), stream="conductor"), [conductor], pace()),
        stream(MemorySource(scene(5000), stream="removed"), [removed], pace()),
        stream(MemorySource(scene(5000), stream="replaced"), [first], pace()),
    ]
    run = Pipeline(streams, BlobDetector())
    report = run.run()
    assert_whole(report, conductor, "conductor")
    assert_whole(report, removed, "removed")
    last = end_of(removed)
    assert last.reason == "removed"
    assert last.ledger.decoded == last.ledger.processed + sum(last.ledger.dropped.values())
    # What was replaced is one stream: none of its frames is seen twice, and its account is of both parts.
    account, before, after = report.streams["replaced"], index_of(first), index_of(second)
    assert before == list(range(len(before)))
    assert after == list(range(after[0], after[0] + 50))
    assert account.processed == len(before) + 50
    assert account.decoded == account.processed + account.dropped["removed"] == after[-1] + 1
    assert (end_of(second).reason, end_of(second).ledger.processed) == ("end", account.processed)
    windows = [event.frames for sink in (first, second) for event in sink.events if isinstance(event, WindowSecond)]
    assert sum(windows) == account.processed


def index_of(sink: Log) -> list[int]:
    return [tracked.frame.index for tracked in sink.frames]


class Uneven(MemorySource):
    """Decodes in fits and starts."""

    def __iter__(self) -> Iterator[Frame]:
        for frame in super().__iter__():
            if frame.index % 7 == 3:
                time.sleep(0.01)
            yield frame


@each_pace
def test_the_same_file_gives_the_same_events_however_fast_it_is_decoded(pace: Callable[[], int | Sampler]) -> None:
    told: list[list[bytes]] = []
    for kind, queue in ((MemorySource, 8), (Uneven, 8), (MemorySource, 2)):
        sink = MemorySink()
        Pipeline(stream(kind(scene()), [sink], pace()), BlobDetector(), queue=queue, batch=queue // 2).run()
        told.append([encode_json(replace(event, run="", wall="")) for event in sink.events])
    assert told[0] == told[1] == told[2]


def test_no_more_frames_than_a_batch_go_through_the_detector_at_once() -> None:
    detector = BlobDetector()
    Pipeline(stream(MemorySource(scene()), [], 1), detector, batch=3, queue=8).run()
    assert max(detector.batches) <= 3
    assert detector.looked_at == 70


class Camera(MemorySource):
    """Live: each picture is there when both cameras have one."""

    def __init__(self, images: Sequence[Image], meeting: threading.Barrier, **settings: Any) -> None:
        super().__init__(images, **settings)
        self.info = SourceInfo(160, 120, fps=self.info.fps, live=True, uri="camera")
        self._meeting = meeting

    def __iter__(self) -> Iterator[Frame]:
        for frame in super().__iter__():
            self._meeting.wait(PATIENCE_S)
            yield frame


def test_cameras_with_motion_gates_still_share_batches() -> None:
    meeting, detector, sinks = threading.Barrier(2), BlobDetector(), [Log(), Log()]
    streams = [
        stream(Camera(scene(), meeting, stream=name, stall_s=0.2), [sink], MotionGate(LatencySampler(10.0)))
        for name, sink in zip(("left", "right"), sinks, strict=True)
    ]
    report = Pipeline(streams, detector, batch=2, max_wait_s=0.5).run()
    for name in ("left", "right"):
        account = report.streams[name]
        assert account.decoded == account.processed + sum(account.dropped.values())
    assert 2 in detector.batches


class Late(MemorySink):
    """In a thread of its own, in which it does nothing before the gate is open."""

    may_stall = True

    def __init__(self) -> None:
        super().__init__()
        self.gate = threading.Event()

    def open(self, stream: str, info: SourceInfo, class_names: Sequence[str]) -> None:
        assert self.gate.wait(PATIENCE_S)


def test_what_outputs_could_not_keep_up_with_is_told_while_and_after(monkeypatch: pytest.MonkeyPatch) -> None:
    assert SinkThread.__init__.__kwdefaults__ is not None
    monkeypatch.setitem(SinkThread.__init__.__kwdefaults__, "event_capacity", 3)
    late, shared = Late(), Late()
    told: list[StreamStatus] = []

    class Watching(MemorySink):
        def on_event(self, event: Event) -> None:
            super().on_event(event)
            if isinstance(event, StreamEnded):
                told.extend(watched.status())
                late.gate.set()
                shared.gate.set()

    watching = Watching()
    camera = Camera(scene(), threading.Barrier(1), stream="camera")
    watched = Pipeline(stream(camera, [late], 1), BlobDetector(), sinks=[shared, watching], sink_queue=1, queue=64)
    report = watched.run()
    account = report.streams["camera"]
    for sink, name, told_in in ((late, "Late-2", account), (shared, "Late", report)):
        outputs = told_in.outputs[name]
        frames = told_in.sinks.get(name, {}).get("slow", 0)  # few come on a busy machine
        assert told_in.missed_events[name] == {"slow": outputs.unseen - frames}
        assert outputs.written == len(sink.frames) + len(sink.events)
        assert outputs.lost == outputs.unseen
        assert outputs.given == outputs.written + outputs.lost == account.processed + len(watching.events)
    (status,) = told
    assert status.outputs["Late"].unseen > 0
    assert status.outputs["Late-2"].unseen > 0


def test_a_region_outside_one_stream_fails_that_stream_alone() -> None:
    beside = Region([(((500, 10), (600, 90)), "pixels")])
    bad, good = Log(), Log()
    streams = [
        stream(MemorySource(scene(), stream="bad"), [bad], 3, region=beside),
        stream(MemorySource(scene(), stream="good"), [good], 3),
    ]
    report = Pipeline(streams, BlobDetector()).run()
    assert report.streams["bad"].error == "detect_region: lies outside the picture, which is 160x120 px"
    assert_whole(report, good, "good")
    assert len(good.frames) == 70
    assert_whole(report, bad, "bad")
    alone = Pipeline(stream(MemorySource(scene()), [], 3, region=beside), BlobDetector())
    with pytest.raises(ConfigError, match="outside the picture"):
        alone.run()


@pytest.mark.parametrize("moment", ["stream.ended", "track.ended"])
def test_a_shared_sink_that_fails_as_a_stream_ends_ends_the_run(moment: str) -> None:
    class Breaking(MemorySink):
        def on_event(self, event: Event) -> None:
            super().on_event(event)
            if event_type(event) == moment and event.stream == "short":
                raise OSError("the shared sink broke")

    lasting = Log()
    streams = [
        stream(MemorySource(scene(20), stream="short"), [], 3),
        stream(MemorySource(scene(3000), stream="long"), [lasting], 3),
    ]
    with pytest.raises(OSError, match="the shared sink broke"):
        Pipeline(streams, BlobDetector(), sinks=[Breaking()]).run()
    assert len(lasting.frames) < 3000


def test_a_shared_sink_that_fails_at_the_very_end_fails_the_run() -> None:
    class Breaking(MemorySink):
        def on_event(self, event: Event) -> None:
            if event_type(event) == "stream.ended" and event.stream == "long":
                raise OSError("the shared sink broke")

    streams = [
        stream(MemorySource(scene(5), stream="short"), [], 3),
        stream(MemorySource(scene(40), stream="long"), [], 3),
    ]
    with pytest.raises(OSError, match="the shared sink broke"):
        Pipeline(streams, BlobDetector(), sinks=[Breaking()]).run()
