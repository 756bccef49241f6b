"""Lines: what counts as crossing, which way and when."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from pipeline.analytics.event_stamper import EventStamper
from pipeline.analytics.lines import Line
from pipeline.analytics.stream_analytics import StreamAnalytics
from pipeline.events import LineCrossed, WindowSecond
from tests.support.tracked_frames import standing_at, tracked_frame
from tests.support.watched_paths import NAMES, HiddenPath, Path, watch


def directions(path: HiddenPath, line: Line, unseen: set[int] | None = None) -> list[str]:
    return [e.direction for e in watch(path, lines=[line], unseen=unseen) if isinstance(e, LineCrossed)]


LEVEL = Line("level", (100, 200), (500, 200), hysteresis=5)


def test_in_is_from_the_left_to_the_right_of_the_lines_direction() -> None:
    down = [(300.0, 100.0), (300.0, 300.0)]
    assert directions(down, LEVEL) == ["in"]
    assert directions(down[::-1], LEVEL) == ["out"]
    assert directions(down, Line("turned", LEVEL.end, LEVEL.start)) == ["out"]
    assert directions([(200.0, 200.0), (400.0, 200.0)], Line("upwards", (300, 400), (300, 100))) == ["in"]


def test_a_path_beside_the_ends_does_not_cross() -> None:
    assert directions([(99.0, 100.0), (99.0, 300.0)], LEVEL) == []
    assert directions([(501.0, 100.0), (501.0, 300.0)], LEVEL) == []
    assert directions([(101.0, 100.0), (101.0, 300.0)], LEVEL) == ["in"]
    # Aimed so that both points are beside the segment, but the way between them is not; and the other way round.
    assert directions([(95.0, 190.0), (150.0, 250.0)], LEVEL) == ["in"]
    assert directions([(130.0, 250.0), (60.0, 190.0)], LEVEL) == []


def test_going_around_the_end_and_back_through_counts_one_way() -> None:
    around: Path = [(300, 100), (600, 100), (600, 300), (300, 300), (300, 100)]
    assert directions(around, LEVEL) == ["out"]


@pytest.mark.parametrize("amplitude", [0.5, 3, 5])
def test_jitter_on_the_line_does_not_count(amplitude: float) -> None:
    assert directions([(300, 200 + amplitude * (-1) ** n) for n in range(100)], LEVEL) == []


def test_an_object_that_stops_on_the_line_counts_once() -> None:
    tremble = [(300, 200 + 4.5 * math.sin(n)) for n in range(100)]
    assert directions([(300, 150), *tremble, (300, 250)], LEVEL) == ["in"]
    assert directions([(300, 150), *tremble, (300, 150)], LEVEL) == []
    # It stops behind the line, where it was counted, and trembles around the band's edge.
    edge = [(300, 205 + 4.5 * math.sin(n)) for n in range(100)]
    assert directions([(300, 150), *edge, (300, 250)], LEVEL) == ["in"]


def test_lost_before_the_line_and_found_behind_it_counts_once() -> None:
    path: HiddenPath = [(300, 150), (300, 190), None, None, None, (300, 220), (300, 260)]
    assert directions(path, LEVEL) == ["in"]


def test_a_prediction_decides_nothing() -> None:
    overshooting: Path = [(300, 150), (300, 190), (300, 215), (300, 240), (300, 190), (300, 180), (300, 210)]
    assert directions(overshooting, LEVEL) == ["in", "out", "in"]
    assert directions(overshooting, LEVEL, unseen={2, 3}) == ["in"]


def test_a_track_that_appears_within_the_band_still_counts() -> None:
    assert directions([(300, 199), (300, 203), (300, 206)], LEVEL) == ["in"]


def test_lines_count_their_classes_only() -> None:
    cars = Line("cars", LEVEL.start, LEVEL.end, classes=["car"])
    path: Path = [(300, 100), (300, 300)]
    assert watch(path, lines=[cars]) == []
    assert [type(event) for event in watch(path, lines=[cars], class_id=1)] == [LineCrossed]


def test_lines_look_at_their_anchor() -> None:
    # The box is 40 pixels high: its centre is 20 above its bottom.
    path: Path = [(300, 190), (300, 212)]
    assert directions(path, LEVEL) == ["in"]
    assert directions(path, Line("centre", LEVEL.start, LEVEL.end, anchor="center", hysteresis=5)) == []


def test_fractions_follow_the_size_of_the_frame() -> None:
    line = Line("middle", (0, 0.5), (1, 0.5), units="fraction", hysteresis=0.05)
    for size in ((640, 480), (1920, 1080), (480, 640)):
        half, band = size[1] / 2, 0.05 * min(size)
        for depth, expected in ((0.9, 0), (1.1, 1)):
            path: Path = [(50, half - 2 * band), (50, half + depth * band)]
            assert len(watch(path, lines=[line], size=size)) == expected


def test_when_the_frames_change_their_size_sides_are_taken_anew() -> None:
    counter = StreamAnalytics("s", NAMES, stamper=EventStamper(), lines=[LEVEL])
    sides = [150, 250, 250, 150, 150, 250]
    sizes = [(640, 480), (640, 480), (640, 480), (320, 240), (320, 240), (320, 240)]
    found = []
    for index, (y, size) in enumerate(zip(sides, sizes, strict=True)):
        scale = size[0] / 640  # what is in pixels keeps its place in the picture
        found += counter.update(tracked_frame(index, index / 10, {1: standing_at(300 * scale, y * scale)}, size=size))
    found += counter.finish()
    assert [(event.pts_s, event.direction) for event in found if isinstance(event, LineCrossed)] == [
        (0.1, "in"),
        (0.5, "in"),
    ]


def test_a_crossing_that_waits_when_the_frames_change_their_size_counts() -> None:
    counter = StreamAnalytics("s", NAMES, stamper=EventStamper(), lines=[LEVEL])
    found = []
    for index, (y, size) in enumerate([(150, (640, 480)), (150, (640, 480)), (250, (640, 480)), (125, (320, 240))]):
        found += counter.update(tracked_frame(index, index / 10, {1: standing_at(300, y)}, size=size))
    assert [(event.pts_s, event.direction) for event in found if isinstance(event, LineCrossed)] == [(0.2, "in")]


def test_default_hysteresis_is_a_part_of_the_shorter_side() -> None:
    line = Line("any", (0, 200), (600, 200))
    assert line.hysteresis_px(1920, 1080) == pytest.approx(10.8)
    assert line.hysteresis_px(480, 854) == pytest.approx(4.8)


@st.composite
def crossing_paths(draw: st.DrawFn, *, outliers: bool = False) -> tuple[Line, Path, list[tuple[float, str]]]:
    """A line anywhere, a path that goes k times from beyond its band to beyond it on the other side, and its crossings.

    In between it trembles as it likes within the band, or wanders on the side it is on, where it is seen twice or more
    before it goes back. With ``outliers`` single looks in between saw it on the other side.
    """
    angle = draw(st.floats(0, 2 * math.pi))
    along = np.array([math.cos(angle), math.sin(angle)])
    right = np.array([-along[1], along[0]])  # y points down
    middle = np.array([draw(st.floats(200, 440)), draw(st.floats(150, 330))])
    half, band = draw(st.floats(40, 140)), draw(st.floats(0.5, 20))
    line = Line("line", tuple(middle - half * along), tuple(middle + half * along), hysteresis=band)

    def at(distance: float, part: float) -> tuple[float, float]:
        x, y = middle + right * distance + along * part * half
        return float(x), float(y)

    side = draw(st.sampled_from([-1, 1]))
    within = st.floats(-0.95, 0.95)
    beyond = st.floats(1.05 * band, 100)
    crossings = draw(st.integers(0, 6))
    path, found = [], []
    for visit in range(crossings + 1):
        if visit:
            path += [at(draw(st.floats(-0.98, 0.98)) * band, draw(within)) for _ in range(draw(st.integers(0, 4)))]
            side = -side
            found.append((round(len(path) / 10, 6), "in" if side > 0 else "out"))
        shortest = 1 if visit in (0, crossings) and not outliers else 2
        path += [at(side * draw(beyond), draw(within)) for _ in range(draw(st.integers(shortest, 4)))]
        if outliers and draw(st.booleans()):
            path += [at(-side * draw(beyond), draw(within)), at(side * draw(beyond), draw(within))]
    return line, path, found


@settings(max_examples=150, deadline=None)
@given(crossing_paths())
def test_any_path_that_crosses_k_times_counts_k(case: tuple[Line, Path, list[tuple[float, str]]]) -> None:
    line, path, expected = case
    found = [(event.pts_s, event.direction) for event in watch(path, lines=[line]) if isinstance(event, LineCrossed)]
    assert found == expected
    turned = ["out" if way == "in" else "in" for _, way in expected]
    assert [*reversed(directions(path[::-1], line))] == turned


@settings(max_examples=100, deadline=None)
@given(crossing_paths(outliers=True), st.sampled_from([0.5, 1, 3, 10, 25]))
def test_single_outliers_add_nothing_and_move_nothing(
    case: tuple[Line, Path, list[tuple[float, str]]], fps: float
) -> None:
    line, path, expected = case
    found = [event for event in watch(path, lines=[line], fps=fps) if isinstance(event, LineCrossed)]
    assert [event.direction for event in found] == [way for _, way in expected]
    assert [event.pts_s for event in found] == pytest.approx([at * 10 / fps for at, _ in expected])


def crossings_by_frame(path: HiddenPath, fps: float = 10) -> list[tuple[int, float, str]]:
    """Crossings of ``LEVEL`` with the number of the frame that told of each; -1 for the end of the stream."""
    counter = StreamAnalytics("s", NAMES, stamper=EventStamper(), lines=[LEVEL])
    found: list[tuple[int, float, str]] = []
    for index, place in enumerate([*path, "end"]):
        if place == "end":
            index, events = -1, counter.finish()
        else:
            shown = {} if place is None else {1: standing_at(*place)}
            events = counter.update(tracked_frame(index, index / fps, shown))
        found += [(index, event.pts_s, event.direction) for event in events if isinstance(event, LineCrossed)]
    return found


BEFORE, BEHIND, ON = (300.0, 150.0), (300.0, 250.0), (300.0, 202.0)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ([BEFORE, BEFORE, BEHIND, BEHIND], [(3, 0.2, "in")]),  # the second look confirms what the first saw
        ([BEFORE, BEFORE, BEHIND], [(-1, 0.2, "in")]),  # it left the picture behind the line
        ([BEFORE, BEFORE, BEHIND, None, None, BEHIND], [(5, 0.2, "in")]),  # hidden in between
        ([BEFORE, BEFORE, BEHIND, ON, BEHIND], [(4, 0.2, "in")]),  # a look within the band is neither here nor there
        ([BEFORE, BEFORE, BEHIND, ON], [(-1, 0.2, "in")]),
        ([BEFORE, BEFORE, BEHIND, BEFORE], []),
        ([BEFORE, BEFORE, BEHIND, (300.0, 198.0)], []),  # seen last on the first side
        ([BEFORE, BEFORE, BEHIND, ON, (300.0, 198.0), BEFORE], []),
        ([BEFORE, BEFORE, BEHIND, BEFORE, BEHIND, BEHIND], [(5, 0.4, "in")]),
        ([BEFORE, BEHIND, BEFORE], [(1, 0.1, "in"), (2, 0.2, "out")]),  # one look each: none is more likely wrong
        ([BEFORE, BEFORE, BEHIND, *[None] * 30], [(23, 0.2, "in")]),  # not for longer than two seconds
        ([BEFORE, BEFORE, BEHIND, *[ON] * 40, BEFORE], []),  # an outlier of one that stands on the line
        ([BEFORE, BEFORE, BEHIND, *[ON] * 40, BEHIND, BEHIND], [(44, 4.3, "in")]),
    ],
)
def test_a_second_look_confirms_a_crossing(path: HiddenPath, expected: list[tuple[int, float, str]]) -> None:
    assert crossings_by_frame(path) == expected


def test_a_camera_of_one_frame_in_three_seconds_counts_each_look() -> None:
    path: Path = [BEFORE, BEFORE, BEHIND, BEFORE, BEFORE]
    assert [way for _, _, way in crossings_by_frame(path, fps=1 / 3)] == ["in", "out"]
    assert crossings_by_frame(path, fps=1) == []


def test_a_crossing_counts_in_the_window_in_which_it_was() -> None:
    counter = StreamAnalytics("s", NAMES, stamper=EventStamper(), lines=[LEVEL])
    told = []
    for index in range(30):
        place = BEFORE if index < 9 else BEHIND
        for event in counter.update(tracked_frame(index, index / 10, {1: standing_at(*place)})):
            if isinstance(event, LineCrossed | WindowSecond):
                told.append((index, event))
    (crossed_in, crossing), (first_in, first), (second_in, second) = told
    assert isinstance(crossing, LineCrossed) and isinstance(first, WindowSecond) and isinstance(second, WindowSecond)
    assert (crossed_in, crossing.pts_s) == (10, 0.9)
    assert (first_in, first.index, first.lines["level"]["person"].entered) == (11, 0, 1)  # waits for what is open
    assert (second_in, second.index, second.lines["level"]) == (20, 1, {})


@settings(max_examples=100, deadline=None)
@given(
    st.floats(0.5, 30),
    st.lists(st.tuples(st.floats(0, 640), st.floats(-0.99, 0.99)), min_size=2, max_size=60),
    st.sets(st.integers(0, 59)),
)
def test_jitter_within_the_hysteresis_counts_nothing(
    band: float, places: list[tuple[float, float]], unseen: set[int]
) -> None:
    line = Line("level", (100, 200), (500, 200), hysteresis=band)
    assert directions([(x, 200 + part * band) for x, part in places], line, unseen) == []


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 640), st.floats(0, 480)), min_size=2, max_size=40))
def test_a_closed_path_crosses_a_long_line_as_often_in_as_out(places: Path) -> None:
    line = Line("whole", (0, 240), (640, 240), hysteresis=12)
    assume(abs(places[0][1] - 240) > 13)
    ways = directions([*places, places[0]], line)
    assert ways.count("in") == ways.count("out")
    assert all(a != b for a, b in pairwise(ways))
