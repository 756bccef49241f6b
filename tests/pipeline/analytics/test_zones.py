"""Zones and lines: what counts as inside, coming, leaving and crossing; and speeds over the ground."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from itertools import pairwise

import cv2
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from pipeline.analytics.event_stamper import EventStamper
from pipeline.analytics.lines import Line
from pipeline.analytics.speed import SMOOTHING_S, SpeedMeter
from pipeline.analytics.stream_analytics import StreamAnalytics
from pipeline.analytics.track_table import TrackTable
from pipeline.analytics.zones import Zone
from pipeline.errors import ConfigError
from pipeline.events import LineCrossed, WindowSecond, ZoneEntered, ZoneLeft
from pipeline.geometry.anchors import anchor_index, anchor_points
from pipeline.geometry.ground import Homography
from pipeline.geometry.shapes import Polygons
from tests.support.tracked_frames import standing_at, tracked_frame

Path = Sequence[tuple[float, float]]
HiddenPath = Sequence[tuple[float, float] | None]
NAMES = ("person", "car")


def watch(
    path: HiddenPath,
    *,
    zones: list[Zone] | None = None,
    lines: list[Line] | None = None,
    unseen: set[int] | None = None,
    size: tuple[int, int] = (640, 480),
    homography: Homography | None = None,
    class_id: int = 0,
    fps: float = 10,
) -> list[LineCrossed | ZoneEntered | ZoneLeft]:
    """Crossings and visits of one track whose anchor is there frame by frame; None where it is not shown."""
    counter = StreamAnalytics(
        "s", NAMES, stamper=EventStamper(), zones=zones or [], lines=lines or [], homography=homography
    )
    events = []
    for index, place in enumerate(path):
        unseen_s = 0.1 if index in (unseen or set()) else 0.0
        shown = {} if place is None else {1: standing_at(*place, class_id, unseen_s=unseen_s)}
        events += counter.update(tracked_frame(index, index / fps, shown, size=size))
    events += counter.finish()
    return [event for event in events if isinstance(event, LineCrossed | ZoneEntered | ZoneLeft)]


def directions(path: HiddenPath, line: Line, unseen: set[int] | None = None) -> list[str]:
    return [e.direction for e in watch(path, lines=[line], unseen=unseen) if isinstance(e, LineCrossed)]


LEVEL = Line("level", (100, 200), (500, 200), hysteresis=5)


# ---------------------------------------------------------------- lines


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


# ---------------------------------------------------------------- zones


ROOM = Zone("room", [(100, 100), (300, 100), (300, 300), (100, 300)])


def test_visits_have_their_dwell_time() -> None:
    path: Path = [(50, 200), (50, 200), (150, 200), (200, 200), (350, 200), (350, 200), (200, 200), (200, 210)]
    visits = watch(path, zones=[ROOM])
    assert [type(visit) for visit in visits] == [ZoneEntered, ZoneLeft, ZoneEntered, ZoneLeft]
    assert [visit.pts_s for visit in visits] == [0.2, 0.4, 0.6, 0.7]
    assert [visit.dwell_s for visit in visits if isinstance(visit, ZoneLeft)] == [0.2, 0.1]


def test_one_look_outside_or_inside_is_no_visit() -> None:
    out, within = (50, 200), (200, 200)
    assert watch([out, out, within, out, out], zones=[ROOM]) == []
    came, went = watch([within, within, out, within, within], zones=[ROOM])
    assert isinstance(came, ZoneEntered) and came.pts_s == 0
    assert isinstance(went, ZoneLeft) and (went.pts_s, went.dwell_s) == (0.4, 0.4)


def test_a_visit_at_the_end_of_a_track_is_told() -> None:
    path: Path = [(50, 200), (50, 200), (200, 200)]
    came, went = watch(path, zones=[ROOM])
    assert isinstance(came, ZoneEntered) and isinstance(went, ZoneLeft)
    assert (came.pts_s, went.pts_s, went.dwell_s) == (0.2, 0.2, 0)
    came, went = watch([*path, (200, 200), (50, 200)], zones=[ROOM])
    assert isinstance(went, ZoneLeft) and (came.pts_s, went.pts_s, went.dwell_s) == (0.2, 0.4, 0.2)


def test_a_track_that_is_hidden_or_coasts_stays_in_its_zone() -> None:
    path: HiddenPath = [(200, 200), None, None, (400, 200), (400, 200), (200, 200), (200, 200)]
    assert [type(visit) for visit in watch(path, zones=[ROOM], unseen={3, 4})] == [ZoneEntered, ZoneLeft]
    assert len(watch(path, zones=[ROOM])) == 4


def test_the_zone_counts_what_is_shown_and_inside() -> None:
    counter = StreamAnalytics("s", NAMES, stamper=EventStamper(), zones=[ROOM])
    events = []
    for index in range(11):
        shown = {1: standing_at(200, 200), 2: standing_at(400, 200), 3: standing_at(250, 250, 1)}
        if index >= 5:
            del shown[1]
        events += counter.update(tracked_frame(index, index / 10, shown))
    second = next(event for event in events if isinstance(event, WindowSecond))
    room = second.zones["room"]
    assert (room["person"].mean, room["person"].max, room["person"].unique) == (0.5, 1, 1)
    assert (room["car"].mean, room["car"].entered, room["car"].left) == (1.0, 1, 0)
    assert second.objects["person"].mean == 1.5


def test_a_zones_hysteresis_keeps_visitors_on_the_edge_from_flickering() -> None:
    path: Path = [(200, 200), *[(300 + 4 * (-1) ** (n // 2), 200) for n in range(40)], (320, 200)]
    assert len(watch(path, zones=[ROOM])) == 22
    calm = Zone("room", ROOM.polygon, hysteresis=5)
    assert [type(visit) for visit in watch(path, zones=[calm])] == [ZoneEntered, ZoneLeft]


@st.composite
def visiting_paths(draw: st.DrawFn) -> tuple[Path, float]:
    """A path in and out of ``ROOM``, seen there twice or more each time, with single outliers; and its time inside."""
    inside = st.tuples(st.integers(101, 299), st.integers(101, 299))
    outside = st.tuples(st.one_of(st.integers(0, 99), st.integers(301, 400)), st.integers(0, 400))
    within = draw(st.booleans())
    path: list[tuple[int, int]] = []
    dwell = 0
    for _ in range(draw(st.integers(1, 6))):
        here, there = (inside, outside) if within else (outside, inside)
        stay = [draw(here) for _ in range(draw(st.integers(2, 5)))]
        if draw(st.booleans()):
            stay += [draw(there), draw(here)]
        path += stay
        dwell += len(stay) * within
        within = not within
    # From each look inside to the next; the last one has none.
    return path, 0.1 * (dwell - (not within))


@settings(max_examples=60, deadline=None)
@given(visiting_paths())
def test_dwell_times_add_up(case: tuple[Path, float]) -> None:
    path, expected = case
    visits = watch(path, zones=[ROOM])
    assert sum(visit.dwell_s for visit in visits if isinstance(visit, ZoneLeft)) == pytest.approx(expected, abs=1e-4)


@given(
    st.lists(st.tuples(st.floats(0, 500), st.floats(0, 500)), min_size=1, max_size=40),
    st.integers(3, 12),
    st.integers(0, 1000),
)
def test_inside_and_distance_agree_with_opencv(points: Path, corner_count: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    outlines = []
    for _ in range(3):
        angles = np.sort(random.uniform(0, 2 * math.pi, corner_count))
        radius = random.uniform(30, 200, corner_count)
        outlines.append(250 + np.stack([radius * np.cos(angles), radius * np.sin(angles)], axis=1))
    outlines = [outline.astype(np.float32).astype(np.float64) for outline in outlines]
    polygons = Polygons(outlines)
    places = np.array(points, np.float32).astype(np.float64)
    stacked = np.repeat(places[:, None], 3, axis=1)
    inside, distance = polygons.contains(stacked), polygons.distance(stacked)
    for row, (x, y) in enumerate(places.tolist()):
        for column, outline in enumerate(outlines):
            depth = cv2.pointPolygonTest(outline.astype(np.float32), (x, y), True)
            assert distance[row, column] == pytest.approx(abs(depth), abs=1e-2)
            if abs(depth) > 1e-2:
                assert inside[row, column] == (depth > 0)


def test_zones_that_share_an_edge_share_no_point() -> None:
    left, right = (
        [(0.0, 0.0), (10.0, 0.0), (10.0, 10.0), (0.0, 10.0)],
        [(10.0, 0.0), (20.0, 0.0), (20.0, 10.0), (10.0, 10.0)],
    )
    points = np.array([[x, y] for x in range(21) for y in range(11)], np.float64)
    inside = Polygons([np.array(left), np.array(right)]).contains(np.repeat(points[:, None], 2, axis=1))
    assert inside.any(axis=1).sum() == 20 * 10 and not inside.all(axis=1).any()


def test_anchors() -> None:
    box = np.array([[10, 20, 30, 60]], np.float32)
    names = ["bottom_center", "center", "top_center", "left_center", "right_center", "top_left", "bottom_right"]
    points = anchor_points(box)[0]
    assert [points[anchor_index(name)].tolist() for name in names] == [
        [20, 60], [20, 40], [20, 20], [10, 40], [30, 40], [10, 20], [30, 60],
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Line("a", (1, 1), (1, 1)), "line 'a': start and end are the same point"),
        (lambda: Line("a", (0, 0.5), (1, 0.5)), "line 'a': the line is shorter than a pixel; say units: fraction"),
        (lambda: Line("a", (0, 0), (9, 9), hysteresis=-1), "line 'a': expected a distance of 0 or more"),
        (lambda: Line("a", (0, 0), (9, 9), anchor="feet"), "line 'a': no anchor 'feet'; choose one of bottom_center"),  # type: ignore[arg-type]
        (lambda: Zone("b", [(0, 0), (9, 9), (9, 0), (0, 9)]), "zone 'b': the polygon's edges cross"),
        (lambda: Zone("b", ROOM.polygon, hysteresis=math.nan), "zone 'b': expected a distance"),
    ],
)
def test_definitions_that_make_no_sense(make: object, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        make()  # type: ignore[operator]


def test_a_zone_outside_the_picture_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        watch([(1, 1)], zones=[Zone("far", [(700, 0), (800, 0), (800, 90)])], lines=[LEVEL])
    assert [record.getMessage() for record in caplog.records] == [
        "zone 'far' lies outside the picture of 640 x 480 pixels"
    ]


# ---------------------------------------------------------------- speeds


ROAD = Homography(image=[(250, 100), (390, 100), (620, 470), (20, 470)], metres=[(0, 60), (7, 60), (7, 0), (0, 0)])


def test_the_map_to_the_ground_agrees_with_opencv() -> None:
    expected = cv2.getPerspectiveTransform(np.array(ROAD.image, np.float32), np.array(ROAD.metres, np.float32))
    points = np.random.default_rng(1).uniform((20, 110), (620, 470), (50, 2))
    mapped = ROAD.fit(640, 480).to_metres(points)
    assert mapped == pytest.approx(cv2.perspectiveTransform(points[None], expected)[0], abs=1e-4)
    corners = ROAD.fit(640, 480).to_metres(np.array(ROAD.image, np.float64))
    assert corners == pytest.approx(np.array(ROAD.metres, np.float64), abs=1e-9)


def test_the_horizon_has_no_place_on_the_ground() -> None:
    ground = ROAD.fit(640, 480)
    assert np.isnan(ground.to_metres(np.array([[320.0, -2000.0]]))).all()


def to_image(ground: list[tuple[float, float]]) -> Path:
    back = np.linalg.inv(ROAD.fit(640, 480).matrix)
    mapped = np.concatenate([np.array(ground), np.ones((len(ground), 1))], axis=1) @ back.T
    return [(float(x / w), float(y / w)) for x, y, w in mapped]


@pytest.mark.parametrize("speed", [2.0, 13.9])
def test_speed_of_steady_motion(speed: float) -> None:
    path = to_image([(3.5, 1 + speed * n / 25) for n in range(int(50 / speed * 25))])
    line = Line("line", (0, 300), (640, 300))
    (crossing,) = watch(path, lines=[line], homography=ROAD, fps=25)
    assert isinstance(crossing, LineCrossed) and crossing.direction == "out"
    assert crossing.speed_mps == pytest.approx(speed, rel=0.01)


def test_speed_under_jitter_and_of_a_standing_object() -> None:
    random = np.random.default_rng(3)
    counter = StreamAnalytics("s", NAMES, stamper=EventStamper(), homography=ROAD, update_hz=100)
    moving = to_image([(3.5, 1 + 5 * n / 25) for n in range(100)])
    speeds: dict[int, list[float]] = {1: [], 2: []}
    for index, (x, y) in enumerate(moving):
        dx, dy = random.normal(0, 0.5, 2)
        shown = {1: standing_at(x + dx, y + dy), 2: standing_at(320 + dx, 400 + dy)}
        for event in counter.update(tracked_frame(index, index / 25, shown)):
            if (speed := getattr(event, "speed_mps", None)) is not None:
                speeds[event.track_id].append(speed)  # type: ignore[attr-defined]
    assert np.median(speeds[1]) == pytest.approx(5, rel=0.1)
    assert np.median(speeds[2]) < 0.2


@pytest.mark.parametrize(
    "times", [[0.0, 0.4, 1.0, 1.5], [0.04 * n for n in range(38)], [0.0, 0.1, 0.96, 1.0, 1.48, 1.5]]
)
def test_a_change_of_speed_is_seen_alike_at_any_frame_rate(times: list[float]) -> None:
    """2 m/s for a second, then 6 m/s: the mean of both, with weights that fall by a factor e per smoothing time."""
    plain = Homography([(0, 0), (640, 0), (640, 480), (0, 480)], [(0, 0), (64, 0), (64, 48), (0, 48)])
    table = TrackTable()
    meter = SpeedMeter(plain, table)
    meter.fit(640, 480)
    rows, _ = table.rows(np.array([1], np.int64))
    for at in sorted({*times, 1.0}):
        meter.update(rows, np.array([[10 * (2 * min(at, 1) + 6 * max(0, at - 1)), 100.0]]), at)
    last = max(times)
    late, early = (
        1 - math.exp(-(last - 1) / SMOOTHING_S),
        math.exp(-(last - 1) / SMOOTHING_S) - math.exp(-last / SMOOTHING_S),
    )
    assert meter.speeds(rows)[0] == pytest.approx((6 * late + 2 * early) / (late + early), rel=1e-9)


def test_no_speed_is_told_too_early_or_without_a_map() -> None:
    line = Line("line", (0, 300), (640, 300))
    (crossing,) = watch([(300, 280), (300, 320)], lines=[line], homography=ROAD, fps=25)
    assert isinstance(crossing, LineCrossed) and crossing.speed_mps is None
    (crossing,) = watch([(300, 280), (300, 320)], lines=[line])
    assert isinstance(crossing, LineCrossed) and crossing.speed_mps is None


def test_windows_tell_the_mean_speed_of_those_that_crossed() -> None:
    counter = StreamAnalytics(
        "s", NAMES, stamper=EventStamper(), homography=ROAD, lines=[Line("line", (0, 300), (640, 300))]
    )
    paths = {1: to_image([(2, 4 * n / 25) for n in range(100)]), 2: to_image([(5, 6 * n / 25) for n in range(100)])}
    events = []
    for index in range(100):
        shown = {track: standing_at(*path[index]) for track, path in paths.items()}
        events += counter.update(tracked_frame(index, index / 25, shown))
    events += counter.finish()
    minute = events[-1]
    counts = minute.lines["line"]["person"]  # type: ignore[attr-defined]
    assert counts.left == 2 and counts.mean_speed_mps == pytest.approx(5, rel=0.01)


@pytest.mark.parametrize(
    ("image", "metres", "says"),
    [
        ([(0, 0), (9, 0), (9, 9)], [(0, 0), (1, 0), (1, 1)], "expected four points, got 3"),
        ([(0, 0), (5, 5), (9, 9), (0, 9)], [(0, 0), (1, 0), (1, 1), (0, 1)], "image: three of the four points"),
        ([(0, 0), (9, 0), (9, 9), (0, 9)], [(0, 0), (1, 0), (2, 0), (0, 1)], "metres: three of the four points"),
        ([(0, 0), (9, 0), (9, 9), (0, 9)], [(0, 0), (1, 0), (0, 1), (1, 1)], "not in the same order"),
    ],
)
def test_a_homography_that_makes_no_sense(image: Path, metres: Path, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        Homography(image=image, metres=metres)
