"""From a decoder's frame to the picture a viewer sees: upright, BGR, 8 bits."""

from __future__ import annotations

import struct
import threading
from collections.abc import Iterable
from functools import partial
from typing import Any, cast

import av
import numpy as np
from av.sidedata.sidedata import SideData
from av.video.reformatter import Interpolation, VideoReformatter

from pipeline.boxes import Letterbox
from pipeline.types import Frame, Image
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

    Args:
        reduce_to: longer side, in pixels, of a second, scaled picture of each frame; None makes none.
    """

    def __init__(self, reduce_to: int | None = None) -> None:
        self._reduce_to = reduce_to
        self._whole = VideoReformatter()
        self._smaller, self._small = VideoReformatter(), VideoReformatter()
        # Pictures are made by whoever asks for them first, which may be several threads.
        self._converting, self._reducing = threading.Lock(), threading.Lock()
        self._seen: tuple[int, int, int] | None = None
        self._convertible: tuple[str, int, int] | None = None
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

    def frame(self, decoded: av.VideoFrame, index: int, pts_s: float, captured_s: float, stream: str) -> Frame:
        """The frame that the pipeline sees.

        Where a scaled picture is wanted, both are made when somebody asks for them: a frame that nobody looks at is
        not converted. The first one of its format and size is scaled here, so that what can't be converted is told.

        Raises:
            av.FFmpegError, ValueError: a pixel format that can't be converted.
        """
        turned = self.orientation(decoded)
        if self._reduce_to is None:
            return Frame(self.convert(decoded, turned), index, pts_s, captured_s, stream)
        size = turned.displayed_size(decoded.width, decoded.height)[::-1]
        place = Letterbox.fit(*size, self._reduce_to, self._reduce_to)
        frame = Frame(
            partial(self.convert, decoded, turned),
            index,
            pts_s,
            captured_s,
            stream,
            reduced=partial(self._reduce, decoded, turned, place),
            size=size,
        )
        kind = (decoded.format.name, decoded.width, decoded.height)
        if kind != self._convertible and frame.reduced is not None:
            self._convertible = kind
        return frame

    def convert(self, frame: av.VideoFrame, turned: Orientation) -> Image:
        """uint8 ``(height, width, 3)``, BGR, C-contiguous, upright. For any thread.

        Raises:
            av.FFmpegError, ValueError: a pixel format that can't be converted.
        """
        with self._converting:
            # One thread: the conversion takes a fraction of a millisecond, starting threads for it takes longer.
            converted = self._whole.reformat(
                frame, format="bgr24", interpolation=Interpolation.FAST_BILINEAR, threads=1
            )
        return turned.apply(_pixels(converted))

    def _reduce(self, frame: av.VideoFrame, turned: Orientation, place: Letterbox) -> Image:
        width, height = turned.displayed_size(place.scaled_width, place.scaled_height)
        with self._reducing:
            smaller = frame
            if frame.format.name == "yuv420p":
                # Scaling the planes and then converting few pixels takes half as long as doing both at once.
                smaller = self._smaller.reformat(
                    frame, width=width, height=height, interpolation=Interpolation.BILINEAR, threads=1
                )
            converted = self._small.reformat(
                smaller,
                width=width,
                height=height,
                format="bgr24",
                interpolation=Interpolation.BILINEAR,
                src_colorspace=frame.colorspace,
                src_color_range=frame.color_range,
                threads=1,
            )
        return turned.apply(_pixels(converted))


def _pixels(frame: av.VideoFrame) -> Image:
    """The one plane of a BGR frame, C-contiguous."""
    plane = frame.planes[0]
    rows = np.frombuffer(memoryview(cast(Any, plane)), np.uint8).reshape(-1, plane.line_size)
    packed = rows[: frame.height, : frame.width * 3]
    # Without padding at the end of the rows, which depends on the width, this is a view: no copy.
    return np.ascontiguousarray(packed).reshape(frame.height, frame.width, 3)
