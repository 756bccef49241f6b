"""The point of a box that stands for its object."""

from __future__ import annotations

from typing import Literal

import numpy as np

from pipeline.errors import ConfigError
from pipeline.geometry.points import Point
from pipeline.types import Float32Array, Float64Array

Anchor = Literal[
    "bottom_center",
    "center",
    "top_center",
    "left_center",
    "right_center",
    "top_left",
    "top_right",
    "bottom_left",
    "bottom_right",
]
# Where in the box an anchor lies, as a part of its width and height.
_ANCHORS: dict[str, Point] = {
    "bottom_center": (0.5, 1.0),
    "center": (0.5, 0.5),
    "top_center": (0.5, 0.0),
    "left_center": (0.0, 0.5),
    "right_center": (1.0, 0.5),
    "top_left": (0.0, 0.0),
    "top_right": (1.0, 0.0),
    "bottom_left": (0.0, 1.0),
    "bottom_right": (1.0, 1.0),
}
_ANCHOR_PARTS = np.array(list(_ANCHORS.values()), np.float64)


def check_anchor(anchor: str, where: str) -> None:
    """Raise ``ConfigError`` for an anchor that does not exist."""
    if anchor not in _ANCHORS:
        raise ConfigError(f"{where}: no anchor {anchor!r}; choose one of {', '.join(_ANCHORS)}")


def anchor_index(anchor: str) -> int:
    """Where an anchor is to be found in what ``anchor_points`` returns."""
    return list(_ANCHORS).index(anchor)


def anchor_points(xyxy: Float32Array) -> Float64Array:
    """Where the anchors of boxes lie.

    Args:
        xyxy: boxes ``(N, 4)`` in pixels.

    Returns:
        float64 ``(N, 9, 2)`` in pixels, each of the anchors at its ``anchor_index``.
    """
    boxes = xyxy.astype(np.float64)
    corner = boxes[:, None, :2]
    result: Float64Array = corner + _ANCHOR_PARTS * (boxes[:, None, 2:] - corner)
    return result
