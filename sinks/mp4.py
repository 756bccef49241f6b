"""The annotated video as an H.264 MP4 that plays in a browser.

How frames at any times become a constant rate: see ``sinks.resample``. How the file comes to be, and what a crash
leaves behind: see ``sinks.recording``.
"""

from __future__ import annotations

import logging
import os
from collections import deque
from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from pipeline.errors import SinkError
from pipeline.types import Image, Sink, SourceInfo, TrackedFrame
from sinks.annotate import Annotator, AnnotatorFactory
from sinks.outputs import check_output, partial_path
from sinks.recording import Recording
from sinks.resample import OutputClock, limited, measured_rate, nominal_rate

logger = logging.getLogger(__name__)

PRESETS = ("ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow")

# Frames looked at to estimate the rate of a source that does not tell it.
_FRAMES_MEASURED = 8
# A live picture that stands still for longer than this is one long picture in the file instead of many equal ones:
# catching up with an outage of hours must not take minutes.
_LONGEST_REPEAT_S = 10
# A first frame later than this starts the output. Sources believe a file's stated start within the same limit.
_LATEST_START_S = 10.0


class Mp4Sink(Sink):
    """Records one stream as H.264 with 4:2:0 colour.

    Defaults, measured on 854x480 traffic with boxes (120 frames, one thread, times of one run on a busy machine, so
    compare them with each other):

        ============================ ======== ====== =======
        libx264 preset, crf 23       CPU ms   kB     PSNR dB
        ============================ ======== ====== =======
        ultrafast                    4.9      1,224  41.2
        superfast without B-frames   7.8      663    42.3
        superfast                    8.7      555    41.4
        veryfast                     14.6     375    40.4
        ============================ ======== ====== =======

    ``superfast`` without B-frames is the default: half the size of ultrafast, for half of what veryfast costs. The
    other presets run without B-frames too.

    A frame that differs in size from the first is scaled into it, with black bars where its shape differs. Odd widths
    and heights lose their last column or row.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        fps: Fraction | float | None = None,
        annotate: AnnotatorFactory | None = Annotator,
        audio_from: str | os.PathLike[str] | None = None,
        input_path: str | os.PathLike[str] | None = None,
        stream: str | None = None,
        preset: str = "superfast",
        crf: float = 23,
        threads: int | None = None,
    ) -> None:
        """
        Args:
            path: the file to write; its name ends in ``.mp4``.
            fps: frames per second of the output. None takes the source's rate (the average where it varies), or
                estimates it from the first frames where the source tells none.
            annotate: makes the annotator when the class names are known, such as
                ``functools.partial(Annotator, trail_s=3)``; None records the plain picture.
            audio_from: the file whose sound goes with the picture; None for a silent video. AAC, MP3, Opus and FLAC
                are copied, everything else becomes AAC. It is added at the end of the run.
            input_path: the file being read, which the output must not replace.
            stream: which stream to record; None means the run's only one.
            preset: of libx264, from ``ultrafast`` (large files) to ``veryslow``.
            crf: quality, from 0 (best) to 51; 6 more about halve the file.
            threads: of the encoder; None takes one per megapixel, which costs the least CPU time.

        Raises:
            ValueError: ``fps``, ``preset`` or ``crf`` is not among what is possible.
        """
        if fps is not None and not 0 < fps <= 1000:
            raise ValueError(f"fps: expected a number above 0 and up to 1000, got {fps}")
        if preset not in PRESETS:
            raise ValueError(f"preset: expected one of {', '.join(PRESETS)}, got {preset}")
        if not 0 <= crf <= 51:
            raise ValueError(f"crf: expected a number from 0 to 51, got {crf}")
        self.path = Path(path)
        self._fps = None if fps is None else limited(Fraction(fps))
        self._annotate = annotate
        self._audio_from = audio_from
        self._input_path = input_path
        self._stream = self._chosen = stream
        self._record = partial(Recording, self.path, preset=preset, crf=crf, threads=threads)
        self._video: _Video | None = None
        self._failed = False

    def check(self) -> None:
        """Raise ``SinkError`` if the file can't be written: see ``check_output``. Also refuses to replace its input."""
        check_output(self.path, suffixes=(".mp4",))
        unfinished = partial_path(self.path)
        if unfinished == self.path:
            raise SinkError(f"cannot write {self.path}: it is not a regular file; name one")
        for source in (self._input_path, self._audio_from):
            for name in (self.path, unfinished):
                if source is not None and name.exists() and Path(source).exists() and name.samefile(source):
                    raise SinkError(f"cannot write {self.path}: {name} is the input; choose another name")

    def open(self, stream: str, info: SourceInfo, class_names: Sequence[str]) -> None:
        """A stream starts; it is recorded if it is the chosen one. The file is made with its first frame.

        Raises:
            SinkError: a second stream, where none was chosen.
        """
        if self._stream not in (None, stream):
            return
        if self._video is not None:
            raise SinkError(
                f"cannot write {self.path}: an MP4 holds one stream, and there are {self._chosen!r} and {stream!r}; "
                f"choose one for it"
            )
        self._chosen = stream
        annotator = None if self._annotate is None else self._annotate(class_names)
        self._video = _Video(info, self._fps, annotator, self._record)

    def on_frame(self, tracked: TrackedFrame) -> None:
        """Take a frame; it is drawn and encoded when the next one says how long it was on screen.

        Raises:
            SinkError: the disk is full, or another failure.
        """
        if self._video is None or tracked.frame.stream != self._chosen:
            return
        try:
            self._video.add(tracked)
        except Exception:
            self._failed = True
            raise

    def close(self, error: BaseException | None = None) -> None:
        """Complete the file.

        After a clean end or an interrupt it gets its final name. After another error it stays under the partial name,
        which is logged. Without any frame there is no file.

        Raises:
            SinkError: the disk is full, or another failure; not when the run has failed already.
        """
        video, self._video = self._video, None
        if video is None:
            return
        completed = error is None or isinstance(error, KeyboardInterrupt)
        try:
            recording = video.recording if self._failed else video.end()
            if recording is None:
                return
            if completed and not self._failed:
                recording.finish(self._audio_from)
            else:
                recording.keep()
        except SinkError as failure:
            if completed:
                raise
            logger.warning("%s", failure)


class _Video:
    """The picture track: draws frames and has them encoded for as long as they are on screen."""

    def __init__(
        self, info: SourceInfo, fps: Fraction | None, annotator: Annotator | None, record: Callable[..., Recording]
    ) -> None:
        self._info = info
        self._source_fps = nominal_rate(info.fps)
        self._fps = fps or self._source_fps
        self._annotator = annotator
        self._record = record
        self.recording: Recording | None = None
        self._clock: OutputClock | None = None
        # Frames whose time on screen is not known yet: the last one, or the first few while the rate is measured.
        self._waiting: deque[TrackedFrame] = deque()
        self._first_s = 0.0
        self._frames = 0
        self._buffer: Image | None = None
        self._canvas: Image | None = None

    def add(self, tracked: TrackedFrame) -> None:
        """Take the next frame, and show those before it."""
        if not self._frames:
            self._first_s = tracked.frame.pts_s
        self._frames += 1
        self._waiting.append(tracked)
        if self._fps is not None or len(self._waiting) >= _FRAMES_MEASURED:
            self._show_all_but_last(self._started_clock())

    def end(self) -> Recording | None:
        """Show what is waiting; the last frame for its nominal duration. Returns the recording, None without frames."""
        if self._waiting:
            clock = self._started_clock()
            self._show_all_but_last(clock)
            last = self._waiting.popleft()
            self._show(last, clock.last(last.frame.pts_s, self._end_s(last.frame.pts_s)))
        return self.recording

    def _started_clock(self) -> OutputClock:
        if self._fps is None:
            self._fps = measured_rate([waiting.frame.pts_s for waiting in self._waiting])
        if self._clock is None:
            # A file's output keeps the file's time, to which events and sound refer: a first frame that comes late is
            # shown from the start. A camera may have been away for hours before its first.
            late = self._info.live or self._first_s > _LATEST_START_S
            self._clock = OutputClock(self._fps, self._first_s if late else 0.0, self._source_fps)
        return self._clock

    def _end_s(self, last_s: float) -> float:
        """When the last frame goes off the screen: after its nominal duration, or sooner if the container ends then."""
        if self._source_fps is not None:
            duration_s = float(1 / self._source_fps)
        elif self._frames > 1:
            duration_s = (last_s - self._first_s) / (self._frames - 1)
        else:
            duration_s = float(1 / measured_rate([]))
        end_s = last_s + duration_s
        promised_s = self._info.duration_s
        return promised_s if promised_s is not None and last_s <= promised_s < end_s else end_s

    def _show_all_but_last(self, clock: OutputClock) -> None:
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
            self.recording = self._record(width=width, height=height, fps=self._fps)
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
