"""Speeds over the ground."""

from __future__ import annotations

import math

import numpy as np
import pytest

from pipeline.analytics.event_stamper import EventStamper
from pipeline.analytics.lines import Line
from pipeline.analytics.speed import SMOOTHING_S, SpeedMeter
from pipeline.analytics.stream_analytics import StreamAnalytics
from pipeline.analytics.track_table import TrackTable
from pipeline.events import LineCrossed
from pipeline.geometry.ground import Homography
from tests.support.tracked_frames import standing_at, tracked_frame
from tests.support.watched_paths import NAMES, Path, watch

ROAD = Homography(image=[(250, 100), (390, 100), (620, 470), (20, 470)], metres=[(0, 60), (7, 60), (7, 0), (0, 0)])


ROAD = Homography(image=[(250, 100), (390, 100), (620, 470), (20, 470)], metres=[(0, 60), (7, 60), (7, 0), (0, 0)])


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
