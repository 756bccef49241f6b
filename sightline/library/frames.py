"""Frames from memory as a source: arrays, PyAV's frames, or anything that gives them one after the other."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence, Sized
from fractions import Fraction
from itertools import chain
from numbers import Real
from typing import TYPE_CHECKING, Any, TypeAlias, cast

import numpy as np

from pipeline.errors import SourceError
from pipeline.images.reading import ImageLike, read_image
from pipeline.interfaces import Source
from pipeline.types import Frame, Image, SourceInfo

if TYPE_CHECKING:
    import av

FRAMES_PER_S = 25.0
"""Of frames that bring no time, unless something else is said."""

FrameLike: TypeAlias = "ImageLike | av.VideoFrame | Frame | tuple[float, ImageLike | av.VideoFrame]"
"""A picture as ``pipeline.images.reading`` takes it (an array uint8 ``(height, width, 3)`` in BGR order, say), a frame
of PyAV, a `Frame`, or a pair of a time in seconds and a picture."""


class FrameSource(Source):
    """Pictures from memory as the frames of a stream. Nothing is read ahead but by the pipeline's queue.

    A frame's time is its own, where it has one (a pair, a frame of PyAV, a `Frame`), counted from the first frame's;
    otherwise it is shown at ``index / fps`` seconds. An iterator may use one array again and again: its arrays are
    copied. Those of a list are not.

    Args:
        frames: what to read.
        fps: frames per second of those without a time.
        stream: name of the stream.

    Raises:
        SourceError: there is no frame.
        TypeError, ValueError: the first is no frame.
    """

    def __init__(self, frames: Iterable[FrameLike], *, fps: float = FRAMES_PER_S, stream: str = "frames") -> None:
        if not 0 < fps <= 1000:
            raise ValueError(f"fps: expected more than 0 and at most 1000 frames per second, got {fps}")
        self._fps = Fraction(fps).limit_denominator(1_000_000)
        self._name = stream
        self._copies = not isinstance(frames, Sequence | np.ndarray)
        self._given: Iterator[FrameLike] = iter(frames)
        self._first_s: float | None = None
        self._last_s = float("-inf")
        first = next(self._given, None)
        if first is None:
            raise SourceError(f"{stream}: there is no frame in it")
        begun = self._frame(first, 0)
        self._frames = chain([begun], (self._frame(item, number) for number, item in enumerate(self._given, 1)))
        count = len(frames) if isinstance(frames, Sized) else None
        timed = _time_of(first) is not None
        self._info = SourceInfo(
            begun.width,
            begun.height,
            fps=None if timed else self._fps,
            frame_count=count,
            duration_s=None if timed or count is None else float(count / self._fps),
            uri="memory://" + stream,
        )

    @property
    def stream(self) -> str:
        """Name of the stream."""
        return self._name

    @property
    def info(self) -> SourceInfo:
        """Size of the first frame; number of frames and rate where they are known."""
        return self._info

    @property
    def failed(self) -> Mapping[str, int]:
        """None: a frame that can't be used raises."""
        return {}

    def __iter__(self) -> Iterator[Frame]:
        """The frames, each once.

        Raises:
            SourceError: a frame that is not later than the one before it.
            TypeError, ValueError: what is no frame.
        """
        return self._frames

    def close(self) -> None:
        """Let go of the frames; a generator is closed."""
        self._frames = chain()
        close = getattr(self._given, "close", None)
        if close is not None:
            close()

    def _frame(self, item: FrameLike, index: int) -> Frame:
        own_s = _time_of(item)
        if own_s is not None and self._first_s is None:
            self._first_s = own_s
        pts_s = float(index / self._fps) if own_s is None else own_s - (self._first_s or 0.0)
        if not pts_s > self._last_s:
            raise SourceError(
                f"{self._name}: frame {index} is at {pts_s:.3f} s, which is not later than {self._last_s:.3f} s, the "
                "time of the frame before; give frames in their order"
            )
        self._last_s = pts_s
        if isinstance(item, Frame):
            return item.placed(index=index, pts_s=pts_s, stream=self._name)
        picture: Any = item[1] if isinstance(item, tuple) else item
        if _is_av_frame(picture):
            return Frame(
                lambda: np.asarray(picture.to_ndarray(format="bgr24"), np.uint8),
                index, pts_s, time.monotonic(), self._name, size=(picture.height, picture.width),
            )  # fmt: skip
        return Frame(self._image(cast("ImageLike", picture), index), index, pts_s, time.monotonic(), self._name)

    def _image(self, picture: ImageLike, index: int) -> Image:
        image = read_image(picture, name=f"{self._name}: frame {index}")
        return image.copy() if self._copies and isinstance(picture, np.ndarray) else image


def is_frame(item: object) -> bool:
    """Whether this is one frame by itself."""
    if isinstance(item, tuple):
        return len(item) == 2 and isinstance(item[0], Real) and is_frame(item[1])
    if isinstance(item, np.ndarray):
        return item.ndim < 4
    pillow = sys.modules.get("PIL.Image")
    return isinstance(item, Frame | bytes) or _is_av_frame(item) or bool(pillow and isinstance(item, pillow.Image))


def _is_av_frame(item: object) -> bool:
    # A frame of PyAV can only come from a program that has imported PyAV.
    library = sys.modules.get("av.video.frame")
    return library is not None and isinstance(item, library.VideoFrame)


def _time_of(item: object) -> float | None:
    """The time in seconds that a frame brings; None where it has none."""
    if isinstance(item, tuple):
        return float(item[0])
    if isinstance(item, Frame):
        return item.pts_s
    return None if not _is_av_frame(item) or cast("av.VideoFrame", item).time is None else cast("Any", item).time
