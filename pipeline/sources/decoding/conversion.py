"""From a decoder's frame to the picture a viewer sees: upright, square pixels, BGR, 8 bits."""

from __future__ import annotations

import threading
from fractions import Fraction
from functools import partial
from typing import Any, cast

import av
import cv2
import numpy as np
from av.video.reformatter import Interpolation, VideoReformatter

from pipeline.images.letterbox import Letterbox
from pipeline.images.reading import on_white
from pipeline.sources.decoding.display import Display, DisplayReader
from pipeline.sources.decoding.tone import add_table
from pipeline.types import Frame, Image

# Numbers of ITU-T H.273.
_UNKNOWN_MATRIX, _BT2020_MATRIX = 2, 9


class PictureConverter:
    """Converts frames of one stream to BGR; keeps the scaler's tables from one frame to the next.

    The matrix (BT.601, BT.709, BT.2020) and the range are those the stream states; an unstated one is BT.601, limited
    range, as in FFmpeg's own tools. What the container crops away is left out, pixels that are not square are scaled
    until they are, HDR (PQ, HLG) and BT.2020 become BT.709, and what is transparent is laid on white.

    Args:
        reduce_to: longer side, in pixels, of a second, scaled picture of each frame; None makes none.
        displays: says how a frame is to be displayed.
    """

    def __init__(self, reduce_to: int | None = None, displays: DisplayReader | None = None) -> None:
        self._reduce_to = reduce_to
        self._displays = displays or DisplayReader()
        self._whole = VideoReformatter()
        self._smaller, self._small = VideoReformatter(), VideoReformatter()
        self._whole_graph, self._small_graph = _Graph(), _Graph()
        # Pictures are made by whoever asks for them first, which may be several threads.
        self._converting, self._reducing = threading.Lock(), threading.Lock()
        self._convertible: tuple[str, int, int] | None = None
        self._bytes = 0  # of a decoder's frame of that kind

    def displayed_size(self, frame: av.VideoFrame, pixel_aspect: Fraction | None = None) -> tuple[int, int]:
        """Width and height in pixels of the picture that this frame becomes."""
        return self._displays.read(frame, pixel_aspect).size

    def frame(
        self,
        decoded: av.VideoFrame,
        index: int,
        pts_s: float,
        captured_s: float,
        stream: str,
        *,
        pixel_aspect: Fraction | None = None,
    ) -> Frame:
        """The frame that the pipeline sees.

        Where a scaled picture is wanted, both are made when somebody asks for them: a frame that nobody looks at is
        not converted. The first one of its format and size is scaled here, so that what can't be converted is told.

        Args:
            pixel_aspect: width of a stored pixel divided by its height; None for square ones.

        Raises:
            av.FFmpegError, ValueError: a pixel format that can't be converted.
        """
        display = self._displays.read(decoded, pixel_aspect)
        if self._reduce_to is None:
            return Frame(self.convert(decoded, display), index, pts_s, captured_s, stream)
        kind = (decoded.format.name, decoded.width, decoded.height)
        known = kind == self._convertible
        if not known:
            self._bytes = sum(plane.buffer_size for plane in decoded.planes)
        size = display.size[::-1]
        place = Letterbox.fit(*size, self._reduce_to, self._reduce_to)
        frame = Frame(
            partial(self.convert, decoded, display),
            index,
            pts_s,
            captured_s,
            stream,
            reduced=partial(self._reduce, decoded, display, place),
            size=size,
            source_bytes=self._bytes,
        )
        if not known and frame.reduced is not None:
            self._convertible = kind
        return frame

    def convert(self, frame: av.VideoFrame, display: Display) -> Image:
        """uint8 ``(height, width, 3)``, BGR, C-contiguous, upright. For any thread.

        Raises:
            av.FFmpegError, ValueError: a pixel format that can't be converted.
        """
        with self._converting:
            if not display.plain:
                return self._whole_graph.convert(frame, display, display.width, display.height)
            # One thread: the conversion takes a fraction of a millisecond, starting threads for it takes longer.
            converted = self._whole.reformat(
                frame,
                width=display.width,
                height=display.height,
                format="bgr24",
                interpolation=Interpolation.BILINEAR if display.stretched else Interpolation.FAST_BILINEAR,
                threads=1,
            )
        return display.turned.apply(_pixels(converted))

    def _reduce(self, frame: av.VideoFrame, display: Display, place: Letterbox) -> Image:
        width, height = display.turned.displayed_size(place.scaled_width, place.scaled_height)
        with self._reducing:
            if not display.plain:
                return self._small_graph.convert(frame, display, width, height)
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
        return display.turned.apply(_pixels(converted))


class _Graph:
    """Does what scaling alone can't, through FFmpeg's filters, which are set up anew where the frames change."""

    def __init__(self) -> None:
        self._made_for: tuple[object, ...] | None = None
        self._graph = av.filter.Graph()

    def convert(self, frame: av.VideoFrame, display: Display, width: int, height: int) -> Image:
        """The picture, uint8 ``(height, width, 3)`` before it is turned, BGR, C-contiguous, and turned."""
        stored = (frame.format.name, frame.width, frame.height, frame.colorspace, frame.color_range)
        wanted = (*stored, display, width, height)
        if wanted != self._made_for:
            self._graph, self._made_for = _graph(frame, display, width, height), wanted
        self._graph.vpush(frame)
        picture = _pixels(self._graph.vpull())
        if display.alpha:
            # What is transparent has colours too; scaled before, they would show at its edges.
            picture = on_white(picture)
            if picture.shape[:2] != (height, width):
                shrinks = picture.shape[0] * picture.shape[1] > height * width
                method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
                picture = np.asarray(cv2.resize(picture, (width, height), interpolation=method), np.uint8)
        return display.turned.apply(picture)


def _graph(frame: av.VideoFrame, display: Display, width: int, height: int) -> av.filter.Graph:
    """Crops, scales, maps and converts to BGR; to BGRA without scaling where it may be transparent."""
    graph = av.filter.Graph()
    graph.threads = 1
    nodes = [
        graph.add(
            "buffer",
            f"video_size={frame.width}x{frame.height}:pix_fmt={frame.format.name}:time_base=1/1"
            f":colorspace={frame.colorspace}:range={frame.color_range}",
        )
    ]
    crop, kept = display.crop, display.crop.size(frame.width, frame.height)
    if kept != (frame.width, frame.height):
        # Exactly, or a crop by an odd number of pixels would be rounded to whole chroma samples.
        nodes.append(graph.add("crop", f"{kept[0]}:{kept[1]}:{crop.left}:{crop.top}:exact=1"))
    if display.curve is not None and frame.colorspace == _UNKNOWN_MATRIX:
        nodes.append(graph.add("setparams", f"colorspace={_BT2020_MATRIX}"))
    if not display.alpha and kept != (width, height):
        nodes.append(graph.add("scale", f"{width}:{height}:flags=bilinear"))
    if display.curve is not None:
        nodes.append(graph.add("format", "gbrap16le" if display.alpha else "gbrp16le"))
        nodes.append(add_table(graph, display.curve))
    nodes += [graph.add("format", "bgra" if display.alpha else "bgr24"), graph.add("buffersink")]
    graph.link_nodes(*nodes).configure()
    return graph


def _pixels(frame: av.VideoFrame) -> Image:
    """The one plane of a BGR or BGRA frame, C-contiguous."""
    plane = frame.planes[0]
    channels = len(frame.format.components)
    rows = np.frombuffer(memoryview(cast(Any, plane)), np.uint8).reshape(-1, plane.line_size)
    packed = rows[: frame.height, : frame.width * channels]
    # Without padding at the end of the rows, which depends on the width, this is a view: no copy.
    return np.ascontiguousarray(packed).reshape(frame.height, frame.width, channels)
