"""What is hidden is hidden whole, and nothing else is."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.images.masking import Effect, corners, hide
from pipeline.types import Float64Array, Image

SIZES = st.tuples(st.integers(1, 90), st.integers(1, 90))


@st.composite
def triangles(draw: st.DrawFn) -> Float64Array:
    """Some triangle, which may reach far out of the picture."""
    return np.array(draw(st.lists(st.tuples(*[st.floats(-0.5, 1.5)] * 2), min_size=3, max_size=3)))


def noise(height: int, width: int, seed: int = 0) -> Image:
    """A picture without a black pixel."""
    return np.random.default_rng(seed).integers(1, 256, (height, width, 3), np.uint8)


@given(triangles(), SIZES, st.lists(st.floats(0, 1), min_size=2, max_size=2))
def test_every_point_of_a_shape_is_hidden(shape: Float64Array, size: tuple[int, int], place: list[float]) -> None:
    height, width = size
    image = noise(height, width)
    first, second = sorted(place)
    point = first * shape[0] + (second - first) * shape[1] + (1 - second) * shape[2]
    column, row = np.floor(point * (width, height)).astype(int)
    hidden = hide(image, [shape])
    if 0 <= column < width and 0 <= row < height:
        assert (hidden[row, column] == 0).all()
    assert (image > 0).all(), "the picture itself stays as it was"


@given(triangles(), SIZES, st.sampled_from(["fill", "blur"]))
def test_what_is_two_pixels_away_stays(shape: Float64Array, size: tuple[int, int], effect: Effect) -> None:
    height, width = size
    image = noise(height, width)
    left, top = np.floor(shape.min(axis=0) * (width, height)).astype(int) - 2
    right, bottom = np.ceil(shape.max(axis=0) * (width, height)).astype(int) + 2
    hidden = hide(image, [shape], effect)
    away = np.ones((height, width), np.bool_)
    away[max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)] = False
    assert np.array_equal(hidden[away], image[away])


def test_blurred_is_beyond_recognition() -> None:
    """Of a part with 90,000 different pixels no more than 8 by 8 patches are left."""
    image = noise(300, 300)
    hidden = hide(image, corners(np.array([[0.0, 0.0, 1.0, 1.0]])), "blur")
    assert len(np.unique(hidden.reshape(-1, 3), axis=0)) <= 64
    assert abs(float(hidden.mean()) - float(image.mean())) < 2


@pytest.mark.parametrize("effect", ["fill", "blur"])
def test_what_lies_outside_hides_nothing(effect: Effect) -> None:
    image = noise(20, 30)
    away = [np.array([(1.2, 0), (2, 0), (2, 1)]), np.array([(-9.0, -9), (-8, -9), (-8, -8)])]
    assert np.array_equal(hide(image, away, effect), image)
    assert np.array_equal(hide(image, [], effect), image)
