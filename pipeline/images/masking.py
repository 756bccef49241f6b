"""Hiding parts of a picture, so that nobody can tell what is there: filled, or blurred beyond recognition."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import cv2
import numpy as np

from pipeline.frame import Image
from pipeline.types import Float64Array

Effect = Literal["fill", "blur"]

# A blurred part is so many patches of one colour long, whatever its size: a face in it is less than one of them.
_PATCHES = 8


def hide(image: Image, shapes: Sequence[Float64Array], effect: Effect = "fill") -> Image:
    """A copy of a picture in which shapes are hidden, each pixel that they touch included.

    Args:
        image: uint8 ``(height, width, 3)``.
        shapes: corners of polygons, float64 ``(N, 2)`` x and y in parts of the picture's width and height. What lies
            outside the picture hides nothing.
        effect: ``fill`` makes them black; ``blur`` leaves patches of the colours that are there.

    >>> hide(np.full((2, 4, 3), 9, np.uint8), [np.array([(0, 0), (0.25, 0), (0.25, 1), (0, 1)])])[0, :, 0].tolist()
    [0, 0, 9, 9]
    """
    hidden = image.copy()
    height, width = image.shape[:2]
    for shape in shapes:
        touched = _touched(shape, height, width)
        rows, columns = (np.flatnonzero(touched.any(axis=axis)) for axis in (1, 0))
        if not len(rows):
            continue
        part = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        hidden[part][touched[part]] = _patches(image[part])[touched[part]] if effect == "blur" else 0
    return hidden


def corners(boxes: Float64Array) -> list[Float64Array]:
    """The corners of boxes, xyxy ``(N, 4)``, as shapes ``(4, 2)``."""
    return [np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1)]) for x0, y0, x1, y1 in boxes]


def _touched(shape: Float64Array, height: int, width: int) -> np.ndarray[tuple[int, int], np.dtype[np.bool_]]:
    """The pixels that a polygon touches, bool ``(height, width)``."""
    drawn = np.zeros((height, width), np.uint8)
    # Corners are taken to the centres of pixels, 0.5 from their edges; a border of a pixel makes up for rounding.
    points = np.clip(np.rint(shape * (width, height) - 0.5), -(2**14), 2**14).astype(np.int32)
    cv2.fillPoly(drawn, [points], 1)
    if drawn.any():
        cv2.polylines(drawn, [points], isClosed=True, color=1, thickness=2)
    return drawn.astype(np.bool_)


def _patches(image: Image) -> Image:
    """A picture as few patches, of the same size."""
    height, width = image.shape[:2]
    longer = max(height, width)
    few = (max(1, round(_PATCHES * width / longer)), max(1, round(_PATCHES * height / longer)))
    small = cv2.resize(image, few, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_NEAREST), np.uint8)
