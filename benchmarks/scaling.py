"""What a run costs as it gets larger: more streams, more objects, larger frames, more of them.

    python -m benchmarks.scaling [--parts streams,objects,size,length] [--runs 3] [--json X.json] [--plot X.png]

Each run is a process of its own, and each point the median of several, all points in turn. Streams and frame sizes use
real decoding and the real detector; objects and run length a detector that plays back boxes, frames from memory, the
default tracker, a zone and events to JSON Lines, so that what the network takes does not hide what they cost. Time and
processor time count from the first frame that went through; memory is the resident memory of the whole process.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, Self

import numpy as np
import psutil

if __name__ == "__main__":  # run as a file, from wherever
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.machine import describe, machine
from benchmarks.measure import ProgramError, run
from pipeline.analytics.options import AnalyticsOptions
from pipeline.analytics.zones import Zone
from pipeline.detection.factory import create_detector, reduced_side
from pipeline.interfaces import Detector, Sink, Source
from pipeline.models.registry import find_model
from pipeline.runtime.pipeline import Pipeline
from pipeline.runtime.streams.stream import Stream
from pipeline.sources.opening import open_source
from pipeline.types import Detections, Frame, Image, SourceInfo, TrackedFrame
from sinks.files.jsonl import JsonlSink
from tests.support.clips import write_clip
from trackers.factory import DEFAULT_TRACKER, create_tracker

POINTS: dict[str, tuple[int, ...]] = {
    "streams": (1, 2, 4, 8),
    "objects": (0, 10, 30, 100, 300),
    "size": (240, 480, 720, 1080, 2160),
    "length": (1_000, 2_000, 5_000, 10_000, 20_000),
}
"""What is measured by default; sizes are heights of 16:9 frames, lengths are frames of one run."""

_TITLES = {
    "streams": "streams of 640x360",
    "objects": "objects in a frame",
    "size": "height of 16:9 frames, px",
    "length": "frames processed",
}
_FIGURES = ("fps", "cpu_ms", "rss_mb")
_MODEL = "tiny-yolov3"
_FRAMES = {"streams": 100, "objects": 250, "size": 150}
_VISIT = 100  # frames that an object of the crowd is there


class Drawn:
    """A source of so many frames from memory: a few pictures of noise, again and again."""

    failed: Mapping[str, int] = {}

    def __init__(self, count: int, width: int, height: int, fps: int = 25) -> None:
        self.stream = "drawn"
        self.info = SourceInfo(width, height, fps=Fraction(fps), frame_count=count, uri="memory")
        self._count, self._fps = count, fps
        generator = np.random.default_rng(0)
        self._images: list[Image] = [generator.integers(0, 256, (height, width, 3), dtype=np.uint8) for _ in range(4)]

    def __iter__(self) -> Iterator[Frame]:
        for index in range(self._count):
            image = self._images[index % len(self._images)]
            yield Frame(image, index, index / self._fps, time.monotonic(), self.stream)

    def close(self) -> None:
        pass

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()


class Crowd(Detector):
    """Plays back a crowd: each object walks its own way for some seconds, goes, and another comes."""

    class_names = ("person",)
    precision = "none"

    def __init__(self, count: int, width: int, height: int) -> None:
        self._count, self._size = count, np.array([width, height])
        self._number = 0

    def detect(self, images: Sequence[Image]) -> list[Detections]:
        return [self._next() for _ in images]

    def _next(self) -> Detections:
        slots = np.arange(self._count)
        visit, at = np.divmod(self._number + slots * 7, _VISIT)
        start = np.stack([slots * 0.618 + visit * 0.41, slots * 0.382 + visit * 0.73], axis=1) % 1
        way = np.stack([np.cos(slots * 2.4), np.sin(slots * 2.4)], axis=1)
        side = np.sqrt(self._size.prod() / 400)
        corner = start * (self._size - side) + way * at[:, None]
        corner = np.clip(corner, 0, self._size - side - 1)
        self._number += 1
        xyxy = np.concatenate([corner, corner + side], axis=1).astype(np.float32)
        return Detections(xyxy, np.full(self._count, 0.9, np.float32), np.zeros(self._count, np.int32))


class Meter(Sink):
    """Notes time, processor time and memory at the first frame and at those that are asked for."""

    may_stall = False

    def __init__(self, at: Sequence[int] = ()) -> None:
        self.notes: list[dict[str, float]] = []
        self.frames = 0
        self._at = set(at)
        self._process = psutil.Process()

    def on_frame(self, tracked: TrackedFrame) -> None:
        self.frames += 1
        if self.frames == 1 or self.frames in self._at:
            self.note()

    def note(self) -> None:
        """Note where the run is now."""
        self.notes.append(
            {
                "frames": self.frames,
                "wall_s": time.monotonic(),
                "cpu_s": time.process_time(),
                "rss_mb": self._process.memory_info().rss / 1e6,
            }
        )


def measure_streams(count: int, folder: Path) -> dict[str, float]:
    """Several files at once, with the real detector."""
    clips = [_clip(folder / f"{number}.mp4", 640, 360, _FRAMES["streams"]) for number in range(count)]
    return _measure_files(clips, folder)


def measure_size(height: int, folder: Path) -> dict[str, float]:
    """A file with frames of 16:9, with the real detector."""
    clip = _clip(folder / "clip.mp4", -(-height * 16 // 9 // 2) * 2, height, _FRAMES["size"])
    return _measure_files([clip], folder)


def measure_objects(count: int, folder: Path) -> dict[str, float]:
    """So many objects in every frame, played back."""
    return _measure([Drawn(_FRAMES["objects"], 854, 480)], Crowd(count, 854, 480), folder)


def measure_length(frames: Sequence[int], folder: Path) -> list[dict[str, float]]:
    """One long run: per mark the memory then, and the cost of a frame since the mark before."""
    meter = Meter(frames)
    _run([Drawn(max(frames), 160, 120)], Crowd(10, 160, 120), meter, folder)
    points = []
    for before, after in zip(meter.notes, meter.notes[1:], strict=False):
        points.append({"value": after["frames"], **_since(before, after)})
    return points


def _clip(path: Path, width: int, height: int, count: int) -> Path:
    """Things that move over a scene that stands still."""
    generator = np.random.default_rng(1)
    coarse = generator.integers(60, 200, (height // 40 + 1, width // 40 + 1, 3), dtype=np.uint8)
    scene = np.ascontiguousarray(coarse.repeat(40, axis=0).repeat(40, axis=1)[:height, :width])

    def draw(number: int) -> Image:
        image = scene.copy()
        for row in range(4):
            left, top = (30 * row + 4 * number) % (width - 60), row * height // 4
            image[top : top + height // 6, left : left + 60] = (40 * row, 220, 90)
        return image

    return write_clip(path, count=count, size=(width, height), draw=draw)


def _run(sources: Sequence[Source], detector: Detector, meter: Meter, folder: Path) -> None:
    zone = Zone(name="half", polygon=((0, 0), (0.5, 0), (0.5, 1), (0, 1)), units="fraction")
    streams = [
        Stream(
            source=source,
            tracker=create_tracker(DEFAULT_TRACKER, confidence=0.25),
            analytics=AnalyticsOptions(zones=[zone], update_hz=5.0),
        )
        for source in sources
    ]
    Pipeline(streams, detector, sinks=[JsonlSink(folder / "events.jsonl"), meter]).run()


def _measure_files(clips: Sequence[Path], folder: Path) -> dict[str, float]:
    side = reduced_side(find_model(_MODEL))
    sources = [open_source(str(clip), stream=clip.stem, reduce_to=side) for clip in clips]
    return _measure(sources, create_detector(_MODEL), folder)


def _measure(sources: Sequence[Source], detector: Detector, folder: Path) -> dict[str, float]:
    meter = Meter()
    _run(sources, detector, meter, folder)
    meter.note()
    return _since(meter.notes[0], meter.notes[-1])


def _since(before: Mapping[str, float], after: Mapping[str, float]) -> dict[str, float]:
    frames = after["frames"] - before["frames"]
    return {
        "fps": round(frames / (after["wall_s"] - before["wall_s"]), 1),
        "cpu_ms": round((after["cpu_s"] - before["cpu_s"]) / frames * 1000, 3),
        "rss_mb": round(after["rss_mb"], 1),
    }


def point(part: str, value: int) -> list[dict[str, float]]:
    """One process's work: one point, or all points of the run length."""
    single: dict[str, Callable[[int, Path], dict[str, float]]] = {
        "streams": measure_streams,
        "objects": measure_objects,
        "size": measure_size,
    }
    with tempfile.TemporaryDirectory() as folder:
        if part == "length":
            marks = [mark for mark in POINTS["length"] if mark < value]
            return measure_length([*marks, value], Path(folder))
        return [{"value": value, **single[part](value, Path(folder))}]


def measure_part(part: str, values: Sequence[int], runs: int) -> list[dict[str, float]]:
    """Every point of a part, the median of several runs."""
    rounds: list[list[dict[str, float]]] = []
    for _ in range(runs):
        rounds.append([])
        for value in values:
            command = [sys.executable, "-m", "benchmarks.scaling", "--point", part, str(value)]
            rounds[-1] += run(command).said["points"]
    return [
        entries[0] | {key: round(statistics.median(entry[key] for entry in entries), 3) for key in _FIGURES}
        for entries in zip(*rounds, strict=True)
    ]


def table(part: str, points: Sequence[Mapping[str, float]]) -> str:
    """A part as a Markdown table."""
    lines = [f"| {_TITLES[part]} | frames/s, all streams | CPU ms/frame | memory MB |", "|---:|---:|---:|---:|"]
    for row in points:
        lines.append(f"| {row['value']:,} | {row['fps']:.1f} | {row['cpu_ms']:.2f} | {row['rss_mb']:.0f} |")
    return "\n".join(lines)


def plot(parts: Mapping[str, Sequence[Mapping[str, float]]], path: Path) -> None:
    """All parts as one picture: processor time per frame and memory, each over what grows."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 3.1 * len(parts)), layout="constrained")
    grid = figure.subplots(len(parts), 2, squeeze=False)
    for row, (part, points) in zip(grid, parts.items(), strict=True):
        values = [entry["value"] for entry in points]
        for axes, key, label in ((row[0], "cpu_ms", "CPU ms per frame"), (row[1], "rss_mb", "resident memory, MB")):
            heights = [entry[key] for entry in points]
            axes.plot(values, heights, marker="o", color="#1f5fa8" if key == "cpu_ms" else "#a8521f")
            axes.set_ylim(0, max(heights) * 1.15)
            axes.set_xlabel(_TITLES[part])
            axes.set_ylabel(label)
            axes.grid(alpha=0.3)
            ticks = _apart(values)
            axes.set_xticks(ticks, [f"{value:,}" for value in ticks])
    figure.savefig(path, dpi=90)


def _apart(values: Sequence[float]) -> list[float]:
    """Those of the ascending values whose labels have room beside each other."""
    kept: list[float] = []
    for value in reversed(values):
        if not kept or kept[-1] - value > 0.08 * (values[-1] - values[0]):
            kept.append(value)
    return kept[::-1]


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", default=",".join(POINTS), help="names, separated by commas (%(default)s)")
    parser.add_argument("--runs", type=int, default=3, help="of each point (%(default)s)")
    parser.add_argument("--frames", type=int, default=POINTS["length"][-1], help="of the long run (%(default)s)")
    parser.add_argument("--json", type=Path, help="write everything measured here; parts that are there are kept")
    parser.add_argument("--plot", type=Path, help="draw it as a picture (needs matplotlib)")
    parser.add_argument("--point", nargs=2, metavar=("PART", "VALUE"), help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.point:
        print(json.dumps({"points": point(options.point[0], int(options.point[1]))}))
        return 0
    chosen = [part.strip() for part in options.parts.split(",") if part.strip()]
    if unknown := [part for part in chosen if part not in POINTS]:
        print(f"scaling: no part {unknown[0]!r}; there are {', '.join(POINTS)}", file=sys.stderr)
        return 2
    report: dict[str, Any] = {"machine": machine(), "parts": {}}
    if options.json and options.json.exists():
        report["parts"] = json.loads(options.json.read_text())["parts"]
    for part in chosen:
        values = (options.frames,) if part == "length" else POINTS[part]
        try:
            points = measure_part(part, values, options.runs)
        except ProgramError as error:
            print(f"scaling: {part}: {error}", file=sys.stderr)
            return 1
        report["parts"][part] = points
        print(f"{table(part, points)}\n", flush=True)
    print(describe(report["machine"]))
    if options.json:
        options.json.write_text(json.dumps(report, indent=2) + "\n")
    if options.plot:
        plot({part: report["parts"][part] for part in POINTS if part in report["parts"]}, options.plot)
    return 0


if __name__ == "__main__":
    sys.exit(main())
