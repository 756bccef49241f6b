"""What every tracker promises, run over all of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import ConfigError
from pipeline.geometry.similarity import Motion, after, inverse, moved_boxes
from pipeline.interfaces import MovableTracker, Tracker
from pipeline.types import Detections, Tracks
from tests.trackers.scenes import Box, detections, shuffled, walker
from trackers.factory import DEFAULT_TRACKER, TRACKERS, create_tracker

Make = Callable[..., Tracker]
FPS = 25.0


@pytest.fixture(params=TRACKERS)
def make(request: pytest.FixtureRequest) -> Make:
    def create(**settings: Any) -> Tracker:
        return create_tracker(request.param, confidence=0.3, **settings)

    return create


def follow(tracker: Tracker, scene: list[Detections | None], fps: float = FPS) -> list[Tracks]:
    return [tracker.update(found, index / fps) for index, found in enumerate(scene)]


def same(first: Tracks, second: Tracks) -> bool:
    return all(
        np.array_equal(getattr(first, name), getattr(second, name))
        for name in ("xyxy", "score", "class_id", "track_id", "age_s", "unseen_s")
    )


def walk(frames: int, fps: float = FPS) -> list[Detections | None]:
    return [detections([walker(index / fps)]) for index in range(frames)]


def test_is_a_tracker(make: Make) -> None:
    assert isinstance(make(), Tracker)


def test_empty_frames_give_no_tracks(make: Make) -> None:
    tracker = make()
    for tracks in follow(tracker, [Detections.empty(), None] * 5):
        assert len(tracks) == 0
        assert len(tracker.ended) == 0
    assert len(tracker.reset()) == 0


def test_one_object_keeps_its_id_from_1(make: Make) -> None:
    shown = follow(make(), walk(30))
    assert {int(each) for tracks in shown for each in tracks.track_id} == {1}
    for index, tracks in enumerate(shown[10:], 10):
        assert len(tracks) == 1
        np.testing.assert_allclose(tracks.xyxy[0], walker(index / FPS), atol=2.0)
        assert tracks.unseen_s[0] == 0.0
        assert tracks.age_s[0] == pytest.approx(index / FPS, abs=1e-5)


def test_crossing_objects_keep_their_ids(make: Make) -> None:
    scene: list[Detections | None] = [
        detections([walker(t / FPS, start=100), walker(t / FPS, start=300, speed=-50, top=130)]) for t in range(100)
    ]
    shown = follow(make(), scene)
    first, last = shown[10], shown[-1]
    assert len(first) == len(last) == 2
    left_first = first.track_id[np.argmin(first.xyxy[:, 0])]
    right_last = last.track_id[np.argmax(last.xyxy[:, 0])]
    assert left_first == right_last


def test_a_class_never_takes_over_another_classs_track(make: Make) -> None:
    scene: list[Detections | None] = [detections([walker(t / FPS)], class_id=t // 20) for t in range(60)]
    classes: dict[int, set[int]] = {}
    for tracks in follow(make(), scene):
        for track_id, class_id in zip(tracks.track_id.tolist(), tracks.class_id.tolist(), strict=True):
            classes.setdefault(track_id, set()).add(class_id)
    assert len(classes) == 3
    assert all(len(each) == 1 for each in classes.values())


def test_a_thousand_objects(make: Make) -> None:
    place = np.stack(np.meshgrid(np.arange(40) * 60.0, np.arange(25) * 120.0), axis=-1).reshape(-1, 2)
    boxes = np.concatenate([place, place + np.array([40.0, 100.0])], axis=1)
    shown = follow(make(), [detections(boxes + index) for index in range(6)])
    assert len(shown[-1]) == 1000
    np.testing.assert_array_equal(np.sort(shown[-1].track_id), np.arange(1, 1001))


@pytest.mark.parametrize("bad", [(np.nan, 0, 10, 10), (10, 0, 0, 10), (0, 10, 10, 0), (0, 0, np.inf, 10)])
def test_a_bad_box_is_an_error_that_names_the_row(make: Make, bad: Box) -> None:
    with pytest.raises(ValueError, match="row 1"):
        make().update(detections([walker(0.0), bad]), 0.0)


@pytest.mark.parametrize(
    "box", [(5.0, 5.0, 5.0, 5.0), (5.0, 5.0, 5.0, 9.0), (5.0, 5.0, 9.0, 5.0), (0.0, 0.0, 1e6, 1e6)]
)
def test_boxes_without_area_and_huge_ones_are_tracked_without_a_fault(make: Make, box: Box) -> None:
    for tracks in follow(make(), [detections([box]), None, detections([box]), Detections.empty(), None] * 4):
        assert np.isfinite(tracks.xyxy).all()


corners = st.tuples(st.integers(0, 12), st.integers(0, 12), st.integers(0, 6), st.integers(0, 6))
boxes = corners.map(
    lambda each: (10.0 * each[0], 10.0 * each[1], 10.0 * (each[0] + each[2]), 10.0 * (each[1] + each[3]))
)
objects = st.tuples(boxes, st.sampled_from([0.15, 0.35, 0.6, 0.9]), st.integers(0, 1))
looks = st.lists(objects, max_size=8).map(
    lambda rows: detections([row[0] for row in rows], [row[1] for row in rows], [row[2] for row in rows])
)
scenes = st.lists(st.one_of(st.none(), looks, looks, looks), max_size=15)
gaps = st.lists(st.sampled_from([0.001, 0.033, 0.04, 0.067, 0.5, 3.0]), min_size=15, max_size=15)


@pytest.mark.parametrize("name", TRACKERS)
@settings(max_examples=40, deadline=None)
@given(scene=scenes, gaps=gaps, seed=st.integers(0, 1000))
def test_any_permutation_gives_the_same_tracks(
    name: str, scene: list[Detections | None], gaps: list[float], seed: int
) -> None:
    ours, other = create_tracker(name, confidence=0.3), create_tracker(name, confidence=0.3)
    for found, time_s in zip(scene, np.cumsum(gaps), strict=False):
        mixed = None if found is None else shuffled(found, seed)
        assert same(ours.update(found, time_s), other.update(mixed, time_s))
        assert np.array_equal(ours.ended, other.ended)


@pytest.mark.parametrize("name", TRACKERS)
@settings(max_examples=60, deadline=None)
@given(scene=scenes, gaps=gaps, resets=st.sets(st.integers(0, 14), max_size=2))
def test_every_id_shown_ends_exactly_once_and_never_returns(
    name: str, scene: list[Detections | None], gaps: list[float], resets: set[int]
) -> None:
    tracker = create_tracker(name, confidence=0.3)
    shown: set[int] = set()
    ended: list[int] = []
    for index, (found, time_s) in enumerate(zip(scene, np.cumsum(gaps), strict=False)):
        tracks = tracker.update(found, time_s)
        ids = tracks.track_id.tolist()
        gone = tracker.ended.tolist()
        assert found is not None or not gone, "nobody looked, so nothing may end"
        assert set(gone) <= shown, "only ids returned by earlier updates can end"
        ended += gone
        assert not set(ids) & set(ended), "an ended id came back"
        assert len(set(ids)) == len(ids) and min(ids, default=1) >= 1
        assert ids == sorted(ids)
        assert (tracks.unseen_s >= 0).all() and (tracks.age_s >= tracks.unseen_s).all()
        shown |= set(ids)
        if index in resets:
            ended += tracker.reset().tolist()
            assert len(tracker.ended) == 0
    ended += tracker.reset().tolist()
    assert len(tracker.reset()) == 0
    assert Counter(ended) == Counter(shown)


def test_coasts_where_nobody_looked(make: Make) -> None:
    tracker = make()
    follow(tracker, walk(20))
    for step in range(1, 6):
        time_s = (19 + step) / FPS
        tracks = tracker.update(None, time_s)
        assert tracks.track_id.tolist() == [1]
        assert tracks.unseen_s[0] == pytest.approx(step / FPS, abs=1e-5)
        np.testing.assert_allclose(tracks.xyxy[0], walker(time_s), atol=1.5)
        assert len(tracker.ended) == 0
    assert tracker.update(detections([walker(25 / FPS)]), 25 / FPS).track_id.tolist() == [1]


def test_is_not_let_go_however_long_nobody_looks(make: Make) -> None:
    tracker = make()
    standing = [detections([walker(0.0)])] * 20
    follow(tracker, list(standing))
    for step in range(500):
        assert tracker.update(None, (20 + step) / FPS).track_id.tolist() == [1]
    assert tracker.update(standing[0], 21.0).track_id.tolist() == [1]


def test_a_gap_in_time_predicts_as_far_as_the_frames_that_are_missing(make: Make) -> None:
    stepwise, at_once = make(), make()
    for tracker in (stepwise, at_once):
        follow(tracker, walk(20))
    stepwise.update(None, 20 / FPS)
    stepwise.update(None, 21 / FPS)
    expected = stepwise.update(None, 22 / FPS)
    tracks = at_once.update(None, 22 / FPS)
    np.testing.assert_allclose(tracks.xyxy, expected.xyxy, atol=1e-3)
    np.testing.assert_allclose(tracks.xyxy[0], walker(22 / FPS), atol=1.5)


def test_detecting_every_third_frame_keeps_the_id(make: Make) -> None:
    scene = [found if index % 3 == 0 else None for index, found in enumerate(walk(90))]
    shown = follow(make(), scene)
    assert all(tracks.track_id.tolist() == [1] for tracks in shown[30:])


@pytest.mark.parametrize("gaps", [[0.04], [0.2], [0.033, 0.067], [0.01, 0.01, 0.01, 0.2]])
def test_lifetimes_are_seconds_of_media_time(make: Make, gaps: list[float]) -> None:
    tracker = make(max_unseen_s=0.5)
    time_s, index = 0.0, 0
    for _ in range(20):
        tracker.update(detections([walker(0.0)]), time_s)
        seen_s = time_s
        time_s += gaps[index % len(gaps)]
        index += 1
    ended_s = None
    while ended_s is None and time_s < seen_s + 5.0:
        tracker.update(Detections.empty(), time_s)
        if len(tracker.ended):
            assert tracker.ended.tolist() == [1]
            ended_s = time_s
        time_s += gaps[index % len(gaps)]
        index += 1
    assert ended_s is not None
    assert 0.5 < ended_s - seen_s <= 0.5 + max(gaps) + 1e-9


@pytest.mark.parametrize("time_s", [0.5, 1.0, float("nan"), float("inf")])
def test_time_must_go_forward(make: Make, time_s: float) -> None:
    tracker = make()
    tracker.update(Detections.empty(), 1.0)
    with pytest.raises(ValueError, match="pts_s"):
        tracker.update(Detections.empty(), time_s)


def test_time_may_start_again_after_reset_and_ids_go_on(make: Make) -> None:
    tracker = make()
    follow(tracker, walk(10))
    assert tracker.reset().tolist() == [1]
    assert {int(each) for tracks in follow(tracker, walk(10)) for each in tracks.track_id} == {2}


def test_instances_share_nothing(make: Make) -> None:
    alone, beside, disturbing = make(), make(), make()
    scene = walk(20)
    expected = follow(alone, scene)
    for index, found in enumerate(scene):
        disturbing.update(detections([walker(0.0, start=90.0)] * 3), index / FPS)
        assert same(beside.update(found, index / FPS), expected[index])


def test_returned_arrays_are_the_callers(make: Make) -> None:
    tracker, untouched = make(), make()
    for index, found in enumerate(walk(20)):
        tracks, expected = tracker.update(found, index / FPS), untouched.update(found, index / FPS)
        assert same(tracks, expected)
        tracks.xyxy[:] = 0.0
        tracks.track_id[:] = 99
        tracks.score[:] = 0.0


def test_an_unknown_name_is_an_error_with_near_matches() -> None:
    with pytest.raises(ConfigError, match="did you mean sort"):
        create_tracker("srot")
    with pytest.raises(ConfigError, match="choose one of"):
        create_tracker("zzzz")
    with pytest.raises(ConfigError, match="did you mean iou"):
        create_tracker("sort", iuo=0.3)


def test_every_name_makes_a_tracker_and_the_default_is_one(make: Make) -> None:
    assert DEFAULT_TRACKER in TRACKERS
    for name in TRACKERS:
        assert 0.0 <= create_tracker(name, confidence=0.3).lowest_score <= 0.3


def swaying(frame: int) -> Motion:
    """What takes the still picture to that of a camera that pans to and fro and zooms, fast."""
    scale = 1.0 + 0.25 * np.sin(frame / 3)
    return np.array([[scale, 0.0, 120.0 * np.sin(frame / 2)], [0.0, scale, 60.0 * np.cos(frame / 2)]])


@pytest.mark.parametrize("every", [1, 3])
def test_tracks_move_along_with_a_camera_whose_motion_is_told(make: Make, every: int) -> None:
    """What is shown is what a camera that stands still would show, as the moving one sees it."""
    still, moving = make(), make()
    assert isinstance(moving, MovableTracker)
    for frame in range(40):
        looked = frame % every == 0 and frame not in (21, 24)
        walkers = np.array([walker(frame / FPS), walker(frame / FPS, start=160, speed=-30)])
        there, pose = moved_boxes(walkers, swaying(frame)), swaying(frame)
        if frame:
            moving.move(after(pose, inverse(swaying(frame - 1))))
        expected = still.update(detections(walkers) if looked else None, frame / FPS)
        shown = moving.update(detections(there) if looked else None, frame / FPS)
        assert shown.track_id.tolist() == expected.track_id.tolist()
        np.testing.assert_allclose(shown.xyxy, moved_boxes(expected.xyxy.astype(float), pose), atol=1.5)
    assert len(shown) == 2
