"""One picture of a stream as JPEG, with what was found drawn on it if that is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import cv2

from pipeline.types import Image, TrackedFrame
from sinks.drawing.annotator import Annotator

_JPEG_QUALITY = 85


def still(tracked: TrackedFrame, class_names: Sequence[str], *, boxes: bool = False, width: int | None = None) -> bytes:
    """A frame's picture as JPEG.

    Args:
        tracked: the frame with its tracks.
        class_names: what tracks may be.
        boxes: draw them.
        width: of the picture in pixels; it is made no larger than it is.
    """
    image = tracked.frame.image
    if boxes:
        image = Annotator(class_names, trail_s=0).draw(tracked)
    if width is not None and width < image.shape[1]:
        size = (width, max(1, round(image.shape[0] * width / image.shape[1])))
        image = cast(Image, cv2.resize(image, size, interpolation=cv2.INTER_AREA))
    _, jpeg = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    return jpeg.tobytes()
