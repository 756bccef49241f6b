"""A window for each stream with its annotated picture, for a person who watches a run."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

import cv2

from pipeline.errors import SinkPathError
from pipeline.events import Event, OutputCounts, StreamEnded, StreamOffline
from pipeline.interfaces import Sink
from pipeline.types import Image, SourceInfo, TrackedFrame
from sinks.drawing.annotator import Annotator, AnnotatorFactory
from sinks.drawing.away import away

# No window shows more pictures a second: nobody sees more, and each takes time from the run.
_MOST_PER_S = 30.0
_LONGEST_SIDE = 1600
_QUIT_KEYS = (ord("q"), 27)


class Windows(Protocol):
    """What is used of OpenCV's windows."""

    def imshow(self, winname: str, mat: Image, /) -> None: ...

    def waitKey(self, delay: int, /) -> int: ...  # noqa: N802 - OpenCV's name

    def destroyAllWindows(self) -> None: ...  # noqa: N802


@dataclass(slots=True, eq=False)
class _Shown:
    annotator: Annotator
    last: TrackedFrame | None = None
    shown_s: float = float("-inf")


class PreviewSink(Sink):
    """Shows what is found as it is found, in the thread that runs the pipeline, which OpenCV's windows want.

    While a camera is away its last picture stays, darker, with the time since when.

    Args:
        stop: called when somebody presses q or Escape.
        annotators: makes what draws a stream's pictures, by its name; others are drawn as usual.
        windows: in place of OpenCV's.
    """

    may_stall = False

    def __init__(
        self,
        stop: Callable[[], object],
        *,
        annotators: Mapping[str, AnnotatorFactory] | None = None,
        windows: Windows | None = None,
    ) -> None:
        self._stop = stop
        self._annotators = annotators or {}
        self._own = windows is None
        self._windows: Windows = cv2 if windows is None else windows  # type: ignore[assignment]  # a module has no type
        self._streams: dict[str, _Shown] = {}
        self._counts = OutputCounts()

    def check(self) -> None:
        """Raise ``SinkPathError`` where there is no display: OpenCV would end the process."""
        if self._own and sys.platform.startswith("linux") and not _display():
            raise SinkPathError("--show: there is no display here; write a video with -o and look at that")

    def open(self, stream: str, info: SourceInfo, class_names: Sequence[str]) -> None:
        """A stream starts; its window comes with its first picture."""
        self._streams[stream] = _Shown(self._annotators.get(stream, Annotator)(class_names))

    def counts(self) -> OutputCounts:
        """Frames so far, of which those that came faster than can be seen were not shown."""
        return self._counts

    def on_frame(self, tracked: TrackedFrame) -> None:
        """Show a frame, unless one was shown just before."""
        self._counts += OutputCounts(given=1, written=1)
        stream = self._streams[tracked.frame.stream]
        stream.last = tracked
        now_s = time.monotonic()
        if now_s - stream.shown_s < 1 / _MOST_PER_S:
            stream.annotator.observe(tracked)
            return
        stream.shown_s = now_s
        self._show(tracked.frame.stream, stream.annotator.draw(tracked))

    def on_event(self, event: Event) -> None:
        """Mark the picture of a camera that went away."""
        if isinstance(event, StreamOffline) and (stream := self._streams[event.stream]).last is not None:
            self._show(event.stream, away(stream.annotator.draw(stream.last), datetime.now().astimezone()))
        elif isinstance(event, StreamEnded):
            self._streams.pop(event.stream, None)

    def close(self, error: BaseException | None = None) -> None:
        """Close the windows."""
        if self._counts.given:
            self._windows.destroyAllWindows()

    def _show(self, name: str, picture: Image) -> None:
        scale = min(1.0, _LONGEST_SIDE / max(picture.shape[:2]))
        if scale < 1:
            picture = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)  # type: ignore[assignment]
        self._windows.imshow(name, picture)
        if self._windows.waitKey(1) & 0xFF in _QUIT_KEYS:
            self._stop()


def _display() -> bool:
    return any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"))
