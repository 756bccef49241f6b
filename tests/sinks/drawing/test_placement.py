"""Labels stand beside what they name, never over each other, never cut."""

from __future__ import annotations

from itertools import combinations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pipeline.types import Detections, Image, Tracks
from sinks.drawing.annotator import Annotator
from sinks.drawing.colors import _APART, _distance, track_color
from sinks.drawing.placement import LabelPlaces, PlacedLabel, box_label
from sinks.drawing.track_colors import TrackColors

SIZE = (320, 200)
BOXES = st.lists(
    st.tuples(st.integers(-30, 300), st.integers(-30, 190), st.integers(5, 120), st.integers(5, 120)), max_size=40
)


def plates(*widths: int) -> list[Image]:
    return [np.full((14, width, 3), 200, np.uint8) for width in widths]


def covers(one: PlacedLabel, other: PlacedLabel) -> bool:
    apart = (
        one.left + one.plate.shape[1] <= other.left or other.left + other.plate.shape[1] <= one.left
        or one.top + one.plate.shape[0] <= other.top or other.top + other.plate.shape[0] <= one.top
    )  # fmt: skip
    return not apart


@given(boxes=BOXES)
def test_labels_are_whole_and_never_over_each_other(boxes: list[tuple[int, int, int, int]]) -> None:
    places = LabelPlaces(*SIZE)
    placed = [
        box_label(places, plates(90, 40, 20), (left, top, left + width, top + height), 2, (0, 0, 255))
        for left, top, width, height in boxes
    ]
    shown = [label for label in placed if label is not None]
    picture = np.zeros((SIZE[1], SIZE[0], 3), np.uint8)
    for label in shown:
        assert 0 <= label.left <= SIZE[0] - label.plate.shape[1]
        assert 0 <= label.top <= SIZE[1] - label.plate.shape[0]
        label.draw(picture)
    assert not any(covers(*pair) for pair in combinations(shown, 2))


def test_a_label_stands_above_its_box_and_in_fewer_words_or_away_where_it_is_crowded() -> None:
    places = LabelPlaces(*SIZE)
    box = (100, 100, 130, 130)
    first = box_label(places, plates(90, 40, 20), box, 2, (0, 0, 255))
    assert first is not None
    assert (first.left, first.top, first.leader) == (99, 85, None)
    others = [box_label(places, plates(90, 40, 20), box, 2, (0, 0, 255)) for _ in range(9)]
    shown = [label for label in others if label is not None]
    assert {label.plate.shape[1] for label in shown} >= {90, 20}
    leaders = [label.leader for label in shown if label.leader is not None]
    assert leaders
    assert all(box[0] <= x <= box[2] and box[1] <= y <= box[3] for x, y in leaders)


def test_neighbours_have_colours_that_differ() -> None:
    # Ids 1 and 1 + 21 * 11 have nearly the same colour by themselves.
    alike = next(number for number in range(2, 400) if _distance(track_color(1), track_color(number)) < _APART / 4)
    rows = np.array([[10, 10, 30, 60], [20, 10, 40, 60]], np.float32)
    zeros = np.zeros(2, np.float32)
    pair = Tracks(
        rows, zeros, np.zeros(2, np.int32), track_id=np.array([1, alike], np.int64), age_s=zeros, unseen_s=zeros
    )
    colors = TrackColors()
    first, second = colors.of(pair, 0.0)
    assert first == track_color(1)
    assert _distance(first, second) >= _APART
    assert colors.of(pair, 1.0) == [first, second], "a track keeps its colour"
    colors.forget([1], 1.0)
    assert colors.of(pair[1:], 1.1) == [second]


def test_of_two_classes_in_one_place_the_stronger_has_the_label() -> None:
    box = [40, 60, 120, 180]
    boxes = np.array([box, np.add(box, 1)], np.float32)
    both = Detections(boxes, np.array([0.4, 0.7], np.float32), np.array([0, 1], np.int32))
    image = np.zeros((200, 320, 3), np.uint8)
    drawn = Annotator(["truck", "car"]).draw_objects(image, both)
    strong = Annotator(["truck", "car"]).draw_objects(image, both[1:])
    # Above the boxes there is the label of the stronger alone.
    assert (drawn[:58] == strong[:58]).all()
