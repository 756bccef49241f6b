"""The same detections give the same events, to the byte, but for what names the run and the time of day."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from pipeline.analytics.lines import Line
from pipeline.analytics.options import AnalyticsOptions
from pipeline.analytics.zones import Zone
from pipeline.detection.yolov3.detector import YoloDetector
from pipeline.interfaces import Detector
from pipeline.runtime.pipeline import Pipeline
from pipeline.runtime.streams.stream import Stream
from pipeline.sources.opening import open_source
from pipeline.types import Detections, Image
from sinks.files.jsonl import JsonlSink
from trackers.factory import create_tracker


class Recorded(Detector):
    """Plays a detector's findings back, frame after frame."""

    precision = "recorded"

    def __init__(self, class_names: Sequence[str], found: Sequence[Detections]) -> None:
        self.class_names = class_names
        self._found = found
        self._next = 0

    def detect(self, images: Sequence[Image]) -> list[Detections]:
        first, self._next = self._next, self._next + len(images)
        return list(self._found[first : self._next])


def test_a_clip_run_twice_gives_the_same_events(demo_clip: Path, tiny_weights: Path, tmp_path: Path) -> None:
    detector = YoloDetector(weights=tiny_weights, confidence=create_tracker().lowest_score, precision="float32")
    with open_source(str(demo_clip)) as source:
        found = [detections for frame in source for detections in detector.detect([frame.image])]
    assert len(found) == 250
    texts = []
    for number, batch in enumerate((4, 1)):  # how frames fall into batches must not matter either
        path = tmp_path / f"{number}.jsonl"
        zone = Zone("middle", [(0.2, 0.3), (0.8, 0.3), (0.8, 1.0), (0.2, 1.0)], units="fraction")
        line = Line("centre", (0.5, 0.0), (0.5, 1.0), units="fraction")
        stream = Stream(
            source=open_source(str(demo_clip)),
            tracker=create_tracker(),
            sinks=[JsonlSink(path)],
            analytics=AnalyticsOptions(zones=[zone], lines=[line]),
        )
        Pipeline(stream, Recorded(detector.class_names, found), batch=batch).run()
        texts.append(re.sub(r'"(run|wall)":"[^"]*"', "", path.read_text()))
    assert texts[0] == texts[1]
    for kind in ("track.started", "zone.entered", "line.crossed", "window.second"):
        assert f'"type":"{kind}"' in texts[0]
