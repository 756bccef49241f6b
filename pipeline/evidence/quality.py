"""How good a picture of an object is: how sure the detector was, how large, whether all of it is there, how sharp."""

from __future__ import annotations

import cv2
import numpy as np

from pipeline.types import Float64Array, Image, Tracks

# Pixels along the side of a square as large as the box, at which size counts for half.
_HALF_SIZE = 64.0
# A box that comes nearer to the edge of the picture than this part of its sides is cut by it.
_AT_EDGE = 0.01
_CUT_COUNTS = 0.4
# Sharpness is measured at this many pixels along the longer side, so that it does not depend on the size.
_MEASURED_AT = 96
# Variance of the Laplacian at which sharpness counts for half.
_HALF_SHARP = 200.0


def promise(tracks: Tracks, width: int, height: int) -> Float64Array:
    """How good pictures of tracks are at most, float64 ``(N,)`` from 0 to 1, without a look at a pixel.

    The score, times how large the box is, and less than half of it for a box at the edge of the picture.

    Args:
        tracks: the N tracks.
        width, height: of the picture in pixels.
    """
    boxes = tracks.xyxy.astype(np.float64)
    sides = boxes[:, 2:] - boxes[:, :2]
    side = np.sqrt(sides[:, 0] * sides[:, 1])
    near = np.maximum(1.0, _AT_EDGE * sides)
    cut = (boxes[:, :2] < near).any(axis=1) | (boxes[:, 2:] > (width, height) - near).any(axis=1)
    found: Float64Array = tracks.score * (side / (side + _HALF_SIZE)) * np.where(cut, _CUT_COUNTS, 1.0)
    return found


def sharpness(image: Image, xyxy: Float64Array) -> float:
    """How sharp the part of a picture in a box is, from 0 to 1: by the variance of its Laplacian.

    After J. L. Pech-Pacheco et al., "Diatom autofocusing in brightfield microscopy: a comparative study", ICPR 2000.

    Args:
        image: uint8 ``(height, width, 3)``, BGR.
        xyxy: the box in pixels; what lies outside the picture does not count.
    """
    part = cut(image, xyxy)
    if part.size == 0:
        return 0.0
    scale = _MEASURED_AT / max(part.shape[:2])
    if scale < 1:
        size = (max(1, round(part.shape[1] * scale)), max(1, round(part.shape[0] * scale)))
        part = np.asarray(cv2.resize(part, size, interpolation=cv2.INTER_AREA), np.uint8)
    variance = float(cv2.Laplacian(cv2.cvtColor(part, cv2.COLOR_BGR2GRAY), cv2.CV_32F).var())
    return variance / (variance + _HALF_SHARP)


def cut(image: Image, xyxy: Float64Array, margin: float = 0.0) -> Image:
    """The part of a picture in a box, which may be empty where the box lies outside.

    Args:
        image: uint8 ``(height, width, 3)``.
        xyxy: the box in pixels.
        margin: as much more on each side, in parts of the box's sides.
    """
    height, width = image.shape[:2]
    left, top, right, bottom = xyxy
    more_x, more_y = margin * (right - left), margin * (bottom - top)
    x0, y0 = max(0, int(np.floor(left - more_x))), max(0, int(np.floor(top - more_y)))
    x1, y1 = min(width, int(np.ceil(right + more_x))), min(height, int(np.ceil(bottom + more_y)))
    return image[y0 : max(y0, y1), x0 : max(x0, x1)]
