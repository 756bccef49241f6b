"""Evidence in a store: listed, found by its name, and exported."""

from __future__ import annotations

import csv
import sqlite3
from collections.abc import Sequence
from pathlib import Path

import pytest

from pipeline.events import Event
from pipeline.types import SourceInfo
from sinks.store.event_store import EventStore
from sinks.store.exports import export
from sinks.store.parquet_store import ParquetStore
from sinks.store.queries import connect, query, stored_evidence
from sinks.store.sqlite_store import SqliteStore
from tests.support.evidence_events import RUN, alert, crossed, ready

EVENTS: Sequence[Event] = [
    alert(1),
    crossed(2, evidence=False),
    ready(3, alert(1), "yard/picture.jpg"),
    ready(4, alert(1), "yard/clip.mp4", kind="clip", media_type="video/mp4"),
    alert(5),
]


def keep(store: EventStore, events: Sequence[Event] = EVENTS) -> None:
    store.open("yard", SourceInfo(width=64, height=48), [])
    for event in events:
        store.on_event(event)
    store.close()


@pytest.fixture
def store(tmp_path: Path) -> Path:
    keep(SqliteStore(tmp_path / "events.db"))
    return tmp_path / "events.db"


def test_the_store_lists_evidence(store: Path) -> None:
    answer = query(store, "SELECT about, about_seq, alert_id, kind, path, media_type FROM evidence ORDER BY path DESC")
    assert answer.rows == [
        ("alert.started", 1, 1, "picture", "yard/picture.jpg", "image/jpeg"),
        ("alert.started", 1, 1, "clip", "yard/clip.mp4", "video/mp4"),
    ]


def test_it_is_found_by_its_name(store: Path) -> None:
    with connect(store) as connection:
        found = stored_evidence(connection, [f"{RUN[:8]}-1", f"{RUN[:8]}-5", "' OR 1 --"])
        assert stored_evidence(connection, []) == {}
    assert {name: [one["kind"] for one in ready] for name, ready in found.items()} == {
        f"{RUN[:8]}-1": ["picture", "clip"]
    }


def test_finding_it_does_not_read_the_whole_store(store: Path) -> None:
    with sqlite3.connect(store) as connection:
        asked: list[str] = []
        connection.set_trace_callback(asked.append)
        stored_evidence(connection, ["a", "b"])
        connection.set_trace_callback(None)
        plan = " ".join(str(row) for row in connection.execute(f"EXPLAIN QUERY PLAN {asked[-1]}"))
    assert "INDEX stored_evidence" in plan


def test_a_store_of_an_earlier_version_gets_what_it_lacks(store: Path) -> None:
    with sqlite3.connect(store) as connection:
        connection.executescript("DROP VIEW evidence; DROP INDEX stored_evidence")
    with connect(store) as asked:
        assert len(stored_evidence(asked, [f"{RUN[:8]}-1"])[f"{RUN[:8]}-1"]) == 2
    keep(SqliteStore(store), [ready(6, alert(5), "yard/later.jpg")])
    assert query(store, "SELECT count(*) FROM evidence").rows == [(3,)]


def test_it_is_exported_with_its_file(store: Path, tmp_path: Path) -> None:
    assert export(store, tmp_path / "x.csv", format="csv") == 5
    with (tmp_path / "x.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    name = f"{RUN[:8]}-1"
    assert [(row["evidence"], row["path"]) for row in rows] == [
        (name, ""),
        ("", ""),
        (name, "yard/picture.jpg"),
        (name, "yard/clip.mp4"),
        (f"{RUN[:8]}-5", ""),
    ]


def test_parquet_keeps_it_too(tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet", reason="needs pyarrow: pip install 'sightline[parquet]'")
    keep(ParquetStore(tmp_path / "events"))
    table = parquet.read_table(tmp_path / "events")
    assert table.column("path").to_pylist() == [None, None, "yard/picture.jpg", "yard/clip.mp4", None]
