"""The default tracker against reference SORT, and what it promises of its own."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.tracking import COMBINED, evaluate, run_sequences
from benchmarks.tracking_data import find_sequences
from pipeline.types import Tracks
from tests.trackers.scenes import detections, walker
from trackers.buffered import BufferedTracker
from trackers.factory import DEFAULT_TRACKER, create_tracker
from trackers.scores import ScoreScale


@pytest.fixture(scope="module")
def mot() -> Path:
    folder = os.environ.get("SIGHTLINE_EVAL")
    if not folder:
        pytest.skip("evaluation data is missing: set SIGHTLINE_EVAL to the folder that holds mot15")
    return Path(folder) / "mot15"


def test_the_default_is_well_above_reference_sort(mot: Path, tmp_path: Path) -> None:
    names = find_sequences(mot, None)
    truth = {name: mot / name for name in names}
    reference = evaluate({name: mot / name / "sort_reference.txt" for name in names}, truth)[COMBINED]
    ours = evaluate(run_sequences(mot, names, DEFAULT_TRACKER, tmp_path), truth)[COMBINED]
    assert ours["HOTA"] >= reference["HOTA"] + 3.0
    assert ours["IDF1"] >= reference["IDF1"] + 6.0
    assert ours["MOTA"] >= reference["MOTA"]


def shown_where_weak_ones_are_false(scores: list[float]) -> list[list[int]]:
    """What is shown of a walker who scores so, another who scores 0.9, and six false detections at 0.2 each time."""
    tracker = BufferedTracker(min_score=0.1)
    random = np.random.default_rng(1)
    shown = []
    for index, score in enumerate(scores):
        weak = random.uniform(300.0, 2000.0, (6, 1)) + np.array([[0.0, 400.0, 40.0, 500.0]])
        boxes = np.concatenate([[walker(index / 25)], [walker(index / 25, start=700.0)], weak])
        tracks = tracker.update(detections(boxes, score=[score, 0.9, *[0.2] * 6]), index / 25)
        shown.append(tracks.track_id.tolist())
    return shown


def test_what_the_detector_is_seldom_right_about_carries_on_a_track_and_starts_none() -> None:
    shown = shown_where_weak_ones_are_false([0.2 if 150 <= index < 155 else 0.9 for index in range(200)])
    assert shown[100:] == [[1, 2]] * 100


def test_a_track_that_comes_to_score_like_what_is_false_is_shown_no_more() -> None:
    shown = shown_where_weak_ones_are_false([0.9 if index < 30 else 0.2 for index in range(400)])
    assert shown[29:32] == [[1, 2]] * 3
    assert shown[350:] == [[2]] * 50


def test_is_found_again_after_a_jump_that_leaves_no_overlap() -> None:
    tracker = BufferedTracker()
    for index in range(10):
        tracker.update(detections([(100.0, 100.0, 140.0, 200.0)]), index / 25)
    # Not at once: it might be another that came. But when the first is gone, too.
    for index in (10, 11):
        tracks = tracker.update(detections([(145.0, 100.0, 185.0, 200.0)]), index / 25)
    assert tracks.track_id.tolist() == [1]


def test_is_found_again_after_an_occlusion() -> None:
    tracker = BufferedTracker(max_unseen_s=1.5)
    shown = {}
    for index in range(75):
        hidden = 30 <= index < 50
        shown[index] = tracker.update(detections([] if hidden else [walker(index / 25)]), index / 25)
    assert len(shown[40]) == 0
    assert shown[29].track_id.tolist() == shown[74].track_id.tolist() == [1]
    np.testing.assert_allclose(shown[74].xyxy[0], walker(74 / 25), atol=2.0)


CONFIDENCES = st.integers(5, 95).map(lambda percent: percent / 100)


@settings(max_examples=20, deadline=None)
@given(confidence=CONFIDENCES, above=st.floats(0.005, 0.05), fps=st.sampled_from([5.0, 10.0, 25.0]))
def test_a_lone_object_that_scores_steadily_above_the_confidence_is_tracked(
    confidence: float, above: float, fps: float
) -> None:
    tracker = create_tracker(confidence=confidence)
    shown = [
        tracker.update(detections([walker(index / fps)], score=confidence + above), index / fps).track_id.tolist()
        for index in range(round(2.5 * fps))
    ]
    assert shown[round(1.5 * fps) :] == [[1]] * (len(shown) - round(1.5 * fps))


@settings(max_examples=20, deadline=None)
@given(
    confidence=CONFIDENCES,
    scores=st.lists(st.lists(st.floats(0, 1, width=32), min_size=4, max_size=4), min_size=5, max_size=30),
)
def test_nothing_weaker_than_the_confidence_is_shown(confidence: float, scores: list[list[float]]) -> None:
    tracker = create_tracker(confidence=confidence)
    rows = [walker(0.0, start=100.0 + 200.0 * number) for number in range(4)]
    for index, each in enumerate(scores):
        tracks = tracker.update(detections(rows, score=each), index / 10)
        assert (tracks.score >= np.float32(confidence)).all()


@pytest.mark.parametrize("level", [0.35, 0.6, 0.95])
def test_a_false_detection_now_and_then_starts_no_track_whatever_the_detectors_level(level: float) -> None:
    tracker = BufferedTracker(min_score=0.25)
    ids: set[int] = set()
    for index in range(250):
        rows, scores = [walker(0.0)], [level]
        # A thing that is detected for four frames out of ten, never at the level of a person.
        if index >= 125 and index % 10 < 4:
            rows, scores = [*rows, walker(0.0, start=700.0)], [*scores, 0.75 * level]
        tracks = tracker.update(detections(rows, score=scores), index / 25)
        ids |= set(tracks.track_id.tolist())
    assert ids == {1}


def test_who_scores_as_is_typical_is_shown_at_once_however_long_they_scored_little() -> None:
    tracker = BufferedTracker(min_score=0.25)
    random = np.random.default_rng(1)
    shown = []
    for index in range(252):
        coming = 0.3 if 2 <= index < 250 else 0.95
        rows, scores = [walker(0.0), walker(0.0, start=300.0), walker(0.0, start=700.0)], [0.9, 0.9, coming]
        for x in random.uniform(900, 5000, 3):  # what is nobody scores more than who is far away
            rows, scores = [*rows, walker(0.0, start=float(x))], [*scores, 0.5]
        tracks = tracker.update(detections(rows, score=scores), index / 25)
        shown.append(len(tracks))
    assert shown[0] == 3
    assert set(shown[100:250]) == {2}
    assert shown[250:] == [3, 3]


def test_a_scale_knows_what_scores_are_typical_and_which_are_on_tracks() -> None:
    scale = ScoreScale()
    assert scale.typical == pytest.approx(0.7, abs=0.01)
    assert scale.on_tracks(0.5) == [0.0]
    for index in range(200):
        score = np.array([0.92, 0.92, 0.92, 0.3, 0.3], np.float32)
        scale.note(score, score > 0.5, index / 25)
    assert scale.typical == pytest.approx(0.92, abs=0.01)
    half, most = scale.on_tracks(0.5, 0.7)
    assert 0.3 < half <= most < 0.92
    # An hour later little of it is left.
    scale.note(np.zeros(0, np.float32), np.zeros(0, np.bool_), 3600.0)
    assert scale.typical == pytest.approx(0.7, abs=0.01)


def follow_swaying(sway: float, *, uneven: float) -> list[Tracks]:
    """The tracks of somebody who walks in front of a camera that sways by so many pixels, once a second."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("trackers.buffered._UNEVEN", uneven)
        tracker, tracks = BufferedTracker(), []
        for frame in range(80):
            moved = sway * float(np.sin(2.0 * np.pi * frame / 10))
            box = walker(frame / 10, start=100.0 + moved, speed=20.0)
            tracks.append(tracker.update(detections([box]), frame / 10))
        return tracks


def test_who_moves_unevenly_is_not_lost() -> None:
    never = 1e9
    for of_even, as_if_even in zip(follow_swaying(0.0, uneven=1.5), follow_swaying(0.0, uneven=never), strict=True):
        assert np.array_equal(of_even.xyxy, as_if_even.xyxy), "where motion is even, nothing is different"
    assert max(max(tracks.track_id, default=0) for tracks in follow_swaying(30.0, uneven=never)) > 1
    for tracks in follow_swaying(30.0, uneven=1.5):
        assert tracks.track_id.tolist() == [1]
