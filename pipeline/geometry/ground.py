"""From pixels to metres on the ground, and from there to speeds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from pipeline.errors import ConfigError
from pipeline.geometry.points import Placement, Point, Units, check_points
from pipeline.types import Float64Array


@dataclass(frozen=True, slots=True)
class Homography:
    """Where points of the picture lie on the ground, from four points known in both.

    The projective map of a plane is solved exactly (direct linear transform; Hartley and Zisserman, Multiple View
    Geometry, section 4.1). It holds for points on the ground only: a box's bottom centre, where the object stands.

    Attributes:
        image: four points in the picture, no three in one line.
        metres: the same four on the ground, in metres, in any right-angled axes.
        units: of ``image``: ``"pixels"`` or ``"fraction"`` of the frame.

    Raises:
        ConfigError: not four points each, or three of them in one line.

    >>> corners = [(100, 400), (500, 400), (400, 200), (200, 200)]
    >>> road = Homography(corners, metres=[(0, 0), (8, 0), (8, 30), (0, 30)])
    >>> road.fit(640, 480).to_metres(np.array([[300.0, 300.0]])).round(2).tolist()
    [[4.0, 10.0]]
    """

    image: Sequence[Point]
    metres: Sequence[Point]
    units: Units = "pixels"

    def __post_init__(self) -> None:
        image = check_points(self.image, self.units, "homography image")
        metres = check_points(self.metres, "pixels", "homography metres")
        for name, points in (("image", image), ("metres", metres)):
            if len(points) != 4:
                raise ConfigError(f"homography {name}: expected four points, got {len(points)}")
            for left_out in range(4):
                a, b, c = np.delete(points, left_out, axis=0)
                across = abs((b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0]))
                if across <= 1e-9 * max(1e-300, float(np.ptp(points, axis=0).max()) ** 2):
                    raise ConfigError(f"homography {name}: three of the four points lie in one line; choose others")
        ground = GroundMap.solve(image, metres)
        if np.isnan(ground.to_metres(image)).any():
            raise ConfigError("homography: the four points are not in the same order around in image and in metres")

    def fit(self, width: int, height: int, placement: Placement | None = None) -> GroundMap:
        """The map for frames of that size in pixels; ``placement`` knows the size of those that came first."""
        placement = placement or Placement()
        placement.fit(width, height)
        image = placement.points(np.asarray(self.image, np.float64), self.units, width, height)
        return GroundMap.solve(image, np.asarray(self.metres, np.float64))


@dataclass(frozen=True, slots=True, eq=False)
class GroundMap:
    """A projective map from pixels to metres.

    Attributes:
        matrix: float64 ``(3, 3)``, scaled so that the ground in view has a positive third coordinate.
    """

    matrix: Float64Array = field(repr=False)

    @classmethod
    def solve(cls, image: Float64Array, metres: Float64Array) -> GroundMap:
        """The map that takes four points ``(4, 2)`` in pixels to four in metres."""
        # Centred and scaled to unit size first, or the equations lose digits.
        centre, scale = image.mean(axis=0), float(np.ptp(image, axis=0).max())
        x, y = ((image - centre) / scale).T
        ground_centre, ground_scale = metres.mean(axis=0), float(np.ptp(metres, axis=0).max())
        u, v = ((metres - ground_centre) / ground_scale).T
        one, zero = np.ones(4), np.zeros(4)
        equations = np.concatenate(
            [
                np.stack([x, y, one, zero, zero, zero, -u * x, -u * y, -u], axis=1),
                np.stack([zero, zero, zero, x, y, one, -v * x, -v * y, -v], axis=1),
            ]
        )
        # Eight equations in nine unknowns: what solves them is the direction that is left over.
        solution = np.linalg.svd(equations)[2][-1].reshape(3, 3)
        solution *= np.sign((solution[2] @ np.stack([x, y, one])).sum())
        restore = np.array([[ground_scale, 0, ground_centre[0]], [0, ground_scale, ground_centre[1]], [0, 0, 1]])
        normalise = np.array([[1 / scale, 0, -centre[0] / scale], [0, 1 / scale, -centre[1] / scale], [0, 0, 1]])
        return cls(restore @ solution @ normalise)

    def to_metres(self, points: Float64Array) -> Float64Array:
        """Points ``(N, 2)`` in pixels as ``(N, 2)`` in metres; NaN for those at or above the horizon."""
        mapped = points @ self.matrix[:, :2].T + self.matrix[:, 2]
        depth = mapped[:, 2:]
        ahead = depth > 1e-9
        result: Float64Array = mapped[:, :2] / np.where(ahead, depth, np.nan)
        return result
