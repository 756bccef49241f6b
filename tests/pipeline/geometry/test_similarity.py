"""Motions of the picture plane: applied, chained, taken back."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pipeline.geometry.similarity import Motion, after, inverse, moved_boxes, scale_of


def motion(turn: float, scale: float, x: float, y: float) -> Motion:
    a, b = scale * np.cos(turn), scale * np.sin(turn)
    return np.array([[a, -b, x], [b, a, y]])


motions = st.builds(motion, st.floats(-3, 3), st.floats(0.2, 5), st.floats(-500, 500), st.floats(-500, 500))
BOX = np.array([[10.0, 20.0, 40.0, 100.0]])


@given(motions, motions)
def test_two_motions_are_one(first: Motion, second: Motion) -> None:
    one_by_one = moved_boxes(moved_boxes(BOX, first), second)
    np.testing.assert_allclose(moved_boxes(BOX, after(second, first)), one_by_one, atol=1e-6)


@given(motions)
def test_a_motion_can_be_taken_back(there: Motion) -> None:
    np.testing.assert_allclose(after(inverse(there), there), np.eye(2, 3), atol=1e-9)
    np.testing.assert_allclose(moved_boxes(moved_boxes(BOX, there), inverse(there)), BOX, atol=1e-6)


@given(motions)
def test_boxes_grow_by_the_scale_and_keep_their_shape(there: Motion) -> None:
    width, height = (moved_boxes(BOX, there)[0, 2:] - moved_boxes(BOX, there)[0, :2]).tolist()
    np.testing.assert_allclose((width, height), (30 * scale_of(there), 80 * scale_of(there)))
