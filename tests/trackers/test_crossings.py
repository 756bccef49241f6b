"""People who walk past each other and are hidden meanwhile, with known answers: nobody swaps or loses an id."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from pipeline.geometry.boxes import iou_matrix
from pipeline.sampling.settling import TrackSettler
from pipeline.types import Detections, Frame, TrackedFrame, Tracks
from trackers.factory import create_tracker

PICTURE = np.zeros((1, 1, 3), np.uint8)
MIDDLE, SECONDS = 400.0, 6.0


@dataclass(frozen=True)
class Walker:
    """Crosses the middle after half of the time; lower in the picture is nearer to the camera, and larger."""

    feet: float
    speed: float  # px/s, to the right

    def box(self, time_s: float) -> list[float]:
        height = 0.35 * self.feet
        left = MIDDLE + self.speed * (time_s - SECONDS / 2) - 0.2 * height
        return [left, self.feet - height, left + 0.4 * height, self.feet]


def seen(walkers: Sequence[Walker], time_s: float, random: np.random.Generator) -> Detections:
    """Each is detected unless one who is nearer hides half of it; boxes are off by 1% of the height."""
    boxes = np.array([walker.box(time_s) for walker in walkers])
    order = np.argsort([-walker.feet for walker in walkers])
    shown: list[int] = []
    for one in order.tolist():
        if not shown or hidden_part(boxes[one], boxes[shown]) < 0.5:
            shown.append(one)
    noise = random.normal(0, 0.01, (len(shown), 4)) * (boxes[shown, 3] - boxes[shown, 1])[:, None]
    found = (boxes[shown] + noise).astype(np.float32)
    return Detections(found, random.uniform(0.6, 0.9, len(shown)).astype(np.float32), np.zeros(len(shown), np.int32))


def hidden_part(box: NDArray[np.float64], nearer: NDArray[np.float64]) -> float:
    sides = np.minimum(box[2:], nearer[:, 2:]) - np.maximum(box[:2], nearer[:, :2])
    return float(np.clip(sides, 0, None).prod(axis=1).max() / (box[2:] - box[:2]).prod())


def whose(walkers: Sequence[Walker], tracks: Tracks, time_s: float) -> dict[int, int]:
    """The walker, by number, that each track is on, by id."""
    boxes = np.array([walker.box(time_s) for walker in walkers])
    overlap = iou_matrix(tracks.xyxy, boxes)
    return {int(key): int(np.argmax(row)) for key, row in zip(tracks.track_id, overlap, strict=True) if row.max() > 0.5}


def ids_of(walkers: Sequence[Walker], fps: float, seed: int, *, hindsight: bool) -> dict[int, set[int]]:
    """Ids that each walker had, while nobody was near another."""
    tracker, settler, random = create_tracker(), TrackSettler(), np.random.default_rng(seed)
    shown: list[tuple[float, Tracks]] = []
    for index in range(round(SECONDS * fps)):
        time_s = index / fps
        found = seen(walkers, time_s, random)
        tracks = tracker.update(found, time_s)
        if not hindsight:
            shown.append((time_s, tracks))
            continue
        frame = TrackedFrame(Frame(PICTURE, index, time_s, 0.0, "clip"), found, tracks, tracker.ended)
        shown += [(out.frame.pts_s, out.tracks) for out in settler.add(frame, tracker.sighted)]
    shown += [(out.frame.pts_s, out.tracks) for out in settler.flush()]
    ids = defaultdict(set)
    for time_s, tracks in shown:
        for key, walker in whose(walkers, tracks, time_s).items():
            if abs(time_s - SECONDS / 2) > 1.5:
                ids[walker].add(key)
    return ids


walkers = st.lists(st.floats(60, 160), min_size=2, max_size=4).flatmap(
    lambda speeds: st.permutations(range(len(speeds))).map(
        lambda lanes: [
            # Neighbours in depth walk in opposite directions, so that everyone meets everyone in the middle.
            Walker(feet=300.0 + 55.0 * lane, speed=speed if lane % 2 else -speed)
            for lane, speed in zip(lanes, speeds, strict=True)
        ]
    )
)


@settings(max_examples=25, deadline=None)
@given(walkers=walkers, fps=st.sampled_from([10.0, 25.0]), seed=st.integers(0, 1000), hindsight=st.booleans())
def test_everyone_keeps_one_id(walkers: list[Walker], fps: float, seed: int, hindsight: bool) -> None:
    ids = ids_of(walkers, fps, seed, hindsight=hindsight)
    assert sorted(ids) == list(range(len(walkers)))
    assert all(len(each) == 1 for each in ids.values())
    assert len(set.union(*ids.values())) == len(walkers)
