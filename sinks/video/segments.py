"""A recording that need not end, as one MP4 after the other: ``door-20261122T041500Z.mp4`` and so on.

    sink frames --VideoTrack--> partial file --"finish segments" thread--> final file, then retention

The name holds the UTC time of the segment's first picture, so that real time is kept from segment to segment whatever
happens between them; within one it is kept as ``sinks.video.mp4`` keeps it. Each segment is a file of its own, with its
index in front and a keyframe first. Tracks go on over the border: their ids, colours and trails too.

The plain MP4 is made from the partial file in a thread of its own, so that the next segment does not wait for the disk.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

from pipeline.errors import SinkError
from pipeline.events import Event, OutputCounts, StreamOffline
from pipeline.files import BYTES_PER_MB, FolderFiles, OutputFiles
from pipeline.interfaces import Sink
from pipeline.types import SourceInfo, TrackedFrame
from sinks.drawing.annotator import Annotator, AnnotatorFactory
from sinks.locks import FolderLock, in_use, is_locked_elsewhere, lock_path
from sinks.output_files import check_output
from sinks.steady_file import mount_point
from sinks.video.mp4 import PRESETS
from sinks.video.mp4_writer import Mp4Writer
from sinks.video.output_clock import limited
from sinks.video.retention import Retention, record_path, segment_names, segment_path
from sinks.video.segment_finisher import SegmentFinisher
from sinks.video.video_track import VideoTrack

logger = logging.getLogger(__name__)

# A frame that comes late after the end of a segment's time is waited for, a gap is not recorded.
_LONGEST_OVERTIME_S = 1.0
# An outage ends no segment that is shorter: a camera that comes and goes would make a file each time.
_SHORTEST_S = 10.0


class SegmentedMp4Sink(Sink):
    """Records one stream as a row of MP4 files, and deletes the oldest of them.

    A segment ends when it is ``segment_s`` long, and when the stream goes offline after 10 s of it or more: what was
    seen last is then there to look at. The next one starts with the next frame. The last frame of a segment is on
    screen until then, but no more than a second beyond the segment's time.

    Retention: see ``sinks.video.retention``. It works when the stream starts and with every segment that is finished.
    What a crash left (``.partial.mp4``, which can be played) counts as a segment.

    A camera's recording waits short trouble out, as ``Mp4Sink`` does. A segment that can't be finished meanwhile stays
    under its partial name until there is room again.

    Args:
        path: a folder, where segments are called after the stream; or a name that ends in ``.mp4``, before whose
            ending the time is put: ``out/door.mp4`` makes ``out/door-20261122T041500Z.mp4``.
        segment_s: length of a segment in seconds of media time, at least 1.
        keep_hours: delete segments that ended longer ago than this; None keeps them whatever their age.
        keep_mb: delete the oldest when there is more than this, in millions of bytes; None sets no limit. The
            segment in hand, and the copy that finishes one, may go beyond it for a while.
        fps, annotate, stream, preset, crf, threads: as for ``Mp4Sink``.
        now_s: the time, in seconds since 1970.

    Raises:
        ValueError: a value that is out of range.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        segment_s: float,
        keep_hours: float | None = None,
        keep_mb: float | None = None,
        fps: Fraction | float | None = None,
        annotate: AnnotatorFactory | None = Annotator,
        stream: str | None = None,
        preset: str = "superfast",
        crf: float = 23,
        threads: int | None = None,
        now_s: Callable[[], float] = time.time,
    ) -> None:
        if not segment_s >= 1:
            raise ValueError(f"segment_s: expected 1 or more, got {segment_s}")
        for name, value in (("keep_hours", keep_hours), ("keep_mb", keep_mb)):
            if value is not None and not value > 0:
                raise ValueError(f"{name}: expected a number above 0, got {value}")
        if fps is not None and not 0 < fps <= 1000:
            raise ValueError(f"fps: expected a number above 0 and up to 1000, got {fps}")
        if preset not in PRESETS or not 0 <= crf <= 51:
            raise ValueError(f"expected a preset of {', '.join(PRESETS)} and crf from 0 to 51, got {preset} and {crf}")
        self.path = Path(path)
        named = self.path.suffix.lower() == ".mp4"
        self._folder = self.path.parent if named else self.path
        self._prefix = self.path.stem if named else None
        self._segment_s = segment_s
        self._keep: dict[str, Any] = {
            "keep_s": None if keep_hours is None else 3600 * keep_hours,
            "keep_bytes": None if keep_mb is None else BYTES_PER_MB * keep_mb,
        }
        self._fps = None if fps is None else limited(Fraction(fps))
        self._annotate = annotate
        self._stream = self._chosen = stream
        self._record = partial(Mp4Writer, preset=preset, crf=crf, threads=threads)
        self._now_s = now_s
        self._info: SourceInfo | None = None
        self._annotator: Annotator | None = None
        self._segment: _Segment | None = None
        self._retention: Retention | None = None
        self._finisher: SegmentFinisher | None = None
        self._mount: Path | None = None
        self._ended: SegmentFinisher | None = None
        self._lock: FolderLock | None = None
        # What the media time 0 is in seconds since 1970, for sources that are read at any speed.
        self._epoch_s: float | None = None
        self._failed = False

    def check(self) -> None:
        """Raise ``SinkError`` if no segment can be written: see ``check_output``."""
        check_output(segment_path(self._folder, self._prefix or "segment", self._now_s()))
        if self._prefix is not None and is_locked_elsewhere(lock_path(self._folder, self._prefix)):
            raise in_use(self.path)

    def files(self, stream: str) -> Sequence[OutputFiles]:
        """All that is named like segments of the stream, of which old ones are deleted; their record; a lock's file."""
        if self._stream not in (None, stream):
            return []
        names = segment_names(self._prefix or stream)
        example = segment_path(self._folder, self._prefix or stream, 0).name
        beside = (lock_path(self._folder, self._prefix or stream), record_path(self._folder, self._prefix or stream))
        return [OutputFiles("the video", self.path, beside, (FolderFiles(self._folder, names, example),))]

    def open(self, stream: str, info: SourceInfo, class_names: Sequence[str]) -> None:
        """A stream starts; it is recorded if it is the chosen one. Segments that are too old go now.

        Raises:
            SinkError: a second stream, where none was chosen.
        """
        if self._stream not in (None, stream):
            return
        if self._info is not None:
            raise SinkError(
                f"cannot write {self.path}: a recording holds one stream, and there are {self._chosen!r} and "
                f"{stream!r}; choose one for it"
            )
        self._prefix = self._prefix or stream
        self._lock = FolderLock(self._folder, self._prefix, patient=info.live)
        self._chosen, self._info = stream, info
        self._annotator = None if self._annotate is None else self._annotate(class_names)
        self._retention = Retention(self._folder, self._prefix, now_s=self._now_s, **self._keep)
        self._finisher = SegmentFinisher(self._retention, patient=info.live)
        self._mount = mount_point(segment_path(self._folder, self._prefix, 0))

    def takes(self, item: TrackedFrame | Event) -> bool:
        """Frames of the stream that is recorded."""
        return isinstance(item, TrackedFrame) and self._stream in (None, item.frame.stream)

    def counts(self) -> OutputCounts:
        """Pictures of the segments so far."""
        finisher, segment = self._finisher or self._ended, self._segment
        recording = None if segment is None else segment.track.recording
        if finisher is None:
            return OutputCounts()
        return finisher.counts() if recording is None else finisher.counts() + recording.counts

    def on_frame(self, tracked: TrackedFrame) -> None:
        """Take a frame; it is drawn and encoded when the next one says how long it was on screen.

        Raises:
            SinkError: the disk is full, or another failure, also in finishing an earlier segment.
        """
        if self._info is None or self._finisher is None or tracked.frame.stream != self._chosen:
            return
        try:
            self._finisher.raise_failure()
            segment = self._segment
            if segment is not None and tracked.frame.pts_s >= segment.end_s:
                self._end_segment(min(tracked.frame.pts_s, segment.end_s + _LONGEST_OVERTIME_S))
            if self._segment is None:
                self._segment = self._begin(tracked, self._info)
                self._finisher.begin(self._segment.path)
            self._segment.track.add(tracked)
        except Exception:
            self._failed = True
            raise

    def on_event(self, event: Event) -> None:
        """End the segment when its stream goes offline, unless it has just begun.

        Raises:
            SinkError: the disk is full, or another failure.
        """
        segment = self._segment
        if segment is None or not isinstance(event, StreamOffline) or event.stream != self._chosen:
            return
        if event.pts_s >= segment.start_s + _SHORTEST_S:
            self._end_segment()

    def close(self, error: BaseException | None = None) -> None:
        """Complete the last segment, and wait until those before it are finished.

        After a clean end or an interrupt it gets its final name. After another error it stays under the partial name,
        which is logged.

        Raises:
            SinkError: the disk is full, or another failure; not when the run has failed already.
        """
        try:
            self._close(error)
        finally:
            if self._lock is not None:
                self._lock.release()

    def _close(self, error: BaseException | None) -> None:
        self._ended = finisher = self._finisher
        self._finisher = None
        segment, self._segment = self._segment, None
        if finisher is None:
            return
        completed = error is None or isinstance(error, KeyboardInterrupt)
        try:
            if segment is not None:
                recording = segment.track.recording if self._failed else segment.track.end()
                finisher.take(segment.path, recording, keep=not completed or self._failed)
        except SinkError as failure:
            if completed:
                raise
            logger.warning("%s", failure)
        finally:
            finisher.close()
        try:
            finisher.raise_failure()
        except SinkError as failure:
            if completed:
                raise
            logger.warning("%s", failure)

    def _end_segment(self, until_s: float | None = None) -> None:
        segment, self._segment = self._segment, None
        if segment is None or self._finisher is None:
            return
        try:
            recording = segment.track.end(until_s)
        except Exception:
            self._segment = segment  # so that close() keeps what there is of it
            self._failed = True
            raise
        if self._info is not None and self._info.live:
            self._fps = self._fps or segment.track.fps
        self._finisher.take(segment.path, recording)

    def _begin(self, tracked: TrackedFrame, info: SourceInfo) -> _Segment:
        assert self._retention is not None
        if self._lock is not None and self._mount is not None and self._mount.is_mount():
            self._lock.renew()
        pts_s = tracked.frame.pts_s
        # A clock that is set back must not have a segment take the name of another.
        path = self._retention.free_path(int(self._wall_s(tracked, info)))
        record = partial(self._record, path, patient=info.live, mount=self._mount)
        track = VideoTrack(info, self._fps, self._annotator, record, origin_s=pts_s)
        return _Segment(path, track, pts_s, pts_s + self._segment_s)

    def _wall_s(self, tracked: TrackedFrame, info: SourceInfo) -> float:
        """When the frame was captured, in seconds since 1970. A file counts as if it began when it was opened."""
        frame = tracked.frame
        if info.live:
            return self._now_s() - (time.monotonic() - frame.captured_s)
        if self._epoch_s is None:
            self._epoch_s = self._now_s() - frame.pts_s
        return self._epoch_s + frame.pts_s


@dataclass(frozen=True, slots=True, eq=False)
class _Segment:
    """The one in hand: its final name, its pictures, and the media times of its begin and end."""

    path: Path
    track: VideoTrack
    start_s: float
    end_s: float
