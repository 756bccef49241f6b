"""Turning, scaling and shifting the picture plane: what a camera's own motion does to all that stands still.

A motion is a float64 array ``(2, 3)``, ``[[a, -b, x], [b, a, y]]``: it takes the point ``(u, v)`` to
``(a u - b v + x, b u + a v + y)``.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Motion = NDArray[np.float64]


def scale_of(motion: Motion) -> float:
    """How much larger things get."""
    return float(np.hypot(motion[0, 0], motion[1, 0]))


def after(second: Motion, first: Motion) -> Motion:
    """Both motions as one, ``first`` and then ``second``."""
    both = second[:, :2] @ first
    both[:, 2] += second[:, 2]
    return both


def inverse(motion: Motion) -> Motion:
    """The motion that takes everything back."""
    turned = motion[:, :2].T / scale_of(motion) ** 2
    return np.column_stack([turned, -turned @ motion[:, 2]])


def moved_boxes(boxes: NDArray[np.float64], motion: Motion) -> NDArray[np.float64]:
    """Upright boxes after a motion: their centres move, their sizes scale; a box that is turned stays upright.

    Args:
        boxes: float64 ``(..., 4)`` xyxy.
        motion: the motion.

    >>> moved_boxes(np.array([[10.0, 10.0, 20.0, 40.0]]), np.array([[2.0, 0.0, 5.0], [0.0, 2.0, 0.0]])).tolist()
    [[25.0, 20.0, 45.0, 80.0]]
    """
    centre = (boxes[..., :2] + boxes[..., 2:]) / 2.0 @ motion[:, :2].T + motion[:, 2]
    half = (boxes[..., 2:] - boxes[..., :2]) * (scale_of(motion) / 2.0)
    return np.concatenate([centre - half, centre + half], axis=-1)
