"""Speeds of tracks on the ground."""

from __future__ import annotations

import numpy as np

from pipeline.analytics.track_table import TrackTable
from pipeline.geometry.ground import GroundMap, Homography
from pipeline.geometry.points import Placement
from pipeline.types import Float64Array, IndexArray

# Motion is averaged with weights that fall by a factor e in this many seconds ...
SMOOTHING_S = 0.5
# ... and no speed is told before a track was watched for this long, when the boxes' jitter still outweighs its motion.
SETTLING_S = 0.2


class SpeedMeter:
    """Speeds of tracks over the ground.

    A track's velocity is the sum of its moves over the sum of the times they took, both weighted by ``exp(-age /
    SMOOTHING_S)``: exact for steady motion at once, and right under uneven frame times. Averaging the moves as
    vectors lets the jitter of boxes cancel out, so that a standing object's speed tends to zero. Only frames in which
    a track was detected count.

    Args:
        homography: the map to the ground.
        table: rows of the live tracks; the meter adds its columns.
    """

    def __init__(self, homography: Homography, table: TrackTable) -> None:
        self._homography = homography
        self._placement = Placement()
        self._ground: GroundMap | None = None
        self._place = table.column(np.float64, (2,), fill=float("nan"))
        self._pts_s = table.column(np.float64)
        self._moved = table.column(np.float64, (2,))
        self._took = table.column(np.float64)
        self._watched = table.column(np.float64)

    def fit(self, width: int, height: int) -> None:
        """Place the map in frames of that size in pixels."""
        self._ground = self._homography.fit(width, height, self._placement)

    def update(self, rows: IndexArray, points: Float64Array, pts_s: float) -> None:
        """Take in where tracks are now.

        Args:
            rows: the tracks' rows ``(N,)``, only of those detected in this frame.
            points: where they stand, ``(N, 2)`` in pixels.
            pts_s: media time of the frame.
        """
        assert self._ground is not None, "fit() comes first"
        place = self._ground.to_metres(points)
        move = place - self._place.values[rows]
        elapsed = pts_s - self._pts_s.values[rows]
        self._place.values[rows], self._pts_s.values[rows] = place, pts_s
        known = ~np.isnan(move[:, 0])  # Both where it is and where it was.
        rows, move, elapsed = rows[known], move[known], elapsed[known]
        # The weight is the mean of exp(-age / SMOOTHING_S) over the time since the last look.
        fade = np.exp(-elapsed / SMOOTHING_S)
        weight = (1 - fade) * SMOOTHING_S / elapsed
        self._moved.values[rows] = self._moved.values[rows] * fade[:, None] + move * weight[:, None]
        self._took.values[rows] = self._took.values[rows] * fade + elapsed * weight
        self._watched.values[rows] += elapsed

    def speeds(self, rows: IndexArray | slice) -> Float64Array:
        """float64 ``(N,)`` in m/s; NaN for tracks watched for less than ``SETTLING_S``."""
        took = self._took.values[rows]
        settled = self._watched.values[rows] >= SETTLING_S - 1e-9
        distance = np.hypot(*self._moved.values[rows].T)
        speeds: Float64Array = np.divide(distance, took, out=np.full(len(took), np.nan), where=settled & (took > 0))
        return speeds
