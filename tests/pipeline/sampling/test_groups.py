"""The looks of a file are the same however fast its parts are."""

from __future__ import annotations

from collections import deque

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.sampling.groups import SampleGroups
from pipeline.sampling.sampler import EveryNth
from pipeline.types import Detections, Frame, TrackedFrame, Tracks
from tests.support.fakes import picture

PICTURE = picture([])


def frame(index: int) -> Frame:
    return Frame(PICTURE, index, index / 25, 0.0, "memory")


def tracked(one: Frame, wanted: bool) -> TrackedFrame:
    return TrackedFrame(one, Detections.empty() if wanted else None, Tracks.empty(), np.empty(0, np.int64))


class Moody:
    """Its decisions depend on all that it was told and asked so far, and in which order."""

    def __init__(self, group_size: int | None) -> None:
        self.group_size = group_size
        self.log: list[tuple[str, int]] = []
        self._state = 1

    def wants(self, frame: Frame) -> bool:
        self._step("asked", frame.index)
        return self._state % 3 == 0

    def observe(self, tracked: TrackedFrame, latency_s: float) -> None:
        self._step("told", tracked.frame.index)

    def _step(self, what: str, index: int) -> None:
        self.log.append((what, index))
        self._state = (self._state * 1103515245 + 12345 + index + (what == "told") * 7919) % 2**31 >> 3


def looks(pace: Moody, count: int, patience: list[int]) -> list[tuple[int, bool]]:
    """Take ``count`` frames through; before each, as many of those under way come back as ``patience`` says."""
    gathering = SampleGroups(pace, live=False)
    under_way: deque[tuple[Frame, bool]] = deque()
    decided: list[tuple[int, bool]] = []

    def come_back() -> None:
        gathering.observe(tracked(*under_way.popleft()), 0.1)

    for index in range(count):
        for _ in range(min(len(under_way), patience[index % len(patience)] if patience else 0)):
            come_back()
        while gathering.full:
            come_back()
        ready = gathering.add(frame(index))
        under_way += ready
        decided += [(one.index, wanted) for one, wanted in ready]
    decided += [(one.index, wanted) for one, wanted in gathering.rest()]
    return decided


@given(at_once=st.integers(1, 5), count=st.integers(0, 120), patience=st.lists(st.integers(0, 40), max_size=8))
def test_decisions_do_not_depend_on_when_frames_come_back(at_once: int, count: int, patience: list[int]) -> None:
    slow, some = Moody(at_once), Moody(at_once)
    expected = looks(slow, count, [])
    assert looks(some, count, patience) == expected
    assert some.log == slow.log
    assert [index for index, _ in expected] == list(range(count))


@given(at_once=st.integers(1, 5), patience=st.lists(st.integers(0, 40), max_size=8))
def test_the_pace_is_told_of_all_but_the_last_group(at_once: int, patience: list[int]) -> None:
    pace = Moody(at_once)
    looks(pace, 200, patience)
    told = [index for what, index in pace.log if what == "told"]
    assert told == list(range(len(told)))
    asked = 0
    for what, index in pace.log:
        if what == "asked":
            asked = index
        else:
            assert asked - 32 <= index <= asked
    assert len(told) >= 200 - 3 * 16


def test_frames_gather_until_they_hold_enough_looks() -> None:
    pace = EveryNth(3)
    pace.group_size = 2
    gathering = SampleGroups(pace, live=False)
    assert [len(gathering.add(frame(index))) for index in range(8)] == [0, 0, 0, 4, 0, 0, 0, 0]
    assert [(one.index, wanted) for one, wanted in gathering.rest()] == [(4, False), (5, False), (6, True), (7, False)]


def test_a_scene_without_looks_does_not_gather_for_ever() -> None:
    class Never(Moody):
        def wants(self, frame: Frame) -> bool:
            return False

    gathering = SampleGroups(Never(2), live=False)
    sizes = [len(gathering.add(frame(index))) for index in range(16)]
    assert sizes == [0] * 15 + [16]


@pytest.mark.parametrize(("pace", "live"), [(Moody(2), True), (Moody(None), False)])
def test_where_nothing_waits_the_pace_decides_and_is_told_frame_by_frame(pace: Moody, live: bool) -> None:
    gathering = SampleGroups(pace, live=live)
    for index in range(3):
        ((one, wanted),) = gathering.add(frame(index))
        assert not gathering.full
        gathering.observe(tracked(one, wanted), 0.1)
    assert [what for what, _ in pace.log] == ["asked", "told"] * 3
