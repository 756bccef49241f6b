"""The annotated video as an H.264 MP4 that plays in a browser.

How frames at any times are put on the output's clock: see ``sinks.video.output_clock``. How the file comes to be, and
what a crash leaves behind: see ``sinks.video.mp4_writer``.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from datetime import datetime
from fractions import Fraction
from functools import partial
from pathlib import Path

from pipeline.errors import SinkError
from pipeline.events import Event, OutputCounts, StreamOffline
from pipeline.files import OutputFiles
from pipeline.interfaces import Sink
from pipeline.types import SourceInfo, TrackedFrame
from sinks.drawing.annotator import Annotator, AnnotatorFactory
from sinks.output_files import Claim, check_output, partial_path, written_file
from sinks.steady_file import mount_point
from sinks.video.mp4_writer import Mp4Writer, finishing_path
from sinks.video.output_clock import limited
from sinks.video.sound_clock import PictureClock
from sinks.video.video_track import VideoTrack

logger = logging.getLogger(__name__)

PRESETS = ("ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow")


class Mp4Sink(Sink):
    """Records one stream as H.264 with 4:2:0 colour.

    Defaults, measured on 854x480 traffic, plain pictures (120 frames, one thread, times of one run on a busy machine,
    so compare them with each other):

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

    A camera's recording waits short trouble out: a full disk, say, or one that is away. What there is no room for then
    is lost and counted, and the picture before it stands still in the video. A file's ends the run.

    A frame that differs in size from the first is scaled into it, with black bars where its shape differs. Odd widths
    and heights lose their last column or row.

    Args:
        path: the file to write; its name ends in ``.mp4``.
        fps: frames per second of the output, which then has that very rate. None shows each picture of a file
            once, at its own time, however unevenly they come; a camera's recording has the rate that the camera
            states, or one estimated from the first frames.
        annotate: makes the annotator when the class names are known, such as
            ``functools.partial(Annotator, trail_s=3)``; None records the plain picture.
        audio_from: the file whose sound goes with the picture; None for a silent video. AAC, MP3, Opus and FLAC
            are copied, everything else becomes AAC. It is added at the end of the run.
        input_path: the file being read, which the output must not replace.
        stream: which stream to record; None means the run's only one.
        part: whether the file begins with the first frame that comes, wherever in the source that is, as one that
            follows another recording of the stream does; such a file has no sound.
        preset: of libx264, from ``ultrafast`` (large files) to ``veryslow``.
        crf: quality, from 0 (best) to 51; 6 more about halve the file.
        threads: of the encoder; None takes what ``pipeline.hardware`` gives it.

    Raises:
        ValueError: ``fps``, ``preset`` or ``crf`` is not among what is possible.
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
        part: bool = False,
        preset: str = "superfast",
        crf: float = 23,
        threads: int | None = None,
    ) -> None:
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
        self._record = partial(Mp4Writer, self.path, preset=preset, crf=crf, threads=threads)
        self._part = part
        self._claim: Claim | None = None
        self._video: VideoTrack | None = None
        self._recording: Mp4Writer | None = None  # when it has ended
        self._picture_clock = PictureClock()
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

    def files(self, stream: str) -> Sequence[OutputFiles]:
        """The file, and the names it has until it is complete, if it is the stream's."""
        if self._stream not in (None, stream):
            return []
        return [written_file("the video", self.path, finishing_path(self.path))]

    def open(self, stream: str, info: SourceInfo, class_names: Sequence[str]) -> None:
        """A stream starts; it is recorded if it is the chosen one, and the file is claimed from now on.

        Raises:
            SinkError: a second stream, where none was chosen; or another run writes the file.
        """
        if self._stream not in (None, stream):
            return
        if self._video is not None:
            raise SinkError(
                f"cannot write {self.path}: an MP4 holds one stream, and there are {self._chosen!r} and {stream!r}; "
                f"choose one for it"
            )
        self._chosen = stream
        self._claim = Claim(self.path, patient=info.live)
        annotator = None if self._annotate is None else self._annotate(class_names)
        mount = mount_point(self._claim.partial)
        record = partial(self._record, patient=info.live, mount=mount, claim=self._claim)
        self._video = VideoTrack(info, self._fps, annotator, record)

    def takes(self, item: TrackedFrame | Event) -> bool:
        """Frames of the stream that is recorded."""
        return isinstance(item, TrackedFrame) and self._stream in (None, item.frame.stream)

    def counts(self) -> OutputCounts:
        """Pictures of the video so far."""
        recording = self._recording if self._video is None else self._video.recording
        return OutputCounts() if recording is None else recording.counts

    def on_frame(self, tracked: TrackedFrame) -> None:
        """Take a frame; it is drawn and encoded when the next one says how long it was on screen.

        Raises:
            SinkError: the disk is full, or another failure.
        """
        if self._video is None or tracked.frame.stream != self._chosen:
            return
        if self._part:
            self._part = False
            self._video.begin_at(tracked.frame.pts_s)
        self._picture_clock.add(tracked.frame)
        try:
            self._video.add(tracked)
        except Exception:
            self._failed = True
            raise

    def on_event(self, event: Event) -> None:
        """Mark the last picture of a camera that goes away."""
        if isinstance(event, StreamOffline) and self._video is not None and event.stream == self._chosen:
            self._video.away(event.pts_s, datetime.now().astimezone())

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
            self._recording = recording = video.recording if self._failed else video.end()
            if recording is None:
                return
            if completed and not self._failed:
                recording.finish(self._audio_from, self._picture_clock)
            else:
                recording.keep()
        except SinkError as failure:
            if self._recording is not None:
                self._recording.give_up()
            if completed:
                raise
            logger.warning("%s", failure)
        finally:
            if self._claim is not None:
                self._claim.release()
