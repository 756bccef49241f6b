"""Small real implementations of the protocols: frames from memory, a detector of bright blobs, a sink that remembers.

They need no model and no files, do what their protocol says, and can be told to fail at a chosen point.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Self

import cv2
import numpy as np

from pipeline.events import Event
from pipeline.interfaces import Detector, Sink
from pipeline.types import Detections, Frame, Image, SourceInfo, TrackedFrame


def picture(boxes: Sequence[tuple[int, int, int, int]], *, width: int = 160, height: int = 120) -> Image:
    """A black picture with white rectangles, each ``(left, top, right, bottom)`` in pixels."""
    image = np.zeros((height, width, 3), np.uint8)
    for left, top, right, bottom in boxes:
        image[top:bottom, left:right] = 255
    return image


def moving_box(count: int, *, step: int = 2) -> list[Image]:
    """Pictures of one rectangle that moves to the right."""
    return [picture([(10 + step * number, 40, 40 + step * number, 80)]) for number in range(count)]


class MemorySource:
    """A source over pictures in memory.

    Args:
        images: the frames.
        fps: frames per second.
        error: raised in place of the frame after the last.
        failed: what ``failed`` says, from the start.
        stall_s: seconds to wait after the last picture, as a camera does whose read is about to time out.
    """

    def __init__(
        self,
        images: Sequence[Image],
        *,
        fps: int = 10,
        stream: str = "memory",
        error: Exception | None = None,
        failed: Mapping[str, int] | None = None,
        stall_s: float = 0.0,
    ) -> None:
        self._images = images
        self._error = error
        self._stall_s = stall_s
        self._fps = fps
        self.stream = stream
        self.failed: dict[str, int] = dict(failed or {})
        height, width = images[0].shape[:2] if images else (120, 160)
        self.info = SourceInfo(
            width, height, fps=Fraction(fps), frame_count=len(images), duration_s=len(images) / fps, uri="memory"
        )
        self.closed = threading.Event()

    def __iter__(self) -> Iterator[Frame]:
        for index, image in enumerate(self._images):
            yield Frame(image, index, index / self._fps, time.monotonic(), self.stream)
        self.closed.wait(self._stall_s)
        if self._error is not None:
            raise self._error

    def close(self) -> None:
        self.closed.set()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()


class BlobDetector(Detector):
    """Finds bright connected regions. Counts the pictures it looked at; raises at the ``fail_at``-th."""

    class_names = ("blob",)
    precision = "uint8"

    def __init__(self, *, fail_at: int | None = None) -> None:
        self.looked_at = 0
        self.batches: list[int] = []
        self._fail_at = fail_at

    def detect(self, images: Sequence[Image]) -> list[Detections]:
        self.batches.append(len(images))
        return [self._detect(image) for image in images]

    def _detect(self, image: Image) -> Detections:
        self.looked_at += 1
        if self.looked_at == self._fail_at:
            raise RuntimeError("the detector broke")
        _, _, stats, _ = cv2.connectedComponentsWithStats((image[:, :, 0] > 127).astype(np.uint8))
        left, top, width, height = stats[1:, :4].T.astype(np.float32)
        count = len(left)
        return Detections(
            np.stack([left, top, left + width, top + height], axis=1).astype(np.float32),
            np.full(count, 0.9, np.float32),
            np.zeros(count, np.int32),
        )


class MemorySink(Sink):
    """Remembers every call; raises at the ``fail_at``-th frame."""

    may_stall = False

    def __init__(self, *, fail_at: int | None = None, fail_open: bool = False) -> None:
        self.calls: list[str] = []
        self.frames: list[TrackedFrame] = []
        self.events: list[Event] = []
        self.closed_with: list[BaseException | None] = []
        self._fail_at = fail_at
        self._fail_open = fail_open

    def open(self, stream: str, info: SourceInfo, class_names: Sequence[str]) -> None:
        self.calls.append("open")
        if self._fail_open:
            raise OSError("the sink would not open")

    def on_frame(self, tracked: TrackedFrame) -> None:
        self.calls.append("frame")
        self.frames.append(tracked)
        if len(self.frames) == self._fail_at:
            raise OSError("the sink broke")

    def on_event(self, event: Event) -> None:
        self.calls.append("event")
        self.events.append(event)

    def close(self, error: BaseException | None = None) -> None:
        self.calls.append("close")
        self.closed_with.append(error)
