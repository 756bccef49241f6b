"""What each stage costs per frame, alone and all together: time, and processor time of all threads.

    python -m benchmarks.stages [--clip C] [--frames N] [--runs 3] [--json X.json]

Every stage runs by itself over what the stage before it produced once, so that nothing else competes with it. "All
but the network" is a whole run without video in which the network's outputs are played back from memory: decoding,
queueing, letterboxing, boxes, suppression, tracking, analytics and events are real. What it costs more than its stages
is the loop's own overhead. A lower ``--confidence`` makes more objects of the same clip.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np

if __name__ == "__main__":  # run as a file, from wherever
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.machine import describe, machine
from benchmarks.throughput import default_clips
from pipeline.analytics.event_stamper import EventStamper
from pipeline.analytics.stream_analytics import StreamAnalytics, hold_for
from pipeline.detection.frames import FrameDetector
from pipeline.detection.yolov3.detector import YoloDetector
from pipeline.errors import PipelineError
from pipeline.events import Event
from pipeline.images.letterbox import Letterbox
from pipeline.interfaces import Sink, Tracker
from pipeline.models.registry import DEFAULT_CONFIDENCE
from pipeline.runtime.pipeline import Pipeline
from pipeline.runtime.streams.stream import Stream
from pipeline.sources.opening import open_source
from pipeline.types import Detections, Float32Array, Frame, Image, SourceInfo, TrackedFrame
from sightline.config.schema import Config
from sinks.drawing.annotator import Annotator
from sinks.files.jsonl import JsonlSink
from sinks.video.mp4 import Mp4Sink
from trackers.factory import create_tracker

# What a playback of the network's outputs can hold of a long clip.
_MOST_FRAMES = 300


@dataclass(frozen=True, slots=True)
class StageCost:
    """Milliseconds per frame: the time and the processor time of the median run, and the shortest time of any."""

    wall_ms: float
    cpu_ms: float
    best_ms: float


class Recorded:
    """Everything that the stages pass on for one clip, made once.

    Attributes:
        frames: decoded.
        tracked: what the drawing and the outputs get.
        events: per frame.
        heads: the network's outputs for all frames, one array per head.
    """

    def __init__(self, clip: Path, limit: int, detector: YoloDetector, batch: int, confidence: float) -> None:
        self.clip = clip
        self.confidence = confidence
        self.detector = detector
        self.batch = batch
        self.looker = FrameDetector(detector)
        with open_source(str(clip), reduce_to=detector.input_size) as source:
            self.info: SourceInfo = source.info
            self.stream = source.stream
            self.frames: list[Frame] = list(islice(source, limit))
        height, width = self.frames[0].height, self.frames[0].width
        self.shape = detector.warm_up(height, width, batch)
        reduced = self.reduced(self.frames[0])
        self.letterbox = Letterbox.padded(reduced.shape[0], reduced.shape[1], (height, width), 32)
        self.inputs = np.empty((len(self.frames), *self.shape, 3), np.uint8)
        for frame, place in zip(self.frames, self.inputs, strict=True):
            self.letterbox.draw(self.reduced(frame), place)
        self.convert = {frame.index: frame._image for frame in self.frames if callable(frame._image)}
        parts = [detector.engine.heads(self.inputs[start : start + batch]) for start in self.starts()]
        self.heads: list[Float32Array] = [np.concatenate(head) for head in zip(*parts, strict=True)]
        self.detections = [found for start in self.starts() for found in self.look(start)]
        self.tracked = list(self._track())
        analytics = self.analytics()
        self.events: list[list[Event]] = [analytics.update(tracked) for tracked in self.tracked]

    def starts(self) -> range:
        """Where batches begin."""
        return range(0, len(self.frames), self.batch)

    def look(self, start: int) -> list[Detections]:
        """Detections of one batch."""
        frames = self.frames[start : start + self.batch]
        return self.looker.look(frames, [None] * len(frames))

    @staticmethod
    def reduced(frame: Frame) -> Image:
        """What the detector is shown."""
        assert frame.reduced is not None
        return frame.reduced

    def tracker(self) -> Tracker:
        """The default one, new."""
        return create_tracker(confidence=self.confidence)

    def analytics(self) -> StreamAnalytics:
        """As a run makes them, without zones and lines."""
        frame_s = float(1 / self.info.fps) if self.info.fps else 0.04
        return StreamAnalytics(
            self.stream,
            self.detector.class_names,
            stamper=EventStamper(),
            hold_s=hold_for(self.info),
            frame_s=frame_s,
        )

    @contextmanager
    def playback(self) -> Iterator[None]:
        """The network returns what it returned for these frames, at no cost."""
        position = 0

        def heads(images: Image) -> list[Float32Array]:
            nonlocal position
            start = position % len(self.frames)
            position += len(images)
            return [head[start : start + len(images)] for head in self.heads]

        with (
            patch.object(self.detector.engine, "heads", heads),
            patch.object(self.detector, "warm_up", self._no_warm_up),
        ):
            yield

    def _no_warm_up(self, height: int, width: int, batch: int = 1) -> tuple[int, int]:
        return self.shape

    def _track(self) -> Iterator[TrackedFrame]:
        tracker = self.tracker()
        for frame, found in zip(self.frames, self.detections, strict=True):
            tracks = tracker.update(found, frame.pts_s)
            yield TrackedFrame(frame, found, tracks, tracker.ended)


def stages(recorded: Recorded, folder: Path) -> dict[str, Callable[[], object]]:
    """What runs each stage over all the frames, by name."""

    def decode() -> None:
        with open_source(str(recorded.clip), reduce_to=recorded.detector.input_size) as source:
            for frame in islice(source, len(recorded.frames)):
                recorded.reduced(frame)

    def convert() -> None:
        # Each once more, as when an output first asks for them.
        for frame in recorded.frames:
            recorded.convert[frame.index]()

    def letterbox() -> None:
        for frame, place in zip(recorded.frames, recorded.inputs, strict=True):
            recorded.letterbox.draw(recorded.reduced(frame), place)

    def network() -> None:
        for start in recorded.starts():
            recorded.detector.engine.heads(recorded.inputs[start : start + recorded.batch])

    def detect_without_network() -> None:
        with recorded.playback():
            for start in recorded.starts():
                recorded.look(start)

    def track() -> None:
        tracker = recorded.tracker()
        for frame, found in zip(recorded.frames, recorded.detections, strict=True):
            tracker.update(found, frame.pts_s)

    def analytics() -> None:
        counting = recorded.analytics()
        for tracked in recorded.tracked:
            counting.update(tracked)

    def events() -> None:
        _into(JsonlSink(folder / "stage.jsonl"), recorded, with_frames=False)

    def draw() -> None:
        annotator = Annotator(recorded.detector.class_names)
        picture = np.empty_like(recorded.frames[0].image)
        for tracked in recorded.tracked:
            annotator.draw(tracked, out=picture)

    def encode() -> None:
        _into(Mp4Sink(folder / "stage.mp4", annotate=None), recorded, with_frames=True)

    return {
        "decode, and reduce to the network's size": decode,
        "whole picture to BGR, where an output wants it": convert,
        "letterbox": letterbox,
        "network": network,
        "letterbox, boxes and suppression": detect_without_network,
        "track": track,
        "analytics": analytics,
        "events to JSONL": events,
        "draw": draw,
        "encode H.264": encode,
    }


def wholes(recorded: Recorded, folder: Path) -> dict[str, Callable[[], object]]:
    """The same for whole runs, by name."""
    seconds = recorded.frames[-1].pts_s + 1e-3

    def run(*sinks: Sink) -> None:
        source = open_source(str(recorded.clip), reduce_to=recorded.detector.input_size)
        stream = Stream(source=source, tracker=recorded.tracker(), duration_s=seconds)
        Pipeline(stream, recorded.detector, sinks=sinks, batch=recorded.batch).run()

    def without_network() -> None:
        with recorded.playback():
            run(JsonlSink(folder / "whole.jsonl"))

    return {
        "all but the network, no video": without_network,
        "whole run, events only": lambda: run(JsonlSink(folder / "whole.jsonl")),
        "whole run, MP4 and events": lambda: run(Mp4Sink(folder / "whole.mp4"), JsonlSink(folder / "whole.jsonl")),
    }


def time_stages(works: dict[str, Callable[[], object]], frames: int, runs: int) -> dict[str, StageCost]:
    """Run each ``runs`` times in turn (and once before, unmeasured), for the cost per frame."""
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in works}
    for number in range(runs + 1):
        for name, work in works.items():
            wall, cpu = time.perf_counter(), time.process_time()
            work()
            if number:
                taken[name].append((time.perf_counter() - wall, time.process_time() - cpu))
    return {
        name: StageCost(
            wall_ms=1000 * statistics.median(wall for wall, _ in times) / frames,
            cpu_ms=1000 * statistics.median(cpu for _, cpu in times) / frames,
            best_ms=1000 * min(wall for wall, _ in times) / frames,
        )
        for name, times in taken.items()
    }


def sums(costs: dict[str, StageCost]) -> dict[str, float]:
    """Milliseconds of processor time per frame of what is outside the network, and what follows from that."""
    without = costs["all but the network, no video"].cpu_ms
    parts = (
        "decode, and reduce to the network's size",
        "letterbox, boxes and suppression",
        "track",
        "analytics",
        "events to JSONL",
    )
    whole = costs["whole run, events only"]
    return {
        "everything outside the network, no video, summed over the stages": sum(costs[name].cpu_ms for name in parts),
        "the same in one run": without,
        "the loop's own overhead": without - sum(costs[name].cpu_ms for name in parts),
        "drawing": costs["draw"].cpu_ms,
        "network's share of the processor time of a run without video": costs["network"].cpu_ms / whole.cpu_ms,
    }


def _into(sink: Sink, recorded: Recorded, *, with_frames: bool) -> None:
    """All frames or all events into a sink of their own."""
    sink.open(recorded.stream, recorded.info, recorded.detector.class_names)
    if with_frames:
        for tracked in recorded.tracked:
            sink.on_frame(tracked)
    else:
        for events in recorded.events:
            for event in events:
                sink.on_event(event)
    sink.close()


def measure(clip: Path, frames: int, runs: int, confidence: float = DEFAULT_CONFIDENCE) -> dict[str, Any]:
    """Everything about one clip, ready for JSON."""
    model = Config().model
    detector = YoloDetector(
        model.name,
        **model.model_dump(include={"input_size", "square", "precision", "iou"}, exclude_none=True),
        confidence=confidence,
        batch_size=model.batch,
    )
    recorded = Recorded(clip, min(frames, _MOST_FRAMES), detector, model.batch, confidence)
    count = len(recorded.frames)
    with tempfile.TemporaryDirectory() as folder:
        works = stages(recorded, Path(folder)) | wholes(recorded, Path(folder))
        costs = time_stages(works, count, runs)
    return {
        "clip": clip.name,
        "size": [recorded.frames[0].width, recorded.frames[0].height],
        "frames": count,
        "runs": runs,
        "objects_per_frame": round(statistics.mean(len(tracked.tracks) for tracked in recorded.tracked), 1),
        "events_per_frame": round(statistics.mean(len(events) for events in recorded.events), 1),
        "input_shape": list(recorded.shape),
        "batch": model.batch,
        "precision": detector.precision,
        "stages": {
            name: {"wall_ms": cost.wall_ms, "cpu_ms": cost.cpu_ms, "best_ms": cost.best_ms}
            for name, cost in costs.items()
        },
        "sums": sums(costs),
    }


def table(report: dict[str, Any]) -> str:
    """The figures as Markdown."""
    width, height = report["size"]
    lines = [
        f"{report['clip']}, {width}x{height}, {report['frames']} frames, {report['objects_per_frame']} objects and "
        f"{report['events_per_frame']} events per frame; network {report['input_shape']} in batches of "
        f"{report['batch']}, {report['precision']}; median of {report['runs']} runs",
        "",
        "| stage | ms/frame | CPU ms/frame | best ms/frame |",
        "|---|---:|---:|---:|",
    ]
    for name, cost in report["stages"].items():
        lines.append(f"| {name} | {cost['wall_ms']:.2f} | {cost['cpu_ms']:.2f} | {cost['best_ms']:.2f} |")
    lines += ["", *(f"{name}: {value:.2f}" for name, value in report["sums"].items())]
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clip", type=Path, help="default: the traffic clip, or the demo's")
    parser.add_argument("--frames", type=int, default=_MOST_FRAMES, help="at most these, from the start (%(default)s)")
    parser.add_argument("--runs", type=int, default=3, help="(%(default)s)")
    parser.add_argument("--confidence", type=float, default=DEFAULT_CONFIDENCE, help="smallest score (%(default)s)")
    parser.add_argument("--json", type=Path, help="write the figures here")
    options = parser.parse_args(arguments)
    here = machine()
    try:
        clip = options.clip or default_clips()[0]
        report = measure(clip, max(1, options.frames), max(1, options.runs), options.confidence)
    except PipelineError as error:
        print(f"stages: {error}", file=sys.stderr)
        return error.exit_code
    print(f"{describe(here)}\n\n{table(report)}")
    if options.json:
        options.json.write_text(json.dumps({"machine": here, **report}, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
