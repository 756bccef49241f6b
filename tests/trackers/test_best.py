"""The buffered tracker against reference SORT, on the same detections."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from benchmarks.tracking import COMBINED, evaluate, run_sequences
from benchmarks.tracking_data import find_sequences
from tests.trackers.scenes import detections, walker
from trackers.buffered import BufferedTracker
from trackers.factory import DEFAULT_TRACKER


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


def test_weak_detections_carry_on_a_track_and_start_none() -> None:
    tracker = BufferedTracker(min_score=0.3, low_score=0.1)
    strong = [detections([walker(t / 25)], score=0.9) for t in range(10)]
    weak = [detections([walker(t / 25), walker(t / 25, top=400.0)], score=0.15) for t in range(10, 40)]
    shown = [tracker.update(found, index / 25) for index, found in enumerate([*strong, *weak])]
    assert all(tracks.track_id.tolist() == [1] for tracks in shown)
    assert shown[-1].unseen_s[0] == 0.0


def test_is_found_again_after_a_jump_that_leaves_no_overlap() -> None:
    tracker = BufferedTracker()
    for index in range(10):
        tracker.update(detections([(100.0, 100.0, 140.0, 200.0)]), index / 25)
    tracks = tracker.update(detections([(145.0, 100.0, 185.0, 200.0)]), 10 / 25)
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
