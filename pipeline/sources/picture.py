"""From a decoder's frame to the picture a viewer sees: upright, BGR, 8 bits."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import Any, cast

import av
import numpy as np
from av.sidedata.sidedata import SideData
from av.video.reformatter import Interpolation, VideoReformatter

from pipeline.types import Image
from pipeline.upright import UPRIGHT, Orientation


def orientation_of(frame: av.VideoFrame) -> Orientation:
    """From the display matrix that the container or the stream gave with this frame; the nearest quarter turn."""
    matrix = _display_matrix(frame)
    if matrix is None:
        return UPRIGHT
    # With (x, y) in the stored picture, y down, the display is at (a x + c y, b x + d y).
    a, b, _, c, d = struct.unpack("=5i", matrix[:20])
    if abs(b) + abs(c) > abs(a) + abs(d):
        return Orientation(True, c < 0, b < 0)
    return Orientation(False, a < 0, d < 0)


def _display_matrix(frame: av.VideoFrame) -> bytes | None:
    # PyAV's type hints call this a dictionary; iterating it gives the entries themselves.
    for entry in cast("Iterable[SideData]", frame.side_data):
        if entry.type.name == "DISPLAYMATRIX":
            return bytes(memoryview(cast(Any, entry)))
    return None


class PictureConverter:
    """Converts frames of one stream to BGR; keeps the scaler's tables from one frame to the next.

    The matrix (BT.601, BT.709, BT.2020) and the range are those the stream states; an unstated one is BT.601, limited
    range, as in FFmpeg's own tools. Pixels are taken to be square.
    """

    def __init__(self) -> None:
        self._reformatter = VideoReformatter()
        self._seen: tuple[int, int, int] | None = None
        self._orientation = UPRIGHT

    def orientation(self, frame: av.VideoFrame) -> Orientation:
        """How this frame is turned for display."""
        # In PyAV, who asks a frame for its side data ties the two in a circle, and the frame's memory waits for the
        # garbage collector. So the matrix is read once, and again only where the angle or the size changes.
        seen = (frame.rotation, frame.width, frame.height)
        if seen != self._seen:
            self._seen = seen
            self._orientation = orientation_of(frame)
        return self._orientation

    def convert(self, frame: av.VideoFrame) -> Image:
        """uint8 ``(height, width, 3)``, BGR, C-contiguous, upright.

        Raises:
            av.FFmpegError: a pixel format that can't be converted.
        """
        # One thread: the conversion takes a fraction of a millisecond, starting threads for it takes longer.
        converted = self._reformatter.reformat(
            frame, format="bgr24", interpolation=Interpolation.FAST_BILINEAR, threads=1
        )
        plane = converted.planes[0]
        rows = np.frombuffer(memoryview(cast(Any, plane)), np.uint8).reshape(-1, plane.line_size)
        packed = rows[: converted.height, : converted.width * 3]
        # Without padding at the end of the rows, which depends on the width, this is a view: no copy.
        image: Image = np.ascontiguousarray(packed).reshape(converted.height, converted.width, 3)
        return self.orientation(frame).apply(image)
