"""The map from the picture to the ground."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from pipeline.errors import ConfigError
from pipeline.geometry.ground import Homography
from tests.support.watched_paths import Path

ROAD = Homography(image=[(250, 100), (390, 100), (620, 470), (20, 470)], metres=[(0, 60), (7, 60), (7, 0), (0, 0)])


def test_the_map_to_the_ground_agrees_with_opencv() -> None:
    expected = cv2.getPerspectiveTransform(np.array(ROAD.image, np.float32), np.array(ROAD.metres, np.float32))
    points = np.random.default_rng(1).uniform((20, 110), (620, 470), (50, 2))
    mapped = ROAD.fit(640, 480).to_metres(points)
    assert mapped == pytest.approx(cv2.perspectiveTransform(points[None], expected)[0], abs=1e-4)
    corners = ROAD.fit(640, 480).to_metres(np.array(ROAD.image, np.float64))
    assert corners == pytest.approx(np.array(ROAD.metres, np.float64), abs=1e-9)


def test_the_horizon_has_no_place_on_the_ground() -> None:
    ground = ROAD.fit(640, 480)
    assert np.isnan(ground.to_metres(np.array([[320.0, -2000.0]]))).all()


@pytest.mark.parametrize(
    ("image", "metres", "says"),
    [
        ([(0, 0), (9, 0), (9, 9)], [(0, 0), (1, 0), (1, 1)], "expected four points, got 3"),
        ([(0, 0), (5, 5), (9, 9), (0, 9)], [(0, 0), (1, 0), (1, 1), (0, 1)], "image: three of the four points"),
        ([(0, 0), (9, 0), (9, 9), (0, 9)], [(0, 0), (1, 0), (2, 0), (0, 1)], "metres: three of the four points"),
        ([(0, 0), (9, 0), (9, 9), (0, 9)], [(0, 0), (1, 0), (0, 1), (1, 1)], "not in the same order"),
    ],
)
def test_a_homography_that_makes_no_sense(image: Path, metres: Path, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        Homography(image=image, metres=metres)
