"""An image scaled into a network's input: centred, at the top left, or stretched over all of it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.geometry.boxes import FloatArray
from pipeline.types import Image

LETTERBOX_VALUE = 127
"""What Darknet surrounds a letterboxed image with: half of the brightest."""

Placement = Literal["centred", "top-left", "stretched"]
"""Where networks have been trained to find a picture: with its proportions kept in the middle of the input or in its
top left corner, or without them over all of it."""


@dataclass(frozen=True, slots=True)
class Letterbox:
    """Where an image lies in the network's input.

    Attributes:
        image_height, image_width: the image, in pixels.
        height, width: the network's input.
        scaled_height, scaled_width: the image inside it.
        top, left: its place; what remains, an odd pixel included, is below and to the right.
        value: of every channel where there is no image.
    """

    image_height: int
    image_width: int
    height: int
    width: int
    scaled_height: int
    scaled_width: int
    top: int
    left: int
    value: int = LETTERBOX_VALUE

    @classmethod
    def fit(
        cls,
        image_height: int,
        image_width: int,
        height: int,
        width: int,
        *,
        placement: Placement = "centred",
        value: int = LETTERBOX_VALUE,
    ) -> Letterbox:
        """The largest place for the image in an input of ``height`` x ``width``. With its proportions kept that is
        rounded as in Darknet's ``letterbox_image``: the side that does not fill the input is cut to whole pixels (but
        never to none)."""
        if placement == "stretched":
            scaled_height, scaled_width = height, width
        elif width * image_height < height * image_width:
            scaled_width, scaled_height = width, max(1, image_height * width // image_width)
        else:
            scaled_width, scaled_height = max(1, image_width * height // image_height), height
        return cls._placed(
            (image_height, image_width), (height, width), (scaled_height, scaled_width), placement, value
        )

    @classmethod
    def rectangular(
        cls,
        image_height: int,
        image_width: int,
        long_side: int,
        multiple: int,
        *,
        placement: Placement = "centred",
        value: int = LETTERBOX_VALUE,
    ) -> Letterbox:
        """The image scaled until its longer side is ``long_side``, in the smallest input that holds it and has sides
        that are multiples of ``multiple``."""
        square = cls.fit(image_height, image_width, long_side, long_side)
        scaled = square.scaled_height, square.scaled_width
        height, width = (math.ceil(side / multiple) * multiple for side in scaled)
        return cls._placed((image_height, image_width), (height, width), scaled, placement, value)

    @classmethod
    def padded(
        cls,
        height: int,
        width: int,
        size: tuple[int, int],
        multiple: int,
        *,
        placement: Placement = "centred",
        value: int = LETTERBOX_VALUE,
    ) -> Letterbox:
        """A picture of ``height`` x ``width``, scaled before and left as it is, in the smallest input that holds it.

        Args:
            size: ``(height, width)`` of the picture before it was scaled, in whose pixels ``to_image`` gives boxes.
            multiple: what the sides of the input are multiples of.
            placement: ``centred`` or ``top-left``.
            value: of every channel where there is no image.
        """
        whole_height, whole_width = (math.ceil(side / multiple) * multiple for side in (height, width))
        return cls._placed(size, (whole_height, whole_width), (height, width), placement, value)

    @classmethod
    def _placed(
        cls,
        image: tuple[int, int],
        whole: tuple[int, int],
        scaled: tuple[int, int],
        placement: Placement,
        value: int,
    ) -> Letterbox:
        top = left = 0
        if placement == "centred":
            top, left = (whole[0] - scaled[0]) // 2, (whole[1] - scaled[1]) // 2
        return cls(*image, *whole, *scaled, top, left, value)

    def draw(self, image: Image, out: Image) -> None:
        """Write the letterboxed image into ``out``, uint8 ``(height, width, 3)``."""
        bottom, right = self.top + self.scaled_height, self.left + self.scaled_width
        out[: self.top] = self.value
        out[bottom:] = self.value
        out[self.top : bottom, : self.left] = self.value
        out[self.top : bottom, right:] = self.value
        place = out[self.top : bottom, self.left : right]
        if image.shape[:2] == place.shape[:2]:
            place[...] = image
            return
        size = (self.scaled_width, self.scaled_height)
        if cv2.resize(image, size, dst=place, interpolation=cv2.INTER_LINEAR) is not place:
            raise AssertionError("OpenCV did not write into the buffer that it was given")

    def to_image(self, xyxy: FloatArray) -> NDArray[np.float64]:
        """Boxes ``(N, 4)`` of the network's input, in pixels of the image; not clipped."""
        return (xyxy - self._offset()) / self._scale()

    def _scale(self) -> NDArray[np.float64]:
        # The two differ slightly, since each side is cut to whole pixels.
        scale_x, scale_y = self.scaled_width / self.image_width, self.scaled_height / self.image_height
        return np.array([scale_x, scale_y, scale_x, scale_y])

    def _offset(self) -> NDArray[np.float64]:
        return np.array([self.left, self.top, self.left, self.top], dtype=np.float64)
