"""A real clip with ground truth, from the file to the MOT text, scored by TrackEval."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from benchmarks.tracking import score
from pipeline.detection.filters import make_filters
from pipeline.detection.yolov3.detector import YoloDetector
from pipeline.runtime.pipeline import Pipeline
from pipeline.runtime.streams.stream import Stream
from pipeline.sources.opening import open_source
from pipeline.types import Detections, Image
from sinks.files.mot import MotSink
from trackers.factory import DEFAULT_TRACKER, create_tracker

INPUT_SIZE = 416
CONFIDENCE = 0.25


class Remembering:
    """A detector that looks at a clip once and says the same again on every further pass over it."""

    def __init__(self, detector: YoloDetector) -> None:
        self._detector = detector
        self._found: list[Detections] = []
        self._next = 0
        self.class_names = detector.class_names
        self.precision = detector.precision

    def rewind(self) -> None:
        self._next = 0

    def detect(self, images: Sequence[Image]) -> list[Detections]:
        if self._next == len(self._found):
            self._found += self._detector.detect(images)
        first, self._next = self._next, self._next + len(images)
        return self._found[first : self._next]

    def warm_up(self, height: int, width: int) -> tuple[int, int]:
        return self._detector.warm_up(height, width)


@pytest.fixture(scope="module")
def detector(tiny_weights: Path, eval_dir: Path) -> Remembering:
    lowest = min(CONFIDENCE, create_tracker().lowest_score)
    return Remembering(
        YoloDetector(weights=tiny_weights, input_size=INPUT_SIZE, confidence=lowest, precision="float32")
    )


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("tracker", "least"),
    [
        ("sort", {"MOTA": 60.0}),
        (DEFAULT_TRACKER, {"HOTA": 44.0, "IDF1": 58.0, "MOTA": 67.0}),
    ],
)
def test_persons_of_a_real_clip_are_tracked_as_well_as_promised(
    tracker: str, least: dict[str, float], detector: Remembering, eval_dir: Path, tmp_path: Path
) -> None:
    detector.rewind()
    stream = Stream(
        source=open_source(str(eval_dir / "videos" / "vtest.avi")),
        tracker=create_tracker(tracker, confidence=CONFIDENCE),
        filters=make_filters(detector.class_names, classes=["person"]),
        sinks=[MotSink(tmp_path / "tracks.txt")],
    )
    report = Pipeline(stream, detector).run()
    assert report.streams["vtest"].processed == 795
    figures = score(tmp_path / "tracks.txt", eval_dir / "mot15" / "PETS09-S2L1")
    assert {name: figures[name] for name in least if figures[name] < least[name]} == {}, figures
