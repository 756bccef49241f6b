"""The SQLite store: what is kept, what is deleted, what survives a kill, and what can be asked."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import numpy as np
import pytest

from pipeline.errors import ConfigError, SinkError, SourceError, SourceNotFoundError
from pipeline.event_codec import decode_json
from pipeline.events import Event, Heartbeat
from pipeline.types import SourceInfo
from sinks.batching import Batcher
from sinks.store.queries import connect, query, select_events
from sinks.store.sqlite_store import SqliteStore
from tests.support.feed_parts import WALL, updated
from tests.support.feed_runs import recorded_run
from tests.support.video_files import tracked
from tests.support.waiting import PATIENCE_S, wait_until

INFO = SourceInfo(width=64, height=48)
OTHER_RUN = "6f1f3d0e-0000-4000-8000-000000000002"


def store(path: Path, events: list[Event], **options: float | bool | list[str] | None) -> None:
    sink = SqliteStore(path, **options)  # type: ignore[arg-type]
    sink.check()
    sink.open("cam", INFO, [])
    for event in events:
        sink.on_event(event)
    sink.close()


def stored(path: Path) -> list[Event | None]:
    with connect(path) as connection:
        return [decode_json(data.encode()) for (data,) in select_events(connection, columns=["data"])]


def walls(count: int, *, oldest: timedelta) -> list[Event]:
    """Events at equal distances from ``oldest`` ago to now."""
    now = datetime.now(UTC)
    moments = [now - oldest * (1 - index / count) for index in range(count)]
    texts = [moment.isoformat(timespec="milliseconds")[:-6] + "Z" for moment in moments]
    return [msgspec.structs.replace(updated(seq), wall=text) for seq, text in enumerate(texts, 1)]


def test_every_event_reads_back_as_it_was_and_a_second_run_adds_to_the_first(tmp_path: Path) -> None:
    first, second = recorded_run(1, 400), recorded_run(2, 300, run=OTHER_RUN)
    store(tmp_path / "events.db", first)
    store(tmp_path / "events.db", second)
    assert [path.name for path in tmp_path.iterdir()] == ["events.db"], "the write-ahead log is gone"
    assert stored(tmp_path / "events.db") == first + second
    assert query(tmp_path / "events.db", "SELECT run, count(*) FROM events GROUP BY run ORDER BY min(id)").rows == [
        (first[0].run, 400),
        (OTHER_RUN, 300),
    ]


def test_only_the_types_asked_for_and_no_heartbeats(tmp_path: Path) -> None:
    events = recorded_run(1, 300)
    beat = Heartbeat(seq=3, run=events[0].run, stream="", pts_s=0.0, wall=WALL)
    store(tmp_path / "a.db", [*events, beat, beat])
    assert stored(tmp_path / "a.db") == events
    store(tmp_path / "b.db", events, types=["line.crossed"])
    kept = query(tmp_path / "b.db", "SELECT DISTINCT type FROM events").rows
    assert kept == [("line.crossed",)]
    with pytest.raises(ConfigError, match=r"'line\.crosed': did you mean line\.crossed"):
        SqliteStore(tmp_path / "c.db", types=["line.crosed"])


def test_an_event_is_there_within_a_second_although_no_other_follows(tmp_path: Path) -> None:
    sink = SqliteStore(tmp_path / "events.db", flush_s=0.1)
    sink.open("cam", INFO, [])
    sink.on_event(updated(1))
    reader = sqlite3.connect(tmp_path / "events.db")
    try:
        wait_until(lambda: reader.execute("SELECT seq FROM events").fetchall() == [(1,)], "the event")
    finally:
        reader.close()
        sink.close()


def test_old_events_are_deleted(tmp_path: Path) -> None:
    events = walls(5000, oldest=timedelta(days=10))
    store(tmp_path / "events.db", events, keep_days=4)
    kept = query(tmp_path / "events.db", "SELECT min(seq), max(seq), count(*) FROM events").rows[0]
    assert 2999 <= kept[0] <= 3003
    assert kept[1:] == (5000, 5001 - kept[0])


def test_an_event_from_the_future_does_not_keep_old_ones(tmp_path: Path) -> None:
    future = msgspec.structs.replace(updated(1), wall="2999-01-01T00:00:00.000Z")
    old, new = walls(2, oldest=timedelta(days=2))
    events = [future, *(msgspec.structs.replace(event, seq=seq) for seq, event in ((2, old), (3, new)))]
    store(tmp_path / "events.db", events, keep_days=1.5)
    assert query(tmp_path / "events.db", "SELECT seq FROM events").rows == [(3,)]


def test_the_file_stays_below_its_limit_and_keeps_the_newest(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    sink = SqliteStore(path, max_mb=1, flush_s=0.01)
    sink.open("cam", INFO, [])
    largest = 0
    for seq in range(1, 20_001):
        sink.on_event(updated(seq))
        if seq % 500 == 0:
            largest = max(largest, path.stat().st_size)
    sink.close()
    assert path.stat().st_size <= 1_000_000
    rows = query(path, "SELECT min(seq), max(seq), count(*) FROM events").rows[0]
    assert rows[1] == 20_000
    assert 500 < rows[2] == 20_001 - rows[0], "without holes"
    # A batch is written before what is too much is deleted.
    assert largest < 4_000_000


def test_a_smaller_limit_shrinks_a_store(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    store(path, [updated(seq) for seq in range(1, 10_001)])
    assert path.stat().st_size > 2_000_000
    store(path, [updated(1, run=OTHER_RUN)], max_mb=1)
    store(path, [updated(2, run=OTHER_RUN)], max_mb=1)
    assert path.stat().st_size <= 1_000_000
    assert query(path, "SELECT seq FROM events WHERE run = ?", [OTHER_RUN]).rows == [(1,), (2,)]


def test_runs_and_pictures_go_with_their_last_event(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    for run, age_days in (("old", 9), ("new", 0)):
        sink = SqliteStore(path, keep_days=1)
        sink.open("cam", INFO, [])
        sink.on_frame(tracked(np.zeros((48, 64, 3), np.uint8), stream="cam"))
        (event,) = walls(1, oldest=timedelta(days=age_days))
        sink.on_event(msgspec.structs.replace(event, run=run))
        sink.close()
    rows = query(path, "SELECT run, (SELECT count(*) FROM frames WHERE run_id = runs.id) FROM runs").rows
    assert rows == [("new", 1)]


def test_the_first_picture_of_each_stream_is_kept(tmp_path: Path) -> None:
    sink = SqliteStore(tmp_path / "events.db", types=["track.updated"])
    sink.open("a", INFO, [])
    sink.open("b", INFO, [])
    for index in range(3):
        for stream, width in (("a", 64), ("b", 1920)):
            image = np.full((48, width, 3), 50 * index, np.uint8)
            sink.on_frame(tracked(image, index, stream=stream))
    sink.on_event(updated(1))
    sink.close()
    rows = query(tmp_path / "events.db", "SELECT stream, pts_s, width, height FROM frames ORDER BY stream").rows
    assert rows == [("a", 0.0, 64, 48), ("b", 0.0, 960, 24)]


def test_two_runs_can_share_a_store_at_the_same_time(tmp_path: Path) -> None:
    sinks = [SqliteStore(tmp_path / "events.db", flush_s=0.01) for _ in range(2)]
    runs = [recorded_run(1, 500), recorded_run(2, 500, run=OTHER_RUN)]
    for sink in sinks:
        sink.open("cam", INFO, [])
    for pair in zip(*runs, strict=True):
        for sink, event in zip(sinks, pair, strict=True):
            sink.on_event(event)
    for sink in sinks:
        sink.close()
    for run in runs:
        with connect(tmp_path / "events.db") as connection:
            rows = select_events(connection, run=run[0].run, columns=["data"]).fetchall()
        assert [decode_json(data.encode()) for (data,) in rows] == run


@pytest.mark.parametrize("error", [None, KeyboardInterrupt(), RuntimeError("the run failed")])
def test_every_end_keeps_what_was_processed(tmp_path: Path, error: BaseException | None) -> None:
    sink = SqliteStore(tmp_path / "events.db", flush_s=1.0)
    sink.open("cam", INFO, [])
    sink.on_event(updated(1))
    sink.close(error)
    assert stored(tmp_path / "events.db") == [updated(1)]


def test_what_is_no_store_is_left_alone(tmp_path: Path) -> None:
    text, database, newer = tmp_path / "a.txt", tmp_path / "b.db", tmp_path / "c.db"
    text.write_text("not a database\n" * 20)
    with sqlite3.connect(database) as connection:
        connection.execute("CREATE TABLE mine (x)")
    connection.close()
    store(newer, [])
    with sqlite3.connect(newer) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    for path, message in ((text, "no store of events"), (database, "something else"), (newer, "version 99")):
        before = path.read_bytes()
        with pytest.raises(SinkError, match=message):
            SqliteStore(path).check()
        with pytest.raises(SinkError):
            SqliteStore(path).open("cam", INFO, [])
        with pytest.raises(SourceError):
            query(path, "SELECT 1")
        assert path.read_bytes() == before
    with pytest.raises(SinkError, match="it is a folder"):
        SqliteStore(tmp_path).check()


def test_a_store_that_fails_is_told_once_in_one_line(tmp_path: Path) -> None:
    sink = SqliteStore(tmp_path / "events.db", flush_s=0.01)
    sink.open("cam", INFO, [])
    sink.on_event(updated(1))
    sink.on_event(updated(1))  # the same number again: the store refuses it, as it would refuse on a full disk
    with pytest.raises(SinkError, match=r"cannot keep events in .*events\.db: [^\n]*$"):
        sink.close()
    sink.close()


# Imports once, then lets one process after another write to a store, kills each after so many events, and looks at the
# file. Prints how many each had said to be in it, which it tells through a pipe with each event that it hands over.
KILLED_WRITERS = """
import json, os, signal, sqlite3, sys, time
from pipeline.types import SourceInfo
from sinks.store.sqlite_store import SqliteStore
from tests.support.feed_parts import updated

def write(path, run, told):
    sink = SqliteStore(path, flush_s=0.1)
    sink.open("cam", SourceInfo(width=64, height=48), [])
    seq = 0
    while True:
        seq += 1
        sink.on_event(updated(seq, run=run))
        os.write(told, sink.counts().written.to_bytes(4, "big"))
        time.sleep(0.0005)

for kill in range(20):
    reading, writing = os.pipe()
    process = os.fork()
    if process == 0:
        write(sys.argv[1], f"run-{kill}", writing)
    os.close(writing)
    given, written = 0, 0
    while given < 20 * kill + 1 or (kill >= 10 and not written):
        written = int.from_bytes(os.read(reading, 4), "big")
        given += 1
    os.kill(process, signal.SIGKILL)
    os.waitpid(process, 0)
    os.close(reading)
    connection = sqlite3.connect(sys.argv[1])
    state = connection.execute("PRAGMA integrity_check").fetchone()[0]
    connection.close()
    print(json.dumps({"run": f"run-{kill}", "written": written, "state": state}))
"""


def test_killed_twenty_times_it_opens_clean_and_misses_nothing_that_was_written(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    answer = subprocess.run(
        [sys.executable, "-c", KILLED_WRITERS, str(path)],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])},
    )
    kills = [json.loads(line) for line in answer.stdout.splitlines()]
    assert len(kills) == 20
    for kill in kills:
        assert kill["state"] == "ok"
        rows = query(path, "SELECT seq, data FROM events WHERE run = ? ORDER BY seq", [kill["run"]], limit=None).rows
        assert [seq for seq, _ in rows] == list(range(1, len(rows) + 1)), "none is missing in between"
        assert [decode_json(data.encode()) for _, data in rows] == [updated(seq, run=kill["run"]) for seq, _ in rows]
        assert len(rows) >= kill["written"]
    assert query(path, "SELECT count(DISTINCT run) FROM events").rows[0][0] >= 10
    store(path, [updated(1, run="after")])
    assert query(path, "SELECT count(*) FROM events WHERE run = 'after'").rows == [(1,)]


def test_queries_read_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    store(path, recorded_run(3, 200))
    before = path.read_bytes()
    for sql in (
        "DELETE FROM stored_events",
        "INSERT INTO runs VALUES (9, 'x', 'y')",
        "DROP VIEW events",
        "PRAGMA user_version = 5",
        f"ATTACH '{tmp_path / 'new.db'}' AS new",
        "VACUUM INTO 'copy.db'",
        "SELECT load_extension('x')",
        "SELECT 1; SELECT 2",
        "SELECT nothing FROM events",
        "",
    ):
        with pytest.raises(ConfigError, match=r"^query: [^\n]*$"):
            query(path, sql)
    assert path.read_bytes() == before
    assert {each.name for each in tmp_path.iterdir()} <= {"events.db", "events.db-wal", "events.db-shm"}


def test_queries_are_limited_in_rows_time_and_memory(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    store(path, recorded_run(3, 200))
    answer = query(path, "SELECT seq FROM events ORDER BY seq", limit=10)
    assert (answer.columns, len(answer.rows), answer.complete) == (("seq",), 10, False)
    assert query(path, "SELECT seq FROM events", limit=200).complete
    endless = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n"
    with pytest.raises(ConfigError, match=r"stopped after 0\.1 s"):
        query(path, endless, timeout_s=0.1)
    with pytest.raises(ConfigError, match="too big"):
        query(path, "SELECT zeroblob(900000000)")


def test_views_agree_with_the_events(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    events = recorded_run(4, 600)
    store(path, events)
    for view, kind in (("visits", "zone.left"), ("crossings", "line.crossed"), ("tracks", "track.ended")):
        count = query(path, f"SELECT count(*) FROM {view}").rows[0][0]
        assert count == sum(type(event).__struct_config__.tag == kind for event in events) > 0


def test_a_store_that_is_being_written_can_be_read_and_a_missing_one_is_named(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    sink = SqliteStore(path, flush_s=0.01)
    sink.open("cam", INFO, [])
    assert query(path, "SELECT count(*) FROM events").rows == [(0,)]
    sink.close()
    with pytest.raises(SourceNotFoundError, match="no store of events at"):
        query(tmp_path / "no.db", "SELECT 1")
    with pytest.raises(SourceNotFoundError, match="folder"):
        query(tmp_path, "SELECT 1")


def test_a_batcher_hands_over_everything_in_order_and_waits_when_full() -> None:
    got: list[int] = []
    go_on = threading.Event()

    def work(batch: list[int]) -> None:
        go_on.wait(PATIENCE_S)
        got.extend(batch)

    batcher = Batcher(work, name="test", period_s=0, most=2, capacity=3, when_full="wait")
    putter = threading.Thread(target=lambda: [batcher.put(item) for item in range(100)])
    putter.start()
    putter.join(0.1)
    assert putter.is_alive(), "it waits for room"
    go_on.set()
    putter.join(PATIENCE_S)
    batcher.close()
    assert got == list(range(100))


def test_a_batcher_that_may_drop_counts_what_it_dropped() -> None:
    go_on = threading.Event()
    got: list[int] = []

    def work(batch: list[int]) -> None:
        go_on.wait(PATIENCE_S)
        got.extend(batch)

    batcher = Batcher(work, name="test", period_s=0, most=2, capacity=3, when_full="drop")
    taken = [item for item in range(50) if batcher.put(item)]
    go_on.set()
    batcher.close()
    assert got == taken
    assert len(taken) + batcher.dropped == 50


def test_what_a_batcher_s_work_raises_is_raised_once() -> None:
    def work(batch: list[int]) -> None:
        raise SinkError("no")

    batcher = Batcher(work, name="test", period_s=0, most=1, capacity=1)
    with pytest.raises(SinkError, match="no"):
        for item in range(1000):
            batcher.put(item)
    with pytest.raises(RuntimeError):
        batcher.put(1)
    batcher.close()
