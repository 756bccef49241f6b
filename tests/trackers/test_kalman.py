"""The batched filter against filterpy, the independent oracle."""

from __future__ import annotations

from typing import Any

import numpy as np
from filterpy.kalman import KalmanFilter as OracleFilter
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from trackers.kalman import KalmanFilter

MEASUREMENT = np.array([1.0, 1.0, 10.0, 10.0])
PROCESS = np.array([1.0, 1.0, 1.0, 1.0])
VELOCITY_PROCESS = np.array([0.01, 0.01, 0.0001, 0.0])
FIRST = np.array([10.0, 10.0, 10.0, 10.0])
FIRST_VELOCITY = np.array([1e4, 1e4, 1e4, 0.0])

numbers = st.floats(-1e4, 1e4)
measurements = st.tuples(numbers, numbers, st.floats(1.0, 1e6), st.floats(0.1, 10.0)).map(np.array)


def oracle(first: np.ndarray[Any, Any]) -> Any:
    one = OracleFilter(dim_x=7, dim_z=4)
    one.F = np.eye(7) + np.eye(7, k=4)
    one.H = np.eye(4, 7)
    one.R = np.diag(MEASUREMENT)
    one.P = np.diag([*FIRST, *FIRST_VELOCITY[:3]])
    one.Q = np.diag([*PROCESS, *VELOCITY_PROCESS[:3]])
    one.x[:4, 0] = first
    return one


def batch(first: np.ndarray[Any, Any]) -> KalmanFilter:
    ours = KalmanFilter()
    ours.add(first, FIRST, FIRST_VELOCITY)
    return ours


@settings(max_examples=40, deadline=None)
@given(
    tracks=st.lists(
        st.tuples(measurements, st.lists(st.one_of(st.none(), measurements), min_size=6, max_size=6)),
        min_size=1,
        max_size=4,
    )
)
def test_agrees_with_filterpy(tracks: list[tuple[np.ndarray[Any, Any], list[np.ndarray[Any, Any] | None]]]) -> None:
    ours = batch(np.array([first for first, _ in tracks]))
    theirs = [oracle(first) for first, _ in tracks]
    for frame in range(6):
        ours.predict(1.0, PROCESS, VELOCITY_PROCESS)
        for one in theirs:
            one.predict()
        seen = [row for row, (_, later) in enumerate(tracks) if later[frame] is not None]
        if seen:
            measured = np.array([tracks[row][1][frame] for row in seen])
            innovation = ours.innovation(np.array(seen), measured, MEASUREMENT)
            ours.update(np.array(seen), measured, MEASUREMENT)
            for row, one_measured, apart in zip(seen, measured, innovation, strict=True):
                theirs[row].update(one_measured[:, None])
                deviation = np.sqrt(np.diag(theirs[row].S))
                # Rounding is relative to the measurements, whose difference may be much smaller.
                rounding = float((1e-9 * np.abs(one_measured) / deviation).max())
                assert_allclose(apart, theirs[row].y[:, 0] / deviation, rtol=1e-9, atol=rounding)
        mean, covariance = ours.state()
        # Rounding is relative to the largest numbers that go in: areas in square pixels, first variances.
        expected = np.array([one.x[:, 0] for one in theirs])
        assert_allclose(mean, expected, rtol=1e-9, atol=1e-9 * max(1.0, float(np.abs(expected).max())))
        assert_allclose(covariance, [one.P for one in theirs], rtol=1e-9, atol=1e-9)


@given(first=measurements, a=st.floats(0.0, 5.0), b=st.floats(0.0, 5.0))
def test_predicting_twice_is_predicting_the_sum(first: np.ndarray[Any, Any], a: float, b: float) -> None:
    once, twice = batch(first[None]), batch(first[None])
    for ours in (once, twice):
        ours.velocity[:] = (3.0, -2.0, 5.0, 0.0)
    once.predict(a + b, PROCESS, VELOCITY_PROCESS)
    twice.predict(a, PROCESS, VELOCITY_PROCESS)
    twice.predict(b, PROCESS, VELOCITY_PROCESS)
    for expected, found in zip(once.state(), twice.state(), strict=True):
        assert_allclose(found, expected, rtol=1e-9, atol=1e-6)


def test_rows_are_added_at_the_end_and_forgotten_by_mask() -> None:
    ours = batch(np.arange(12.0).reshape(3, 4))
    ours.keep(np.array([True, False, True]))
    ours.add(np.full((1, 4), 7.0), FIRST, FIRST_VELOCITY)
    assert len(ours) == 3
    assert ours.position[:, 0].tolist() == [0.0, 8.0, 7.0]


def test_rescaled_time_predicts_the_same_place() -> None:
    ours, slow = batch(np.ones((1, 4))), batch(np.ones((1, 4)))
    for each in (ours, slow):
        each.velocity[:] = (4.0, 2.0, 1.0, 0.0)
    slow.rescale_time(2.0)
    ours.predict(6.0, np.zeros(4), np.zeros(4))
    slow.predict(3.0, np.zeros(4), np.zeros(4))
    assert_allclose(slow.position, ours.position)
    assert_allclose(slow.position_variance, ours.position_variance)
    assert_allclose(slow.velocity, 2.0 * ours.velocity)
