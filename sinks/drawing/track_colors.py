"""The colours of the tracks of one stream: each keeps its own, and those near each other are told apart."""

from __future__ import annotations

import numpy as np

from pipeline.types import Tracks
from sinks.drawing.colors import Color, color_apart, track_color

# A track that was not shown for so long is forgotten, should nobody say that it ended.
_KEPT_S = 2.0
# How many of the nearest tracks a new one is told apart from.
_NEIGHBOURS = 6


class TrackColors:
    """Gives a new track the colour of its id, or another where a track near it has one like that."""

    def __init__(self) -> None:
        self._colors: dict[int, tuple[Color, float]] = {}

    def of(self, tracks: Tracks, pts_s: float) -> list[Color]:
        """The colours of tracks in their order, BGR; ``pts_s`` is the media time at which they are shown."""
        ids = tracks.track_id.tolist()
        if any(track_id > 0 and track_id not in self._colors for track_id in ids):
            self._choose(tracks, ids, pts_s)
        for track_id in ids:
            if track_id in self._colors:
                self._colors[track_id] = (self._colors[track_id][0], pts_s)
        # What has no id has a number below 1 for its class.
        return [self._colors[track_id][0] if track_id > 0 else track_color(track_id) for track_id in ids]

    def forget(self, track_ids: list[int], pts_s: float) -> None:
        """Tracks ended, and it is that late."""
        for track_id in track_ids:
            self._colors.pop(track_id, None)
        for track_id in [known for known, (_, seen_s) in self._colors.items() if seen_s < pts_s - _KEPT_S]:
            del self._colors[track_id]

    def _choose(self, tracks: Tracks, ids: list[int], pts_s: float) -> None:
        centers = (tracks.xyxy[:, :2] + tracks.xyxy[:, 2:]) / 2
        for row, track_id in enumerate(ids):
            if track_id in self._colors or track_id < 1:
                continue
            nearest = np.argsort(np.abs(centers - centers[row]).sum(axis=1), kind="stable")[1 : _NEIGHBOURS + 1]
            near = [self._colors[ids[other]][0] for other in nearest.tolist() if ids[other] in self._colors]
            self._colors[track_id] = (color_apart(track_id, near), pts_s)
