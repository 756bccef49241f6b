"""What is no box and no score is told by its row, whatever else there is; every finite number is let through."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from pipeline.types import Detections, Float32Array

anything = st.floats(width=32, allow_nan=True, allow_infinity=True)
boxes = arrays.arrays(np.float32, st.tuples(st.integers(1, 5), st.just(4)), elements=anything)


def made(xyxy: Float32Array, score: Float32Array) -> Detections:
    return Detections(xyxy, score, np.zeros(len(xyxy), np.int32))


@given(boxes)
def test_boxes_are_finite_and_the_right_way_round(xyxy: Float32Array) -> None:
    right = [bool(np.isfinite(row).all() and row[2] >= row[0] and row[3] >= row[1]) for row in xyxy]
    score = np.full(len(xyxy), 0.5, np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        if all(right):
            assert len(made(xyxy, score)) == len(xyxy)
        else:
            with pytest.raises(ValueError, match=f"xyxy row {right.index(False)}:"):
                made(xyxy, score)


@given(arrays.arrays(np.float32, st.integers(1, 5), elements=anything))
def test_scores_lie_between_0_and_1(score: Float32Array) -> None:
    right = [0 <= value <= 1 for value in score.tolist()]
    xyxy = np.zeros((len(score), 4), np.float32)
    if all(right):
        assert len(made(xyxy, score)) == len(score)
    else:
        with pytest.raises(ValueError, match=f"score row {right.index(False)}:"):
            made(xyxy, score)


def test_lists_are_no_arrays() -> None:
    with pytest.raises(TypeError, match=r"xyxy: expected an array float32 \(1, 4\), got list"):
        Detections([[0, 0, 1, 1]], [0.5], [0])  # type: ignore[arg-type]
