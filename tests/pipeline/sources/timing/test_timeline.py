"""Media time from timestamps of which none behind can be asked."""

from __future__ import annotations

import itertools
import logging

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.sources.timing.timeline import Timeline


def times(*stamps_ms: int) -> list[float]:
    timeline = Timeline("test", 0.04)
    return [timeline.next(stamp / 1000) for stamp in stamps_ms]


@given(st.lists(st.floats(-(2**40), 2**40), max_size=50), st.sampled_from([None, 1e-6, 0.04, 30.0]))
@example([0.0, 2.0**40, -(2.0**40)], 1e-6)
def test_time_always_rises(stamps_s: list[float], frame_s: float | None) -> None:
    timeline = Timeline("test", frame_s)
    moments = [timeline.next(stamp_s) for stamp_s in stamps_s]
    assert all(earlier < later for earlier, later in itertools.pairwise(moments))


@given(st.lists(st.integers(1, 3_600_000), min_size=1, max_size=50), st.integers(-(2**40), 2**40))
@example([2_646_765, 3_600_000], 0)
def test_rising_timestamps_are_kept(steps: list[int], first: int) -> None:
    stamps_s = [stamp / 1000 for stamp in itertools.accumulate(steps, initial=first)]
    timeline = Timeline("test", 0.04)
    assert [timeline.next(stamp_s) for stamp_s in stamps_s] == [stamp_s - stamps_s[0] for stamp_s in stamps_s]
    assert timeline.repaired == 0


@pytest.mark.parametrize(
    ("stamps_ms", "expected"),
    [
        # One slip: afterwards the stream's clock holds again.
        ((0, 40, 80, 60, 160, 200), (0, 0.04, 0.08, 0.12, 0.16, 0.20)),
        ((0, 40, 80, 60, 120, 160), (0, 0.04, 0.08, 0.12, 0.13, 0.16)),
        # Every second one repeated: no drift.
        ((0, 0, 80, 80, 160, 160), (0, 0.04, 0.08, 0.12, 0.16, 0.20)),
        # All the same: the nominal rate.
        ((7, 7, 7, 7), (0, 0.04, 0.08, 0.12)),
        # The clock starts again.
        ((0, 40, 80, 5000, 0, 40, 80), (0, 0.04, 0.08, 5.0, 5.04, 5.08, 5.12)),
    ],
)
def test_repairs(stamps_ms: tuple[int, ...], expected: tuple[float, ...]) -> None:
    assert times(*stamps_ms) == pytest.approx(expected)


def test_a_long_run_without_a_step_keeps_the_nominal_rate() -> None:
    assert times(*[0] * 100)[-1] == pytest.approx(99 * 0.04)


def test_the_first_repair_is_logged_and_only_that(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        times(0, 40, 40, 0)
    assert [record.message for record in caplog.records] == [
        "test: frame after 0.040 s has timestamp 0.040 s; "
        "timestamps are repaired from the frame duration of 0.0400 s where needed"
    ]
