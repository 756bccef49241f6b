"""The thread that makes final files of recorded segments and then deletes the oldest."""

from __future__ import annotations

import logging
import queue
import threading
from collections import deque
from collections.abc import Callable
from functools import partial
from pathlib import Path

from pipeline.errors import SinkError
from pipeline.events import OutputCounts
from sinks.video.mp4_writer import Mp4Writer
from sinks.video.retention import Retention

logger = logging.getLogger(__name__)

# Segments that may wait to be finished; a disk that falls further behind holds the recording up.
_WAITING = 2
# Segments that could not be finished, for lack of room say, and are tried again after each later one.
_MOST_UNFINISHED = 100
# So many of them may hold in memory what could not be written.
_MOST_IN_MEMORY = 2


class SegmentFinisher:
    """Makes final files of recordings, and applies the retention, in a thread of its own.

    Args:
        retention: of the segments.
        patient: where a segment can't be finished, keep it under its partial name and try again later; otherwise that
            is raised by ``raise_failure``.
    """

    def __init__(self, retention: Retention, *, patient: bool) -> None:
        self._retention = retention
        self._patient = patient
        self._unfinished: deque[tuple[Path, Mp4Writer]] = deque(maxlen=_MOST_UNFINISHED)
        self._failure: BaseException | None = None
        self._lock = threading.Lock()
        self._in_work: list[Mp4Writer] = []
        self._dealt_with: list[Mp4Writer] = []
        self._counts = OutputCounts()
        self._jobs: queue.Queue[Callable[[], None] | None] = queue.Queue(_WAITING)
        self._thread = threading.Thread(target=self._run, name="finish segments")
        self._thread.start()

    def begin(self, path: Path) -> None:
        """A segment of that final name is in hand now."""
        self._retention.hold(path)

    def take(self, path: Path, recording: Mp4Writer | None, *, keep: bool = False) -> None:
        """Finish a segment; with ``keep``, leave it under its partial name."""
        if recording is not None:
            with self._lock:
                self._in_work.append(recording)
        self._jobs.put(partial(self._finish, path, recording, keep))

    def counts(self) -> OutputCounts:
        """Pictures of the segments that it was given; for any thread."""
        with self._lock:
            return sum((recording.counts for recording in self._in_work), self._counts)

    def raise_failure(self) -> None:
        """Raise what went wrong in the thread, once."""
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure

    def close(self) -> None:
        """Finish what was taken, and end the thread."""
        self._jobs.put(None)
        self._thread.join()

    def _run(self) -> None:
        self._do(self._apply)
        while (job := self._jobs.get()) is not None:
            self._do(job)
        for _, recording in self._unfinished:
            self._do(recording.finish)
            recording.give_up()

    def _do(self, job: Callable[[], object]) -> None:
        try:
            job()
        except BaseException as error:  # noqa: BLE001 - raised in the sink's thread
            if self._failure is None:
                self._failure = error
            else:
                logger.error("%s", error)

    def _finish(self, path: Path, recording: Mp4Writer | None, keep: bool) -> None:
        try:
            if recording is not None and keep:
                recording.keep()
            elif recording is not None:
                recording.finish()
        except SinkError as error:
            if not self._patient or recording is None:
                raise
            logger.warning("%s; it is finished later", error)
            self._unfinished.append((path, recording))
            waiting = [recording for _, recording in self._unfinished if recording.waits]
            for recording_before in waiting[:-_MOST_IN_MEMORY]:
                recording_before.give_up()
        else:
            self._finish_others()
        finally:
            self._retention.release(path)
            if recording is not None:
                self._settle(recording)
        if not keep:
            self._apply()

    def _settle(self, recording: Mp4Writer) -> None:
        """Add up what was counted of recordings that have been dealt with, and of which nothing waits any more."""
        with self._lock:
            self._dealt_with.append(recording)
            settled = [one for one in self._dealt_with if not one.waits]
            self._counts = sum((one.counts for one in settled), self._counts)
            self._dealt_with = [one for one in self._dealt_with if one not in settled]
            self._in_work = [one for one in self._in_work if one not in settled]

    def _finish_others(self) -> None:
        while self._unfinished:
            path, recording = self._unfinished[0]
            if recording.waits or recording.partial.exists():
                try:
                    recording.finish()
                except SinkError as error:
                    logger.debug("%s is not finished yet: %s", path, error)
                    return
            self._unfinished.popleft()

    def _apply(self) -> None:
        try:
            self._retention.apply()
        except SinkError as error:
            if not self._patient:
                raise
            logger.warning("%s; old segments are deleted later", error)
