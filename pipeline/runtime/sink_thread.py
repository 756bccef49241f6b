"""The sink thread: it keeps a sink that stalls from holding up the pipeline.

It is no daemon: ``SinkThread.close`` joins it. An exception in it is raised again, with its traceback, in the thread
that the sink serves.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import monotonic

from pipeline.errors import SinkError
from pipeline.events import Event, OutputCounts
from pipeline.files import OutputFiles
from pipeline.interfaces import Sink
from pipeline.runtime.channel import Channel, ChannelClosed, Lane, WhenFull
from pipeline.runtime.picture_memory import PictureMemory
from pipeline.runtime.timing import Durations, Timings
from pipeline.types import SourceInfo, TrackedFrame

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class _Open:
    stream: str
    info: SourceInfo
    class_names: Sequence[str]


_Call = _Open | TrackedFrame | Event


@dataclass(frozen=True, slots=True)
class SinkQueue:
    """What waits for a sink.

    Attributes:
        waiting: calls that it has not begun.
        busy_s: seconds for which it has been in the call that it is in; 0 when it is in none.
    """

    waiting: int
    busy_s: float


class SinkThread(Sink):
    """Runs another sink in a thread of its own, so that it may stall without holding up the pipeline.

    The sink sees the same calls in the same order, except for what is dropped under ``"drop_oldest"``: per stream the
    oldest frame where more than ``capacity`` are queued, and the oldest event where more than ``event_capacity`` are.
    ``open`` and ``close`` are never dropped. Under ``"wait"`` the caller waits instead. Memory is bounded both ways.

    An exception in the sink ends it (it is closed with that error, what is queued is discarded) and is raised again at
    the caller's next call, or at ``close`` if there was none. ``check`` runs in the caller's thread.

    Args:
        sink: the sink to run; nobody else may touch it once ``open`` was called, but for ``counts`` and ``takes``.
        capacity: frames queued per stream, at least 1; each holds on to its picture.
        memory: says whether there is room for another picture in the queue; None: there always is.
        event_capacity: events queued per stream, at least 1.
        when_full: ``"wait"`` for files, ``"drop_oldest"`` for live streams.
        on_drop: called with each frame or event that the sink will not see, and why: ``"slow"`` (it could not keep up),
            ``"timeout"`` (its time to drain was over) or ``"failed"`` (the sink had raised).
        timeout_s: seconds that ``close`` gives the sink to work off its queue, and again as much to finish after that;
            None means as long as it takes.
        timings: gets the time of each ``on_frame`` as stage ``name``.
        name: of the thread and in messages; by default the sink's class.

    Attributes:
        latency: from a frame's capture to the end of the sink's ``on_frame``.
    """

    may_stall = False

    def __init__(
        self,
        sink: Sink,
        *,
        capacity: int = 8,
        memory: PictureMemory | None = None,
        event_capacity: int = 10_000,
        when_full: WhenFull = "wait",
        on_drop: Callable[[TrackedFrame | Event, str], None] | None = None,
        timeout_s: float | None = None,
        timings: Timings | None = None,
        name: str | None = None,
    ) -> None:
        if event_capacity < 1:
            raise ValueError(f"event_capacity: expected at least 1, got {event_capacity}")
        self._sink = sink
        self._event_capacity = event_capacity
        self._capacity = capacity
        self._memory = memory
        self._when_full: WhenFull = when_full
        self._on_drop = on_drop
        self._timeout_s = timeout_s
        self._timings = timings or Timings()
        self.latency = Durations()
        self._name = name or type(sink).__name__
        self._channel: Channel[_Call] = Channel(
            capacity,
            when_full=when_full,
            lane=self._lane,
            on_drop=lambda call: self._count(call, "slow"),
            fits=self._fits,
        )
        self._count_lock = threading.Lock()
        self._dropped_frames: Counter[str] = Counter()
        self._dropped_events: Counter[str] = Counter()
        self._unseen = 0
        self._seen = OutputCounts()
        self._busy_since_s: float | None = None
        self._thread: threading.Thread | None = None
        self._failure: BaseException | None = None
        self._failure_raised = False
        self._closed = False
        self._close_error: BaseException | None = None

    def wait_for_all(self) -> None:
        """From now on let the caller wait instead of dropping anything, and let ``close`` take as long as it takes."""
        self._when_full, self._timeout_s = "wait", None

    @property
    def dropped_frames(self) -> dict[str, int]:
        """Frames that the sink did not see, by reason."""
        with self._count_lock:
            return dict(self._dropped_frames)

    @property
    def dropped_events(self) -> dict[str, int]:
        """Events that the sink did not see, by reason."""
        with self._count_lock:
            return dict(self._dropped_events)

    def check(self) -> None:
        """The sink's own check, in this thread."""
        self._sink.check()

    def files(self, stream: str) -> Sequence[OutputFiles]:
        """The sink's own files."""
        return self._sink.files(stream)

    def counts(self) -> OutputCounts:
        """The sink's own counts, or where it keeps none those of this thread, and what it takes and did not see."""
        counts = self._sink.counts()
        with self._count_lock:
            unseen = OutputCounts(given=self._unseen, lost=self._unseen, unseen=self._unseen)
            return (self._seen if counts is None else counts) + unseen

    def queue(self) -> SinkQueue:
        """What waits for the sink now; for any thread."""
        since_s = self._busy_since_s
        return SinkQueue(len(self._channel), 0.0 if since_s is None else monotonic() - since_s)

    def open(self, stream: str, info: SourceInfo, class_names: Sequence[str]) -> None:
        """Queue the sink's ``open``."""
        self._put(_Open(stream, info, class_names))

    def on_frame(self, tracked: TrackedFrame) -> None:
        """Queue the sink's ``on_frame``."""
        self._put(tracked)

    def on_event(self, event: Event) -> None:
        """Queue the sink's ``on_event``."""
        self._put(event)

    def close(self, error: BaseException | None = None) -> None:
        """Let the sink work off its queue, close it with ``error`` in its thread, and wait for that.

        Raises:
            SinkError: the sink did not come to its end in time; its thread is left to end by itself.
            BaseException: what the sink raised, unless an earlier call has raised it already.
        """
        if self._closed:
            return
        self._closed = True
        self._close_error = error
        thread = self._start()
        self._channel.close()
        thread.join(self._timeout_s)
        if thread.is_alive():
            left = self._channel.cancel()
            self._count_all(left, "timeout")
            logger.warning("%s did not keep up: %d queued calls were left out at the end", self._name, len(left))
            thread.join(self._timeout_s)
        if thread.is_alive():
            raise SinkError(
                f"{self._name} did not finish within {2 * (self._timeout_s or 0):g} s; its output may be incomplete"
            )
        if self._failure is not None and not self._failure_raised:
            self._raise_failure(self._failure)

    def _put(self, call: _Call) -> None:
        self._start()
        try:
            taken = self._channel.put(call)
        except ChannelClosed:
            raise RuntimeError(f"{self._name}: called after close") from None
        if not taken:
            if self._failure is None:
                raise RuntimeError(f"{self._name}: called after close")
            self._count(call, "failed")
            self._raise_failure(self._failure)

    def _raise_failure(self, failure: BaseException) -> None:
        self._failure_raised = True
        raise failure

    def _start(self) -> threading.Thread:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name=f"sink {self._name}")
            self._thread.start()
        return self._thread

    def _run(self) -> None:
        try:
            for call in self._channel:
                self._busy_since_s = monotonic()
                self._make(call)
                self._busy_since_s = None
                del call  # while the next one is waited for, its picture would be held
                if self._memory is not None:
                    self._memory.freed()
        except BaseException as error:  # noqa: BLE001 - it is raised again in the caller's thread
            if not isinstance(error, Exception):  # what ends a thread or a process must not end the caller's
                failure = SinkError(f"{self._name} raised {type(error).__name__}")
                failure.__cause__ = error
                error = failure
            self._failure = error  # before the caller's `put` finds the channel cancelled
        left = self._channel.cancel()
        try:
            self._sink.close(self._failure or self._close_error)
        except BaseException as error:  # noqa: BLE001 - it is raised again in the caller's thread
            if self._failure is None:
                self._failure = error
            else:
                logger.error("%s failed again while it was being closed: %s", self._name, error)
        self._count_all(left, "failed")

    def _make(self, call: _Call) -> None:
        if isinstance(call, _Open):
            self._sink.open(call.stream, call.info, call.class_names)
            return
        takes = int(self._sink.takes(call))
        done = 0
        try:
            self._pass_on(call)
            done = takes
        finally:
            with self._count_lock:
                self._seen += OutputCounts(given=takes, written=done, lost=takes - done)

    def _pass_on(self, call: TrackedFrame | Event) -> None:
        if isinstance(call, TrackedFrame):
            with self._timings.stage(self._name):
                self._sink.on_frame(call)
            self.latency.add(monotonic() - call.frame.captured_s)
        else:
            self._sink.on_event(call)

    def _lane(self, call: _Call) -> Lane:
        if isinstance(call, TrackedFrame):
            return Lane(("frames", call.frame.stream), self._capacity, self._when_full)
        if isinstance(call, Event):
            return Lane(("events", call.stream), self._event_capacity, self._when_full)
        return Lane("open", self._event_capacity, "wait")

    def _fits(self, call: _Call) -> bool:
        return self._memory is None or not isinstance(call, TrackedFrame) or self._memory.has_room()

    def _count_all(self, calls: Sequence[_Call], reason: str) -> None:
        for call in calls:
            self._count(call, reason)

    def _count(self, call: _Call, reason: str) -> None:
        if isinstance(call, _Open):
            return
        takes = self._sink.takes(call)
        with self._count_lock:
            self._unseen += takes
            if isinstance(call, TrackedFrame):
                self._dropped_frames[reason] += 1
            else:
                self._dropped_events[reason] += 1
        if self._on_drop is not None:
            self._on_drop(call, reason)
