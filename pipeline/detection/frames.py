"""What the detector is shown of a frame: as few pixels as answer the question, and the boxes in the frame's own."""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np

from pipeline.geometry.region import Rectangle
from pipeline.images.letterbox import Letterbox
from pipeline.interfaces import Detector
from pipeline.types import Detections, Frame, Image


class FrameDetector:
    """Shows frames to a detector.

    A detector that scales pictures is given those that the source has scaled already, and of a part the pixels it would
    have seen of it in the whole: the part costs less, and what is in it looks the same size to the network.

    Args:
        detector: looks at them.
    """

    def __init__(self, detector: Detector) -> None:
        self._detector = detector

    def look(self, frames: Sequence[Frame], parts: Sequence[Rectangle | None]) -> list[Detections]:
        """Detections of each frame, in the same order, in pixels of the frame.

        Args:
            frames: in any number and of any size.
            parts: per frame the part to look at; None for all of it.
        """
        shown, moves = [], []
        for frame, part in zip(frames, parts, strict=True):
            image, size, seen = self._shown(frame, part)
            shown.append((image, size))
            moves.append(seen)
        reduced = [(image, size) for image, size in shown if size is not None]
        whole = [image for image, size in shown if size is None]
        found_reduced = iter(
            self._detector.detect_reduced([image for image, _ in reduced], [size for _, size in reduced])
            if reduced
            else ()
        )
        found_whole = iter(self._detector.detect(whole) if whole else ())
        found = [next(found_whole if size is None else found_reduced) for _, size in shown]
        return [_moved(detections, part) for detections, part in zip(found, moves, strict=True)]

    def _shown(self, frame: Frame, part: Rectangle | None) -> tuple[Image, tuple[int, int] | None, Rectangle | None]:
        """The picture to show; with the size it had before it was scaled, if it was; and the part that it shows."""
        side = self._detector.reduced_side
        if side is None:
            whole = frame.image
            return (whole if part is None else whole[part.top : part.bottom, part.left : part.right]), None, part
        place = Letterbox.fit(frame.height, frame.width, side, side)
        height, width = place.scaled_height, place.scaled_width
        reduced = frame.reduced
        if reduced is None or reduced.shape[:2] != (height, width):
            if part is None:
                return frame.image, None, None  # the detector scales it straight into its input
            reduced = np.asarray(cv2.resize(frame.image, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)
        if part is None:
            return reduced, (frame.height, frame.width), None
        # The part as it was asked for may end between two pixels of the scaled picture: to all that it touches.
        left, right = part.left * width // frame.width, math.ceil(part.right * width / frame.width)
        top, bottom = part.top * height // frame.height, math.ceil(part.bottom * height / frame.height)
        across, down = frame.width / width, frame.height / height
        seen = Rectangle(round(left * across), round(top * down), round(right * across), round(bottom * down))
        return reduced[top:bottom, left:right], seen.size, seen


def _moved(detections: Detections, part: Rectangle | None) -> Detections:
    if part is None or not len(detections):
        return detections
    corner = np.array([part.left, part.top, part.left, part.top], np.float32)
    return Detections(detections.xyxy + corner, detections.score, detections.class_id)
