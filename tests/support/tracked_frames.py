"""Tracked frames made by hand, for what comes after the tracker."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from pipeline.types import Frame, TrackedFrame, Tracks

Box = tuple[float, float, float, float]
_PICTURES: dict[tuple[int, int], np.ndarray[tuple[int, int, int], np.dtype[np.uint8]]] = {}


@dataclass(frozen=True)
class Shown:
    """One track in one frame."""

    box: Box
    class_id: int = 0
    score: float = 0.9
    age_s: float = 0.0
    unseen_s: float = 0.0


def standing_at(x: float, y: float, class_id: int = 0, *, unseen_s: float = 0.0) -> Shown:
    """A track whose box is 20 x 40 pixels and has its bottom centre there."""
    return Shown((x - 10, y - 40, x + 10, y), class_id, unseen_s=unseen_s)


def tracked_frame(
    index: int,
    pts_s: float,
    tracks: Mapping[int, Shown],
    *,
    ended: Iterable[int] = (),
    size: tuple[int, int] = (640, 480),
    stream: str = "door",
    captured_s: float | None = None,
) -> TrackedFrame:
    """A frame of ``(width, height)`` pixels that shows these tracks, by id; listed in the order given."""
    if size not in _PICTURES:
        _PICTURES[size] = np.zeros((size[1], size[0], 3), np.uint8)
    shown = list(tracks.values())
    return TrackedFrame(
        Frame(_PICTURES[size], index, pts_s, 1000 + pts_s if captured_s is None else captured_s, stream),
        None,
        Tracks(
            xyxy=np.array([one.box for one in shown], np.float32).reshape(-1, 4),
            score=np.array([one.score for one in shown], np.float32),
            class_id=np.array([one.class_id for one in shown], np.int32),
            track_id=np.array(list(tracks), np.int64),
            age_s=np.array([one.age_s for one in shown], np.float32),
            unseen_s=np.array([one.unseen_s for one in shown], np.float32),
        ),
        np.array(list(ended), np.int64),
    )
