"""What one detector costs of another's time: per picture, and in whole runs that write events only.

    python -m benchmarks.compare_detectors VIDEO --weights yolox_nano.onnx [--against tiny-yolov3] [--runs 3]

Both take turns, so that what else the machine does is the same for both; both compute in float32.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import statistics
import subprocess
import sys
import tempfile
import time
from itertools import islice
from pathlib import Path
from typing import Any

from pipeline.detection.base import ImageDetector
from pipeline.detection.factory import create_detector
from pipeline.errors import PipelineError
from pipeline.models.custom import choose_model
from pipeline.models.registry import DEFAULT_MODEL
from pipeline.sources.opening import open_source
from pipeline.types import Image

_ROOT = Path(__file__).resolve().parents[1]
_WARM = 30  # calls, after which the network is compiled for the video's shape


def picture_ratio(
    first: ImageDetector[Any, Any], second: ImageDetector[Any, Any], images: list[Image], rounds: int
) -> list[float]:
    """The first's time divided by the second's, of one call after the other with the same images."""
    for detector in (first, second):
        for _ in range(_WARM):
            detector.detect(images)
    ratios = []
    for _ in range(rounds):
        seconds = []
        for detector in (first, second):
            begun_s = time.perf_counter()
            detector.detect(images)
            seconds.append(time.perf_counter() - begun_s)
        ratios.append(seconds[0] / seconds[1])
        told = " and ".join(f"{1000 * taken_s / len(images):.1f} ms" for taken_s in seconds)
        print(told, file=sys.stderr)
    return ratios


def run_fps(video: str, model: list[str]) -> float:
    """Frames per second of a whole run that writes nothing but events."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        outputs = ["--jsonl", str(Path(folder) / "events.jsonl"), "--report", str(report)]
        command = [sys.executable, str(_ROOT / "run_pipeline.py"), "run", video, *model, *outputs]
        subprocess.run([*command, "--precision", "float32", "--quiet"], check=True, capture_output=True)
        fps: float = json.loads(report.read_text())["fps"]
        return fps


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("video")
    parser.add_argument("--weights", required=True, help="the ONNX network to time")
    parser.add_argument("--against", default=DEFAULT_MODEL, help="a model of the catalogue (%(default)s)")
    parser.add_argument(
        "--rounds", type=int, default=30, help="of single pictures, and of four at a time (%(default)s)"
    )
    parser.add_argument("--runs", type=int, default=3, help="whole runs of each (%(default)s)")
    options = parser.parse_args()
    try:
        chosen = choose_model(DEFAULT_MODEL, weights=options.weights)
        with (
            contextlib.closing(create_detector(chosen, precision="float32")) as first,
            contextlib.closing(create_detector(options.against, precision="float32")) as second,
            open_source(options.video) as source,
        ):
            images = [frame.image for frame in islice(source, 4)]
            for count in (1, 4):
                ratios = picture_ratio(first, second, images[:count], options.rounds)
                print(f"time per picture, {count} at a time: {statistics.median(ratios):.2f} of {options.against}'s")
        rates = [
            (
                run_fps(options.video, ["--weights", options.weights]),
                run_fps(options.video, ["--model", options.against]),
            )
            for _ in range(options.runs)
        ]
    except PipelineError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    told = ", ".join(f"{first_fps:.0f} and {second_fps:.0f}" for first_fps, second_fps in rates)
    gain = statistics.median(first_fps / second_fps for first_fps, second_fps in rates)
    print(f"whole runs, frames per second: {told}; {gain:.2f} times {options.against}'s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
