"""Coverage of windows for cameras of any rate, whatever they say of themselves."""

from __future__ import annotations

import random
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.analytics.event_stamper import EventStamper
from pipeline.analytics.stream_analytics import StreamAnalytics, hold_for
from pipeline.events import WindowSecond
from pipeline.types import SourceInfo
from tests.support.tracked_frames import tracked_frame


def coverage(
    moments: list[tuple[int, float]], stated: Fraction | None = None, gaps: frozenset[int] = frozenset()
) -> list[float]:
    """Coverage of each whole second that the frames, given by number and time, tell of; a gap follows some of them."""
    info = SourceInfo(640, 480, fps=stated, live=True)
    counter = StreamAnalytics(
        "s", ["person"], stamper=EventStamper(), hold_s=hold_for(info), frame_s=0.04, measures_interval=True
    )
    windows = []
    for index, pts_s in moments:
        windows += counter.update(tracked_frame(index, pts_s, {}))
        if index in gaps:
            windows += counter.gap()
    return [window.coverage for window in windows if isinstance(window, WindowSecond)]


@settings(max_examples=30, deadline=None)
@given(st.floats(0.5, 30), st.sampled_from([None, Fraction(25), Fraction(2), Fraction(90_000)]), st.integers(0, 100))
def test_a_camera_of_any_rate_that_is_read_whole_is_observed_whole(
    fps: float, stated: Fraction | None, seed: int
) -> None:
    jitter = random.Random(seed)
    moments = [(k, max(0.0, (k + jitter.uniform(-0.1, 0.1)) / fps)) for k in range(1, round(12 * fps) + 3)]
    seen = coverage(moments, stated)
    # From the second in which the first distance between frames was known.
    known = int(moments[2][1]) + 1 if 1 / fps > 1.2 else 1
    assert seen[known:] == pytest.approx([1.0] * len(seen[known:]))


@pytest.mark.parametrize("fps", [1, 2, 3])
def test_the_first_seconds_of_a_slow_camera_count_too(fps: int) -> None:
    assert coverage([(k, k / fps) for k in range(6 * fps)]) == pytest.approx([1.0] * 5)


def test_frames_that_were_left_out_are_not_observed() -> None:
    # Of 25 frames a second every 25th got through: a quarter of each second was seen.
    assert coverage([(25 * k, float(k)) for k in range(6)], Fraction(25)) == pytest.approx([0.25] * 5)
    assert coverage([(25 * k, float(k)) for k in range(6)]) == pytest.approx([0.25] * 5)


def test_a_stall_and_a_gap_are_not_observed() -> None:
    moments = [(k, k / 10) for k in range(30)] + [(30 + k, 7.0 + k / 10) for k in range(21)]
    seen = coverage(moments)
    assert seen[:2] == pytest.approx([1.0, 1.0])
    assert seen[2] == pytest.approx(1.0, abs=0.01)
    assert sum(seen[3:-2]) <= 0.3
    assert seen[-1] == pytest.approx(1.0)
    slow = [(k, float(k)) for k in range(5)] + [(5 + k, 60.0 + k) for k in range(4)]
    assert sum(coverage(slow, gaps=frozenset({4}))) == pytest.approx(5 + 3)
