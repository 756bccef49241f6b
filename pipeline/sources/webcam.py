"""Cameras attached to this machine, through OpenCV."""

from __future__ import annotations

import logging
import sys
import time
from collections import Counter
from collections.abc import Generator, Iterator, Mapping
from fractions import Fraction
from pathlib import Path
from types import MappingProxyType

import cv2
import numpy as np

from pipeline.errors import SourceError, SourceNotFoundError
from pipeline.interfaces import Source
from pipeline.sources.timing.timeline import Timeline
from pipeline.types import Frame, Image, SourceInfo

logger = logging.getLogger(__name__)


class Webcam(Source):
    """The frames of a camera attached to this machine; live, and timed by their arrival.

    A camera grants the size and rate nearest to what was asked; ``info`` says what it granted, and a difference is
    logged. It never ends by itself: when it brings no picture, iterating raises ``SourceError``.

    Args:
        device: number of the camera, from 0, or its path such as ``/dev/video0``.
        width, height: pixels to ask for; both or neither.
        fps: frames per second to ask for.
        stream: name of the stream; default: ``"webcam0"`` or the path's last part.
        backend: OpenCV's ``CAP_...`` number of the capture interface; default: the system's own.

    Raises:
        SourceNotFoundError: there is no such camera.
        SourceError: it can't be opened (in use, no permission) or brings no picture.
    """

    def __init__(
        self,
        device: int | str = 0,
        *,
        width: int | None = None,
        height: int | None = None,
        fps: float | None = None,
        stream: str | None = None,
        backend: int | None = None,
    ) -> None:
        if (width is None) != (height is None):
            raise ValueError(f"width and height: expected both or neither, got {width} and {height}")
        self._uri = f"webcam:{device}" if isinstance(device, int) else device
        default_name = f"webcam{device}" if isinstance(device, int) else Path(device).name
        self._stream_name = stream or default_name
        self._failed: Counter[str] = Counter()
        self._closed = False
        self._capture = self._open(device, backend)
        try:
            self._request(width, height, fps)
            first = self._grab()
            granted_fps = float(self._capture.get(cv2.CAP_PROP_FPS))
            self._info = SourceInfo(
                width=int(first.shape[1]),
                height=int(first.shape[0]),
                fps=Fraction(granted_fps).limit_denominator(1001) if 0 < granted_fps <= 1000 else None,
                live=True,
                uri=self._uri,
            )
            self._compare(width, height, fps)
        except BaseException:
            self._capture.release()
            raise
        frame_s = 1 / float(self._info.fps) if self._info.fps else None
        self._timeline = Timeline(self._stream_name, frame_s)
        self._index = 0
        self._frames = self._read(first)

    @property
    def stream(self) -> str:
        """Name of the stream."""
        return self._stream_name

    @property
    def info(self) -> SourceInfo:
        """The size and rate that the camera granted."""
        return self._info

    @property
    def failed(self) -> Mapping[str, int]:
        """Always empty: a camera that brings no picture is an error."""
        return MappingProxyType(self._failed)

    def __iter__(self) -> Iterator[Frame]:
        """The frames from now on.

        Raises:
            SourceError: the source is closed, or the camera brings no picture any more.
        """
        if self._closed:
            raise SourceError(f"{self._uri}: closed; open it again to read it")
        return self._frames

    def close(self) -> None:
        """Give the camera back."""
        if not self._closed:
            self._closed = True
            self._frames.close()
            self._capture.release()

    def _open(self, device: int | str, backend: int | None) -> cv2.VideoCapture:
        path = Path(f"/dev/video{device}") if isinstance(device, int) else Path(device)
        on_linux = sys.platform.startswith("linux")
        if on_linux and backend is None and not path.exists():
            raise SourceNotFoundError(f"{self._uri}: there is no camera at {path}; check that it is plugged in")
        if backend is None:
            backend = cv2.CAP_V4L2 if on_linux else cv2.CAP_ANY
        capture = cv2.VideoCapture(device, backend)
        if not capture.isOpened():
            capture.release()
            raise SourceError(
                f"{self._uri}: the camera can't be opened; check that no other program uses it and that you may"
            )
        return capture

    def _request(self, width: int | None, height: int | None, fps: float | None) -> None:
        # A camera that is read late must not hand out old pictures. Not every interface knows this property.
        self._capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)
        if width is not None and height is not None:
            # Most cameras give large pictures at a useful rate only as Motion JPEG.
            self._capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*"MJPG"))
            self._capture.set(cv2.CAP_PROP_FRAME_WIDTH, width)
            self._capture.set(cv2.CAP_PROP_FRAME_HEIGHT, height)
        if fps is not None:
            self._capture.set(cv2.CAP_PROP_FPS, fps)

    def _compare(self, width: int | None, height: int | None, fps: float | None) -> None:
        granted = self._info
        other_size = width is not None and (width, height) != (granted.width, granted.height)
        other_rate = fps is not None and granted.fps is not None and abs(float(granted.fps) - fps) > 0.5
        if other_size or other_rate:
            asked = f"{width}x{height} px" if width is not None else "any size"
            logger.warning(
                "%s: asked for %s at %s fps, the camera gives %dx%d px at %s fps",
                self._stream_name,
                asked,
                "any" if fps is None else f"{fps:g}",
                granted.width,
                granted.height,
                "unknown" if granted.fps is None else f"{float(granted.fps):g}",
            )

    def _grab(self) -> Image:
        found, image = self._capture.read()
        if not found:
            raise SourceError(f"{self._uri}: the camera brings no picture; check its cable and its other users")
        return np.ascontiguousarray(image, np.uint8)

    def _read(self, first: Image) -> Generator[Frame, None, None]:
        image = first
        while True:
            now_s = time.monotonic()
            pts_s = self._timeline.next(now_s)
            index, self._index = self._index, self._index + 1
            yield Frame(image, index, pts_s, now_s, self._stream_name)
            image = self._grab()
