"""A camera whose picture stays exactly the same is told of, once, and so is that it moves again."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.events import StreamFrozen
from pipeline.runtime.pipeline import Pipeline
from pipeline.runtime.streams.frozen import FrozenWatch, StillPicture
from pipeline.runtime.streams.stream import Stream
from pipeline.types import Frame, Image, SourceInfo
from tests.support.fakes import BlobDetector, MemorySink, MemorySource
from tests.support.waiting import PATIENCE_S
from trackers.factory import create_tracker


def picture(number: int) -> Image:
    """A scene of a little noise, another one for each number."""
    return np.random.default_rng(number).integers(90, 96, (48, 64, 3), dtype=np.uint8)


def news(numbers: list[int], fps: float, after_s: float, *, reduced: bool = False) -> list[tuple[float, StillPicture]]:
    watch, told = FrozenWatch(after_s), []
    for index, number in enumerate(numbers):
        frame = Frame(
            picture(number), index, index / fps, 0.0, "s", reduced=picture(number)[::2, ::2].copy() if reduced else None
        )
        if (found := watch.look(frame)) is not None:
            told.append((frame.pts_s, found))
    return told


@pytest.mark.parametrize("reduced", [False, True])
def test_it_is_told_once_and_again_when_it_moves(reduced: bool) -> None:
    moving, still = list(range(20)), [20] * 100
    told = news([*moving, *still, *range(21, 60), *[60] * 50], 2, 30, reduced=reduced)
    assert [(round(pts_s), found.frozen) for pts_s, found in told] == [(40, True), (60, False)]
    assert told[0][1].still_s == pytest.approx(30, abs=1)
    assert told[1][1].still_s == pytest.approx(50, abs=1)


@pytest.mark.parametrize("change", [1, 255])
def test_one_pixel_that_changes_is_no_frozen_picture(change: int) -> None:
    watch = FrozenWatch(5)
    for index in range(200):
        scene = picture(0).copy()
        scene[4, 8, 1] ^= np.uint8(change * (index // 3 % 2))
        assert watch.look(Frame(scene, index, index / 10, 0.0, "s", reduced=scene)) is None


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 40), st.booleans()), min_size=1, max_size=8), st.integers(3, 20))
def test_what_is_told_alternates_and_agrees_with_the_pictures(pieces: list[tuple[int, bool]], after_s: int) -> None:
    numbers, number = [], 0
    for length, moves in pieces:
        for _ in range(length):
            number += moves
            numbers.append(number)
        number += 1
    told = news(numbers, 1, after_s)
    assert [found.frozen for _, found in told] == [k % 2 == 0 for k in range(len(told))]
    for pts_s, found in told:
        index = round(pts_s)
        if found.frozen:
            assert found.still_s >= after_s
            assert len(set(numbers[index - after_s : index + 1])) == 1
        else:
            assert numbers[index] != numbers[index - 1]


class LiveSource(MemorySource):
    """The pictures as a camera's, each when the one before it is through."""

    def __init__(self, numbers: list[int], *, live: bool = True) -> None:
        super().__init__([picture(number) for number in numbers], fps=1, stream="door")
        self.info = SourceInfo(64, 48, fps=self.info.fps, live=live, uri="camera")
        self.through = threading.Semaphore(1)

    def __iter__(self) -> Iterator[Frame]:
        for frame in super().__iter__():
            self.through.acquire(timeout=PATIENCE_S)
            yield frame


@pytest.mark.parametrize(("live", "after_s"), [(True, 10.0), (False, 10.0), (True, None)])
def test_a_run_tells_of_live_streams_only(live: bool, after_s: float | None) -> None:
    source = LiveSource([*range(5), *[5] * 20, *range(6, 12)], live=live)

    class Taking(MemorySink):
        def on_frame(self, tracked: object) -> None:
            source.through.release()

    sink = Taking()
    stream = Stream(source=source, tracker=create_tracker("sort"), sinks=[sink], frozen_after_s=after_s)
    Pipeline(stream, BlobDetector()).run()
    told = [event for event in sink.events if isinstance(event, StreamFrozen)]
    if not live or after_s is None:
        assert not told
        return
    assert [(event.frozen, event.stream, event.pts_s) for event in told] == [
        (True, "door", 15.0),
        (False, "door", 25.0),
    ]
    assert [event.still_s for event in told] == [10.0, 20.0]
