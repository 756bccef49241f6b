"""Which input frame is on screen at each output tick, against a brute-force oracle in exact fractions."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sinks.video.output_clock import OutputClock, limited, measured_rate, nominal_rate

RATES = [Fraction(5), Fraction(10), Fraction(20), Fraction(25), Fraction(30000, 1001), Fraction(60)]
# Steps between frames in 1/90000 s, the clock of MPEG: from a millisecond to four seconds.
steps = st.lists(st.integers(90, 360_000), max_size=40)


def assigned(clock: OutputClock, pts_s: list[float], end_s: float) -> list[int]:
    """For each tick in order, the number of the frame that it shows."""
    shown: list[int] = []
    for number, next_s in enumerate(pts_s[1:]):
        ticks = clock.until(next_s)
        assert ticks.start == len(shown) or not ticks
        shown += [number] * len(ticks)
    ticks = clock.last(pts_s[-1], end_s)
    assert ticks.start == len(shown) or not ticks
    return shown + [len(pts_s) - 1] * len(ticks)


@given(steps=steps, fps=st.sampled_from(RATES), late=st.integers(0, 90_000), last=st.integers(90, 90_000))
def test_a_tick_shows_the_last_frame_that_has_come(steps: list[int], fps: Fraction, late: int, last: int) -> None:
    pts = [Fraction(late, 90_000)]
    for step in steps:
        pts.append(pts[-1] + Fraction(step, 90_000))
    end = pts[-1] + Fraction(last, 90_000)
    shown = assigned(OutputClock(fps, 0.0), [float(moment) for moment in pts], float(end))
    for tick, number in enumerate(shown):
        expected = max([0, *(index for index, moment in enumerate(pts) if moment <= tick / fps)])
        assert number == expected, f"tick {tick}"
    assert abs(len(shown) / fps - end) <= 1 / fps
    # Every tick by then has been shown.
    assert len(shown) > pts[-1] * fps - 1


@given(
    count=st.integers(1, 300), fps=st.sampled_from([*RATES, Fraction(24), Fraction(24000, 1001), Fraction(2997, 100)])
)
def test_a_regular_source_at_its_own_rate_is_copied_frame_by_frame(count: int, fps: Fraction) -> None:
    # Also in containers that round times to milliseconds.
    for times in ([number / fps for number in range(count)], [round(number / fps, 3) for number in range(count)]):
        pts_s = [float(moment) for moment in times]
        shown = assigned(OutputClock(fps, 0.0, fps), pts_s, pts_s[-1] + float(1 / fps))
        assert shown == list(range(count))


def test_origin_shifts_the_ticks() -> None:
    pts_s = [3600.0 + number / 25 for number in range(5)]
    assert assigned(OutputClock(Fraction(25), 3600.0), pts_s, 3600.2) == [0, 1, 2, 3, 4]


def test_after_hours_there_is_no_drift() -> None:
    """A day at 29.97 fps, all times computed from integers as a decoder does."""
    fps = Fraction(30000, 1001)
    clock = OutputClock(fps, 0.0, fps)
    count = int(24 * 3600 * fps)
    clock.until(float((count - 1) / fps))
    assert clock.until(float(count / fps)) == range(count - 1, count)


@pytest.mark.parametrize(
    ("times_s", "expected"),
    [
        ([], Fraction(25)),
        ([0.5], Fraction(25)),
        ([0, 0.033, 0.067, 0.1], Fraction(30)),
        ([0, 1 / 29.97, 2 / 29.97], Fraction(30000, 1001)),
        ([0, 0.04, 0.08, 0.5, 0.54], Fraction(25)),
        ([0, 0.142857, 0.285714], Fraction(7)),
        ([0, 100, 200], Fraction(1, 10)),
    ],
)
def test_measured_rate(times_s: list[float], expected: Fraction) -> None:
    assert abs(measured_rate(times_s) - expected) <= expected / 1000


def test_a_claim_that_cannot_be_a_frame_rate_is_not_believed() -> None:
    assert nominal_rate(None) is None
    assert nominal_rate(Fraction(0)) is None
    assert nominal_rate(Fraction(90_000)) is None
    assert nominal_rate(Fraction(25)) == 25


def test_rates_are_limited_to_what_files_hold() -> None:
    assert limited(Fraction(30000, 1001)) == Fraction(30000, 1001)
    assert limited(Fraction(29.97)) == Fraction(2997, 100)
    assert limited(Fraction(1, 1_000_000)) > 0
