"""SORT against its published table and its own reference output."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

from benchmarks.tracking import Scores, evaluate, run_sequences
from benchmarks.tracking_data import read_text
from tests.trackers.scenes import detections, walker
from trackers.assignment import assign
from trackers.association import associate, overlapping_pairs, pair_iou
from trackers.sort import SortTracker

# MOTA and identity switches, as published for SORT on its own detections.
PUBLISHED = {
    "TUD-Campus": (62.7, 6),
    "ETH-Sunnyday": (59.1, 22),
    "ETH-Pedcross2": (45.4, 77),
    "ADL-Rundle-8": (28.6, 103),
}
SEQUENCES = [*PUBLISHED, "PETS09-S2L1", "TUD-Stadtmitte"]


@pytest.fixture(scope="module")
def mot() -> Path:
    folder = os.environ.get("SIGHTLINE_EVAL")
    if not folder:
        pytest.skip("evaluation data is missing: set SIGHTLINE_EVAL to the folder that holds mot15")
    return Path(folder) / "mot15"


@pytest.fixture(scope="module")
def written(mot: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return run_sequences(mot, SEQUENCES, "sort", tmp_path_factory.mktemp("sort"))


def rounded(scores: dict[str, Scores]) -> dict[str, tuple[float, int]]:
    return {name: (round(scores[name]["MOTA"], 1), int(scores[name]["IDSW"])) for name in PUBLISHED}


def test_trackeval_reproduces_the_table_from_the_reference_output(mot: Path) -> None:
    reference = {name: mot / name / "sort_reference.txt" for name in PUBLISHED}
    assert rounded(evaluate(reference, {name: mot / name for name in PUBLISHED})) == PUBLISHED


def test_published_table_to_the_digit(mot: Path, written: dict[str, Path]) -> None:
    ours = {name: written[name] for name in PUBLISHED}
    assert rounded(evaluate(ours, {name: mot / name for name in PUBLISHED})) == PUBLISHED


def frames(path: Path) -> Iterator[np.ndarray[tuple[int, int], np.dtype[np.float64]]]:
    table = read_text(path)
    for frame in range(1, int(table[:, 0].max()) + 1):
        yield table[table[:, 0] == frame]


@pytest.mark.parametrize("name", SEQUENCES)
def test_boxes_and_ids_equal_the_reference(mot: Path, written: dict[str, Path], name: str) -> None:
    theirs_to_ours: dict[float, float] = {}
    for theirs, ours in zip(frames(mot / name / "sort_reference.txt"), frames(written[name]), strict=True):
        assert len(theirs) == len(ours)
        if not len(theirs):
            continue
        apart = np.abs(theirs[:, None, 2:6] - ours[None, :, 2:6]).max(axis=2)
        rows, columns = linear_sum_assignment(apart)
        assert apart[rows, columns].max() < 0.01
        for their_id, our_id in zip(theirs[rows, 1], ours[columns, 1], strict=True):
            assert theirs_to_ours.setdefault(their_id, our_id) == our_id
    assert len(set(theirs_to_ours.values())) == len(theirs_to_ours)


corner = st.integers(0, 8)
box = st.tuples(corner, corner, st.integers(1, 6), st.integers(1, 6)).map(
    lambda each: (each[0], each[1], each[0] + each[2], each[1] + each[3])
)
rows = st.lists(st.tuples(box, st.integers(0, 2)), max_size=8)


@given(rows=rows, columns=rows)
def test_one_assignment_is_the_optimum_of_each_class(
    rows: list[tuple[tuple[int, ...], int]], columns: list[tuple[tuple[int, ...], int]]
) -> None:
    first, first_class = np.array([each[0] for each in rows], float).reshape(-1, 4), classes(rows)
    second, second_class = np.array([each[0] for each in columns], float).reshape(-1, 4), classes(columns)
    pairs = overlapping_pairs(first, second, first_class, second_class)
    value = pair_iou(first[pairs.row], second[pairs.column])
    table = np.zeros(pairs.shape)
    table[pairs.row, pairs.column] = value
    chosen = assign(pairs, value)
    together = set(zip(*associate(pairs, value, 0.3, first_class), strict=True))
    assert all(first_class[row] == second_class[column] and table[row, column] >= 0.3 for row, column in together)
    for each in range(3):
        r, c = np.flatnonzero(first_class == each), np.flatnonzero(second_class == each)
        alone = table[np.ix_(r, c)]
        mine = first_class[chosen[0]] == each
        best = linear_sum_assignment(alone, maximize=True)
        assert table[chosen[0][mine], chosen[1][mine]].sum() == pytest.approx(alone[best].sum())


def classes(rows: list[tuple[tuple[int, ...], int]]) -> np.ndarray[tuple[int], np.dtype[np.int32]]:
    return np.array([each[1] for each in rows], np.int32)


@pytest.mark.parametrize("seed", range(4))
def test_large_crowds_are_assigned_as_by_the_full_matrix(seed: int) -> None:
    random = np.random.default_rng(seed)
    first, second = (random.uniform(0, 1500, (count, 2)) for count in (300, 340))
    first, second = (np.hstack([place, place + random.uniform(20, 90, place.shape)]) for place in (first, second))
    first_class, second_class = (random.integers(0, 3, len(boxes)).astype(np.int32) for boxes in (first, second))
    pairs = overlapping_pairs(first, second, first_class, second_class)
    row, column = (each.ravel() for each in np.indices(pairs.shape))
    expected = pair_iou(first[row], second[column]).reshape(pairs.shape)
    expected *= first_class[:, None] == second_class
    value = pair_iou(first[pairs.row], second[pairs.column])
    table = np.zeros(pairs.shape)
    table[pairs.row, pairs.column] = value
    np.testing.assert_array_equal(table, expected)
    rows, columns = assign(pairs, value)
    assert len(np.unique(rows)) == len(rows) and len(np.unique(columns)) == len(columns)
    best = linear_sum_assignment(expected, maximize=True)
    assert expected[rows, columns].sum() == pytest.approx(expected[best].sum(), abs=1e-9)


def test_shows_a_new_object_after_min_hits_matches_in_a_row() -> None:
    tracker = SortTracker(min_hits=3)
    shown = [len(tracker.update(detections([walker(t / 25)] if t >= 10 else []), t / 25)) for t in range(20)]
    assert shown == [0] * 13 + [1] * 7


def test_frames_are_what_counts_without_seconds() -> None:
    tracker = SortTracker(max_age=3)
    for index in range(10):
        tracker.update(detections([walker(0.0)]), index * 0.04)
    ends = []
    for index in range(10, 20):
        tracker.update(detections([]), index * 0.04)
        ends += [index] * len(tracker.ended)
    assert ends == [13]


def test_detections_below_min_score_are_ignored() -> None:
    tracker = SortTracker(min_score=0.5)
    assert len(tracker.update(detections([walker(0.0)], score=0.4), 0.0)) == 0
    assert len(tracker.update(detections([walker(0.04)], score=0.6), 0.04)) == 1
