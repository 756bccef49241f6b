"""How the camera itself moved: panned, zoomed, shaken.

Points on a grid, away from the objects, are followed from one small grey picture to the next (Lucas and Kanade, "An
iterative image registration technique with an application to stereo vision", IJCAI 1981; in pyramids: Bouguet, 2000).
The similarity on which most of them agree (RANSAC: Fischler and Bolles, 1981) is the camera's. A camera that stands
still is hardly looked at: a few times a second it is seen whether it still does.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.geometry.similarity import Motion, scale_of
from pipeline.types import Float32Array, Frame, Image

GreyImage = NDArray[np.uint8]

# About how many pixels the longer side of the grey pictures has, and how many points their grid.
_SIDE = 208
_GRID = (12, 8)
_WINDOW, _LEVELS = (11, 11), 3
# Points agree that lie within so many pixels of the small picture.
_AGREES = 1.0
# A motion is believed on which so many points agree, and so large a part of all that could be followed.
_FEWEST, _LEAST_PART = 16, 0.4
# What moves no corner of the picture by this part of its longer side is a camera that stands still.
_STILL = 0.001
# It counts as still after so long, is then looked at so often, and compared with a picture no older than that.
_CALM_S, _GLANCE_S, _OLDEST_S = 1.0, 0.3, 1.0
# No camera's motion between two frames makes things larger or smaller than by this factor; a cut may seem to.
_LARGEST_ZOOM = 1.5


class CameraMotion:
    """Follows the camera of one stream. Between two calls that tell of a motion, it stood still.

    A motion is told against the picture of the last motion that was told (or one no older than a second), so slow ones
    add up until they can be told, and nothing adds up while the camera stands still.
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget everything: what comes now may be another scene."""
        self._key: GreyImage | None = None
        self._points: Float32Array = np.zeros((0, 1, 2), np.float32)
        self._key_s = self._looked_s = self._moved_s = float("-inf")

    def update(self, frame: Frame, boxes: Float32Array) -> Motion | None:
        """How what stands still moved in the picture since the last call; None for not at all, or if nobody can say.

        Args:
            frame: the next one.
            boxes: float32 ``(N, 4)`` xyxy, where objects are or were last: what may move by itself.

        Returns:
            float64 ``(2, 3)`` in pixels of the frame, see `pipeline.geometry.similarity`.
        """
        calm = frame.pts_s - self._moved_s >= _CALM_S
        if self._key is not None and calm and frame.pts_s - self._looked_s < _GLANCE_S:
            return None
        if self._key is None:
            self._moved_s = frame.pts_s
        picture = _grey(frame.image if frame.reduced is None else frame.reduced)
        motion = self._motion(self._key, picture)
        size = np.array(picture.shape[1::-1], np.float64)
        enlarged = frame.width / size[0]
        moved = motion is not None and _farthest(motion, size) >= _STILL * size.max()
        self._looked_s = frame.pts_s
        if moved:
            self._moved_s = frame.pts_s
        if motion is None or moved or frame.pts_s - self._key_s >= _OLDEST_S:
            self._key, self._key_s = picture, frame.pts_s
            self._points = _points(size, boxes / np.float32(enlarged))
        if motion is None or not moved:
            return None
        whole = motion.copy()
        whole[:, 2] *= enlarged
        return whole

    def _motion(self, key: GreyImage | None, picture: GreyImage) -> Motion | None:
        """What most of the points did, in pixels of the small pictures."""
        if key is None or key.shape != picture.shape or len(self._points) < _FEWEST:
            return None
        now, found, _ = cv2.calcOpticalFlowPyrLK(  # type: ignore[call-overload]
            key, picture, self._points, None, winSize=_WINDOW, maxLevel=_LEVELS, minEigThreshold=1e-3
        )
        followed = found.ravel() > 0
        before, now = self._points[followed], now[followed]
        if len(now) < _FEWEST:
            return None
        motion, agreeing = cv2.estimateAffinePartial2D(before, now, ransacReprojThreshold=_AGREES, maxIters=200)
        agree = 0 if motion is None else int(agreeing.sum())
        # What moves in front of a camera that stands still leaves much of the picture where it was.
        stayed = np.linalg.norm(now - before, axis=2) < _STILL * max(picture.shape)
        if 2 * np.count_nonzero(stayed) > agree:
            return np.eye(2, 3)
        if agree < max(_FEWEST, _LEAST_PART * len(now)):
            return None
        return np.asarray(motion) if 1 / _LARGEST_ZOOM <= scale_of(motion) <= _LARGEST_ZOOM else None


def _grey(image: Image) -> GreyImage:
    """The picture reduced by a whole number, which takes a tenth of the time of any other."""
    height, width = image.shape[:2]
    # Of a strip that is thinner than that number, a row or a column is left.
    by = max(1, min(round(max(height, width) / _SIDE), height, width))
    whole = image[: height // by * by, : width // by * by]
    small = cv2.resize(whole, None, fx=1 / by, fy=1 / by, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.cvtColor(small, cv2.COLOR_BGR2GRAY))


def _points(size: NDArray[np.float64], boxes: Float32Array) -> Float32Array:
    """Those of a grid over a picture of ``size`` (width, height) that lie in none of the boxes, ``(n, 1, 2)``."""
    steps = [(np.arange(count) + 0.5) / count * side for count, side in zip(_GRID, size, strict=True)]
    points = np.stack(np.meshgrid(*steps), axis=-1).reshape(-1, 1, 2).astype(np.float32)
    inside = np.all((points >= boxes[:, :2]) & (points <= boxes[:, 2:]), axis=2)
    return np.asarray(points[~np.any(inside, axis=1)])


def _farthest(motion: Motion, size: NDArray[np.float64]) -> float:
    """How far the motion takes the corner of the picture that it takes farthest, in pixels."""
    corners = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]) * size
    return float(np.linalg.norm(corners @ motion[:, :2].T + motion[:, 2] - corners, axis=1).max())
