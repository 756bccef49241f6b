"""A scene whose pictures say in their pixels which they are, with an object that comes, is seen best, and goes.

The number stands at the lower left, in green. The object is the only thing that is blue, so `BlobDetector` finds it.
"""

from __future__ import annotations

import cv2
import numpy as np

from pipeline.types import Image
from tests.support.clips import draw_number, read_number

WIDTH, HEIGHT, FPS = 320, 240, 10
FRAMES = 50
# In which pictures the object is there; in the one between it is largest and most sharp.
COMES, BEST, GOES = 5, 24, 40
_NUMBER = np.s_[HEIGHT - 72 : HEIGHT - 8, 8:72]


def place(number: int) -> tuple[int, int, int, int] | None:
    """Where the object is in a picture: left, top, right and bottom in pixels."""
    if not COMES <= number < GOES:
        return None
    side = 64 - 2 * abs(number - BEST)
    left, top = 30 + 4 * number, 20 + number
    return left, top, left + side, top + side


def scene(number: int) -> Image:
    """A picture of it."""
    image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    image[_NUMBER][..., 1] = draw_number(number, width=64, height=64)[..., 0]
    box = place(number)
    if box is not None:
        left, top, right, bottom = box
        stripes = np.tile(np.repeat(np.array([0, 255], np.uint8), 4), 40)[: right - left]
        blur = 1 + 2 * abs(number - BEST)
        texture = cv2.GaussianBlur(np.tile(stripes, (bottom - top, 1)), (blur, blur), blur / 3)
        image[top:bottom, left:right] = np.stack([np.full_like(texture, 255), texture, texture], axis=2)
    return image


def number_of(image: Image) -> int:
    """Which picture of the scene that is."""
    return read_number(image[_NUMBER][..., 1])
