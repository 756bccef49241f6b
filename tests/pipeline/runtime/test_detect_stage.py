"""Frames on their way through the detector: in order, as many at once as it allows, and nothing lost on an error."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.events import StreamEnded
from pipeline.runtime.detect_stage import DetectStage, Look
from pipeline.runtime.pipeline import Pipeline
from pipeline.runtime.streams.stream import Stream
from pipeline.runtime.timing import Timings
from pipeline.types import Detections, Frame, Image
from tests.support.fakes import BlobDetector, MemorySink, MemorySource, picture
from tests.support.waiting import PATIENCE_S
from trackers.sort import SortTracker


class Parallel(BlobDetector):
    """May be called from several threads; says how many were in it at a time."""

    def __init__(self, calls_at_once: int) -> None:
        super().__init__()
        self.calls_at_once = calls_at_once
        self.inside = self.most_inside = 0
        self.threads: set[str] = set()
        self._lock = threading.Lock()

    def detect(self, images: Sequence[Image]) -> list[Detections]:
        with self._lock:
            self.inside += 1
            self.most_inside = max(self.most_inside, self.inside)
            self.threads.add(threading.current_thread().name)
        try:
            with self._lock:
                return super().detect(images)
        finally:
            with self._lock:
                self.inside -= 1


class Meeting(Parallel):
    """Lets nobody out before two are in it."""

    def __init__(self) -> None:
        super().__init__(2)
        self._both = threading.Barrier(2)

    def detect(self, images: Sequence[Image]) -> list[Detections]:
        self._both.wait(PATIENCE_S)
        return super().detect(images)


def frame(index: int) -> Frame:
    """One whose blob is as wide as its index says."""
    return Frame(picture([(10, 20, 20 + index, 50)]), index, index / 25, 0.0, "memory")


def look_ahead(detector: BlobDetector, *, batch: int = 4, ahead: bool = True) -> DetectStage:
    return DetectStage(detector, batch=batch, ahead=ahead, timings=Timings())


def width_found(detections: Detections | None) -> int | None:
    return None if detections is None else round(float(detections.xyxy[0, 2] - detections.xyxy[0, 0]))


@given(
    wanted=st.lists(st.lists(st.booleans(), max_size=9), max_size=6),
    batch=st.integers(1, 5),
    calls=st.integers(1, 3),
    ahead=st.booleans(),
    leave=st.integers(0, 4),
)
def test_every_frame_comes_out_once_in_order_with_what_was_found_in_it(
    wanted: list[list[bool]], batch: int, calls: int, ahead: bool, leave: int
) -> None:
    detector = Parallel(calls)
    looks = look_ahead(detector, batch=batch, ahead=ahead)
    out: list[tuple[Frame, Detections | None]] = []
    expected: list[tuple[int, int | None]] = []
    for group in wanted:
        first = len(expected)
        looks.put([Look(frame(first + number), wants) for number, wants in enumerate(group)])
        expected += [(first + number, 10 + first + number if wants else None) for number, wants in enumerate(group)]
        out += looks.take(leave)
        assert looks.waiting <= leave
    out += looks.take()
    assert [(taken.index, width_found(found)) for taken, found in out] == expected
    assert looks.waiting == 0
    assert max(detector.batches, default=0) <= batch
    assert detector.most_inside <= calls
    looks.close()


def test_it_may_begin_to_go_ahead() -> None:
    class Lingering(Parallel):
        def _detect(self, image: Image) -> Detections:
            time.sleep(0.002)  # with the lock held: who else comes is seen to be in it
            return super()._detect(image)

    detector = Lingering(2)
    looks = look_ahead(detector, batch=1, ahead=False)
    out: list[Frame] = []
    for ahead in (False, True, False):
        looks.ahead = ahead
        for _ in range(10):
            looks.put([Look(frame(len(out) + number)) for number in range(4)])
            out += [taken for taken, _ in looks.take()]
    assert [taken.index for taken in out] == list(range(120))
    assert detector.most_inside <= 2
    looks.close()


@pytest.mark.parametrize("ahead", [True, False])
def test_two_batches_are_under_way_at_once(ahead: bool) -> None:
    detector = Meeting()
    looks = look_ahead(detector, ahead=ahead)
    looks.put([Look(frame(index)) for index in range(8)])
    assert [taken.index for taken, _ in looks.take()] == list(range(8))
    assert detector.batches == [4, 4]
    looks.close()


def test_what_is_waited_for_goes_to_all_threads_in_equal_parts() -> None:
    detector = Parallel(2)
    looks = look_ahead(detector, ahead=False)
    looks.put([Look(frame(index)) for index in range(3)])
    assert len(list(looks.take())) == 3
    assert sorted(detector.batches) == [1, 2]
    looks.close()


def test_a_camera_s_frame_is_looked_at_by_the_thread_that_waits_for_it() -> None:
    detector = Parallel(2)
    looks = look_ahead(detector, ahead=False)
    looks.put([Look(frame(0))])
    assert len(list(looks.take())) == 1
    assert detector.threads == {threading.current_thread().name}


def test_a_detector_that_says_nothing_of_threads_is_called_by_one_at_a_time() -> None:
    class Alone(BlobDetector):
        def detect(self, images: Sequence[Image]) -> list[Detections]:
            assert lock.acquire(blocking=False), "two threads are in it"
            try:
                return super().detect(images)
            finally:
                lock.release()

    lock = threading.Lock()
    looks = look_ahead(Alone(), batch=1)
    looks.put([Look(frame(index)) for index in range(20)])
    assert len(list(looks.take())) == 20
    looks.close()


def test_an_error_is_raised_in_the_place_of_its_batch() -> None:
    looks = look_ahead(BlobDetector(fail_at=6), batch=4)
    looks.put([Look(frame(index)) for index in range(12)])
    out = []
    with pytest.raises(RuntimeError, match="the detector broke"):
        for taken, _ in looks.take():
            out.append(taken.index)
    assert out == [0, 1, 2, 3]
    looks.close()


def test_closing_waits_until_the_detector_is_free_and_forgets_the_rest() -> None:
    entered, leave = threading.Event(), threading.Event()

    class Slow(BlobDetector):
        def detect(self, images: Sequence[Image]) -> list[Detections]:
            entered.set()
            leave.wait(PATIENCE_S)
            found = super().detect(images)
            done.append(len(images))
            return found

    done: list[int] = []
    looks = look_ahead(Slow())
    looks.put([Look(frame(index)) for index in range(12)])
    assert entered.wait(PATIENCE_S)
    threading.Timer(0.05, leave.set).start()
    looks.close()
    assert done == [4]
    assert looks.waiting == 0


def test_a_detector_that_breaks_loses_nothing_that_it_had_looked_at() -> None:
    sink = MemorySink()
    images = [picture([(10, 20, 60, 50)])] * 30
    stream = Stream(source=MemorySource(images), tracker=SortTracker(), sinks=[sink])
    with pytest.raises(RuntimeError, match="the detector broke"):
        Pipeline(stream, BlobDetector(fail_at=18), batch=4, queue=4).run()
    assert len(sink.frames) == 16
    end = sink.events[-1]
    assert isinstance(end, StreamEnded)
    assert end.reason == "error"
    assert end.ledger.processed == 16
    assert end.ledger.decoded == 16 + sum(end.ledger.failed.values()) + sum(end.ledger.dropped.values())


def test_the_events_of_a_file_are_the_same_however_many_look_at_it() -> None:
    images = [picture([(10 + 2 * index, 20, 40 + 2 * index, 50)]) for index in range(40)]

    def tracks(detector: BlobDetector, batch: int) -> list[tuple[int, list[float]]]:
        sink = MemorySink()
        stream = Stream(source=MemorySource(images), tracker=SortTracker(), sinks=[sink])
        Pipeline(stream, detector, batch=batch).run()
        return [(tracked.frame.index, tracked.tracks.xyxy.ravel().tolist()) for tracked in sink.frames]

    expected = tracks(BlobDetector(), 1)
    assert len(expected) == 40
    assert tracks(Parallel(1), 4) == tracks(Parallel(3), 4) == expected
