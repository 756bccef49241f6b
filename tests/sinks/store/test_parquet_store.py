"""The Parquet store: files read back with pyarrow, rotation, limits, and what a kill leaves."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import SinkError
from pipeline.event_codec import encode_json
from pipeline.events import Event
from pipeline.types import SourceInfo
from sinks.store.parquet_store import ParquetStore
from sinks.store.schema import COLUMN_NAMES
from tests.support.feed_parts import updated
from tests.support.feed_runs import recorded_run
from tests.support.waiting import wait_until

parquet: Any = pytest.importorskip("pyarrow.parquet", reason="needs pyarrow: pip install 'sightline[parquet]'")
INFO = SourceInfo(width=64, height=48)


def store(folder: Path, events: list[Event], **options: float) -> None:
    sink = ParquetStore(folder, **options)  # type: ignore[arg-type]
    sink.check()
    sink.open("cam", INFO, [])
    for event in events:
        sink.on_event(event)
    sink.close()


def tables(folder: Path) -> list[Any]:
    return [parquet.read_table(path) for path in sorted(folder.glob("*.parquet"))]


def read(folder: Path) -> list[str]:
    return [data for table in tables(folder) for data in table.column("data").to_pylist()]


def as_stored(events: list[Event]) -> list[str]:
    return [encode_json(event).decode() for event in events]


def test_every_event_reads_back_and_a_second_run_adds_a_file(tmp_path: Path) -> None:
    first, second = recorded_run(1, 500), recorded_run(2, 400, run="another")
    store(tmp_path / "events", first)
    store(tmp_path / "events", second)
    assert read(tmp_path / "events") == as_stored(first + second)
    assert len(tables(tmp_path / "events")) == 2
    (table, _) = tables(tmp_path / "events")
    assert tuple(table.column_names) == COLUMN_NAMES
    assert table.column("track_id").to_pylist() == [getattr(event, "track_id", None) for event in first]
    assert table.column("x2").to_pylist() == [getattr(event, "xyxy", [None] * 4)[2] for event in first]
    assert not list((tmp_path / "events").glob("*.journal"))


def test_files_are_rotated(tmp_path: Path) -> None:
    events: list[Event] = [updated(seq) for seq in range(1, 6_001)]
    store(tmp_path, events, rotate_mb=0.1, flush_s=0.01)
    assert len(list(tmp_path.glob("*.parquet"))) >= 2
    assert read(tmp_path) == as_stored(events)


def test_the_oldest_files_go_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever their dates say: the clock may have been wrong."""
    mine = tmp_path / "events-mine.parquet"
    mine.write_text("mine")
    for run in range(6):
        store(tmp_path, [updated(seq, run=f"run-{run}") for seq in range(1, 301)])
    sizes = [path.stat().st_size for path in tmp_path.glob("events-2*.parquet")]
    mine_size = mine.stat().st_size
    store(tmp_path, [updated(1, run="last")], max_mb=(sum(sizes[:3])) / 1e6)
    kept = sorted(tmp_path.glob("events-2*.parquet"))
    assert 1 < len(kept) < 6
    assert mine.stat().st_size == mine_size
    for path in kept:
        os.utime(path, (0, time.time() - 5 * 86_400))
    foreign = tmp_path / "events-20200101T000000000000Z-1.parquet"
    foreign.write_bytes(kept[0].read_bytes())
    store(tmp_path, [updated(2, run="last")], keep_days=4)
    assert all(path.exists() for path in kept), "a minute has passed since, whatever the clock says"
    clock, days = time.clock_gettime, 5 * 86_400
    monkeypatch.setattr("time.clock_gettime", lambda which: clock(which) + days)
    store(tmp_path, [updated(2, run="last")], keep_days=4)
    assert foreign.exists()
    foreign.unlink()
    mine.unlink()
    assert read(tmp_path) == as_stored([updated(2, run="last")])


KILLED = """
import os, signal, sys
from pipeline.types import SourceInfo
from sinks.store.parquet_store import ParquetStore
from tests.support.feed_parts import updated
from tests.support.waiting import wait_until

sink = ParquetStore(sys.argv[1], flush_s=0.1)
sink.open("cam", SourceInfo(width=64, height=48), [])
for seq in range(1, 2001):
    sink.on_event(updated(seq))
wait_until(lambda: sink.counts().written == 2000, "what was given")
for seq in range(2001, 2101):
    sink.on_event(updated(seq))
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_a_killed_run_left_is_completed_by_the_next(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], env=environment, check=False)
    (journal,) = tmp_path.glob("*.journal")
    with journal.open("ab") as file:
        file.write(b'{"type":"track.upd')  # as a kill in the middle of a write would leave it
    living = ParquetStore(tmp_path, flush_s=0.01)
    living.open("cam", INFO, [])
    assert 2000 <= len(read(tmp_path)) <= 2100
    assert read(tmp_path) == as_stored([updated(seq) for seq in range(1, len(read(tmp_path)) + 1)])
    before = read(tmp_path)
    living.on_event(updated(5000))
    wait_until(lambda: list(tmp_path.glob("*.journal")), "a journal")
    store(tmp_path, [updated(6000)])
    assert read(tmp_path) == [*before, *as_stored([updated(6000)])], "the journal of a living run is left alone"
    living.close()
    assert set(read(tmp_path)) == {*before, *as_stored([updated(5000), updated(6000)])}


def test_what_is_wrong_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ParquetStore(tmp_path / "new" / "events").check()
    assert (tmp_path / "new" / "events").is_dir()
    (tmp_path / "file").write_text("")
    with pytest.raises(SinkError, match="part of its path is a file"):
        ParquetStore(tmp_path / "file").check()
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(SinkError, match=r"pip install 'sightline\[parquet\]'$"):
        ParquetStore(tmp_path / "events").check()
