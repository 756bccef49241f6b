"""Events kept in an SQLite file, run after run, for queries and reports. See docs/store.md."""

from __future__ import annotations

import logging
import os
import sqlite3
from collections.abc import Collection, Sequence
from pathlib import Path

from pipeline.errors import SinkError
from pipeline.events import Event
from pipeline.files import BYTES_PER_MB, OutputFiles
from pipeline.types import Frame, SourceInfo, TrackedFrame
from sinks.output_files import check_output, write_error
from sinks.store.check import check_store
from sinks.store.event_store import EventStore
from sinks.store.schema import store_files
from sinks.store.sqlite_writer import StoreWriter

logger = logging.getLogger(__name__)

# How long a run with a camera waits for another writer at a time.
_LIVE_BUSY_S = 1.0


class SqliteStore(EventStore):
    """Keeps events in an SQLite file. A later run adds to it; each event has the ``run`` it belongs to.

    A thread writes, in one transaction every ``flush_s``. A process that is killed loses the events of that time at
    most, and a machine that loses power no more than that: each transaction is synced to the disk. The file is never
    left torn. Other programs can read while it is written (write-ahead log).

    In a run with a camera, short trouble is waited out: a full disk, a file that is locked or gone. Up to 100,000
    events wait meanwhile; further ones are lost and counted.

    One picture of each stream, the first, is kept for reports.

    Args:
        path: the file; made if it is not there.
        types: the event types to keep, such as ``{"line.crossed", "window.second"}``; all by default.
        keep_days: events older than this are deleted; None keeps them. What counts is time that has passed, not what
            the clock says: see ``sinks.store.ages``.
        max_mb: the oldest events are deleted so that the file stays below this many million bytes; its write-ahead log
            takes a few more. None sets no limit.
        flush_s: longest time in seconds that an event waits to be written, at most 1.
        pictures: keep the first picture of each stream.

    Raises:
        ConfigError: an event type that does not exist.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        types: Collection[str] | None = None,
        keep_days: float | None = None,
        max_mb: float | None = None,
        flush_s: float = 0.5,
        pictures: bool = True,
    ) -> None:
        if keep_days is not None and keep_days <= 0:
            raise ValueError(f"keep_days: expected more than 0, got {keep_days}")
        if max_mb is not None and max_mb < 1:
            raise ValueError(f"max_mb: expected 1 or more, got {max_mb}")
        if not 0 < flush_s <= 1:
            raise ValueError(f"flush_s: expected more than 0 and at most 1, got {flush_s}")
        self.path = Path(path)
        super().__init__(self.path, types=types, flush_s=flush_s)
        self._keep_days = keep_days
        self._max_bytes = None if max_mb is None else int(max_mb * BYTES_PER_MB)
        self._pictures = pictures
        self._pictured: set[str] = set()
        self._writer: StoreWriter | None = None

    def check(self) -> None:
        """Raise ``SinkError`` if the file can't be written, or is something else than a store of events."""
        check_output(self.path)
        if self.path.exists() and self.path.stat().st_size:
            check_store(self.path)

    def files(self, stream: str) -> Sequence[OutputFiles]:
        """The file, and those that SQLite keeps beside it."""
        return [OutputFiles("the store of events", self.path, store_files(self.path))]

    def open(self, stream: str, info: SourceInfo, class_names: Sequence[str]) -> None:
        """Open the file with the first stream."""
        self._pictured.discard(stream)
        super().open(stream, info, class_names)

    def _begin(self, live: bool) -> None:
        self._writer = self._first_connection(live)

    def _first_connection(self, live: bool) -> StoreWriter | None:
        """A connection; None where a run with a camera has to wait for it."""
        try:
            return self._connect(busy_s=_LIVE_BUSY_S) if live else self._connect()
        except SinkError as error:
            if not live or not isinstance(error.__cause__, sqlite3.OperationalError):
                raise
            logger.debug("%s; it is tried again with the first event", error)
            return None

    def _connect(self, **options: float) -> StoreWriter:
        return StoreWriter(self.path, keep_days=self._keep_days, max_bytes=self._max_bytes, **options)

    def _write(self, batch: Sequence[Event | Frame]) -> None:
        """Write a batch. In a run with a camera a new connection is made where the old one is of no use any more."""
        writer = self._writer
        if self._patient and (writer is None or writer.broken or not writer.present):
            try:
                self._require_mounted()
            except FileNotFoundError as error:
                raise write_error(self.path, error) from error
            self._writer = None
            if writer is not None:
                writer.abandon()
            writer = self._writer = self._connect(busy_s=_LIVE_BUSY_S)
        assert writer is not None
        writer.write(batch)
        try:
            writer.tidy()
        except SinkError as error:
            if not self._patient:
                raise
            logger.debug("%s; it is tidied later", error)

    def on_frame(self, tracked: TrackedFrame) -> None:
        """Keep the first picture of each stream."""
        frame = tracked.frame
        if self._pictures and self._batcher is not None and frame.stream not in self._pictured:
            self._pictured.add(frame.stream)
            self._batcher.put(frame)

    def _finish(self) -> None:
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.close()
