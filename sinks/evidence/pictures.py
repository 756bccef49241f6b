"""Frames that may become evidence, and the pictures that are made of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple, Self, cast

import cv2
import numpy as np

from pipeline.errors import SinkError
from pipeline.evidence.quality import cut
from pipeline.types import Float64Array, Frame, Image, TrackedFrame
from sinks.drawing.annotator import Annotator

Style = Literal["annotated", "clean"]

# A picture that waits is compressed twice, the first time so that nobody sees it.
_KEPT_QUALITY = 95
# Around an object there is as much to be seen, in parts of its box's sides.
_MARGIN = 0.15


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureOptions:
    """What pictures are made.

    Attributes:
        picture: whether the whole frame is written, with what was found drawn on it or without; None for neither.
        crop: likewise, of the part of it with the object.
        quality: of the JPEG, from 1 to 100.
        max_side: pixels of the longer side, to which larger pictures are scaled; None leaves them as they are.
    """

    picture: Style | None = "annotated"
    crop: Style | None = "clean"
    quality: int = 90
    max_side: int | None = None

    @property
    def draws(self) -> bool:
        """Whether anything is drawn."""
        return "annotated" in (self.picture, self.crop)


PictureKind = Literal["picture", "crop"]


class Encoded(NamedTuple):
    """A picture as JPEG: of the whole frame or the part of it with the object, drawn on or not."""

    kind: PictureKind
    style: Style
    data: bytes


def jpeg(image: Image, quality: int) -> bytes:
    """A picture, uint8 BGR, as JPEG.

    Raises:
        SinkError: it has no pixel, or is larger than JPEG can be.
    """
    try:
        done, encoded = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    except cv2.error as error:
        raise SinkError(f"cannot make a JPEG of {image.shape[1]}x{image.shape[0]} pixels") from error
    if not done:
        raise SinkError(f"cannot make a JPEG of {image.shape[1]}x{image.shape[0]} pixels")
    return encoded.tobytes()


def fitted(image: Image, max_side: int | None) -> Image:
    """A picture scaled so that its longer side has no more pixels."""
    height, width = image.shape[:2]
    if max_side is None or max(height, width) <= max_side:
        return image
    scale = max_side / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return cast(Image, cv2.resize(image, size, interpolation=cv2.INTER_AREA))


class _CompressedFrame(Frame):
    """A frame whose picture is kept as JPEG, and read each time it is asked for."""

    __slots__ = ("_jpeg",)

    def __init__(self, frame: Frame) -> None:
        encoded = jpeg(frame.image, _KEPT_QUALITY)
        super().__init__(
            lambda: _decoded(encoded),
            frame.index,
            frame.pts_s,
            frame.captured_s,
            frame.stream,
            size=(frame.height, frame.width),
            source_bytes=len(encoded),
        )
        self._jpeg = encoded

    @property
    def image(self) -> Image:
        """uint8 ``(height, width, 3)``, BGR, made anew each time."""
        return _decoded(self._jpeg)

    def __reduce__(self) -> tuple[Any, ...]:
        return _CompressedFrame, (Frame(self.image, self.index, self.pts_s, self.captured_s, self.stream),)


def _decoded(encoded: bytes) -> Image:
    return np.asarray(cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_COLOR), np.uint8)


class KeptFrame:
    """A frame that may become evidence, with what is drawn on it as it was then.

    Args:
        tracked: the frame, whose pictures are hidden already where they must be.
        annotator: of the stream, which has seen this frame last; None where nothing is drawn.
    """

    def __init__(self, tracked: TrackedFrame, annotator: Annotator | None) -> None:
        self.tracked = tracked
        self._draw: Callable[[], Image] | None = None if annotator is None else annotator.later(tracked)

    @classmethod
    def compressed(cls, tracked: TrackedFrame, annotator: Annotator | None) -> Self:
        """One that holds on to no frame of the source, and takes little memory."""
        return cls(replace(tracked, frame=_CompressedFrame(tracked.frame)), annotator)

    @property
    def pts_s(self) -> float:
        """Media time in seconds."""
        return self.tracked.frame.pts_s

    @property
    def nbytes(self) -> int:
        """What its picture takes in memory now."""
        return self.tracked.frame.picture_bytes

    def box(self, track_id: int) -> Float64Array | None:
        """Where a track is in it, xyxy float64 ``(4,)``; None where it is not."""
        rows = np.flatnonzero(self.tracked.tracks.track_id == track_id)
        return None if not len(rows) else self.tracked.tracks.xyxy[rows[0]].astype(np.float64)

    def image(self, style: Style) -> Image:
        """The whole picture, uint8 BGR."""
        if style == "annotated" and self._draw is not None:
            return self._draw()
        return self.tracked.frame.image

    def encoded(self, options: PictureOptions, track_id: int | None) -> list[Encoded]:
        """The pictures that are wanted of it; the part with the track where there is one.

        Raises:
            SinkError: a picture that can't be made.
        """
        box = None if track_id is None else self.box(track_id)
        styles = {style for style in (options.picture, options.crop if box is not None else None) if style is not None}
        images = {style: self.image(style) for style in styles}
        made: list[tuple[PictureKind, Style, Image]] = []
        if options.picture is not None:
            made.append(("picture", options.picture, images[options.picture]))
        if options.crop is not None and box is not None:
            made.append(("crop", options.crop, cut(images[options.crop], box, _MARGIN)))
        return [
            Encoded(kind, style, jpeg(fitted(image, options.max_side), options.quality))
            for kind, style, image in made
            if image.size
        ]
