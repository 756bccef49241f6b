"""A stream whose camera moves: tracks move along, in frames that nobody looked at, too."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from pipeline.runtime.pipeline import Pipeline
from pipeline.runtime.streams.stream import Stream
from pipeline.types import Image
from tests.support.fakes import BlobDetector, MemorySink, MemorySource
from trackers.factory import TRACKERS, create_tracker

# Where a white post stands in the first picture, and how far the camera pans to and fro, in pixels.
LEFT, TOP, WIDTH, HEIGHT = 180, 60, 20, 40
FRAMES, SWAY = 30, 60


def offset(index: int) -> float:
    return float(round(SWAY * np.sin(index / 3)))


def swaying_pictures() -> list[Image]:
    """A post before a wall with texture, by a camera that pans to and fro."""
    noise = np.random.default_rng(5).integers(0, 120, (30, 80, 3), np.uint8)
    wall = np.clip(cv2.resize(noise, (640, 240), interpolation=cv2.INTER_CUBIC), 0, 120).astype(np.uint8)
    pictures = []
    for index in range(FRAMES):
        left = 100 - int(offset(index))
        picture = np.ascontiguousarray(wall[:, left : left + 416])
        at = LEFT + int(offset(index))
        picture[TOP : TOP + HEIGHT, at : at + WIDTH] = 255
        pictures.append(picture)
    return pictures


def shown(tracker: str, *, camera_motion: bool, lag_s: float | None, every: int) -> MemorySink:
    sink = MemorySink()
    stream = Stream(
        source=MemorySource(swaying_pictures()),
        tracker=create_tracker(tracker),
        sinks=[sink],
        lag_s=lag_s,
        detect_every=every,
        camera_motion=camera_motion,
    )
    Pipeline(stream, BlobDetector()).run()
    return sink


@pytest.mark.parametrize("lag_s", [0.0, None])
@pytest.mark.parametrize("every", [1, 3])
@pytest.mark.parametrize("tracker", TRACKERS)
def test_what_stands_still_is_one_track_before_a_camera_that_pans(
    tracker: str, lag_s: float | None, every: int
) -> None:
    frames = shown(tracker, camera_motion=True, lag_s=lag_s, every=every).frames[12:]
    assert [frame.tracks.track_id.tolist() for frame in frames] == [[1]] * len(frames)
    lefts = [float(frame.tracks.xyxy[0, 0]) for frame in frames]
    assert lefts == pytest.approx([LEFT + offset(frame.frame.index) for frame in frames], abs=4.0)


def test_without_it_a_fast_pan_loses_the_track() -> None:
    frames = shown("sort", camera_motion=False, lag_s=0.0, every=1).frames[12:]
    assert any(frame.tracks.track_id.tolist() != [1] for frame in frames)
