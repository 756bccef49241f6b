"""The store's write-ahead log beside programs that read: what bounds it, and that it shrinks again."""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path

import pytest

from pipeline.types import SourceInfo
from sinks.store.queries import query
from sinks.store.sqlite_store import SqliteStore
from tests.support.feed_parts import updated
from tests.support.waiting import wait_until

LARGE = 300_000


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sinks.store.sqlite_writer._LARGE_LOG", LARGE)
    monkeypatch.setattr("sinks.store.sqlite_writer._HUGE_LOG", 2 * LARGE)
    monkeypatch.setattr("sinks.store.sqlite_writer._LOG_RETRY_S", 0.1)
    monkeypatch.setattr("sinks.store.sqlite_writer._LOG_WAIT_S", 0.3)


class Writer:
    """Keeps events coming, and watches the log."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._log = path.with_name(f"{path.name}-wal")
        self.sink = SqliteStore(path, flush_s=0.01, pictures=False)
        self.sink.open("cam", SourceInfo(width=64, height=48), [])
        self.written = 0

    def _is_written(self) -> bool:
        counts = self.sink.counts()
        return counts is None or counts.written == self.written

    def write(self, batches: int) -> int:
        """Write so many batches of 100; returns the largest size of the log meanwhile."""
        largest = 0
        for _ in range(batches):
            for _ in range(100):
                self.written += 1
                self.sink.on_event(updated(self.written))
            wait_until(self._is_written, "what is written")
            largest = max(largest, self._log.stat().st_size)
        return largest


def test_readers_that_come_and_go_do_not_make_it_grow(tmp_path: Path) -> None:
    """There is never a moment without one."""
    writer = Writer(tmp_path / "events.db")
    writer.write(1)
    stop = threading.Event()

    def read(after_s: float) -> None:
        stop.wait(after_s)
        while not stop.is_set():
            connection = sqlite3.connect(tmp_path / "events.db", isolation_level=None)
            connection.execute("BEGIN")
            connection.execute("SELECT count(*) FROM runs").fetchone()
            stop.wait(0.1)
            connection.close()

    readers = [threading.Thread(target=read, args=(0.03 * number,)) for number in range(4)]
    for reader in readers:
        reader.start()
    largest = writer.write(60)
    stop.set()
    for reader in readers:
        reader.join()
    writer.sink.close()
    assert largest < 10 * LARGE
    assert query(tmp_path / "events.db", "SELECT count(*) FROM events").rows == [(writer.written,)]


def test_a_query_that_stays_open_is_told_and_the_log_shrinks_when_it_ends(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    writer = Writer(tmp_path / "events.db")
    writer.write(1)
    reader = sqlite3.connect(tmp_path / "events.db", isolation_level=None)
    reader.execute("BEGIN")
    assert reader.execute("SELECT count(*) FROM events").fetchone() == (100,)
    assert writer.write(16) > 2 * LARGE, "it holds all that is written meanwhile"
    assert caplog.text.count("keeps a query on") == 1
    reader.execute("ROLLBACK")
    writer.write(4)
    assert (tmp_path / "events.db-wal").stat().st_size < 2 * LARGE
    reader.close()
    writer.sink.close()
