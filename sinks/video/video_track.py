"""The picture track of a video in the making: which frame is drawn and encoded, and for how long it is shown."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from datetime import datetime
from fractions import Fraction

import cv2
import numpy as np

from pipeline.types import Frame, Image, SourceInfo, TrackedFrame, Tracks
from sinks.drawing.annotator import Annotator
from sinks.drawing.away import away
from sinks.video.mp4_writer import Mp4Writer
from sinks.video.output_clock import EachFrameClock, OutputClock, measured_rate, nominal_rate

# Frames looked at to estimate the rate of a source that does not tell it.
_FRAMES_MEASURED = 8
# A live picture that stands still for longer than this is one long picture in the file instead of many equal ones:
# catching up with an outage of hours must not take minutes.
_LONGEST_REPEAT_S = 10
# A camera that is back sooner leaves no mark: nobody could read it.
_SHORTEST_AWAY_S = 0.5
# A first frame later than this starts the output. Sources believe a file's stated start within the same limit.
_LATEST_START_S = 10.0


class VideoTrack:
    """Draws frames and has them encoded for as long as they are on screen.

    Args:
        info: of the source.
        fps: of the output; None shows each frame of a file once, at its own time, and takes a camera's rate, or
            measures it.
        annotator: draws on the pictures; None leaves them plain.
        record: makes the recording, given ``width``, ``height`` and ``fps``, when the first picture's size is known.
        origin_s: media time at which the output starts; None decides by the first frame.

    Attributes:
        recording: what was begun; None before the first picture is encoded.
    """

    def __init__(
        self,
        info: SourceInfo,
        fps: Fraction | None,
        annotator: Annotator | None,
        record: Callable[..., Mp4Writer],
        *,
        origin_s: float | None = None,
    ) -> None:
        self._info = info
        self._source_fps = nominal_rate(info.fps)
        self._each_frame = fps is None and not info.live
        self._fps = fps or self._source_fps
        self._annotator = annotator
        self._record = record
        self._origin_s = origin_s
        self.recording: Mp4Writer | None = None
        self._clock: OutputClock | EachFrameClock | None = None
        # Frames whose time on screen is not known yet: the last one, or the first few while the rate is measured.
        self._waiting: deque[TrackedFrame] = deque()
        self._away: TrackedFrame | None = None  # the mark, should the camera stay away
        self._first_s = 0.0
        self._frames = 0
        self._buffer: Image | None = None
        self._canvas: Image | None = None

    def add(self, tracked: TrackedFrame) -> None:
        """Take the next frame, and show those before it."""
        marked, self._away = self._away, None
        if marked is not None and tracked.frame.pts_s - marked.frame.pts_s >= _SHORTEST_AWAY_S:
            self._waiting.append(marked)
        if not self._frames:
            self._first_s = tracked.frame.pts_s
        self._frames += 1
        self._waiting.append(tracked)
        if self._fps is not None or len(self._waiting) >= _FRAMES_MEASURED:
            self._show_all_but_last(self._started_clock())

    def away(self, pts_s: float, since: datetime) -> None:
        """The camera went at that media time: until it is back its last picture is shown, marked.

        One that is back at once leaves no mark.
        """
        last = self._waiting[-1].frame if self._waiting and self._fps is not None else None
        if last is None or pts_s <= last.pts_s:
            return
        marked = Frame(away(last.image, since), last.index, pts_s, last.captured_s, last.stream)
        self._away = TrackedFrame(marked, None, Tracks.empty(), np.zeros(0, np.int64))

    def begin_at(self, origin_s: float) -> None:
        """Have the output start at that media time; to be called before the first frame."""
        self._origin_s = origin_s

    @property
    def fps(self) -> Fraction | None:
        """Frames per second of the output; None while they are being measured."""
        return self._fps

    def end(self, until_s: float | None = None) -> Mp4Writer | None:
        """Show what is waiting. Returns the recording, None if no picture came to be shown.

        Args:
            until_s: media time up to which the last frame is on screen; None for its nominal duration.
        """
        if self._waiting:
            clock = self._started_clock()
            self._show_all_but_last(clock)
            last = self._waiting.popleft()
            if until_s is None:
                self._show(last, clock.last(last.frame.pts_s, self._end_s(last.frame)))
            else:
                self._show(last, clock.until(until_s))
        return self.recording

    def _started_clock(self) -> OutputClock | EachFrameClock:
        if self._fps is None:
            self._fps = measured_rate([waiting.frame.pts_s for waiting in self._waiting])
        if self._clock is None:
            # A file's output keeps the file's time, to which events and sound refer: a first frame that comes late is
            # shown from the start. A camera may have been away for hours before its first.
            late = self._info.live or self._first_s > _LATEST_START_S
            origin_s = self._first_s if late else 0.0
            origin_s = origin_s if self._origin_s is None else self._origin_s
            if self._each_frame:
                self._clock = EachFrameClock(self._fps, origin_s)
            else:
                self._clock = OutputClock(self._fps, origin_s, self._source_fps)
        return self._clock

    def _end_s(self, last: Frame) -> float:
        """When the last frame goes off the screen: as its source says, or after its nominal duration.

        Sooner if the container ends sooner.
        """
        if last.duration_s is not None:
            return last.pts_s + last.duration_s
        if self._source_fps is not None:
            duration_s = float(1 / self._source_fps)
        elif self._frames > 1:
            duration_s = (last.pts_s - self._first_s) / (self._frames - 1)
        else:
            duration_s = float(1 / measured_rate([]))
        end_s = last.pts_s + duration_s
        promised_s = self._info.duration_s
        return promised_s if promised_s is not None and last.pts_s <= promised_s < end_s else end_s

    def _show_all_but_last(self, clock: OutputClock | EachFrameClock) -> None:
        while len(self._waiting) > 1:
            shown = self._waiting.popleft()
            self._show(shown, clock.until(self._waiting[0].frame.pts_s))

    def _show(self, tracked: TrackedFrame, ticks: range) -> None:
        if not ticks:
            if self._annotator is not None:
                self._annotator.observe(tracked)
            return
        image = self._drawn(tracked)
        if self.recording is None:
            height, width = image.shape[:2]
            fine = self._clock.ticks_per_frame if isinstance(self._clock, EachFrameClock) else 1
            self.recording = self._record(width=width, height=height, fps=self._fps, ticks_per_frame=fine)
        recording = self.recording
        image = self._fitted(image, *recording.source_shape)
        if self._info.live and len(ticks) > _LONGEST_REPEAT_S * recording.fps:
            recording.write(image, ticks[:1])
        else:
            recording.write(image, ticks)

    def _drawn(self, tracked: TrackedFrame) -> Image:
        image = tracked.frame.image
        if self._annotator is None:
            return image
        if self._buffer is None or self._buffer.shape != image.shape:
            self._buffer = np.empty(image.shape, np.uint8)
        return self._annotator.draw(tracked, out=self._buffer)

    def _fitted(self, image: Image, height: int, width: int) -> Image:
        """The whole picture in that size, with black bars where its shape differs."""
        if image.shape[:2] == (height, width):
            return image
        if self._canvas is None:
            self._canvas = np.zeros((height, width, 3), np.uint8)
        self._canvas[:] = 0
        scale = min(width / image.shape[1], height / image.shape[0])
        new_width = min(width, max(1, round(image.shape[1] * scale)))
        new_height = min(height, max(1, round(image.shape[0] * scale)))
        left, top = (width - new_width) // 2, (height - new_height) // 2
        self._canvas[top : top + new_height, left : left + new_width] = cv2.resize(
            image, (new_width, new_height), interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        )
        return self._canvas
