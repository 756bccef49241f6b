"""What it delays that a second look has to confirm crossings and visits, and what it keeps out of the counts.

    python -m benchmarks.confirmation [CLIP ...]

Needs evaluation data in the folder ``SIGHTLINE_EVAL``. Each clip is detected and tracked at every frame, every third
and every tenth; over its picture lie three level and three upright lines and a grid of nine zones. The delay is the
media time from when something happened to the frame whose events tell it. What would be told if every look were
believed comes from the same tracks.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from unittest.mock import patch

if __name__ == "__main__":  # run as a file, from wherever
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.machine import describe, machine
from benchmarks.throughput import EVAL_VARIABLE
from pipeline.analytics.confirmation import Change, Sides
from pipeline.analytics.event_stamper import EventStamper
from pipeline.analytics.lines import Line
from pipeline.analytics.stream_analytics import StreamAnalytics, hold_for
from pipeline.analytics.zones import Zone
from pipeline.detection.yolov3.detector import YoloDetector
from pipeline.events import Event, LineCrossed, ZoneEntered, ZoneLeft
from pipeline.sources.opening import open_source
from pipeline.types import SourceInfo, TrackedFrame
from trackers.factory import create_tracker

CLIPS = ("vtest.avi", "TUD-Campus.mp4", "traffic-mini.mp4", "one-by-one-person-detection.mp4")
PLACES = (0.25, 0.5, 0.75)
THIRDS = (0.0, 1 / 3, 2 / 3)


class AtOnce(Sides):
    """Believes every look."""

    def _weigh(self, key: tuple[int, int], seen: Change) -> list[Change]:
        self._side.values[key] = seen.side
        return [seen]


def tracked(clip: Path, detector: YoloDetector, every: int) -> tuple[list[TrackedFrame], SourceInfo]:
    """The frames that were looked at, without their pictures' content."""
    tracker = create_tracker()
    frames: list[TrackedFrame] = []
    with open_source(str(clip), stream=clip.stem) as source:
        for frame in source:
            if frame.index % every == 0:
                (found,) = detector.detect([frame.image])
                frames.append(
                    TrackedFrame(frame, found, tracker.update(found, frame.pts_s, frame.image), tracker.ended)
                )
        return frames, source.info


def told(frames: Sequence[TrackedFrame], info: SourceInfo, names: Sequence[str]) -> Iterator[tuple[float, Event]]:
    """Every event of zones and lines, with the media time of the frame that told it."""
    level = [Line(f"level {at}", (0, at), (1, at), units="fraction") for at in PLACES]
    upright = [Line(f"upright {at}", (at, 0), (at, 1), units="fraction") for at in PLACES]
    third = 1 / 3
    zones = [
        Zone(
            f"zone {x:.2f} {y:.2f}", [(x, y), (x + third, y), (x + third, y + third), (x, y + third)], units="fraction"
        )
        for x in THIRDS
        for y in THIRDS
    ]
    counter = StreamAnalytics(
        "clip", names, stamper=EventStamper(), lines=[*level, *upright], zones=zones, hold_s=hold_for(info)
    )
    kinds = (LineCrossed, ZoneEntered, ZoneLeft)
    for frame in frames:
        yield from ((frame.frame.pts_s, event) for event in counter.update(frame) if isinstance(event, kinds))
    yield from ((frames[-1].frame.pts_s, event) for event in counter.finish() if isinstance(event, kinds))


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", nargs="*", help=f"names in {EVAL_VARIABLE}/videos; default: {' '.join(CLIPS)}")
    chosen = parser.parse_args().clips or CLIPS
    print(describe(machine()), end="\n\n")
    videos = Path(os.environ[EVAL_VARIABLE]) / "videos"
    detector = YoloDetector("tiny-yolov3", confidence=create_tracker().lowest_score)
    print("| clip | looks a second | crossings (every look believed) | zone events | at once | delay: mean, p95, max |")
    print("|---|---|---|---|---|---|")
    for clip in chosen:
        for every in (1, 3, 10):
            frames, info = tracked(videos / clip, detector, every)
            confirmed = list(told(frames, info, detector.class_names))
            with patch("pipeline.analytics.zones.Sides", AtOnce):
                naive = list(told(frames, info, detector.class_names))
            delays = sorted(at - event.pts_s for at, event in confirmed)
            at_once = sum(delay == 0 for delay in delays) / len(delays)
            lines, all_lines = (sum(isinstance(event, LineCrossed) for _, event in some) for some in (confirmed, naive))
            rate = len(frames) / (frames[-1].frame.pts_s - frames[0].frame.pts_s)
            print(
                f"| {clip} | {rate:.1f} | {lines} ({all_lines}) | {len(confirmed) - lines} ({len(naive) - all_lines}) "
                f"| {at_once:.0%} | {statistics.mean(delays):.3f}, {delays[int(0.95 * len(delays))]:.2f}, "
                f"{delays[-1]:.2f} s |"
            )


if __name__ == "__main__":
    main()
