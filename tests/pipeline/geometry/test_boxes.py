"""Box geometry against definitions written out one box at a time."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from pipeline.geometry.boxes import clip, covering, iou_matrix, non_maximum_suppression
from pipeline.images.letterbox import LETTERBOX_VALUE, Letterbox
from pipeline.types import Float32Array, Image, Int32Array

Box = tuple[float, float, float, float]


@st.composite
def boxes(draw: st.DrawFn, smallest: int = 0) -> Box:
    # Quarters of small numbers: overlaps of exactly the threshold, equal boxes and empty ones all come up.
    left, top = draw(st.integers(-40, 80)) / 4, draw(st.integers(-40, 80)) / 4
    width, height = draw(st.integers(smallest, 60)) / 4, draw(st.integers(smallest, 60)) / 4
    return left, top, left + width, top + height


def as_array(rows: list[Box]) -> NDArray[np.float32]:
    return np.array(rows, dtype=np.float32).reshape(-1, 4)


def iou_of(first: Box, second: Box) -> float:
    width = min(first[2], second[2]) - max(first[0], second[0])
    height = min(first[3], second[3]) - max(first[1], second[1])
    common = max(width, 0.0) * max(height, 0.0)
    union = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (first, second)) - common
    return common / union if union > 0 else 0.0


@given(st.lists(boxes(), max_size=8), st.lists(boxes(), max_size=8))
def test_iou_matrix_equals_its_definition(first: list[Box], second: list[Box]) -> None:
    matrix = iou_matrix(as_array(first), as_array(second))
    expected = np.array([[iou_of(a, b) for b in second] for a in first]).reshape(len(first), len(second))
    np.testing.assert_allclose(matrix, expected, atol=1e-12)


def suppress_one_by_one(rows: list[Box], scores: list[float], classes: list[int], iou: float) -> list[int]:
    kept: list[int] = []
    for index in sorted(range(len(rows)), key=lambda row: -scores[row]):
        rivals = [other for other in kept if classes[other] == classes[index]]
        if all(iou_of(rows[other], rows[index]) <= iou for other in rivals):
            kept.append(index)
    return kept


@given(
    st.lists(
        st.tuples(boxes(smallest=1), st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0]), st.integers(0, 3)), max_size=24
    ),
    st.sampled_from([0.0, 0.25, 0.45, 0.5, 1.0]),
)
def test_suppression_equals_its_definition(found: list[tuple[Box, float, int]], iou: float) -> None:
    rows, scores, classes = [row for row, _, _ in found], [s for _, s, _ in found], [c for _, _, c in found]
    kept = non_maximum_suppression(
        as_array(rows), np.array(scores, dtype=np.float32), np.array(classes, dtype=np.int32), iou
    )
    assert kept.tolist() == suppress_one_by_one(rows, scores, classes, iou)


def crowd(count: int, seed: int) -> tuple[Float32Array, Float32Array, Int32Array]:
    generator = np.random.default_rng(seed)
    centre = generator.uniform(0, 1000, (count, 2))
    half = generator.uniform(5, 120, (count, 2))
    xyxy = np.concatenate([centre - half, centre + half], axis=1).astype(np.float32)
    return xyxy, generator.random(count, dtype=np.float32), generator.integers(0, 80, count).astype(np.int32)


def test_suppression_of_a_crowd() -> None:
    xyxy, score, class_id = crowd(1500, seed=1)
    kept = non_maximum_suppression(xyxy, score, class_id, 0.45)
    rows: list[Box] = [(row[0], row[1], row[2], row[3]) for row in xyxy.astype(float).tolist()]
    assert kept.tolist() == suppress_one_by_one(rows, score.tolist(), class_id.tolist(), 0.45)


def test_suppression_does_not_depend_on_the_order_of_the_boxes() -> None:
    xyxy, score, class_id = crowd(300, seed=2)
    shuffled = np.random.default_rng(3).permutation(300)
    kept = non_maximum_suppression(xyxy, score, class_id, 0.45)
    again = non_maximum_suppression(xyxy[shuffled], score[shuffled], class_id[shuffled], 0.45)
    assert shuffled[again].tolist() == kept.tolist()


def test_one_enormous_box_leaves_the_others_alone() -> None:
    # Classes are kept apart by moving boxes: with far coordinates too little of a float would be left for near ones.
    xyxy = np.array(
        [[-3e6, -3e6, 3e6, 3e6], [10, 10, 20, 20], [10, 10.5, 20, 20.5], [10, 10, 20, 20]], dtype=np.float64
    )
    score = np.array([0.9, 0.8, 0.7, 0.6], dtype=np.float32)
    assert non_maximum_suppression(xyxy, score, np.array([79, 79, 79, 78], dtype=np.int32), 0.45).tolist() == [0, 1, 3]


sides = st.integers(1, 5000)


@given(sides, sides, st.sampled_from([32, 96, 416, 608]))
def test_square_letterbox_is_darknets(height: int, width: int, size: int) -> None:
    placed = Letterbox.fit(height, width, size, size)
    # letterbox_image, whose divisions are C's between whole numbers.
    if size / width < size / height:
        expected = (size, max(1, height * size // width))
    else:
        expected = (max(1, width * size // height), size)
    assert (placed.scaled_width, placed.scaled_height) == expected
    assert (placed.left, placed.top) == ((size - expected[0]) // 2, (size - expected[1]) // 2)


@given(sides, sides, st.sampled_from([32, 96, 416, 608]))
def test_rectangular_letterbox_is_the_smallest_that_holds_the_image(height: int, width: int, size: int) -> None:
    placed = Letterbox.rectangular(height, width, size, 32)
    square = Letterbox.fit(height, width, size, size)
    assert (placed.scaled_height, placed.scaled_width) == (square.scaled_height, square.scaled_width)
    assert max(placed.height, placed.width) == size
    for whole, used in [(placed.height, placed.scaled_height), (placed.width, placed.scaled_width)]:
        assert whole % 32 == 0
        assert used <= whole < used + 32
    assert 0 <= placed.top <= placed.height - placed.scaled_height - placed.top <= placed.top + 1
    assert 0 <= placed.left <= placed.width - placed.scaled_width - placed.left <= placed.left + 1


def test_the_shape_of_wide_video() -> None:
    placed = Letterbox.rectangular(480, 854, 416, 32)
    assert (placed.height, placed.width) == (256, 416)
    assert (placed.scaled_height, placed.scaled_width, placed.top, placed.left) == (233, 416, 11, 0)


def to_network(placed: Letterbox, xyxy: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """The way there, in pixels of the network's input."""
    xyxy = xyxy.astype(np.float64)
    x = placed.left + xyxy[:, 0::2] * (placed.scaled_width / placed.image_width)
    y = placed.top + xyxy[:, 1::2] * (placed.scaled_height / placed.image_height)
    return np.stack([x[:, 0], y[:, 0], x[:, 1], y[:, 1]], axis=1)


@given(sides, sides, st.booleans(), st.lists(boxes(), max_size=5))
def test_boxes_come_back_from_the_network(height: int, width: int, square: bool, rows: list[Box]) -> None:
    placed = Letterbox.fit(height, width, 416, 416) if square else Letterbox.rectangular(height, width, 416, 32)
    xyxy = as_array(rows)
    np.testing.assert_allclose(placed.to_image(to_network(placed, xyxy)), xyxy, atol=1e-6)
    corners = to_network(placed, np.array([[0, 0, width, height]], dtype=np.float64))
    expected = [placed.left, placed.top, placed.left + placed.scaled_width, placed.top + placed.scaled_height]
    np.testing.assert_allclose(corners, [expected], atol=1e-9)


def marked(height: int, width: int, top: int, left: int, bottom: int, right: int) -> Image:
    image = np.zeros((height, width, 3), dtype=np.uint8)
    image[top:bottom, left:right] = 255
    return image


@pytest.mark.parametrize(("height", "width"), [(480, 854), (854, 480), (333, 777), (60, 40)])
def test_what_is_drawn_is_where_the_geometry_says(height: int, width: int) -> None:
    box = (height // 4, width // 3, height // 2, width // 2)
    placed = Letterbox.rectangular(height, width, 416, 32)
    drawn = np.zeros((placed.height, placed.width, 3), dtype=np.uint8)
    placed.draw(marked(height, width, *box), drawn)
    bright = np.argwhere(drawn[..., 0] > 128)
    top, left = bright.min(axis=0)
    bottom, right = bright.max(axis=0) + 1
    seen = placed.to_image(np.array([[left, top, right, bottom]], dtype=np.float64))[0]
    pixel = max(1.0, width / placed.scaled_width)
    np.testing.assert_allclose(seen, [box[1], box[0], box[3], box[2]], atol=1.5 * pixel)


@given(st.integers(1, 60), st.integers(1, 60), st.booleans())
def test_drawing_fills_the_whole_input(height: int, width: int, square: bool) -> None:
    placed = Letterbox.fit(height, width, 64, 64) if square else Letterbox.rectangular(height, width, 64, 32)
    image = np.random.default_rng(5).integers(0, 256, (height, width, 3), dtype=np.uint8)
    drawn = np.full((placed.height, placed.width, 3), 1, dtype=np.uint8)
    placed.draw(image, drawn)
    expected = np.full_like(drawn, LETTERBOX_VALUE)
    scaled = cv2.resize(image, (placed.scaled_width, placed.scaled_height), interpolation=cv2.INTER_LINEAR)
    expected[placed.top : placed.top + placed.scaled_height, placed.left : placed.left + placed.scaled_width] = scaled
    np.testing.assert_array_equal(drawn, expected)


@given(st.lists(boxes(), max_size=8))
def test_clipped_boxes_lie_inside(rows: list[Box]) -> None:
    clipped = clip(as_array(rows), 10, 15)
    assert ((clipped >= 0) & (clipped <= [15, 10, 15, 10])).all()
    assert (clipped[:, 2:] >= clipped[:, :2]).all()


@given(st.lists(boxes(), max_size=30))
def test_what_covers_boxes_covers_each_of_them_and_is_of_boxes_that_overlap(rows: list[Box]) -> None:
    given_boxes = as_array(rows).astype(np.float64)
    covers = covering(given_boxes)
    assert len(covers) <= len(rows)
    for box in given_boxes:
        around = (covers[:, :2] <= box[:2]).all(axis=1) & (covers[:, 2:] >= box[2:]).all(axis=1)
        assert around.any()
    for cover in covers:
        # Three times as long at most, where two boxes of half the length hang over at either end.
        inside = [box for box in rows if (cover[:2] <= box[:2]).all() and (cover[2:] >= box[2:]).all()]
        assert (cover[2:] - cover[:2] <= 3 * np.max([(b[2] - b[0], b[3] - b[1]) for b in inside], axis=0) + 1e-3).all()


def test_one_object_seen_many_times_is_covered_once() -> None:
    walking = np.array([[left, 0.0, left + 40.0, 100.0] for left in range(13)])
    assert covering(walking).tolist() == [[0.0, 0.0, 52.0, 100.0]]
