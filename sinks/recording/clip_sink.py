"""The sink that makes clips of a stream's events: some seconds before and after, cut out of the packets of the camera.

source --packets--> PacketRing --event, and its time is over--> thread --clip--> EvidenceFolder, EvidenceDesk
"""

from __future__ import annotations

import logging
import threading
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from pipeline.errors import SinkError
from pipeline.events import Event, OutputCounts, StreamOffline
from pipeline.evidence.desk import EvidenceDesk, Piece
from pipeline.interfaces import Sink
from pipeline.types import Image, SourceInfo, TrackedFrame
from sinks.evidence.folder import EvidenceFolder
from sinks.recording.clips import MEDIA_TYPES, Clip
from sinks.recording.ring import PacketRing

logger = logging.getLogger(__name__)

# What the thread gets to finish when a camera's run ends, so that stopping takes a bounded time.
_LIVE_CLOSE_S = 10.0


@dataclass(frozen=True, slots=True)
class _Job:
    event: Event
    evidence: str
    from_pts_s: float
    to_pts_s: float


class ClipSink(Sink):
    """Makes a clip of each event that names evidence, and lays it on the desk of its stream.

    It is as the camera sent it, from the keyframe at or before its time. Where something is hidden in the stream's
    pictures, it is encoded anew without that. A clip that can't be made is lost, counted and told of.

    Args:
        stream: its name.
        desk: says what is wanted, and takes what is finished.
        folder: takes the files; another opens and closes it.
        before_s, after_s: seconds before and after the event.

    Attributes:
        packets: takes those of the stream's source.
    """

    may_stall = False

    def __init__(
        self, stream: str, desk: EvidenceDesk, folder: EvidenceFolder, *, before_s: float, after_s: float
    ) -> None:
        self._stream = stream
        self._desk = desk
        self._folder = folder
        self._around_s = (before_s, after_s)
        self._keep_s = before_s + after_s
        self.packets = PacketRing(self._keep_s)
        self._masks = Masks(2 * self._keep_s + 30)
        self._live = False
        self._changed = threading.Condition()
        self._due: deque[_Job] = deque()
        self._now_s = float("-inf")
        self._released = self._closed = False
        self._counts = OutputCounts()
        self._failure: BaseException | None = None
        self._thread: threading.Thread | None = None
        desk.when_ending(self._release)

    def open(self, stream: str, info: SourceInfo, class_names: Sequence[str]) -> None:
        """The stream starts."""
        self._live = info.live
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name=f"clips of {stream}")
            self._thread.start()

    def takes(self, item: TrackedFrame | Event) -> bool:
        """Events that name evidence; frames only tell the time."""
        return isinstance(item, Event) and self._wants(item)

    def counts(self) -> OutputCounts:
        """Events that were to have a clip, and those that have one."""
        return self._counts

    def on_frame(self, tracked: TrackedFrame) -> None:
        """Note its time, and what is hidden in it."""
        self._raise_failure()
        frame = tracked.frame
        self.packets.seen(frame.captured_s, frame.pts_s)
        self._masks.add(frame.pts_s, frame.alter)
        with self._changed:
            self._now_s = frame.pts_s
            if self._due and self._due[0].to_pts_s <= frame.pts_s:
                self._changed.notify_all()

    def on_event(self, event: Event) -> None:
        """Have a clip made of an event that names evidence, as soon as its time is over."""
        if isinstance(event, StreamOffline):
            self._release()
        evidence = getattr(event, "evidence", None)
        if evidence is None or not self._wants(event):
            return
        before_s, after_s = self._around_s
        with self._changed:
            self._counts += OutputCounts(given=1)
            self._due.append(_Job(event, evidence, event.pts_s - before_s, event.pts_s + after_s))
            self._released = False
            self._changed.notify_all()

    def close(self, error: BaseException | None = None) -> None:
        """Finish the clips that are due.

        Raises:
            SinkError: that takes too long.
        """
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join(_LIVE_CLOSE_S if self._live else None)
            if self._thread.is_alive():
                raise SinkError(f"{self._stream}: a clip was not finished within {_LIVE_CLOSE_S:g} s")
        if error is None:
            self._raise_failure()

    def _wants(self, event: Event) -> bool:
        return getattr(event, "evidence", None) is not None and self._desk.wanted(event)

    def _release(self) -> None:
        """Wait no longer for what comes after the events that are due."""
        with self._changed:
            self._released = True
            self._changed.notify_all()

    def _next(self) -> _Job | None:
        """The next job when its time is over; None at the end."""

        def ready() -> bool:
            if not self._due:
                return self._closed
            return self._closed or self._released or self._due[0].to_pts_s <= self._now_s

        with self._changed:
            self._changed.wait_for(ready)
            return self._due.popleft() if self._due else None

    def _run(self) -> None:
        while (job := self._next()) is not None:
            done = False
            try:
                done = self._failure is None and self._make(job)
            except SinkError as error:
                logger.warning("%s; the clip of event %d of %s is lost", error, job.event.seq, self._stream)
            except BaseException as error:  # noqa: BLE001 - raised in the loop's thread
                self._failure = error
            finally:
                self._desk.settle(job.evidence)
                with self._changed:
                    self._counts += OutputCounts(written=int(done), lost=int(not done))

    def _raise_failure(self) -> None:
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure

    def _make(self, job: _Job) -> bool:
        masked, after_s = self._desk.masked, self._desk.hidden_after_s
        part = self.packets.cut(job.from_pts_s, job.to_pts_s, job.event.pts_s, after_s=after_s)
        if part is None:
            logger.warning("%s: there are no packets for a clip of event %d", self._stream, job.event.seq)
            return False
        clip = Clip(self._stream, part)
        suffix = ".mp4" if masked else clip.suffix
        partial = self._folder.begin("clip", suffix)
        try:
            if masked:
                clip.write_masked(partial, self._masks.hide)
            else:
                clip.write(partial)
        except SinkError:
            with suppress(OSError):
                partial.unlink(missing_ok=True)
            raise
        size = partial.stat().st_size
        path = self._folder.complete(partial, job.event, "clip", suffix)
        self._desk.put(
            Piece(
                evidence=job.evidence,
                kind="clip",
                path=path,
                media_type=MEDIA_TYPES[suffix],
                size_bytes=size,
                from_pts_s=round(clip.from_pts_s, 6),
                to_pts_s=round(clip.to_pts_s, 6),
                annotated=False,
                masked=masked,
            )
        )
        return True


class Masks:
    """What was hidden in the frames that were seen lately. For any thread.

    Args:
        keep_s: for how many seconds.
    """

    def __init__(self, keep_s: float) -> None:
        self._keep_s = keep_s
        self._lock = threading.Lock()
        self._times: list[float] = []
        self._hides: list[Callable[[Image], Image] | None] = []

    def add(self, pts_s: float, hide: Callable[[Image], Image] | None) -> None:
        """A frame was seen, whose pictures ``hide`` made of others; None where nothing is hidden in it."""
        with self._lock:
            self._times.append(pts_s)
            self._hides.append(hide)
            if self._times[0] < pts_s - 2 * self._keep_s:
                gone = bisect_right(self._times, pts_s - self._keep_s)
                del self._times[:gone], self._hides[:gone]

    def hide(self, pts_s: float, image: Image) -> Image | None:
        """A picture of that time with everything hidden that is in the frames seen before and after it; None where no
        frame was seen."""
        with self._lock:
            after = bisect_right(self._times, pts_s)
            near = self._hides[max(0, after - 1) : after + 1]
        if not near:
            return None
        for hide in near:
            image = image if hide is None else hide(image)
        return image
