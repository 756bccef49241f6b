"""Pictures made from nothing that a detector finds something in."""

from __future__ import annotations

import cv2
import numpy as np

from pipeline.types import Image


def draw_stop_sign(image: Image, x: int, y: int, radius: int) -> None:
    """A stop sign around a point: plain enough to be drawn, and one of the 80 classes of COCO."""
    angles = np.pi / 8 + np.arange(8) * np.pi / 4
    outline = np.stack([x + radius * np.cos(angles), y + radius * np.sin(angles)], axis=1).round().astype(np.int32)
    cv2.fillPoly(image, [outline], (30, 30, 200))
    size = radius / 56
    (width, height), _ = cv2.getTextSize("STOP", cv2.FONT_HERSHEY_SIMPLEX, size, 1)
    place = (x - width // 2, y + height // 2)
    cv2.putText(image, "STOP", place, cv2.FONT_HERSHEY_SIMPLEX, size, (255, 255, 255), max(1, radius // 15))


def blocks(height: int, width: int, seed: int = 0) -> Image:
    """Coarse blocks of pale colours, and a stop sign wherever there is room for one."""
    coarse = np.random.default_rng(seed).integers(128, 256, (-(-height // 16), -(-width // 16), 3), dtype=np.uint8)
    image = np.ascontiguousarray(coarse.repeat(16, axis=0).repeat(16, axis=1)[:height, :width])
    if min(height, width) >= 60:
        draw_stop_sign(image, width // 2, height // 2, int(min(height, width) * 0.4))
    return image
