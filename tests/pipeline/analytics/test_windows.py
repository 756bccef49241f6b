"""Windows of media time: known answers under uneven frame times, losses and gaps, and bounded memory."""

from __future__ import annotations

import tracemalloc
from collections.abc import Sequence
from dataclasses import replace

import pytest

from pipeline.analytics.event_stamper import EventStamper
from pipeline.analytics.lines import Line
from pipeline.analytics.stream_analytics import StreamAnalytics
from pipeline.analytics.zones import Zone
from pipeline.events import Event, WindowMinute, WindowSecond
from tests.support.tracked_frames import Shown, standing_at, tracked_frame

NAMES = ("person", "car")


def seconds(
    frames: Sequence[tuple[float, int]], *, gap_after: int | None = None, hold_s: float = 0.5, frame_s: float = 0.04
) -> list[WindowSecond]:
    """The windows of frames given by time and number of persons shown."""
    counter = StreamAnalytics("s", NAMES, stamper=EventStamper(), hold_s=hold_s, frame_s=frame_s)
    events: list[Event] = []
    for index, (pts_s, persons) in enumerate(frames):
        events += counter.update(
            tracked_frame(index, pts_s, {track: standing_at(50, 50) for track in range(1, persons + 1)})
        )
        if index == gap_after:
            events += counter.gap()
    events += counter.finish()
    return [event for event in events if isinstance(event, WindowSecond)]


def test_the_last_slide_is_counted_for_as_long_as_it_stays() -> None:
    """Up to ``hold_s``, like any other; a last frame that stays as long as frames usually do changes nothing."""
    for stays_s, expected in [(3.0, [1.0, 1.0, 1.0, 0.5]), (60.0, [1.0, 1.0, 1.0, 1.0, 0.5]), (0.5, [1.0])]:
        counter = StreamAnalytics("s", NAMES, stamper=EventStamper(), hold_s=4.0)
        for index in range(2):
            tracked = tracked_frame(index, index / 2, {1: standing_at(50, 50)})
            frame = tracked.frame.timed(0.5 if index == 0 else stays_s, 0.0, is_last=index == 1)
            counter.update(replace(tracked, frame=frame))
        windows = [event for event in counter.finish() if isinstance(event, WindowSecond)]
        assert [window.coverage for window in windows] == expected
        assert [told(window)[3:] for window in windows] == [(1.0, 1, 1)] * len(windows)


def told(window: WindowSecond) -> tuple[int, int, float, float, int, int]:
    """index, frames, coverage, mean, max, unique of persons."""
    persons = window.objects.get("person")
    counts = (persons.mean, persons.max, persons.unique) if persons else (0.0, 0, 0)
    return (window.index, window.frames, window.coverage, *counts)


def test_even_frames_fill_their_windows() -> None:
    windows = seconds([(n / 25, 2) for n in range(60)])
    assert [told(window) for window in windows] == [
        (0, 25, 1.0, 2.0, 2, 2),
        (1, 25, 1.0, 2.0, 2, 2),
        (2, 10, 0.4, 2.0, 2, 2),
    ]
    assert [(window.start_s, window.end_s, window.pts_s) for window in windows] == [(0, 1, 1), (1, 2, 2), (2, 3, 2.4)]


@pytest.mark.parametrize("fps", [5, 24, 25, 30, 50, 59.94, 60, 120])
def test_a_file_of_ten_seconds_is_covered_whatever_its_rate(fps: float) -> None:
    windows = seconds([(n / fps, 1) for n in range(round(10 * fps))])
    assert [window.index for window in windows] == list(range(10))
    assert all(window.coverage == 1.0 for window in windows[:-1])
    assert windows[-1].coverage == pytest.approx(1.0, abs=0.02)
    assert sum(window.frames for window in windows) == round(10 * fps)


def test_the_mean_is_weighted_with_time_not_frames() -> None:
    # One person for 0.8 s in two frames, five for 0.2 s in ten.
    frames = [(0.0, 1), (0.4, 1), *[(0.8 + n * 0.02, 5) for n in range(10)], (1.0, 0)]
    assert told(seconds(frames)[0]) == (0, 12, 1.0, 1.8, 5, 5)


def test_intervals_are_half_open() -> None:
    windows = seconds([(0.0, 1), (0.5, 1), (1.0, 3), (1.5, 3)])
    assert [told(window) for window in windows] == [(0, 2, 1.0, 1.0, 1, 1), (1, 2, 1.0, 3.0, 3, 3)]


def test_a_window_is_judged_by_its_own_frames() -> None:
    # The frame at 0.96 stays on screen until 1.02, but is counted in its own window alone.
    windows = seconds([(0.9, 1), (0.96, 4), (1.02, 1), (1.5, 1)])
    assert told(windows[1])[2:] == (0.98, 1.0, 1, 1)


def test_frames_further_apart_than_windows_stand_for_them() -> None:
    windows = seconds([(0.0, 1), (2.5, 2), (5.0, 3)], hold_s=3)
    assert [told(window) for window in windows] == [
        (0, 1, 1.0, 1.0, 1, 1),
        (1, 0, 1.0, 1.0, 1, 1),
        (2, 1, 1.0, 2.0, 2, 2),
        (3, 0, 1.0, 2.0, 2, 2),
        (4, 0, 1.0, 2.0, 2, 2),
        (5, 1, 1.0, 3.0, 3, 3),
    ]


def test_frames_lost_leave_their_time_unobserved() -> None:
    windows = seconds([(n / 10, 2) for n in range(30) if not 12 <= n < 18], hold_s=0.2)
    assert [window.coverage for window in windows] == [1.0, 0.5, 1.0]
    assert windows[1].objects["person"].mean == 2.0


def test_windows_that_nobody_observed_are_left_out() -> None:
    windows = seconds([(0.0, 1), (0.1, 1), (3600.0, 2), (3600.1, 2)])
    assert [told(window) for window in windows] == [(0, 2, 0.6, 1.0, 1, 1), (3600, 2, 0.2, 2.0, 2, 2)]


def test_before_a_gap_a_frame_stands_as_long_as_usual() -> None:
    windows = seconds([(0.0, 1), (0.1, 1), (0.9, 1)], gap_after=1)
    assert [window.coverage for window in windows] == [0.3]  # 0.2 s before the gap, 0.1 s after
    windows = seconds([(0.8, 1), (0.9, 1), (2.0, 1)], gap_after=1)
    assert [(window.index, window.coverage) for window in windows] == [(0, 0.2), (2, 0.1)]


def test_a_stream_that_starts_late_has_no_empty_windows() -> None:
    assert [told(window) for window in seconds([(7.3, 1), (7.4, 1)])] == [(7, 2, 0.2, 1.0, 1, 1)]


def test_a_single_frame() -> None:
    assert [told(window) for window in seconds([(0.0, 3)], frame_s=0.1)] == [(0, 1, 0.1, 3.0, 3, 3)]


def test_the_last_frame_opens_no_window_of_its_own() -> None:
    assert [window.index for window in seconds([(0.0, 1), (0.7, 1)], hold_s=1)] == [0]


def test_a_minute_sees_each_track_once() -> None:
    counter = StreamAnalytics("s", NAMES, stamper=EventStamper())
    events: list[Event] = []
    for index in range(1300):
        track = 1 + index // 100
        shown = {track: standing_at(50, 50), 1000: standing_at(90, 90, 1)}
        ended = [track - 1] if index % 100 == 0 and track > 1 else []
        events += counter.update(tracked_frame(index, index / 10, shown, ended=ended))
    minutes = [event for event in events + counter.finish() if isinstance(event, WindowMinute)]
    assert [minute.objects["person"].unique for minute in minutes] == [6, 6, 1]
    assert [minute.objects["person"].entered for minute in minutes] == [6, 6, 1]
    assert [minute.objects["person"].left for minute in minutes] == [5, 6, 2]
    assert [minute.objects["car"].unique for minute in minutes] == [1, 1, 1]
    assert [minute.coverage for minute in minutes] == [1.0, 1.0, pytest.approx(1 / 6, abs=1e-6)]


@pytest.mark.slow
def test_memory_does_not_grow_with_the_run() -> None:
    counter = StreamAnalytics(
        "s",
        NAMES,
        stamper=EventStamper(),
        zones=[Zone("z", [(0, 0), (300, 0), (300, 400), (0, 400)])],
        lines=[Line("l", (0, 100), (300, 100))],
    )

    def run(first: int, last: int) -> int:
        """Frames in which three tracks live for three seconds each; returns the bytes held at the end."""
        for index in range(first, last):
            oldest = index // 6 * 3
            shown: dict[int, Shown] = {
                track: standing_at(50 + 60 * (track % 5), 60 + 80 * (index % 2)) for track in range(oldest, oldest + 3)
            }
            ended = range(oldest - 3, oldest) if index % 6 == 0 else []
            counter.update(tracked_frame(index, index / 2, shown, ended=ended))
        return tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    try:
        # The first frames fill what is remembered for those who draw later.
        held = run(0, 900)
        assert run(900, 1800) < held + 20_000
    finally:
        tracemalloc.stop()
    assert counter.objects() == {"person": {"unique": 900, "max": 3}}
