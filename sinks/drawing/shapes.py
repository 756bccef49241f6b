"""Boxes and dashed boxes, drawn into an image."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.types import Image
from sinks.drawing.colors import Color


def _draw_box(picture: Image, box: Sequence[int], color: Color, thickness: int) -> None:
    left, top, right, bottom = box
    # Nested thin rectangles: a thick one costs four times as much, for corners that are a little rounder.
    for inset in range(-(thickness // 2), thickness - thickness // 2):
        cv2.rectangle(picture, (left + inset, top + inset), (right - inset, bottom - inset), color, 1)


def _draw_dashed_box(picture: Image, box: Sequence[int], color: Color, thickness: int, dash: int) -> None:
    left, top, right, bottom = box
    across, down = _dashes(left, right, dash, picture.shape[1]), _dashes(top, bottom, dash, picture.shape[0])
    for y in (top, bottom):
        first, last = max(0, y - thickness // 2), min(picture.shape[0], y - thickness // 2 + thickness)
        if first < last:
            picture[first:last, across] = color
    for x in (left, right):
        first, last = max(0, x - thickness // 2), min(picture.shape[1], x - thickness // 2 + thickness)
        if first < last:
            picture[down, first:last] = color


def _dashes(start: int, stop: int, dash: int, size: int) -> NDArray[np.intp]:
    """The positions in ``[start, stop]`` that a line of dashes covers, those in ``[0, size)``."""
    positions = np.arange(max(0, start), min(size, stop + 1))
    # Seven parts line, four parts gap.
    period = max(3, dash * 11 // 7)
    return positions[(positions - start) % period < dash]
