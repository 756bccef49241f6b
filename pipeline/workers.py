"""The two threads beside the main one: a source that decodes ahead, and a sink that may stall.

Neither is a daemon: ``Producer.stop`` and ``SinkWorker.close`` join them. An exception in a worker is raised again,
with its traceback, in the thread that the worker serves.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Self

from pipeline.channel import Channel, ChannelClosed, Lane, WhenFull
from pipeline.errors import SinkError
from pipeline.events import Event
from pipeline.ledger import Ledger
from pipeline.timing import Timings
from pipeline.types import Frame, Sink, Source, SourceInfo, TrackedFrame

logger = logging.getLogger(__name__)


class Producer:
    """Reads a source in a thread of its own, puts its frames into a channel and keeps the stream's ledger.

    Each frame counts as decoded before it is put. Frames that the source reports as failed count as decoded and failed.
    At the end of the source the channel is closed; if the source raises, with its error, which then reaches the reader.
    The thread closes the source. As a context manager it starts on entry and stops on exit.

    Args:
        source: read and closed by the thread; nobody else may touch it once ``start`` was called.
        channel: whose only producer this is. Where it drops, its ``on_drop`` is to count in ``ledger``.
        ledger: the stream's account.
        timings: gets the time that each frame took as stage ``decode``; for a live source that includes waiting for it.
    """

    def __init__(self, source: Source, channel: Channel[Frame], ledger: Ledger, timings: Timings) -> None:
        self._source = source
        self._channel = channel
        self._ledger = ledger
        self._timings = timings
        self._failed: Counter[str] = Counter()
        self._stop_reason: str | None = None
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()

    def start(self) -> None:
        """Start reading. May be called once; after ``stop`` it does nothing, as the reader finds the end anyway."""
        with self._starting:
            if self._thread is not None:
                raise RuntimeError("a Producer can be started only once")
            if self._stop_reason is None:
                self._thread = threading.Thread(target=self._run, name=f"decode {self._source.stream}")
                self._thread.start()

    def stop(self, reason: str = "interrupted", timeout_s: float | None = None) -> bool:
        """Stop reading and wait until the source is closed, or for ``timeout_s`` seconds.

        Frames decoded that nobody has read count as dropped with ``reason``. May be called by any thread and again.

        Returns:
            Whether the thread has ended; False only after the timeout, while the source is still in a read.
        """
        with self._starting:
            first = self._stop_reason is None
            if first:
                self._stop_reason = reason
            thread = self._thread
        self._ledger.dropped(reason, len(self._channel.cancel()))
        if thread is None:
            if first:
                self._source.close()
            return True
        thread.join(timeout_s)
        return not thread.is_alive()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        failed = kind is not None and not issubclass(kind, KeyboardInterrupt)
        self.stop("error" if failed else "interrupted")

    def _run(self) -> None:
        failure: BaseException | None = None
        try:
            try:
                self._read()
            finally:
                self._source.close()
                self._count_failed()
        except BaseException as error:  # noqa: BLE001 - it is raised again in the reader's thread
            failure = error
            if self._stop_reason is not None:  # the reader has left
                logger.warning("%s: while it was being stopped: %s", self._source.stream, error)
        self._channel.close(failure)

    def _read(self) -> None:
        frames = iter(self._source)
        while self._stop_reason is None:
            start = perf_counter()
            frame = next(frames, None)
            elapsed = perf_counter() - start
            self._count_failed()
            if frame is None:
                return
            self._timings.add("decode", elapsed)
            self._ledger.decoded()
            if not self._channel.put(frame):
                self._ledger.dropped(self._stop_reason or "interrupted")
                return

    def _count_failed(self) -> None:
        for reason, count in self._source.failed.items():
            more = count - self._failed[reason]
            if more > 0:
                self._failed[reason] = count
                self._ledger.decoded(more)
                self._ledger.failed(reason, more)


@dataclass(frozen=True, slots=True, eq=False)
class _Open:
    stream: str
    info: SourceInfo
    class_names: Sequence[str]


_Call = _Open | TrackedFrame | Event


class SinkWorker(Sink):
    """Runs another sink in a thread of its own, so that it may stall without holding up the pipeline.

    The sink sees the same calls in the same order, except for what is dropped under ``"drop_oldest"``: per stream the
    oldest frame where more than ``capacity`` are queued, and the oldest event where more than ``event_capacity`` are.
    ``open`` and ``close`` are never dropped. Under ``"wait"`` the caller waits instead. Memory is bounded both ways.

    An exception in the sink ends it (it is closed with that error, what is queued is discarded) and is raised again at
    the caller's next call, or at ``close`` if there was none. ``check`` runs in the caller's thread.

    Args:
        sink: the sink to run; nobody else may touch it once ``open`` was called.
        capacity: frames queued per stream, at least 1; each holds on to its picture.
        event_capacity: events queued per stream, at least 1.
        when_full: ``"wait"`` for files, ``"drop_oldest"`` for live streams.
        on_drop: called with each frame or event that the sink will not see, and why: ``"slow"`` (it could not keep up),
            ``"timeout"`` (its time to drain was over) or ``"failed"`` (the sink had raised).
        timeout_s: seconds that ``close`` gives the sink to work off its queue, and again as much to finish after that;
            None means as long as it takes.
        timings: gets the time of each ``on_frame`` as stage ``name``.
        name: of the thread and in messages; by default the sink's class.
    """

    may_stall = False

    def __init__(
        self,
        sink: Sink,
        *,
        capacity: int = 8,
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
        self._when_full: WhenFull = when_full
        self._on_drop = on_drop
        self._timeout_s = timeout_s
        self._timings = timings
        self._name = name or type(sink).__name__
        self._channel: Channel[_Call] = Channel(
            capacity, when_full=when_full, lane=self._lane, on_drop=lambda call: self._count(call, "slow")
        )
        self._count_lock = threading.Lock()
        self._dropped_frames: Counter[str] = Counter()
        self._dropped_events: Counter[str] = Counter()
        self._thread: threading.Thread | None = None
        self._failure: BaseException | None = None
        self._failure_raised = False
        self._closed = False
        self._close_error: BaseException | None = None

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
                self._make(call)
        except BaseException as error:  # noqa: BLE001 - it is raised again in the caller's thread
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
        if isinstance(call, TrackedFrame):
            if self._timings is None:
                self._sink.on_frame(call)
            else:
                with self._timings.stage(self._name):
                    self._sink.on_frame(call)
        elif isinstance(call, Event):
            self._sink.on_event(call)
        else:
            self._sink.open(call.stream, call.info, call.class_names)

    def _lane(self, call: _Call) -> Lane:
        if isinstance(call, TrackedFrame):
            return Lane(("frames", call.frame.stream), self._capacity, self._when_full)
        if isinstance(call, Event):
            return Lane(("events", call.stream), self._event_capacity, self._when_full)
        return Lane("open", self._event_capacity, "wait")

    def _count_all(self, calls: Sequence[_Call], reason: str) -> None:
        for call in calls:
            self._count(call, reason)

    def _count(self, call: _Call, reason: str) -> None:
        if isinstance(call, _Open):
            return
        with self._count_lock:
            if isinstance(call, TrackedFrame):
                self._dropped_frames[reason] += 1
            else:
                self._dropped_events[reason] += 1
        if self._on_drop is not None:
            self._on_drop(call, reason)
