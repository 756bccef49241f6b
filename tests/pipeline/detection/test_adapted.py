"""Detectors of the user's own: of any class, with as much of what a `Detector` has as they care for."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from pipeline.detection.adapted import as_detector
from pipeline.errors import ConfigError
from pipeline.interfaces import Detector
from pipeline.runtime.pipeline import Pipeline
from pipeline.runtime.report import Report
from pipeline.runtime.streams.stream import Stream
from pipeline.types import Detections, Image
from tests.support.fakes import BlobDetector, MemorySink, MemorySource, moving_box, picture
from trackers.sort import SortTracker


class Least:
    """Has what it must and no more, and no class of ours above it."""

    def __init__(self) -> None:
        self.class_names = ["blob"]
        self._blobs = BlobDetector()

    def detect(self, images: Sequence[Image]) -> list[Detections]:
        return self._blobs.detect(images)


class Most(Least):
    """Has everything; what it can do shows only later."""

    precision = "int4"
    engine_name = "abacus"
    engine_reason = "it was at hand"
    network_threads = 3
    calls_at_once = 1
    reduced_side = 80

    def detect_reduced(self, images: Sequence[Image], sizes: Sequence[tuple[int, int]]) -> list[Detections]:
        return [Detections.empty() for _ in zip(images, sizes, strict=True)]

    def input_shape(self, height: int, width: int) -> tuple[int, int]:
        return height // 2, width // 2

    def warm_up(self, height: int, width: int) -> tuple[int, int]:
        return height // 4, width // 4


class LeastOfOurs(Detector):
    def __init__(self) -> None:
        self.class_names = ("blob",)

    def detect(self, images: Sequence[Image]) -> list[Detections]:
        return BlobDetector().detect(images)


def run(detector: Least | LeastOfOurs) -> tuple[Report, list[list[list[float]]]]:
    sink = MemorySink()
    stream = Stream(source=MemorySource(moving_box(12)), tracker=SortTracker(), sinks=[sink])
    report = Pipeline(stream, detector).run()
    return report, [tracked.tracks.xyxy.tolist() for tracked in sink.frames]


def test_the_least_that_it_must_have_is_enough_for_a_run() -> None:
    expected = run(LeastOfOurs())
    assert any(expected[1])
    for report, boxes in (run(Least()), expected):
        assert boxes == expected[1]
        assert (report.engine, report.precision, report.input_shape) == (None, "unknown", (120, 160))
        assert (report.engine_reason, report.network_threads) == (None, None)


def test_what_it_has_besides_is_made_use_of() -> None:
    own = Most()
    detector = as_detector(own)
    report, _ = run(own)
    assert (report.engine, report.precision, report.input_shape) == ("abacus", "int4", (30, 40))
    assert (report.engine_reason, report.network_threads) == ("it was at hand", 3)
    assert (detector.reduced_side, detector.input_shape(100, 200)) == (80, (50, 100))
    assert len(detector.detect_reduced([picture([])], [(240, 320)])) == 1
    own.calls_at_once = 3
    assert detector.calls_at_once == 3


def test_the_names_that_abilities_had_before_go_on_working() -> None:
    class Engine:
        name = "abacus"

    class Before(Least):
        engine = Engine()
        input_size = 96

        def detect_reduced(self, images: Sequence[Image], sizes: Sequence[tuple[int, int]]) -> list[Detections]:
            return []

    assert (as_detector(Before()).engine_name, as_detector(Before()).reduced_side) == ("abacus", 96)


def test_an_input_size_alone_means_no_reduced_pictures() -> None:
    own = Least()
    own.input_size = 96  # type: ignore[attr-defined]
    assert as_detector(own).reduced_side is None


def test_a_detector_of_ours_is_left_as_it_is() -> None:
    detector = LeastOfOurs()
    assert as_detector(detector) is detector
    assert (detector.calls_at_once, detector.reduced_side, detector.engine_name) == (1, None, None)
    with pytest.raises(NotImplementedError, match="LeastOfOurs takes no reduced pictures"):
        detector.detect_reduced([], [])


@pytest.mark.parametrize("wrong", ["tiny-yolov3", None, object()])
def test_what_is_no_detector_is_refused_at_once(wrong: object) -> None:
    stream = Stream(source=MemorySource(moving_box(2)), tracker=SortTracker(), sinks=[])
    with pytest.raises(ConfigError, match=r"detector: expected an object with class_names and a method detect"):
        Pipeline(stream, wrong)  # type: ignore[arg-type]
