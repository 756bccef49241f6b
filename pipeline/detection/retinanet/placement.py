"""Where a picture lies in the network's input, as torchvision places it: scaled, at the top left, padded."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from pipeline.geometry.boxes import clip
from pipeline.models.networks.retinanet import NETWORK_STRIDE, PIXEL_MEAN_BGR
from pipeline.types import Float32Array, Image


@dataclass(frozen=True, slots=True)
class Placement:
    """A picture of ``image_height`` x ``image_width`` pixels, scaled to ``scaled_height`` x ``scaled_width`` at the top
    left of an input of ``height`` x ``width``."""

    image_height: int
    image_width: int
    scaled_height: int
    scaled_width: int
    height: int
    width: int

    @classmethod
    def fit(cls, image_height: int, image_width: int, shorter: int, longer: int) -> Placement:
        """Scaled until its shorter side is ``shorter`` pixels, or less where its longer side would exceed ``longer``;
        fractions of a pixel are cut off, but never the last pixel. The input's sides are the next multiples of 32."""
        scale = min(shorter / min(image_height, image_width), longer / max(image_height, image_width))
        # torchvision multiplies in the same order: another one would at times give another pixel.
        scaled_height = max(1, math.floor(image_height * scale))
        scaled_width = max(1, math.floor(image_width * scale))
        height = math.ceil(scaled_height / NETWORK_STRIDE) * NETWORK_STRIDE
        width = math.ceil(scaled_width / NETWORK_STRIDE) * NETWORK_STRIDE
        return cls(image_height, image_width, scaled_height, scaled_width, height, width)

    def draw(self, image: Image, out: Float32Array) -> None:
        """Write the picture, uint8 BGR ``(image_height, image_width, 3)``, into ``out``, float32 ``(height, width, 3)``
        in [0, 255]. It is not rounded after scaling."""
        out[self.scaled_height :] = PIXEL_MEAN_BGR
        out[: self.scaled_height, self.scaled_width :] = PIXEL_MEAN_BGR
        place = out[: self.scaled_height, : self.scaled_width]
        if image.shape[:2] == place.shape[:2]:
            place[...] = image
            return
        size = (self.scaled_width, self.scaled_height)
        place[...] = cv2.resize(image.astype(np.float32), size, interpolation=cv2.INTER_LINEAR).reshape(place.shape)

    def clipped(self, xyxy: Float32Array) -> Float32Array:
        """Boxes ``(N, 4)`` of the network's input, cut to where the picture lies."""
        return np.asarray(clip(xyxy, self.scaled_height, self.scaled_width), dtype=np.float32)

    def to_image(self, xyxy: Float32Array) -> Float32Array:
        """Boxes ``(N, 4)`` of the network's input, in pixels of the picture and inside it."""
        x, y = self.image_width / self.scaled_width, self.image_height / self.scaled_height
        scaled = xyxy * np.array([x, y, x, y], dtype=np.float32)
        return np.asarray(clip(scaled, self.image_height, self.image_width), dtype=np.float32)
