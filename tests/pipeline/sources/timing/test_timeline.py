"""Media time from timestamps in any state."""

from __future__ import annotations

import itertools
import logging
from fractions import Fraction

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.sources.timing.timeline import Timeline

MILLISECOND = Fraction(1, 1000)


def times(*stamps: int | None, frame_s: float = 0.04, start: int | None = None, gap_s: float = 3600) -> list[float]:
    timeline = Timeline("test", MILLISECOND, frame_s, start=start, largest_gap_s=gap_s)
    return [timeline.next(stamp) for stamp in stamps]


@given(st.lists(st.none() | st.integers(-(2**62), 2**62), max_size=50), st.sampled_from([None, 1e-6, 0.04, 30.0]))
def test_time_always_rises(stamps: list[int | None], frame_s: float | None) -> None:
    timeline = Timeline("test", Fraction(1, 90_000), frame_s, largest_gap_s=1e9)
    moments = [timeline.next(stamp) for stamp in stamps]
    assert all(earlier < later for earlier, later in itertools.pairwise(moments))


@given(st.lists(st.integers(1, 3_600_000), min_size=1, max_size=50), st.integers(-(2**40), 2**40))
@example([2_646_765, 3_600_000], 0)
def test_rising_timestamps_are_kept_to_the_tick(steps: list[int], first: int) -> None:
    stamps = list(itertools.accumulate(steps, initial=first))
    timeline = Timeline("test", MILLISECOND, 0.04, largest_gap_s=3600)
    assert [timeline.next(stamp) for stamp in stamps] == [float((stamp - first) * MILLISECOND) for stamp in stamps]
    assert timeline.repaired == 0


@pytest.mark.parametrize(
    ("stamps", "expected"),
    [
        ((0, 40, None, 120, 160), (0, 0.04, 0.08, 0.12, 0.16)),
        ((None, None, None), (0, 0.04, 0.08)),
        # The first frame of a camera's stream carries no timestamp; the others count from anywhere.
        ((None, 5000, 5040), (0, 0.04, 0.08)),
        # One slip: afterwards the stream's clock holds again.
        ((0, 40, 80, 60, 160, 200), (0, 0.04, 0.08, 0.12, 0.16, 0.20)),
        ((0, 40, 80, 60, 120, 160), (0, 0.04, 0.08, 0.12, 0.13, 0.16)),
        # Every second one repeated: no drift.
        ((0, 0, 80, 80, 160, 160), (0, 0.04, 0.08, 0.12, 0.16, 0.20)),
        # All the same: the nominal rate.
        ((7, 7, 7, 7), (0, 0.04, 0.08, 0.12)),
        # The clock starts again.
        ((0, 40, 80, 5000, 0, 40, 80), (0, 0.04, 0.08, 5.0, 5.04, 5.08, 5.12)),
        # It leaps further than can be, for good, and for one frame.
        ((0, 40, 90_000_000, 90_000_040), (0, 0.04, 0.08, 0.12)),
        ((0, 40, 90_000_000, 120, 160), (0, 0.04, 0.08, 0.12, 0.16)),
    ],
)
def test_repairs(stamps: tuple[int | None, ...], expected: tuple[float, ...]) -> None:
    assert times(*stamps) == pytest.approx(expected)


def test_a_long_run_without_a_step_keeps_the_nominal_rate() -> None:
    assert times(*[0] * 100)[-1] == pytest.approx(99 * 0.04)


def test_the_start_may_lie_before_the_first_frame_but_not_far() -> None:
    assert times(500, 540, start=0) == pytest.approx([0.5, 0.54])
    assert times(50_000, 50_040, start=0) == [0.0, pytest.approx(0.04)]
    assert times(500, 540, start=900) == [0.0, pytest.approx(0.04)]


def test_decoding_stamps_help_where_presentation_stamps_are_made_up() -> None:
    """What FFmpeg gives for H.264 with B-frames in AVI: pts in decoding order, dts in order."""
    pts = [1, 3, 4, 2, 6, 7, 5, 9, 10, 8, 12]
    timeline = Timeline("test", Fraction(1, 25), 0.04)
    moments = [timeline.next(stamp, position + 2) for position, stamp in enumerate(pts)]
    assert moments[3:] == pytest.approx([0.04 * (position + 1) for position in range(3, 11)])


def test_the_first_repair_is_logged_and_only_that(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        times(0, 40, 40, None, 0)
    assert [record.message for record in caplog.records] == [
        "test: frame after 0.040 s has timestamp 0.040 s; "
        "timestamps are repaired from the frame duration of 0.0400 s where needed"
    ]
