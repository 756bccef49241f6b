"""How good a picture of an object is."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest

from pipeline.evidence.quality import cut, promise, sharpness
from pipeline.types import Image
from tests.support.tracked_frames import Box, Shown, tracked_frame


def promised(*boxes: Box, score: float = 0.8) -> list[float]:
    tracks = tracked_frame(0, 0.0, {n + 1: Shown(box, score=score) for n, box in enumerate(boxes)}).tracks
    found: list[float] = promise(tracks, 640, 480).tolist()
    return found


def test_a_larger_surer_and_whole_object_promises_more() -> None:
    small, large = promised((100, 100, 120, 140), (100, 100, 200, 300))
    assert 0 < small < large < 0.8
    assert promised((100, 100, 200, 300), score=0.4)[0] == pytest.approx(large / 2)
    for box in ((0, 100, 100, 300), (100, 0, 200, 200), (540, 100, 640, 300), (100, 280, 200, 480)):
        assert promised(box)[0] == pytest.approx(0.4 * large, rel=1e-6), "it is cut by the edge"
    assert promised((50, 50, 50, 90)) == [0.0]


def noise(sigma: float) -> Image:
    sharp = np.random.default_rng(0).integers(0, 256, (200, 300, 3), dtype=np.uint8)
    return sharp if sigma == 0 else np.asarray(cv2.GaussianBlur(sharp, (0, 0), sigma), np.uint8)


def test_a_blurred_picture_is_less_sharp() -> None:
    box = np.array([20.0, 20, 100, 120])
    found = [sharpness(noise(sigma), box) for sigma in (0, 1, 2, 4)]
    assert found == sorted(found, reverse=True)
    assert 1 > found[0] > 0.9 > 0.2 > found[-1] > 0


@pytest.mark.parametrize(
    ("box", "margin", "expected"),
    [
        ((2.2, 3.0, 4.7, 6.0), 0.0, (2, 3, 5, 6)),
        ((-5, -5, 4, 4), 0.0, (0, 0, 4, 4)),
        ((5, 5, 15, 9), 0.5, (0, 3, 20, 10)),
        ((40, 2, 50, 8), 0.0, None),
        ((-9, -9, -2, -2), 0.1, None),
    ],
)
def test_the_part_of_a_picture_in_a_box(box: Any, margin: float, expected: tuple[int, int, int, int] | None) -> None:
    rows, columns = np.mgrid[:10, :20].astype(np.uint8)
    image = np.stack([rows, columns, columns], axis=2)
    part = cut(image, np.array(box, np.float64), margin)
    if expected is None:
        assert part.size == 0
        assert sharpness(image, np.array(box, np.float64)) == 0
        return
    left, top, right, bottom = expected
    np.testing.assert_array_equal(part, image[top:bottom, left:right])
