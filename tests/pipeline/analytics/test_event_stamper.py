"""What all events share: numbers without gaps, and wall times that follow the machine's clock."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, given, settings

from pipeline.analytics.event_stamper import EventStamper
from pipeline.events import StreamOffline

YEAR_S = 365.25 * 86_400


class Clock:
    """The system's clock, which is set ahead or back; the monotonic one never is."""

    def __init__(self) -> None:
        self.ahead_s = 0.0
        self._real = time.time

    def __call__(self) -> float:
        return self._real() + self.ahead_s


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("time.time", clock)
    return clock


def seconds(wall: str) -> float:
    return datetime.fromisoformat(wall).timestamp()


@given(steps=st.lists(st.floats(-30 * YEAR_S, 30 * YEAR_S), min_size=1, max_size=5))
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_wall_times_follow_a_clock_that_is_set(clock: Clock, steps: list[float]) -> None:
    clock.ahead_s = 0
    stamp = EventStamper()
    for number, ahead_s in enumerate([0.0, *steps], 1):
        clock.ahead_s = ahead_s
        captured_s = time.monotonic() - 2
        event = stamp(StreamOffline, stream="s", pts_s=0.0, captured_s=captured_s, reason="r")
        assert event.seq == number
        assert seconds(event.wall) == pytest.approx(clock() - 2, abs=0.05)
        assert seconds(stamp.wall()) == pytest.approx(clock(), abs=0.05)


def test_a_board_that_begins_in_1970_has_right_times_once_the_clock_is_set(clock: Clock) -> None:
    clock.ahead_s = -time.time()
    stamp = EventStamper()
    captured_s = time.monotonic()
    assert stamp.wall(captured_s).startswith("1970-01-01T00:00")
    clock.ahead_s = 0
    assert datetime.now(UTC) - datetime.fromisoformat(stamp.wall(captured_s)) < timedelta(seconds=1)


def test_times_stay_as_they_are_where_nobody_sets_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """The events of one frame have one time, however the two clocks are read."""
    stamp = EventStamper()
    captured_s = time.monotonic()
    wobble = iter([0.003, -0.003] * 50)
    real: Callable[[], float] = time.time
    monkeypatch.setattr("time.time", lambda: real() + next(wobble))
    assert len({stamp.wall(captured_s) for _ in range(50)}) == 1
