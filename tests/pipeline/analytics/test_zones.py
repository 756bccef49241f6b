"""Zones: what counts as inside, coming and leaving; and definitions of zones and lines that make no sense."""

from __future__ import annotations

import logging
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.analytics.event_stamper import EventStamper
from pipeline.analytics.lines import Line
from pipeline.analytics.stream_analytics import StreamAnalytics
from pipeline.analytics.zones import Zone
from pipeline.errors import ConfigError
from pipeline.events import WindowSecond, ZoneEntered, ZoneLeft
from tests.support.tracked_frames import standing_at, tracked_frame
from tests.support.watched_paths import NAMES, HiddenPath, Path, watch

LEVEL = Line("level", (100, 200), (500, 200), hysteresis=5)
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
