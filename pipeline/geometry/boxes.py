"""Geometry of boxes, as pure functions over arrays.

Boxes are ``xyxy``: left, top, right, bottom in pixels, x to the right and y down; right >= left, bottom >= top.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.types import Float32Array, Image, Int32Array

LETTERBOX_VALUE = 127
"""What Darknet surrounds a letterboxed image with: half of the brightest."""

FloatArray = NDArray[np.floating[Any]]


def iou_matrix(first: FloatArray, second: FloatArray) -> NDArray[np.float64]:
    """Intersection over union of every box of ``first`` with every box of ``second``.

    Args:
        first, second: ``(N, 4)`` and ``(M, 4)``.

    Returns:
        float64 ``(N, M)`` in [0, 1]; 0 where both boxes have no area.
    """
    first = first.astype(np.float64)[:, None, :]
    second = second.astype(np.float64)[None, :, :]
    sides = np.minimum(first[..., 2:], second[..., 2:]) - np.maximum(first[..., :2], second[..., :2])
    intersection: NDArray[np.float64] = np.clip(sides, 0, None).prod(axis=-1)
    union = area(first) + area(second) - intersection
    result: NDArray[np.float64] = np.divide(intersection, union, out=np.zeros_like(intersection), where=union > 0)
    return result


def area(xyxy: FloatArray) -> FloatArray:
    """Area of boxes ``(..., 4)``, in square pixels, ``(...)``."""
    result: FloatArray = (xyxy[..., 2] - xyxy[..., 0]) * (xyxy[..., 3] - xyxy[..., 1])
    return result


def non_maximum_suppression(
    xyxy: FloatArray, score: Float32Array, class_id: Int32Array, iou: float
) -> NDArray[np.intp]:
    """Greedy non-maximum suppression within each class, as Darknet and the COCO evaluations of YOLO do it.

    The best box of a class stays and suppresses those of the same class that overlap it by more than ``iou``; then the
    best of the rest, and so on. Boxes of different classes never suppress each other.

    Args:
        xyxy: ``(N, 4)``, finite, each with some area, and not clipped to the image, which makes boxes overlap more.
        score: float32 ``(N,)``.
        class_id: int32 ``(N,)``, from 0.
        iou: boxes that overlap by exactly this much both stay.

    Returns:
        Indices of the boxes that stay, best first; of equal scores the one that came first.
    """
    if len(xyxy) < 2:
        return np.arange(len(xyxy))
    order = np.argsort(-score, kind="stable")
    boxes = xyxy[order].astype(np.float64)
    # OpenCV keeps the classes apart by moving each beyond the largest coordinate of the one before, which only does
    # so where no coordinate is negative.
    boxes -= np.tile(boxes[:, :2].min(axis=0), 2)
    boxes[:, 2:] -= boxes[:, :2]
    # Ranks in place of scores: they leave OpenCV no ties to break, and none of them is the 0 that it never keeps.
    ranks = range(len(order), 0, -1)
    kept = cv2.dnn.NMSBoxesBatched(boxes.tolist(), ranks, class_id[order].tolist(), 0.0, iou)
    return order[np.asarray(kept, dtype=np.intp).reshape(-1)]


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

    def to_network(self, xyxy: FloatArray) -> NDArray[np.float64]:
        """Boxes ``(N, 4)`` of the image, in pixels of the network's input."""
        return xyxy * self._scale() + self._offset()

    def to_image(self, xyxy: FloatArray) -> NDArray[np.float64]:
        """Boxes ``(N, 4)`` of the network's input, in pixels of the image; not clipped."""
        return (xyxy - self._offset()) / self._scale()

    def _scale(self) -> NDArray[np.float64]:
        # The two differ slightly, since each side is cut to whole pixels.
        scale_x, scale_y = self.scaled_width / self.image_width, self.scaled_height / self.image_height
        return np.array([scale_x, scale_y, scale_x, scale_y])

    def _offset(self) -> NDArray[np.float64]:
        return np.array([self.left, self.top, self.left, self.top], dtype=np.float64)


def clip(xyxy: FloatArray, height: int, width: int) -> FloatArray:
    """Boxes ``(N, 4)`` cut to an image of ``height`` x ``width`` pixels; one outside it is left without area."""
    return np.clip(xyxy, 0, np.array([width, height, width, height], dtype=xyxy.dtype))
