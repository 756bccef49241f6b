"""What every store of events does alike: a thread of its own that writes what it was given in batches."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from pipeline.event_codec import event_kinds
from pipeline.events import Event, OutputCounts
from pipeline.interfaces import Sink
from pipeline.types import Frame, SourceInfo, TrackedFrame
from sinks.batching import Batcher
from sinks.steady_file import mount_point, require_mounted


class EventStore(Sink, ABC):
    """Hands events to a thread, which writes a batch of them every ``flush_s``.

    In a run with a camera it is patient: short trouble is waited out, up to 100,000 events wait meanwhile, and further
    ones are lost and counted.

    Args:
        place: the file or folder that it writes.
        types: the event types to keep; all by default.
        flush_s: longest time in seconds that an event waits to be written.

    Raises:
        ConfigError: an event type that does not exist.
    """

    may_stall = False  # it has a thread of its own

    def __init__(self, place: Path, *, types: Collection[str] | None, flush_s: float) -> None:
        self._place = place
        self._kinds = event_kinds(types)
        self._flush_s = flush_s
        self._mount: Path | None = None
        self._counts = OutputCounts()
        self._batcher: Batcher[Event | Frame] | None = None

    @abstractmethod
    def _begin(self, live: bool) -> None:
        """Get ready for the first stream."""

    @abstractmethod
    def _write(self, batch: Sequence[Any]) -> None:
        """Write a batch of what was put, all of it or nothing. Called from the thread.

        Raises:
            SinkError: it can't be written; where the store is patient, it is tried again.
        """

    @abstractmethod
    def _finish(self) -> None:
        """Close what is open. Nothing is written any more."""

    @property
    def _patient(self) -> bool:
        return self._batcher is not None and self._batcher.patient

    def _require_mounted(self) -> None:
        """Raise ``FileNotFoundError`` where the disk of the store has gone."""
        if self._mount is not None:
            require_mounted(self._mount)

    def open(self, stream: str, info: SourceInfo, class_names: Sequence[str]) -> None:
        """Open the store with the first stream."""
        if self._batcher is None:
            self._mount = mount_point(self._place)
            self._begin(info.live)
            self._batcher = Batcher(
                self._write,
                name="event store",
                period_s=self._flush_s,
                most=5000,
                counted=lambda item: isinstance(item, Event),
            )
        if info.live:
            self._batcher.patient, self._batcher.when_full = True, "drop"

    def takes(self, item: TrackedFrame | Event) -> bool:
        """Events of the types to keep."""
        return type(item) in self._kinds

    def counts(self) -> OutputCounts:
        """Events so far."""
        return self._counts if self._batcher is None else self._batcher.counts

    def on_event(self, event: Event) -> None:
        """Hand an event to the writing thread. Waits only while 100,000 others do.

        Raises:
            SinkError: what was given before could not be written.
        """
        if self._batcher is None:
            raise RuntimeError(f"{type(self).__name__}: an event came before open")
        if self.takes(event):
            self._batcher.put(event)

    def close(self, error: BaseException | None = None) -> None:
        """Write what is left, and close the store. What was processed is kept, whatever ended the run."""
        batcher = self._batcher
        try:
            if batcher is not None:
                batcher.close()
        finally:
            if batcher is not None:
                self._counts = batcher.counts
            self._batcher = None
            self._finish()
