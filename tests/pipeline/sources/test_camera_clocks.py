"""Cameras with wrong clocks, over real connections; in simulation there is every fault in ``test_arrival_clock.py``."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest

from pipeline.errors import SourceError
from pipeline.sources.network import NetworkStream
from pipeline.types import Frame
from tests.support.clips import read_number
from tests.support.clocked_camera import ClockedCamera

FPS, COUNT = 10, 32
CLOCKS: dict[str, Callable[[int], float]] = {
    "right": lambda number: 5 + number / FPS,
    "set forward by half an hour": lambda number: 5 + number / FPS + (1800 if number >= 15 else 0),
    "set back by two hours": lambda number: 9000 + number / FPS - (7200 if number >= 15 else 0),
    "begun anew": lambda number: number / FPS if number >= 15 else 30_000 + number / FPS,
    "at the end of its range": lambda number: 2**32 / 90_000 - 1.5 + number / FPS,
    "too slow": lambda number: 5 + number / 25,
    "twice too fast": lambda number: 5 + 2 * number / FPS,
    "standing still": lambda number: 5.0,
}


def watch(name: str) -> tuple[list[Frame], int]:
    """All frames of a camera with this clock, and how often its clock had to be put right."""
    frames = []
    with ClockedCamera(CLOCKS[name], fps=FPS, count=COUNT) as camera, NetworkStream(camera.url, stream="c") as source:
        with suppress(SourceError):  # at the end
            for frame in source:
                frames.append(frame)
        return frames, source.clock_steps


@pytest.fixture(scope="module")
def watched() -> dict[str, tuple[list[Frame], int]]:
    """They are watched at the same time, as each takes its own."""
    with ThreadPoolExecutor(len(CLOCKS)) as pool:
        return dict(zip(CLOCKS, pool.map(watch, CLOCKS), strict=True))


@pytest.mark.parametrize("name", CLOCKS)
def test_media_time_is_real_time_whatever_the_clock(watched: dict[str, tuple[list[Frame], int]], name: str) -> None:
    frames, steps = watched[name]
    assert [read_number(frame.image) for frame in frames] == list(range(COUNT))
    # A busy machine is late itself.
    late_s = [max(0.0, frame.captured_s - frames[0].captured_s - frame.index / FPS) for frame in frames]
    for frame, own_s in zip(frames, late_s, strict=True):
        assert abs(frame.pts_s - frame.index / FPS) < 1.0 + own_s
    if name not in ("right", "at the end of its range"):
        assert steps > 0
    elif max(late_s) < 0.4:
        assert steps == 0
