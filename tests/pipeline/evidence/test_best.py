"""The best picture of each object, against what is said of it, step by step and without bounds."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import hypothesis.strategies as st
import numpy as np
from hypothesis import given, settings

from pipeline.evidence.best import BestPictures, RecentLooks
from pipeline.evidence.quality import promise, sharpness
from pipeline.types import Float64Array, Frame, TrackedFrame
from tests.support.tracked_frames import Shown, tracked_frame

WIDTH, HEIGHT = 64, 48


@dataclass(eq=False)
class Kept:
    """A frame as it is kept here: by its number, and as large as is said."""

    tracked: TrackedFrame
    nbytes: int = 10

    @property
    def pts_s(self) -> float:
        return self.tracked.frame.pts_s

    def box(self, track_id: int) -> Float64Array | None:
        rows = np.flatnonzero(self.tracked.tracks.track_id == track_id)
        return self.tracked.tracks.xyxy[rows[0]].astype(np.float64) if len(rows) else None


def frame(index: int, pts_s: float, shown: dict[int, Shown], seed: int = 0) -> TrackedFrame:
    """A frame of noise, sharper in some than in others."""
    tracked = tracked_frame(index, pts_s, shown, size=(WIDTH, HEIGHT))
    noise = np.random.default_rng(seed).integers(0, 1 + seed * 25, (HEIGHT, WIDTH, 3)).astype(np.uint8)
    return replace(tracked, frame=Frame(noise, index, pts_s, 0.0, "door"))


boxes = st.tuples(st.integers(-4, 50), st.integers(-4, 36), st.integers(1, 30), st.integers(1, 30)).map(
    lambda box: (box[0], box[1], box[0] + box[2], box[1] + box[3])
)
tracks = st.builds(
    Shown,
    box=boxes,
    class_id=st.integers(0, 1),
    score=st.floats(0.1, 1.0).map(lambda score: round(score, 2)),
    unseen_s=st.sampled_from([0.0, 0.0, 0.0, 0.4]),
)
frames = st.lists(
    st.tuples(st.integers(1, 12), st.dictionaries(st.integers(1, 4), tracks, max_size=4), st.integers(0, 10)),
    min_size=1,
    max_size=15,
)


def plainly(given_frames: list[TrackedFrame], classes: set[int] | None) -> dict[int, int]:
    """Which frame is the best of each track, by the words of ``BestPictures``."""
    best: dict[int, tuple[float, int]] = {}
    looked_s = -1e9
    for tracked in given_frames:
        due = tracked.frame.pts_s - looked_s >= 0.2 - 1e-6
        possible = 0
        for row, track_id in enumerate(tracked.tracks.track_id.tolist()):
            if tracked.tracks.unseen_s[row] > 0:
                continue
            if classes is not None and int(tracked.tracks.class_id[row]) not in classes:
                continue
            possible += 1
            if not due and track_id in best:
                continue
            one = tracked.tracks.select(np.array([row]))
            quality = float(promise(one, WIDTH, HEIGHT)[0])
            quality *= sharpness(tracked.frame.image, one.xyxy[0].astype(np.float64))
            if track_id not in best or quality > 1.1 * best[track_id][0]:
                best[track_id] = quality, tracked.frame.index
        # Pixels are looked at five times a second; what nobody is in is no look.
        if due and possible:
            looked_s = tracked.frame.pts_s
    return {track_id: index for track_id, (_, index) in best.items()}


@settings(max_examples=60, deadline=None)
@given(described=frames, classes=st.sampled_from([None, {0}, {1}]))
def test_the_best_is_what_is_said(described: Any, classes: set[int] | None) -> None:
    pts = np.cumsum([steps for steps, _, _ in described]) * 0.04
    given_frames = [
        frame(index, float(pts_s), shown, seed)
        for index, (pts_s, (_, shown, seed)) in enumerate(zip(pts, described, strict=True))
    ]
    made: list[int] = []

    def keep(tracked: TrackedFrame) -> Kept:
        made.append(tracked.frame.index)
        return Kept(tracked)

    best = BestPictures(keep, most_bytes=10**9, classes=classes)
    for tracked in given_frames:
        best.offer(tracked)
    expected = plainly(given_frames, classes)
    found = {track_id: best.best([track_id]) for track_id in range(1, 5)}
    assert {track_id: one[1].tracked.frame.index for track_id, one in found.items() if one is not None} == expected
    assert len(made) == len(set(made)), "a frame is kept once"
    assert len(best) == len(expected)


def test_pixels_are_not_looked_at_where_nothing_can_be_better() -> None:
    shown = {1: Shown((5, 5, 40, 40))}
    best = BestPictures(Kept, most_bytes=1000)
    best.offer(frame(0, 0.0, shown, 9))
    worse = frame(1, 1.0, {1: Shown((5, 5, 8, 8), score=0.2)})
    blind = replace(worse, frame=worse.frame.without_pictures())
    best.offer(blind)  # whoever looks fails
    best.offer(replace(blind, tracks=frame(1, 1.1, {1: Shown((5, 5, 40, 40), unseen_s=0.4)}).tracks))
    found = best.best([1])
    assert found is not None
    assert found[1].pts_s == 0


def test_an_alert_is_shown_by_the_best_of_its_objects() -> None:
    best = BestPictures(Kept, most_bytes=1000)
    best.offer(frame(0, 0.0, {1: Shown((5, 5, 10, 10))}, 9))
    best.offer(frame(1, 1.0, {1: Shown((5, 5, 12, 12)), 2: Shown((5, 5, 40, 40))}, 9))
    found = best.best([1, 2, 3])
    assert found is not None
    assert (found[0], found[1].pts_s) == (2, 1.0)
    assert best.best([3]) is None
    assert best.best([1, 2], after_s=1.0) is None
    best.forget(0.5)
    assert best.best([2]) is not None


def test_memory_is_bounded_and_what_is_over_goes_first() -> None:
    best = BestPictures(Kept, most_bytes=25)
    sizes = {1: 40, 2: 20, 3: 30}
    for number, (track_id, size) in enumerate(sizes.items()):
        best.offer(frame(number, float(number), {track_id: Shown((5, 5, 5 + size, 40))}, 9))
        assert best.nbytes <= 25
    assert [best.best([track_id]) is not None for track_id in sizes] == [True, False, True], "the worst goes"
    best.end(1, 3.0)
    best.offer(frame(3, 3.0, {4: Shown((5, 5, 9, 9))}, 9))
    assert [best.best([track_id]) is not None for track_id in (1, 3, 4)] == [False, True, True]
    best.end(3, 4.0)
    assert best.best([3]) is not None, "an alert may be told a moment later"
    best.end(4, 9.1)
    assert best.best([3]) is None


@settings(max_examples=50, deadline=None)
@given(
    steps=st.lists(st.sampled_from([0.04, 0.04, 0.2, 0.5]), min_size=1, max_size=60),
    room=st.integers(1, 30),
    back_s=st.floats(0, 2),
)
def test_recent_looks_are_near_what_is_asked_for(steps: list[float], room: int, back_s: float) -> None:
    looks: RecentLooks[Kept] = RecentLooks(within_s=2.5, most_bytes=10 * room)
    times = np.cumsum(steps).tolist()
    for index, pts_s in enumerate(times):
        looks.add(Kept(tracked_frame(index, pts_s, {1: Shown((5, 5, 9, 9))})))
        assert len(looks) <= room
    now_s = times[-1]
    asked_s = max(times[0], now_s - back_s)
    found = looks.at(asked_s, 1)
    assert found is not None
    nearest_s = min(abs(pts_s - asked_s) for pts_s in times if pts_s >= now_s - 2.5)
    if room >= 30:
        # Thinned out the more, the older: no gap is longer than a part of its age.
        assert abs(found.pts_s - asked_s) <= max(nearest_s, 0.25 * back_s) + 1e-9
    assert looks.at(now_s, 2) is None
    assert looks.at(now_s, 1, after_s=now_s) is None
