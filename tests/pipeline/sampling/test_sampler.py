"""Which frames are looked at: fixed, and held to a latency target."""

from __future__ import annotations

import logging

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.sampling.latency import LatencySampler
from pipeline.sampling.sampler import EveryNth
from pipeline.types import Frame, TrackedFrame, Tracks

PICTURE = np.zeros((2, 4, 3), np.uint8)


def frame(index: int, fps: float = 25.0) -> Frame:
    return Frame(PICTURE, index, index / fps, index / fps, "camera")


def tracked(index: int) -> TrackedFrame:
    return TrackedFrame(frame(index), None, Tracks.empty(), np.zeros(0, np.int64))


@given(st.integers(1, 30), st.integers(0, 100))
def test_every_nth_looks_at_the_first_and_every_nth_after(count: int, frames: int) -> None:
    pace = EveryNth(count)
    assert [pace.wants(frame(index)) for index in range(frames)] == [index % count == 0 for index in range(frames)]


def test_every_nth_refuses_less_than_one() -> None:
    with pytest.raises(ValueError, match="1 or more"):
        EveryNth(0)


def drive(pace: LatencySampler, seconds: int, *, detect_s: float, fps: int = 25) -> list[bool]:
    """A camera whose latency is what looking costs, spread over the frames between two looks."""
    looked = []
    for index in range(seconds * fps):
        looked.append(pace.wants(frame(index, fps)))
        pace.observe(tracked(index), detect_s / pace.every)
    return looked


def test_it_looks_at_every_frame_while_that_is_fast_enough() -> None:
    assert all(drive(LatencySampler(0.15), 10, detect_s=0.1))


def test_it_looks_less_often_until_the_target_holds(caplog: pytest.LogCaptureFixture) -> None:
    pace = LatencySampler(0.15, name="gate")
    with caplog.at_level(logging.WARNING):
        looked = drive(pace, 20, detect_s=0.5)
    assert pace.every == 4
    assert looked[-100:].count(True) == 25
    assert [record.args[1] for record in caplog.records if isinstance(record.args, tuple)] == [2, 3, 4]
    assert "gate" in caplog.text


def test_it_looks_more_often_again_when_there_is_room() -> None:
    pace = LatencySampler(0.15)
    drive(pace, 10, detect_s=0.5)
    drive(pace, 60, detect_s=0.07)
    assert pace.every == 1


def test_it_never_looks_less_often_than_it_may() -> None:
    pace = LatencySampler(0.05, most=6)
    drive(pace, 60, detect_s=5.0)
    assert pace.every == 6


@given(st.lists(st.floats(0, 10), min_size=1, max_size=400))
def test_whatever_the_latencies_it_keeps_looking(latencies: list[float]) -> None:
    pace, since = LatencySampler(0.1, most=8), 0
    for index, latency_s in enumerate(latencies):
        since = 0 if pace.wants(frame(index)) else since + 1
        assert since < 8
        pace.observe(tracked(index), latency_s)
