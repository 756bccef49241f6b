"""Pictures per second: many in one call beside one call for each, and beside one command for each.

    python -m benchmarks.pictures --images DIR [--count 100] [--batch 16] [--rounds 5]

All ways begin with the files' paths and end with detections, decoding included. The two inside one process take turns,
and the ratio is that of each round; the network has seen every input shape before the clock starts. Commands are timed
from their start to their end, so that loading TensorFlow counts. The results of all ways are compared.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

if __name__ == "__main__":  # run as a file, from wherever
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from pipeline.detection.image_files import DetectedImage, detect_images
from pipeline.detection.yolov3.detector import YoloDetector
from pipeline.errors import PipelineError
from pipeline.sources.image_folder import find_images
from pipeline.types import Detections

ROOT = Path(__file__).resolve().parents[1]


def one_by_one(detector: YoloDetector, files: Sequence[Path]) -> list[Detections]:
    """A call for each file."""
    return [detector.detect([file])[0] for file in files]


def together(detector: YoloDetector, files: Sequence[Path], batch: int) -> list[Detections]:
    """One call for all files."""
    found: list[Detections] = [Detections.empty()] * len(files)
    for picture in detect_images(detector, files, batch=batch):
        if not isinstance(picture, DetectedImage):
            raise picture.error
        found[picture.index] = picture.detections
    return found


def differences(first: Sequence[Detections], second: Sequence[Detections]) -> tuple[int, float, float]:
    """Pictures with other objects (by class, in order), and the largest difference of a box in pixels and of a score
    among the pictures that have the same."""
    others, boxes, scores = 0, 0.0, 0.0
    for one, other in zip(first, second, strict=True):
        if one.class_id.tolist() != other.class_id.tolist():
            others += 1
        elif len(one):
            boxes = max(boxes, float(np.abs(one.xyxy - other.xyxy).max()))
            scores = max(scores, float(np.abs(one.score - other.score).max()))
    return others, boxes, scores


def command(files: Sequence[Path], batch: int, precision: str) -> tuple[float, list[dict[str, Any]]]:
    """Seconds that ``run_pipeline.py detect`` takes for the files, and its results."""
    with tempfile.TemporaryDirectory() as folder:
        results = Path(folder) / "results.json"
        words = [sys.executable, ROOT / "run_pipeline.py", "detect", *files, "--json", results, "--quiet"]
        options = ["--batch", str(batch), "--precision", precision]
        began = time.perf_counter()
        subprocess.run([*map(str, words), *options], check=True)
        return time.perf_counter() - began, json.loads(results.read_text())["pictures"]


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", required=True, metavar="DIR", help="a folder or a pattern")
    parser.add_argument("--count", type=int, default=100, help="pictures (%(default)s)")
    parser.add_argument("--batch", type=int, default=16, help="pictures at once (%(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="turns of each way (%(default)s)")
    parser.add_argument("--commands", type=int, default=5, help="commands of one picture each (%(default)s)")
    parser.add_argument("--precision", default="auto", help="auto, float32 or bfloat16")
    options = parser.parse_args(arguments)
    try:
        files = find_images(options.images)[: options.count]
        detector = YoloDetector(batch_size=options.batch, precision=options.precision)
        alone, batched = one_by_one(detector, files), together(detector, files, options.batch)
    except PipelineError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    print(f"{len(files)} pictures, {detector.precision}, {detector.threads} threads, batches of {options.batch}")
    others, boxes, scores = differences(alone, batched)
    print(f"pictures with other objects: {others}; boxes differ by {boxes:.3f} px at most, scores by {scores:.5f}")
    seconds: dict[str, list[float]] = {"a call each": [], "one call": []}
    for _ in range(options.rounds):
        began = time.perf_counter()
        one_by_one(detector, files)
        between = time.perf_counter()
        together(detector, files, options.batch)
        seconds["a call each"].append(between - began)
        seconds["one call"].append(time.perf_counter() - between)
    for name, times in seconds.items():
        print(f"{name:14} {len(files) / statistics.median(times):7.1f} pictures/s")
    ratios = sorted(one / many for one, many in zip(*seconds.values(), strict=True))
    print(f"one call is {statistics.median(ratios):.2f} times as fast ({ratios[0]:.2f} to {ratios[-1]:.2f})")
    if options.commands:
        singles = [command([file], options.batch, options.precision)[0] for file in files[: options.commands]]
        whole, _ = command(files, options.batch, options.precision)
        single = statistics.median(singles)
        print(f"{'a command each':14} {1 / single:7.2f} pictures/s")
        print(
            f"{'one command':14} {len(files) / whole:7.2f} pictures/s: {single * len(files) / whole:.0f} times as fast"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
