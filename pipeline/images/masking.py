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
# Lines are so many pixels wide on either side of where they run, at most.
_BORDER = 2


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
        part, touched = _touched(shape, height, width)
        if touched.size:
            hiding = _patches(image[part]) if effect == "blur" else np.zeros_like(image[part])
            cv2.copyTo(hiding, touched, hidden[part])  # into the picture itself; a third of what NumPy takes
    return hidden


def corners(boxes: Float64Array) -> list[Float64Array]:
    """The corners of boxes, xyxy ``(N, 4)``, as shapes ``(4, 2)``."""
    return [np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1)]) for x0, y0, x1, y1 in boxes]


def _touched(
    shape: Float64Array, height: int, width: int
) -> tuple[tuple[slice, slice], np.ndarray[tuple[int, int], np.dtype[np.uint8]]]:
    """Where a polygon lies, rows and columns, and which pixels of that part of the picture it touches: 1, others 0.

    A run hides an object wherever it was for a second, so this counts hundreds of times a picture: it draws on no more
    of it than the polygon needs.
    """
    # Corners are taken to the centres of pixels, 0.5 from their edges; a border of a pixel makes up for rounding.
    points = np.clip(np.rint(shape * (width, height) - 0.5), -(2**14), 2**14).astype(np.int32)
    left, top = np.maximum(points.min(axis=0) - _BORDER, 0).tolist()
    right, bottom = np.minimum(points.max(axis=0) + _BORDER + 1, (width, height)).tolist()
    drawn = np.zeros((max(0, bottom - top), max(0, right - left)), np.uint8)
    if drawn.size:
        cv2.fillPoly(drawn, [points - (left, top)], 1)
        if drawn.any():
            cv2.polylines(drawn, [points - (left, top)], isClosed=True, color=1, thickness=2)
    x, y, columns, rows = cv2.boundingRect(drawn) if drawn.size else (0, 0, 0, 0)
    part = (slice(top + y, top + y + rows), slice(left + x, left + x + columns))
    return part, drawn[y : y + rows, x : x + columns]


def _patches(image: Image) -> Image:
    """A picture as few patches, of the same size."""
    height, width = image.shape[:2]
    longer = max(height, width)
    few = (max(1, round(_PATCHES * width / longer)), max(1, round(_PATCHES * height / longer)))
    small = cv2.resize(image, few, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_NEAREST), np.uint8)
