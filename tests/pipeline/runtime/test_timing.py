"""Durations in bins, against numpy.percentile over all of them."""

from __future__ import annotations

import math
import sys
import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.runtime.timing import LONGEST_S, RELATIVE_ERROR, SHORTEST_S, Durations, Timings

durations_s = st.floats(SHORTEST_S, LONGEST_S) | st.floats(1e-4, 0.1)
TOLERANCE = RELATIVE_ERROR + 1e-9


def of(values: list[float]) -> Durations:
    durations = Durations()
    for value in values:
        durations.add(value)
    return durations


@given(values=st.lists(durations_s, min_size=1, max_size=60), percent=st.floats(0, 100))
def test_percentiles_agree_with_numpy(values: list[float], percent: float) -> None:
    durations = of(values)
    for wanted in (0.0, 50.0, 95.0, 99.0, 100.0, percent):
        assert durations.percentile(wanted) == pytest.approx(np.percentile(values, wanted), rel=TOLERANCE)
    assert durations.count == len(values)
    assert durations.mean_s == pytest.approx(np.mean(values))
    assert durations.max_s == max(values)


@pytest.mark.parametrize("seed", range(3))
def test_percentiles_of_many_agree_with_numpy(seed: int) -> None:
    values = np.random.default_rng(seed).lognormal(-4, 1.5, 20_000)
    durations = of(values.tolist())
    for percent in (1, 50, 95, 99, 99.9):
        assert durations.percentile(percent) == pytest.approx(np.percentile(values, percent), rel=TOLERANCE)


@given(groups=st.lists(st.tuples(durations_s, st.integers(0, 30)), min_size=1, max_size=20))
def test_a_count_is_as_good_as_adding_one_by_one(groups: list[tuple[float, int]]) -> None:
    together = Durations()
    for value, count in groups:
        together.add(value, count)
    one_by_one = of([value for value, count in groups for _ in range(count)])
    assert together.report() == pytest.approx(one_by_one.report())


@given(first=st.lists(durations_s, max_size=30), second=st.lists(durations_s, max_size=30))
def test_merged_sets_are_as_good_as_one(first: list[float], second: list[float]) -> None:
    merged, other = of(first), of(second)
    merged.merge(other)
    assert merged.report() == pytest.approx(of(first + second).report())
    assert other.report() == of(second).report()


def test_the_edges_of_the_range() -> None:
    assert Durations().report() == {
        "p50_ms": 0.0,
        "p95_ms": 0.0,
        "p99_ms": 0.0,
        "mean_ms": 0.0,
        "max_ms": 0.0,
        "count": 0,
    }
    assert of([0.0]).percentile(50) == 0.0
    assert of([-1e-9]).percentile(50) == 0.0
    assert of([1e9]).percentile(50) <= 1e9
    assert of([1e9]).max_s == 1e9


def test_nonsense_is_refused() -> None:
    for duration in (math.nan, math.inf):
        with pytest.raises(ValueError, match="finite"):
            Durations().add(duration)
    with pytest.raises(ValueError, match="count"):
        Durations().add(1.0, -1)
    with pytest.raises(ValueError, match="percent"):
        Durations().percentile(101)


def test_memory_does_not_grow() -> None:
    durations = Durations()
    size = sys.getsizeof(durations._bins)
    for number in range(10_000):
        durations.add(number * 1e-5)
    assert sys.getsizeof(durations._bins) == size < 20_000


def test_a_stage_of_several_frames_counts_each() -> None:
    timings = Timings()
    with timings.stage("detect", frames=4):
        pass
    with timings.stage("detect"):
        pass
    timings.add("detect", 0.4, frames=4)
    with timings.stage("nothing", frames=0):
        pass
    report = timings.report()
    assert list(report) == ["detect"]
    assert report["detect"]["count"] == 9
    assert report["detect"]["max_ms"] == pytest.approx(100)
    assert report["detect"]["mean_ms"] * 9 == pytest.approx(400, rel=0.1)


def test_a_block_that_raises_is_not_counted() -> None:
    timings = Timings()
    with pytest.raises(ZeroDivisionError), timings.stage("detect"):
        raise ZeroDivisionError
    assert timings.report() == {}


def test_stages_are_reported_in_the_order_of_their_first_use() -> None:
    timings = Timings()
    for name in ("decode", "detect", "track", "decode"):
        timings.add(name, 0.001)
    assert list(timings.report()) == ["decode", "detect", "track"]


def test_no_duration_is_lost_between_threads() -> None:
    timings = Timings()

    def work() -> None:
        for number in range(2000):
            with timings.stage(f"stage {number % 3}"):
                pass

    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert sum(report["count"] for report in timings.report().values()) == 8000
