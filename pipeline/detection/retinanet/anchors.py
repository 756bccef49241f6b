"""Prior boxes, and how predictions move them. Boxes are ``xyxy``, in pixels of the network's input."""

from __future__ import annotations

import numpy as np

from pipeline.models.networks.retinanet import ANCHOR_RATIOS, ANCHOR_SIZES, ANCHORS_PER_CELL
from pipeline.types import Float32Array

_LARGEST_GROWTH = np.float32(np.log(1000 / 16))
"""Logarithm of how many times larger than its anchor a box can be."""


def base_anchors(level: int) -> Float32Array:
    """The anchors of a cell at the origin: float32 ``(9, 4)``, ratio by ratio, of each the small one first.

    Corners are rounded to whole pixels, halves to the even one, as the weights were trained.
    """
    ratios = np.sqrt(np.array(ANCHOR_RATIOS, dtype=np.float32))
    sizes = np.array(ANCHOR_SIZES[level], dtype=np.float32)
    widths = (1 / ratios)[:, None] * sizes
    heights = ratios[:, None] * sizes
    corner = np.stack([widths.ravel(), heights.ravel()], axis=1) / 2
    return np.concatenate([-corner, corner], axis=1).round()


def anchors(level: int, cells: np.ndarray, grid: tuple[int, int], input_shape: tuple[int, int]) -> Float32Array:
    """Anchors of a level of the pyramid.

    Args:
        level: 0 for P3 to 4 for P7.
        cells: int ``(N,)``, which of them: row by row, column by column, anchor by anchor.
        grid: rows and columns of the level.
        input_shape: height and width of the network's input. The distance of two cells is the whole number of times
            that the grid's side goes into it, which on coarse levels may not be a power of 2.

    Returns:
        float32 ``(N, 4)``.
    """
    place, anchor = np.divmod(cells, ANCHORS_PER_CELL)
    row, column = np.divmod(place, grid[1])
    y, x = row * (input_shape[0] // grid[0]), column * (input_shape[1] // grid[1])
    shifts: Float32Array = np.stack([x, y, x, y], axis=1).astype(np.float32)
    return shifts + base_anchors(level)[anchor]


def moved(boxes: Float32Array, offsets: Float32Array) -> Float32Array:
    """Anchors moved and resized as predicted: by dx and dy of their size, then exp(dw) and exp(dh) times as large.

    Args:
        boxes: float32 ``(N, 4)``.
        offsets: float32 ``(N, 4)``: dx, dy, dw, dh.

    Returns:
        float32 ``(N, 4)``; not clipped.
    """
    sizes = boxes[:, 2:] - boxes[:, :2]
    centres = boxes[:, :2] + np.float32(0.5) * sizes + offsets[:, :2] * sizes
    half = np.float32(0.5) * np.exp(np.minimum(offsets[:, 2:], _LARGEST_GROWTH)) * sizes
    return np.concatenate([centres - half, centres + half], axis=1)
