"""What the loop of the library costs beside the same run without it.

    python -m benchmarks.loop [--clip C] [--rounds 5] [--json X.json]

Both runs write every event of a clip to a file, with the same network, which stays loaded: one as the command line does
it, one as ``for result in sightline.analyze(...)`` with a body that reads each result's objects. They take turns, and
ratios are taken within a round.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

if __name__ == "__main__":  # run as a file, from wherever
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.machine import describe, machine
from benchmarks.throughput import default_clips
from pipeline.interfaces import DetectorLike
from sightline.composition.pipeline import build_pipeline
from sightline.config.loading import load_config
from sightline.library.analysis import analyze


def without_loop(clip: Path, events: Path, detector: DetectorLike | None) -> tuple[float, DetectorLike]:
    """Frames per second of the run alone, and its detector."""
    config = load_config(None, options={"source": clip, "output": {"jsonl": events}})
    pipeline = build_pipeline(config, detector=detector)
    begun_s = time.perf_counter()
    report = pipeline.run()
    frames = sum(stream.processed for stream in report.streams.values())
    return frames / (time.perf_counter() - begun_s), pipeline.detector


def with_loop(clip: Path, events: Path, detector: DetectorLike) -> float:
    """Frames per second of the loop, from its first result on, as the run's from its first frame."""
    frames = seen = 0
    begun_s = time.perf_counter()
    for result in analyze(clip, jsonl=events, detector=detector):
        frames += 1
        seen += len(result.objects)
    return frames / (time.perf_counter() - begun_s)


def measure(clip: Path, rounds: int) -> dict[str, list[float]]:
    """Frames per second of each, by round; one round before is not counted."""
    found: dict[str, list[float]] = {"run": [], "loop": []}
    with tempfile.TemporaryDirectory() as folder:
        _, detector = without_loop(clip, Path(folder) / "first.jsonl", None)
        for number in range(rounds + 1):
            run, _ = without_loop(clip, Path(folder) / f"run-{number}.jsonl", detector)
            loop = with_loop(clip, Path(folder) / f"loop-{number}.jsonl", detector)
            if number:
                found["run"].append(run)
                found["loop"].append(loop)
    return found


def show(found: Mapping[str, Sequence[float]]) -> str:
    """The median of each, and of the ratio within a round."""
    lines = [f"{name:5} {statistics.median(rates):7.1f} frames/s" for name, rates in found.items()]
    ratios = [loop / run for run, loop in zip(found["run"], found["loop"], strict=True)]
    lines.append(f"loop / run {statistics.median(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f})")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clip", type=Path, default=None, help="default: the first clip of benchmarks.throughput")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args(arguments)
    clip = given.clip or default_clips()[0]
    here = machine()
    print(f"{describe(here)}\n{clip.name}")
    found = measure(clip, given.rounds)
    print(show(found))
    if given.json is not None:
        given.json.write_text(json.dumps({"machine": here, "clip": clip.name, "frames_per_s": found}, indent=2) + "\n")


if __name__ == "__main__":
    main()
