"""What holds for every picture, from a camera or a file: the largest that is taken, and how it is turned upright."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from pipeline.types import Image


@dataclass(frozen=True, slots=True)
class Orientation:
    """How the stored picture is turned for display: transposed first, then mirrored along x, along y, or both."""

    transposed: bool = False
    mirrored_x: bool = False
    mirrored_y: bool = False

    def apply(self, image: Image) -> Image:
        """The picture as displayed; the same array where nothing is to be done."""
        turn = _TURNS.get((self.transposed, self.mirrored_x, self.mirrored_y))
        return image if turn is None else np.asarray(turn(image), image.dtype)

    def displayed_size(self, width: int, height: int) -> tuple[int, int]:
        """Width and height after turning."""
        return (height, width) if self.transposed else (width, height)


UPRIGHT = Orientation()

EXIF_ORIENTATIONS = {
    1: UPRIGHT,
    2: Orientation(mirrored_x=True),
    3: Orientation(mirrored_x=True, mirrored_y=True),
    4: Orientation(mirrored_y=True),
    5: Orientation(transposed=True),
    6: Orientation(transposed=True, mirrored_x=True),
    7: Orientation(transposed=True, mirrored_x=True, mirrored_y=True),
    8: Orientation(transposed=True, mirrored_y=True),
}
"""What the values of EXIF's tag 274 mean."""

_TURNS: dict[tuple[bool, bool, bool], Callable[[Image], cv2.typing.MatLike]] = {
    (False, True, False): lambda image: cv2.flip(image, 1),
    (False, False, True): lambda image: cv2.flip(image, 0),
    (False, True, True): lambda image: cv2.rotate(image, cv2.ROTATE_180),
    (True, False, False): cv2.transpose,
    (True, True, False): lambda image: cv2.rotate(image, cv2.ROTATE_90_CLOCKWISE),
    (True, False, True): lambda image: cv2.rotate(image, cv2.ROTATE_90_COUNTERCLOCKWISE),
    (True, True, True): lambda image: cv2.rotate(cv2.transpose(image), cv2.ROTATE_180),
}
