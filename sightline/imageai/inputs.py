"""What ImageAI's scripts read from that Sightline's own sources don't cover: a ``cv2.VideoCapture`` of the script's."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from fractions import Fraction
from types import MappingProxyType
from typing import Any, Protocol, runtime_checkable

import cv2
import numpy as np

from pipeline.errors import SourceError
from pipeline.interfaces import Source
from pipeline.sources.timing.timeline import Timeline
from pipeline.types import Frame, Image, SourceInfo

_URI = "camera_input"


@runtime_checkable
class Capture(Protocol):
    """What is used of a ``cv2.VideoCapture``; anything that has these methods will do."""

    def isOpened(self) -> bool: ...

    def get(self, propId: int, /) -> float: ...  # noqa: N803 - OpenCV's name

    def read(self) -> tuple[bool, Any]: ...

    def release(self) -> None: ...


class CaptureSource(Source):
    """The pictures of an open capture, which is released at the end.

    One that knows how many frames it has is a recording: no frame is lost and times are those of the file. Any other is
    a camera, timed by the arrival of its pictures; its newest picture is the one that counts. Where a capture brings no
    picture any more, the stream ends, as it does in ImageAI.

    Args:
        capture: opened by the script.
        stream: name of the stream.

    Raises:
        SourceError: it is not open, or brings no picture.
    """

    def __init__(self, capture: Capture, *, stream: str = "camera") -> None:
        if not capture.isOpened():
            raise SourceError(f"{_URI}: the capture is not open; check the camera or the path it was made from")
        self._capture = capture
        self._stream_name = stream
        self._closed = False
        first = self._read()
        if first is None:
            capture.release()
            raise SourceError(f"{_URI}: the capture brings no picture; check the camera and its other users")
        self._first: Image | None = first
        fps, count = capture.get(cv2.CAP_PROP_FPS), capture.get(cv2.CAP_PROP_FRAME_COUNT)
        rate = Fraction(fps).limit_denominator(1001) if math.isfinite(fps) and 0 < fps <= 1000 else None
        recorded = math.isfinite(count) and count > 0
        self._info = SourceInfo(
            width=int(first.shape[1]),
            height=int(first.shape[0]),
            fps=rate,
            frame_count=int(count) if recorded else None,
            live=not recorded,
            duration_s=float(count / rate) if recorded and rate else None,
            uri=_URI,
        )

    @property
    def stream(self) -> str:
        """Name of the stream."""
        return self._stream_name

    @property
    def info(self) -> SourceInfo:
        """What the capture says of itself."""
        return self._info

    @property
    def failed(self) -> Mapping[str, int]:
        """Always empty: OpenCV does not tell of pictures that it could not decode."""
        return MappingProxyType({})

    def __iter__(self) -> Iterator[Frame]:
        """The frames from now on."""
        timeline = Timeline(self._stream_name, float(1 / self._info.fps) if self._info.fps else None)
        image, index = self._first, 0
        self._first = None
        while image is not None:
            now_s = time.monotonic()
            stamp_s = now_s if self._info.live else self._capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
            yield Frame(image, index, timeline.next(stamp_s), now_s, self._stream_name)
            index += 1
            image = self._read()

    def _read(self) -> Image | None:
        if self._closed:
            return None
        there, image = self._capture.read()
        if not there:
            return None
        picture = np.asarray(image)
        if picture.ndim == 2:
            picture = cv2.cvtColor(picture, cv2.COLOR_GRAY2BGR)
        return np.ascontiguousarray(picture, np.uint8)

    def close(self) -> None:
        """Release the capture."""
        if not self._closed:
            self._closed = True
            self._capture.release()


class FramesAtRate(Source):
    """A source whose k-th frame comes at ``k / fps`` seconds whatever its real time, and of which none may be lost.

    That is what time is to ImageAI, so it is what strict mode gives to the pipeline.

    Args:
        source: closed with this one.
        fps: frames per second.
    """

    def __init__(self, source: Source, fps: Fraction) -> None:
        self._source = source
        self._fps = fps
        self._info = replace(source.info, fps=fps, duration_s=None, live=False)

    @property
    def stream(self) -> str:
        """Name of the stream."""
        return self._source.stream

    @property
    def info(self) -> SourceInfo:
        """What the source says of itself, with the given rate."""
        return self._info

    @property
    def failed(self) -> Mapping[str, int]:
        """Frames of the source that could not be decoded, by reason."""
        return self._source.failed

    def __iter__(self) -> Iterator[Frame]:
        """The frames of the source."""
        for number, frame in enumerate(self._source):
            yield frame.placed(pts_s=float(number / self._fps))

    def close(self) -> None:
        """Close the source."""
        self._source.close()
