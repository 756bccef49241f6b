"""A camera that comes back with another size: what was drawn in pixels keeps its place, and it is told."""

from __future__ import annotations

import logging

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.analytics.event_stamper import EventStamper
from pipeline.analytics.lines import Line
from pipeline.analytics.speed import SpeedMeter
from pipeline.analytics.stream_analytics import StreamAnalytics
from pipeline.analytics.track_table import TrackTable
from pipeline.analytics.zones import Zone
from pipeline.detection.filters import RegionFilter, SizeFilter
from pipeline.events import WindowSecond
from pipeline.geometry.ground import Homography
from pipeline.geometry.points import Placement
from pipeline.geometry.region import Rectangle, Region
from pipeline.types import Detections, Frame
from sinks.drawing.count_overlay import _pixels
from tests.support.tracked_frames import standing_at, tracked_frame

SIZES = st.tuples(st.integers(64, 2000), st.integers(64, 2000))
HALL = Zone("hall", [(100, 100), (300, 100), (300, 220), (100, 220)], anchor="bottom_center")


def seen_inside(
    zone: Zone, places: list[tuple[float, float]], first: tuple[int, int], then: tuple[int, int]
) -> list[int]:
    """How many of these places, in fractions of the picture, the zone counts in pictures of either size."""
    counter = StreamAnalytics("s", ["person"], stamper=EventStamper(), zones=[zone])
    events = []
    for second, size in enumerate((first, then)):
        for look in range(4):
            shown = {
                10 * second + track: standing_at(x * size[0], y * size[1]) for track, (x, y) in enumerate(places, 1)
            }
            ended = list(range(1, 9)) if second and not look else []
            events += counter.update(tracked_frame(4 * second + look, second + look / 4, shown, ended=ended, size=size))
    events += counter.finish()
    windows = [event for event in events if isinstance(event, WindowSecond)]
    return [window.zones["hall"]["person"].max if window.zones["hall"] else 0 for window in windows]


@settings(max_examples=25, deadline=None)
@given(SIZES, SIZES, st.lists(st.tuples(st.floats(0.02, 0.98), st.floats(0.02, 0.98)), min_size=1, max_size=5))
def test_the_same_places_are_inside_at_any_size(
    first: tuple[int, int], then: tuple[int, int], places: list[tuple[float, float]]
) -> None:
    corners = [(0.25, 0.3), (0.75, 0.3), (0.75, 0.7), (0.25, 0.7)]
    near = [min(abs(x - 0.25), abs(x - 0.75), abs(y - 0.3), abs(y - 0.7)) < 0.01 for x, y in places]
    kept = [place for place, close in zip(places, near, strict=True) if not close] or [(0.5, 0.5)]
    zone = Zone("hall", [(x * first[0], y * first[1]) for x, y in corners])
    before, after = seen_inside(zone, kept, first, then)
    assert before == after == sum(0.25 < x < 0.75 and 0.3 < y < 0.7 for x, y in kept)


def test_a_change_is_warned_of_once(caplog: pytest.LogCaptureFixture) -> None:
    door = Zone("door", [(0.1, 0.1), (0.2, 0.1), (0.2, 0.2)], units="fraction")
    counter = StreamAnalytics(
        "s", ["person"], stamper=EventStamper(), zones=[HALL, door], lines=[Line("kerb", (0, 100), (300, 100))]
    )
    with caplog.at_level(logging.WARNING):
        for index, size in enumerate([(640, 480), (640, 480), (320, 240), (320, 240)]):
            counter.update(tracked_frame(index, index / 10, {}, size=size))
    assert len(caplog.messages) == 2
    for message, name in zip(caplog.messages, ("zone 'hall'", "line 'kerb'"), strict=True):
        assert all(word in message for word in (name, "640 x 480", "320 x 240"))
        assert "door" not in message
        assert "check" not in message, "the shape is the same"
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        counter.update(tracked_frame(9, 9.0, {}, size=(320, 320)))
    assert all("check" in message for message in caplog.messages)
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        counter.update(tracked_frame(10, 10.0, {}, size=(640, 480)))
    assert not caplog.messages, "as they were drawn"


def test_lines_are_crossed_where_they_are_in_the_picture() -> None:
    counter = StreamAnalytics("s", ["person"], stamper=EventStamper(), lines=[Line("kerb", (0, 240), (640, 240))])
    for index in range(20):
        size = (640, 480) if index < 5 else (1280, 960)
        height = 0.3 + 0.02 * index
        counter.update(tracked_frame(index, index / 10, {1: standing_at(size[0] / 2, height * size[1])}, size=size))
    assert counter.line_totals()["kerb"]["person"] == {"in": 1, "out": 0}


def test_speeds_are_those_on_the_ground() -> None:
    corners = [(100.0, 400.0), (500.0, 400.0), (400.0, 200.0), (200.0, 200.0)]
    meter = SpeedMeter(Homography(corners, [(0, 0), (10, 0), (10, 20), (0, 20)]), table := TrackTable())
    rows, _ = table.rows(np.array([1], np.int64))
    for index in range(10):
        size = (640, 480) if index < 5 else (320, 240)
        meter.fit(*size)
        place = np.array([[(120 + 20 * index) * size[0] / 640, 400 * size[1] / 480]])
        meter.update(rows, place, index / 10)
    assert meter.speeds(rows) == pytest.approx([20 / 400 * 10 * 10], rel=1e-6)


def test_the_part_that_is_looked_at_and_the_filters_follow() -> None:
    region = Region([([(100, 100), (300, 100), (300, 220)], "pixels")])
    assert region.part(480, 640) == Rectangle(100, 100, 300, 220)
    assert region.part(240, 320) == Rectangle(50, 50, 150, 110)
    assert region.part(480, 640) == Rectangle(100, 100, 300, 220)
    mask = RegionFilter([(100, 100), (300, 100), (300, 220), (100, 220)], anchor="center")
    small = SizeFilter(min_height=40, min_area=40 * 40)

    def found(scale: float) -> Detections:
        boxes = np.array([[180, 130, 220, 190], [400, 300, 420, 320]], np.float32) * np.float32(scale)
        return Detections(boxes, np.ones(2, np.float32), np.zeros(2, np.int32))

    for scale, size in ((1.0, (480, 640)), (0.5, (240, 320)), (2.0, (960, 1280))):
        frame = Frame(np.zeros((*size, 3), np.uint8), 0, 0.0, 0.0, "s")
        assert mask(found(scale), frame).tolist() == [True, False]
        assert small(found(scale), frame).tolist() == [True, False]


def test_what_is_drawn_follows() -> None:
    placement = Placement()
    placement.fit(640, 480)
    placement.fit(320, 240)
    assert _pixels(HALL.polygon, "pixels", 320, 240, placement).tolist() == [[50, 50], [150, 50], [150, 110], [50, 110]]
