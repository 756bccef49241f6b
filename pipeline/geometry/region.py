"""The part of the picture that matters: the rest of it is not shown to the detector."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from pipeline.errors import ConfigError
from pipeline.geometry.points import Placement, Point, Units, check_points

# A part that saves less than this of the picture is not worth a cut edge.
_LEAST_SAVED = 0.1


class Region:
    """The smallest upright rectangle around some shapes, with a margin.

    Objects near its edge are cut off there, which a detector does not like, and an object that stands in a zone reaches
    out of it, mostly upwards: that is what the margin is for.

    Args:
        shapes: corners of each, with their units: ``"pixels"`` or ``"fraction"`` of the frame.
        margin: added on each side, as a part of the frame's width and height.

    Raises:
        ConfigError: no shape, points that are not finite or out of range, or a negative margin.

    >>> Region([([(100, 100), (300, 220)], "pixels")]).part(480, 640)
    Rectangle(left=100, top=100, right=300, bottom=220)
    """

    def __init__(self, shapes: Sequence[tuple[Sequence[Point], Units]], *, margin: float = 0.0) -> None:
        if not shapes:
            raise ConfigError("detect_region: there is no zone and no line to look at; name some, or give a rectangle")
        if not 0 <= margin < 1:
            raise ConfigError(f"detect_region: the margin is {margin}; expected from 0 to less than 1")
        self._shapes = [(check_points(corners, units, "detect_region"), units) for corners, units in shapes]
        self._margin = margin
        self._placement = Placement()
        self.part = lru_cache(maxsize=4)(self._part)

    def _part(self, height: int, width: int) -> Rectangle | None:
        """The rectangle in a frame of ``height`` x ``width`` pixels; None where it is nearly all of it.

        Raises:
            ConfigError: it lies outside a frame of that size.
        """
        self._placement.fit(width, height)
        points = np.concatenate(
            [self._placement.points(corners, units, width, height) for corners, units in self._shapes]
        )
        left, top = points.min(axis=0) - np.array([width, height]) * self._margin
        right, bottom = points.max(axis=0) + np.array([width, height]) * self._margin
        part = Rectangle(
            max(0, math.floor(left)),
            max(0, math.floor(top)),
            min(width, math.ceil(right)),
            min(height, math.ceil(bottom)),
        )
        if part.right <= part.left or part.bottom <= part.top:
            raise ConfigError(f"detect_region: lies outside the picture, which is {width}x{height} px")
        area = (part.right - part.left) * (part.bottom - part.top)
        return part if area < (1 - _LEAST_SAVED) * width * height else None


@dataclass(frozen=True, slots=True)
class Rectangle:
    """A rectangle of a frame, in whole pixels: right and bottom are the first that do not belong to it."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def size(self) -> tuple[int, int]:
        """Its ``(height, width)`` in pixels."""
        return self.bottom - self.top, self.right - self.left
