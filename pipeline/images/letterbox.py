"""An image scaled into a network's input with its shape kept."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.geometry.boxes import FloatArray
from pipeline.types import Image

LETTERBOX_VALUE = 127
"""What Darknet surrounds a letterboxed image with: half of the brightest."""


@dataclass(frozen=True, slots=True)
class Letterbox:
    """Where an image lies in the network's input: scaled with its proportions kept, and centred.

    Attributes:
        image_height, image_width: the image, in pixels.
        height, width: the network's input.
        scaled_height, scaled_width: the image inside it.
        top, left: its place; what remains, an odd pixel included, is below and to the right.
    """

    image_height: int
    image_width: int
    height: int
    width: int
    scaled_height: int
    scaled_width: int
    top: int
    left: int

    @classmethod
    def fit(cls, image_height: int, image_width: int, height: int, width: int) -> Letterbox:
        """The largest place for the image in an input of ``height`` x ``width``, rounded as in Darknet's
        ``letterbox_image``: the side that does not fill the input is cut to whole pixels (but never to none)."""
        if width * image_height < height * image_width:
            scaled_width, scaled_height = width, max(1, image_height * width // image_width)
        else:
            scaled_width, scaled_height = max(1, image_width * height // image_height), height
        return cls._centred(image_height, image_width, height, width, scaled_height, scaled_width)

    @classmethod
    def rectangular(cls, image_height: int, image_width: int, long_side: int, multiple: int) -> Letterbox:
        """The image scaled until its longer side is ``long_side``, in the smallest input that holds it and has sides
        that are multiples of ``multiple``."""
        square = cls.fit(image_height, image_width, long_side, long_side)
        height = math.ceil(square.scaled_height / multiple) * multiple
        width = math.ceil(square.scaled_width / multiple) * multiple
        return cls._centred(image_height, image_width, height, width, square.scaled_height, square.scaled_width)

    @classmethod
    def padded(cls, height: int, width: int, size: tuple[int, int], multiple: int) -> Letterbox:
        """A picture of ``height`` x ``width``, scaled before and left as it is, in the smallest input that holds it.

        Args:
            size: ``(height, width)`` of the picture before it was scaled, in whose pixels ``to_image`` gives boxes.
            multiple: what the sides of the input are multiples of.
        """
        whole_height, whole_width = (math.ceil(side / multiple) * multiple for side in (height, width))
        return cls._centred(size[0], size[1], whole_height, whole_width, height, width)

    @classmethod
    def _centred(
        cls, image_height: int, image_width: int, height: int, width: int, scaled_height: int, scaled_width: int
    ) -> Letterbox:
        top, left = (height - scaled_height) // 2, (width - scaled_width) // 2
        return cls(image_height, image_width, height, width, scaled_height, scaled_width, top, left)

    def draw(self, image: Image, out: Image) -> None:
        """Write the letterboxed image into ``out``, uint8 ``(height, width, 3)``."""
        bottom, right = self.top + self.scaled_height, self.left + self.scaled_width
        out[: self.top] = LETTERBOX_VALUE
        out[bottom:] = LETTERBOX_VALUE
        out[self.top : bottom, : self.left] = LETTERBOX_VALUE
        out[self.top : bottom, right:] = LETTERBOX_VALUE
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
