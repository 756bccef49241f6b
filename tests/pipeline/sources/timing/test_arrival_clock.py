"""Camera clocks against arrival, in simulation: any fault of the clock, any jitter of the network."""

from __future__ import annotations

import itertools
import logging
import random
import re
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.sources.timing.arrival_clock import ArrivalClock

SECONDS = 20
fps = st.sampled_from([2, 5, 10, 25])
jitters = st.floats(0, 0.25)
seeds = st.integers(0, 2**32)


def taken(per_second: int, seconds: float = SECONDS) -> list[float]:
    """When pictures are taken, in seconds from the first."""
    return [number / per_second for number in range(round(seconds * per_second))]


def arriving(times: list[float], jitter_s: float, seed: int) -> list[float]:
    """When they come: up to ``jitter_s`` later, in order, on a clock that began long ago."""
    generator = random.Random(seed)
    came = [5000 + time_s + generator.uniform(0, jitter_s) for time_s in times]
    return list(itertools.accumulate(came, max))


def media_times(stamps: Sequence[float | None], came: Sequence[float]) -> tuple[list[float], ArrivalClock]:
    clock = ArrivalClock("door", 0.1)
    times = [clock.next(stamp, came_s) for stamp, came_s in zip(stamps, came, strict=True)]
    assert times[0] == 0.0
    assert all(later > earlier for earlier, later in itertools.pairwise(times))
    return times, clock


def worst(times: list[float], truth: list[float]) -> float:
    return max(abs(got - true) for got, true in zip(times, truth, strict=True))


@settings(max_examples=60)
@given(fps, st.floats(0, 0.4), seeds, st.floats(-1e5, 1e5))
def test_jitter_does_not_disturb_a_good_clock(per_second: int, jitter_s: float, seed: int, first: float) -> None:
    truth = taken(per_second)
    times, clock = media_times([first + time_s for time_s in truth], arriving(truth, jitter_s, seed))
    assert clock.steps == 0
    assert not clock.by_arrival
    for got, true in zip(itertools.pairwise(times), itertools.pairwise(truth), strict=True):
        assert got[1] - got[0] == pytest.approx(true[1] - true[0], rel=0.02)


@settings(max_examples=60)
@given(fps, jitters, seeds, st.floats(-90_000, 90_000), st.floats(1, SECONDS - 2))
def test_a_step_of_the_clock_does_not_change_media_time(
    per_second: int, jitter_s: float, seed: int, step_s: float, at_s: float
) -> None:
    truth = taken(per_second)
    stamps = [time_s + (step_s if time_s >= at_s else 0) for time_s in truth]
    times, _ = media_times(stamps, arriving(truth, jitter_s, seed))
    assert worst(times, truth) < 1.0


@settings(max_examples=60)
@given(fps, jitters, seeds, st.floats(0, 5) | st.just(11.25))
def test_a_wrong_rate_does_not_change_media_time(per_second: int, jitter_s: float, seed: int, rate: float) -> None:
    truth = taken(per_second)
    times, clock = media_times([time_s * rate for time_s in truth], arriving(truth, jitter_s, seed))
    # Up to a picture's time more, as it shows only with the next one.
    assert worst(times, truth) < 1.0 + 1 / per_second + jitter_s
    assert abs(times[-1] - truth[-1]) < 1.0
    if not 0.9 < rate < 1.1:
        assert clock.by_arrival


@pytest.mark.parametrize("drift", [1 + 3e-4, 1 - 3e-4])
def test_a_clock_that_drifts_stays_smooth_for_hours(drift: float) -> None:
    truth = taken(2, 4 * 3600)  # it would be wrong by 4 s
    times, clock = media_times([time_s * drift for time_s in truth], arriving(truth, 0.2, 1))
    assert worst(times, truth) < 0.3
    assert clock.steps == 0
    assert max(later - earlier for earlier, later in itertools.pairwise(times)) < 0.51


@settings(max_examples=60)
@given(fps, jitters, seeds, st.floats(1, 15), st.floats(2, 25))
def test_what_was_held_up_keeps_its_own_times(
    per_second: int, jitter_s: float, seed: int, held_s: float, factor: float
) -> None:
    """The line stalls; then what has gathered comes ``factor`` times as fast as it was taken."""
    truth = taken(per_second, 40)
    came = arriving(truth, jitter_s, seed)
    stalled_s = came[0] + 5
    came = [
        time_s if time_s < stalled_s else max(time_s, stalled_s + held_s + (time_s - stalled_s) / factor)
        for time_s in came
    ]
    times, clock = media_times(list(truth), came)
    assert clock.steps == 0
    assert worst(times, truth) < 0.5


@settings(max_examples=60)
@given(fps, st.floats(1, 10), st.floats(12, 1e5) | st.floats(-1e5, -2), st.floats(2, 6))
def test_a_step_within_what_was_held_up_is_a_step(per_second: int, held_s: float, step_s: float, at_s: float) -> None:
    """The reader comes late, or the line stalled, and the clock was set meanwhile."""
    truth = taken(per_second)
    came = [5000.0, *(5000 + max(time_s, held_s + 0.003 * number) for number, time_s in enumerate(truth[1:]))]
    stamps = [time_s + (step_s if time_s >= at_s else 0) for time_s in truth]
    times, _ = media_times(stamps, came)
    assert worst(times, truth) < 1.0


def test_what_waited_for_the_first_reader_keeps_its_own_times() -> None:
    truth = taken(25, 10)
    came = [5000 + max(time_s, 3 + 0.002 * number) for number, time_s in enumerate(truth)]
    times, _ = media_times(list(truth), came)
    assert worst(times, truth) < 0.01


@settings(max_examples=60)
@given(fps, jitters, seeds, st.floats(1, 1e4) | st.floats(-1e4, -1), st.integers(1, 35))
def test_one_wrong_timestamp_moves_nobody_else(
    per_second: int, jitter_s: float, seed: int, off_s: float, number: int
) -> None:
    truth = taken(per_second)
    stamps = list(truth)
    stamps[number] += off_s
    times, clock = media_times(stamps, arriving(truth, jitter_s, seed))
    if off_s > 0:
        assert clock.steps == 0
    assert worst(times, truth) < 0.5


@pytest.mark.parametrize("stamps", [lambda number: None, lambda number: 7.0, lambda number: -float(number)])
def test_without_timestamps_of_any_use_the_arrival_counts(stamps: Callable[[int], float | None]) -> None:
    truth = taken(10)
    times, clock = media_times([stamps(number) for number in range(len(truth))], arriving(truth, 0.0, 1))
    assert worst(times, truth) < 1.0
    assert times[-1] == pytest.approx(truth[-1], abs=0.1)
    assert clock.by_arrival


def test_a_first_picture_without_a_timestamp_joins_those_that_follow() -> None:
    truth = taken(10)
    came = [5000.0, *(max(time_s, 5003.0) for time_s in arriving(truth, 0.0, 1)[1:])]
    times, _ = media_times([None, *truth[1:]], came)
    assert worst(times, truth) < 0.01


def test_each_fault_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    truth = taken(10, 60)
    with caplog.at_level(logging.WARNING):
        media_times([time_s + 100 * (time_s // 20) for time_s in truth], arriving(truth, 0.1, 1))
        assert [record.getMessage() for record in caplog.records] == [
            "door: the timestamps jumped by +100.0 s; media time goes on in real time"
        ]
        caplog.clear()
        media_times([0.4 * time_s for time_s in truth], arriving(truth, 0.1, 1))
    assert len(caplog.records) == 1
    assert re.search(r"timestamps run at 0\.[345]\d times real time", caplog.text)


def test_a_clock_that_is_right_again_is_used_again() -> None:
    truth = taken(10, 60)
    stamps = [0.4 * time_s if time_s < 20 else 8 + (time_s - 20) for time_s in truth]
    times, clock = media_times(stamps, arriving(truth, 0.2, 1))
    assert not clock.by_arrival
    assert worst(times, truth) < 1.2
    steps = [later - earlier for earlier, later in itertools.pairwise(times[-200:])]
    assert max(steps) < 0.11  # smooth again
