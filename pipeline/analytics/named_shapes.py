"""What zones and lines have in common: names, classes that count, and where they are."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

import numpy as np

from pipeline.errors import ConfigError
from pipeline.geometry.points import Placement, Point, Units
from pipeline.models.class_names import class_ids
from pipeline.types import BoolArray, Float64Array

logger = logging.getLogger(__name__)
# How far the proportions of two pictures may be apart that show the same.
_SAME_SHAPE = 0.02


class _Named(Protocol):
    """A zone or a line, as far as both are alike."""

    @property
    def name(self) -> str: ...

    @property
    def units(self) -> Units: ...


Shape = TypeVar("Shape", bound=_Named)


def check_names(kind: str, names: Sequence[str]) -> None:
    """Raise ``ConfigError`` for a name that is empty or there twice."""
    for position, name in enumerate(names):
        if not name:
            raise ConfigError(f"{kind} {position + 1}: it has no name")
        if name in names[:position]:
            raise ConfigError(f"{kind} {name!r}: two have this name; give each its own")


def allowed_classes(
    classes: Sequence[Sequence[str] | None], class_names: Sequence[str], where: Sequence[str]
) -> BoolArray:
    """bool ``(classes, items)``: which class each item counts."""
    allowed = np.zeros((len(class_names), len(classes)), np.bool_)
    for position, names in enumerate(classes):
        wanted = slice(None) if names is None else list(class_ids(names, class_names, where=where[position]))
        allowed[wanted, position] = True
    return allowed


def place_shapes(
    kind: str,
    shapes: Sequence[Shape],
    points_of: Callable[[Shape], Sequence[Point]],
    placement: Placement,
    width: int,
    height: int,
) -> list[Float64Array]:
    """The points of each shape, float64 ``(points, 2)``, in pixels of frames of that size.

    A shape that lies outside the picture, or that was drawn in pictures of another size, is warned of.
    """
    _warn_if_scaled(kind, shapes, placement.fit(width, height), (width, height))
    placed = []
    for shape in shapes:
        points = placement.points(np.array(points_of(shape), np.float64), shape.units, width, height)
        if _outside_frame(points, width, height):
            logger.warning("%s %r lies outside the picture of %d x %d pixels", kind, shape.name, width, height)
        placed.append(points)
    return placed


def _warn_if_scaled(kind: str, shapes: Sequence[_Named], drawn: tuple[int, int] | None, size: tuple[int, int]) -> None:
    """Warn where shapes in pixels were drawn in pictures of another size."""
    names = ", ".join(repr(shape.name) for shape in shapes if shape.units == "pixels")
    if drawn is None or not names:
        return
    same_shape = abs(drawn[0] * size[1] / (drawn[1] * size[0]) - 1) < _SAME_SHAPE
    logger.warning(
        "%s %s: in pixels of a picture of %d x %d, which is %d x %d now; scaled with it%s",
        kind,
        names,
        *drawn,
        *size,
        "" if same_shape else ", but its shape is another one: check that they are in place",
    )


def _outside_frame(points: Float64Array, width: int, height: int) -> bool:
    low, high = points.min(axis=0), points.max(axis=0)
    return bool((high < 0).any() or low[0] > width or low[1] > height)
