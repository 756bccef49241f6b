"""The camera's own packets, pictures and sound, as a row of files: ``door-20261122T041500Z.mp4`` and so on.

source --packets--> Recorder's thread --> FOLDER/door-...mp4, or FOLDER/events/door-...mp4
stream --events---> RecordingSink --what is to be kept--^
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Literal, get_args

from pipeline.errors import SinkError
from pipeline.events import Event, OutputCounts
from pipeline.files import BYTES_PER_MB, FolderFiles, OutputFiles
from pipeline.interfaces import Sink
from pipeline.types import SourceInfo, TrackedFrame
from sinks.locks import FolderLock, in_use, is_locked_elsewhere, lock_path
from sinks.output_files import check_output, make_folder
from sinks.recording.packet_queue import PacketQueue, Wanted
from sinks.recording.recorder import Recorder
from sinks.recording.shelves import Shelves
from sinks.recording.situations import Situations
from sinks.video.retention import Retention, record_path, segment_names, segment_path

Mode = Literal["continuous", "events"]

EVENTS_FOLDER = "events"
"""Where segments go that belong to an event, in the folder of the recording."""

# What the thread gets to work off its queue when a camera's run ends, so that stopping takes a bounded time.
_LIVE_CLOSE_S = 10.0


class RecordingSink(Sink):
    """Records one stream's packets as they came, without decoding or encoding them.

    They come from its source: ``open_source(..., tap=PacketTap([sink.packets], sound=True))``. What goes into which
    file, and when they are deleted: see ``sinks.recording.recorder`` and ``sinks.video.retention``.

    Args:
        folder: where to; it is made if it is not there.
        stream: the stream's name, which files begin with.
        mode: ``"continuous"`` records everything; ``"events"`` what is around events.
        types: of the events that count. A segment during which something of that kind went on belongs to it.
        before_s, after_s: what belongs to an event besides it, in seconds.
        segment_s: length of a segment in seconds of media time, at least 1.
        keep_hours, keep_mb: delete segments that ended longer ago, and the oldest beyond so many million bytes.
        keep_free_mb: delete the oldest, those without an event first, while fewer million bytes of the disk are free.
        event_keep_hours, event_keep_mb: likewise for segments that belong to an event.
        now_s: the time, in seconds since 1970.

    Attributes:
        packets: takes them.

    Raises:
        ValueError: a value that is out of range.
    """

    may_stall = False

    def __init__(
        self,
        folder: str | os.PathLike[str],
        stream: str,
        *,
        mode: Mode = "continuous",
        types: Collection[str] = ("alert.started",),
        before_s: float = 10.0,
        after_s: float = 10.0,
        segment_s: float = 300.0,
        keep_hours: float | None = None,
        keep_mb: float | None = None,
        keep_free_mb: float | None = None,
        event_keep_hours: float | None = None,
        event_keep_mb: float | None = None,
        now_s: Callable[[], float] = time.time,
    ) -> None:
        if mode not in get_args(Mode):
            raise ValueError(f"mode: expected one of {', '.join(get_args(Mode))}, got {mode!r}")
        if not segment_s >= 1:
            raise ValueError(f"segment_s: expected 1 or more, got {segment_s}")
        if not (before_s >= 0 and after_s >= 0):
            raise ValueError(f"before_s and after_s: expected 0 or more, got {before_s} and {after_s}")
        limits = (keep_hours, keep_mb, keep_free_mb, event_keep_hours, event_keep_mb)
        if any(limit is not None and not limit > 0 for limit in limits):
            raise ValueError(f"expected limits above 0, got {limits}")
        self._folder = Path(folder)
        self._stream = stream
        self._mode = mode
        self._situations = Situations(types)
        self._around_s = (before_s, after_s)
        self._segment_s = segment_s
        self._keep = (keep_hours, keep_mb), (event_keep_hours, event_keep_mb)
        self._keep_free_mb = keep_free_mb
        self._now_s = now_s
        self._lock: FolderLock | None = None
        self._recorder: Recorder | None = None
        self._live = False
        self._shift_s = 0.0
        self.packets = PacketQueue(now_wanted=self._records)

    def check(self) -> None:
        """Raise ``SinkError`` if no segment can be written: see ``check_output``."""
        for folder in self._folders:
            check_output(segment_path(folder, self._stream, self._now_s()))
        if is_locked_elsewhere(lock_path(self._folder, self._stream)):
            raise in_use(self._folder)

    def files(self, stream: str) -> Sequence[OutputFiles]:
        """All that is named like segments of the stream, of which old ones are deleted; their record; a lock's file."""
        if stream != self._stream:
            return []
        names, example = segment_names(stream), segment_path(self._folder, stream, 0).name
        beside = (lock_path(self._folder, stream), *(record_path(folder, stream) for folder in self._folders))
        shelves = tuple(FolderFiles(folder, names, example) for folder in self._folders)
        return [OutputFiles("the recording", self._folder, beside, shelves)]

    def open(self, stream: str, info: SourceInfo, class_names: Sequence[str]) -> None:
        """A stream starts; it is recorded if it is the chosen one. Segments that are too old go now.

        Raises:
            SinkError: another run records it there.
        """
        if stream != self._stream or self._recorder is not None:
            return
        for folder in self._folders:
            make_folder(folder, os.fspath(self._folder))
        self._lock = FolderLock(self._folder, stream, patient=info.live)
        self._live = info.live
        free = None if self._keep_free_mb is None else BYTES_PER_MB * self._keep_free_mb
        plain, events = (
            Retention(
                folder,
                stream,
                keep_s=None if hours is None else 3600 * hours,
                keep_bytes=None if megabytes is None else BYTES_PER_MB * megabytes,
                keep_free_bytes=free,
                now_s=self._now_s,
            )
            for folder, (hours, megabytes) in zip(self._folders, self._keep, strict=True)
        )
        self._recorder = Recorder(
            stream,
            Shelves(plain, events, only_events=self._mode == "events", patient=info.live),
            segment_s=self._segment_s,
            only_events=self._mode == "events",
            before_s=self._around_s[0],
            patient=info.live,
            queue=self.packets,
            now_s=self._now_s,
        )

    def counts(self) -> OutputCounts:
        """Pictures that were to be recorded so far."""
        return OutputCounts() if self._recorder is None else self._recorder.counts()

    def takes(self, item: TrackedFrame | Event) -> bool:
        """None: it counts packets."""
        return False

    def on_frame(self, tracked: TrackedFrame) -> None:
        """Note when the stream's media time is.

        Raises:
            SinkError: the disk is full, or another failure; not of a camera.
        """
        if self._recorder is None or tracked.frame.stream != self._stream:
            return
        self._recorder.raise_failure()
        if self._live:
            self._shift_s = tracked.frame.captured_s - tracked.frame.pts_s

    def on_event(self, event: Event) -> None:
        """Have kept what belongs to an event."""
        if event.stream != self._stream or not self._situations.look(event):
            return
        at_s = event.pts_s + self._shift_s
        before_s, after_s = self._around_s
        self.packets.put(Wanted(at_s - before_s, at_s + after_s + self._situations.lasting_s))

    def close(self, error: BaseException | None = None) -> None:
        """Complete the last segment. What was recorded is whole, so it gets its name after any error, too.

        Raises:
            SinkError: the disk is full, or another failure; not when the run has failed already. Or the disk does not
                answer; what is being written then stays under its partial name.
        """
        self.packets.close()
        try:
            self._close(error)
        finally:
            if self._lock is not None:
                self._lock.release()

    def _close(self, error: BaseException | None) -> None:
        recorder = self._recorder
        if recorder is None:
            return
        if not recorder.close(_LIVE_CLOSE_S if self._live else None):
            raise SinkError(f"cannot write {self._folder}: the disk did not answer within {_LIVE_CLOSE_S:g} s")
        if error is None or isinstance(error, KeyboardInterrupt):
            recorder.raise_failure()

    def _records(self) -> bool:
        return self._recorder is not None and self._recorder.recording

    @property
    def _folders(self) -> tuple[Path, Path]:
        return self._folder, self._folder / EVENTS_FOLDER
