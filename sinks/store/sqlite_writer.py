"""The connection that writes a store of events."""

from __future__ import annotations

import logging
import os
import sqlite3
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import cv2

from pipeline.errors import SinkError
from pipeline.events import Event
from pipeline.types import Frame, Image
from sinks.output_files import write_error
from sinks.store.ages import EventAges
from sinks.store.check import check_version
from sinks.store.schema import ADDED, APPLICATION_ID, INSERT, SCHEMA, SCHEMA_VERSION, row_of

logger = logging.getLogger(__name__)

_BUSY_S = 10.0  # how long another writer of the same file is waited for
_TRIM_S = 0.2  # how long old events are deleted for at a time, so that new ones don't wait
_TRIM_ROWS = 2000
_FRAME_WIDTH = 960  # pixels; enough for a report
_ADVICE = {
    sqlite3.SQLITE_FULL: "the disk is full; free some space or choose another place",
    sqlite3.SQLITE_BUSY: "another program keeps it locked; end that one or choose another name",
    sqlite3.SQLITE_READONLY: "it is write-protected; choose another name or change the permissions",
    sqlite3.SQLITE_CANTOPEN: "it can't be opened; check its folder and the permissions",
    sqlite3.SQLITE_CORRUPT: "the file is damaged; move it away, and a new one is made",
    sqlite3.SQLITE_NOTADB: "the file is damaged or no store; move it away, and a new one is made",
}
# Beyond this size of the write-ahead log, in bytes, readers are waited for so that it can begin anew; how long, and
# how often that is tried, in seconds.
_LARGE_LOG = 16_000_000
_LOG_WAIT_S = 1.0
_LOG_RETRY_S = 10.0
# From this size on it is told.
_HUGE_LOG = 100_000_000
_DAY_S = 86_400.0
# After these the connection goes on as before; after other errors a new one is made.
_PASSING = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_BUSY}


class StoreWriter:
    """The connection that writes. Opened by one thread, used by another, closed when that has ended.

    Args:
        path: of the store.
        keep_days: see ``SqliteStore``; also ``max_bytes``.
        busy_s: seconds that another writer of the same file is waited for.

    Attributes:
        broken: whether a new connection should be made.
    """

    def __init__(self, path: Path, *, keep_days: float | None, max_bytes: int | None, busy_s: float = _BUSY_S) -> None:
        self._path = path
        self._max_bytes = max_bytes
        self._busy_s = busy_s
        self.broken = False
        self._log_s = 0.0
        self._log_told = False
        self._run_ids: dict[str, int] = {}  # of the newest event
        self._waiting_pictures: dict[str, Frame] = {}  # by stream
        try:
            self._connection = sqlite3.connect(
                path, timeout=busy_s, isolation_level=None, check_same_thread=False, cached_statements=32
            )
        except sqlite3.Error as error:
            raise self._failed(error) from error
        self._ages = None if keep_days is None else EventAges(self._connection, keep_days * _DAY_S)
        try:
            self._prepare()
            self._status = path.stat()
            self._page_size = self._number("PRAGMA page_size")
        except BaseException as error:
            self._connection.close()
            if isinstance(error, sqlite3.Error):
                raise self._failed(error) from error
            if isinstance(error, OSError) and not isinstance(error, SinkError):
                raise write_error(path, error) from error
            raise

    @property
    def present(self) -> bool:
        """Whether the file that is there is still the one that was opened."""
        try:
            return os.path.samestat(self._path.stat(), self._status)
        except OSError:
            return False

    def _prepare(self) -> None:
        execute = self._connection.execute
        # A file that is something else is left as it is.
        if self._number("SELECT count(*) FROM sqlite_master"):
            self._check_version()
        execute("PRAGMA auto_vacuum = INCREMENTAL")  # only a new file takes this
        if execute("PRAGMA journal_mode = WAL").fetchone()[0] != "wal":
            raise SinkError(f"cannot keep events in {self._path}: this file system shares no memory; choose another")
        execute("PRAGMA synchronous = FULL")
        execute("PRAGMA journal_size_limit = 8000000")
        execute("BEGIN IMMEDIATE")  # two runs may open the same new file at once
        if not self._number("SELECT count(*) FROM sqlite_master"):
            for statement in SCHEMA.split(";\n"):
                execute(statement)
            execute(f"PRAGMA application_id = {APPLICATION_ID}")
            execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        for statement in ADDED.split(";\n"):
            execute(statement)
        if self._ages is not None:
            self._ages.prepare()
        execute("COMMIT")
        self._check_version()

    def _check_version(self) -> None:
        check_version(self._path, self._number("PRAGMA application_id"), self._number("PRAGMA user_version"))

    def write(self, batch: Sequence[Event | Frame]) -> None:
        """Write a batch in one transaction.

        Raises:
            SinkError: it could not be written; nothing of it is.
        """
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                self._insert(batch)
                self._connection.execute("COMMIT")
            except BaseException:
                self._run_ids = {}
                if self._ages is not None:
                    self._ages.rolled_back()
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise
        except sqlite3.Error as error:
            raise self._failed(error) from error

    def tidy(self) -> None:
        """Delete what is too old or too much, and see to it that the write-ahead log begins anew.

        Raises:
            SinkError: it is not possible now.
        """
        try:
            self._trim()
            self._bound_log()
        except sqlite3.Error as error:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise self._failed(error) from error

    def _bound_log(self) -> None:
        """Have a log that has grown large written into the file, all of it, so that it begins anew.

        SQLite does so by itself only in a moment without readers, which may never come where there are many. Here new
        ones wait a little. One that keeps the same query open can't be got past.
        """
        log = self._path.with_name(f"{self._path.name}-wal")
        now_s = time.monotonic()
        size = log.stat().st_size if log.exists() else 0
        if size < _LARGE_LOG or now_s < self._log_s:
            return
        self._log_s = now_s + _LOG_RETRY_S
        self._connection.execute(f"PRAGMA busy_timeout = {1000 * _LOG_WAIT_S:.0f}")
        blocked = self._number("PRAGMA wal_checkpoint(TRUNCATE)")
        self._connection.execute(f"PRAGMA busy_timeout = {1000 * self._busy_s:.0f}")
        if blocked and size > _HUGE_LOG and not self._log_told:
            self._log_told = True
            logger.warning(
                "%s has grown to %.0f MB: another program keeps a query on %s open; it shrinks when that ends",
                log,
                size / 1e6,
                self._path,
            )

    def _insert(self, batch: Sequence[Event | Frame]) -> None:
        rows = []
        for item in batch:
            if isinstance(item, Frame):
                self._waiting_pictures[item.stream] = item
            else:
                rows.append(row_of(item, self._run_id(item)))
        self._connection.executemany(INSERT, rows)
        if self._ages is not None and rows:
            self._ages.note([row[5] for row in rows])
        if self._run_ids:
            self._insert_pictures()

    def _run_id(self, event: Event) -> int:
        known = self._run_ids.get(event.run)
        if known is None:
            execute = self._connection.execute
            execute("INSERT OR IGNORE INTO runs (run, started) VALUES (?, ?)", (event.run, event.wall))
            known = int(execute("SELECT id FROM runs WHERE run = ?", (event.run,)).fetchone()[0])
            self._run_ids = {event.run: known}
        return known

    def _insert_pictures(self) -> None:
        """Keep the pictures that came, now that an event has told which run they belong to."""
        (run_id,) = self._run_ids.values()
        for frame in self._waiting_pictures.values():
            picture = _jpeg(frame.image)
            if picture is not None:
                self._connection.execute(
                    "INSERT OR IGNORE INTO frames (run_id, stream, pts_s, width, height, jpeg) "
                    "VALUES (?, ?, ?, ?, ?, ?)",
                    (run_id, frame.stream, frame.pts_s, *picture),
                )
        self._waiting_pictures.clear()

    def _trim(self) -> None:
        """Delete the oldest events while there are some too old or too many; as long as the file isn't too large, only
        for a short time, and the rest after the next batch."""
        until_s = time.monotonic() + _TRIM_S
        while (last := self._last_to_delete()) is not None:
            self._delete_through(last)
            if time.monotonic() > until_s and not self._too_large(self._used_pages()):
                break
        if self._too_large(self._number("PRAGMA page_count")):
            # `execute` would take only the first of the steps, each of which gives back one page.
            self._connection.executescript("PRAGMA incremental_vacuum(2000)")

    def _last_to_delete(self) -> int | None:
        """The id of an event that must go, with all before it; None when nothing must."""
        # Some room is left for the next batches.
        if self._max_bytes is not None and self._used_pages() * self._page_size > self._max_bytes * 0.9:
            oldest = self._connection.execute(
                "SELECT max(id) FROM (SELECT id FROM stored_events ORDER BY id LIMIT ?)", (_TRIM_ROWS,)
            ).fetchone()[0]
            if oldest is not None:
                return int(oldest)
        expired = None if self._ages is None else self._ages.expired()
        if expired is not None:
            some = "SELECT max(id) FROM (SELECT id FROM stored_events WHERE id <= ? ORDER BY id LIMIT ?)"
            oldest = self._connection.execute(some, (expired, _TRIM_ROWS)).fetchone()[0]
            return None if oldest is None else int(oldest)
        return None

    def _used_pages(self) -> int:
        return self._number("PRAGMA page_count") - self._number("PRAGMA freelist_count")

    def _too_large(self, pages: int) -> bool:
        return self._max_bytes is not None and pages * self._page_size > self._max_bytes

    def _delete_through(self, last: int) -> None:
        execute = self._connection.execute
        execute("BEGIN IMMEDIATE")
        runs = [row[0] for row in execute("SELECT DISTINCT run_id FROM stored_events WHERE id <= ?", (last,))]
        execute("DELETE FROM stored_events WHERE id <= ?", (last,))
        if self._ages is not None:
            self._ages.forget(last)
        for run_id in runs:
            if not self._number(f"SELECT EXISTS (SELECT 1 FROM stored_events WHERE run_id = {run_id:d})"):
                execute("DELETE FROM frames WHERE run_id = ?", (run_id,))
                execute("DELETE FROM runs WHERE id = ?", (run_id,))
                self._run_ids = {run: known for run, known in self._run_ids.items() if known != run_id}
        execute("COMMIT")

    def _number(self, sql: str) -> int:
        return int(self._connection.execute(sql).fetchone()[0])

    def _failed(self, error: sqlite3.Error) -> SinkError:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # without what SQLite adds to it in higher bits
        self.broken = code not in _PASSING
        advice = _ADVICE.get(code, f"{error}; choose another name or place")
        return SinkError(f"cannot keep events in {self._path}: {advice}")

    def abandon(self) -> None:
        """Close a connection that is of no use any more, whatever it says to that."""
        try:
            self._connection.close()
        except sqlite3.Error as error:
            logger.debug("closing %s: %s", self._path, error)

    def close(self) -> None:
        """Move the write-ahead log into the file and close it."""
        with closing(self._connection) as connection:
            try:
                if self._ages is not None:
                    self._ages.finish()
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            except sqlite3.Error as error:
                raise self._failed(error) from error


def _jpeg(image: Image) -> tuple[int, int, bytes] | None:
    """Width, height and JPEG data of an image, made smaller if it is large; None if OpenCV can't."""
    height, width = image.shape[:2]
    if width > _FRAME_WIDTH:
        width, height = _FRAME_WIDTH, max(1, round(height * _FRAME_WIDTH / width))
    smaller: Any = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
    done, jpeg = cv2.imencode(".jpg", smaller, [cv2.IMWRITE_JPEG_QUALITY, 80])
    return (width, height, jpeg.tobytes()) if done else None
