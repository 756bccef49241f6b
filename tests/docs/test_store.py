"""The queries and columns that the page about the store names exist, and the queries answer what happened."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

from pipeline.event_codec import event_type
from pipeline.events import ClassCounts, LineCrossed, WindowMinute, ZoneLeft
from pipeline.types import SourceInfo
from sinks.store.queries import query
from sinks.store.sqlite_store import SqliteStore
from tests.support.feed_parts import WALL
from tests.support.feed_runs import recorded_run

PAGE = (Path(__file__).parents[2] / "docs" / "store.md").read_text(encoding="utf-8")


def test_what_the_page_says_can_be_asked(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    sink = SqliteStore(path)
    sink.open("cam", SourceInfo(width=64, height=48), [])
    for event in recorded_run(9, 300):
        sink.on_event(event)
    sink.close()
    statements = [part for block in re.findall(r"```sql\n(.*?)```", PAGE, re.DOTALL) for part in block.split(";\n")]
    statements += re.findall(r'query "(SELECT[^"]+)"', PAGE)
    assert len([query(path, statement) for statement in statements if statement.strip()]) >= 5
    views = re.findall(r"^\| (`\w+`(?:, `\w+`)?) \|.*\| `([\w ]+)` \|$", PAGE, re.MULTILINE)
    assert len(views) >= 6
    for names, columns in views:
        for name in re.findall(r"\w+", names):
            assert query(path, f"SELECT * FROM {name}", limit=1).columns == tuple(columns.split()), name


def test_what_the_queries_of_the_page_answer_is_what_happened(tmp_path: Path) -> None:
    """Checked against the events themselves, of two runs in one store."""
    path = tmp_path / "events.db"
    runs = [recorded_run(seed, 2000, run) for seed, run in ((9, "first"), (10, "second"))]
    counts = {"person": ClassCounts(mean=1.0, max=3, unique=4), "car": ClassCounts(mean=2.0, max=2, unique=2)}
    common = {"stream": "cam", "pts_s": 60.0, "wall": WALL, "start_s": 0.0, "end_s": 60.0, "frames": 9, "coverage": 1.0}
    minute = WindowMinute(seq=2001, run="second", index=0, objects=counts, **common)  # type: ignore[arg-type]
    runs[1].append(minute)
    for events in runs:
        sink = SqliteStore(path)
        sink.open("cam", SourceInfo(width=64, height=48), [])
        for event in events:
            sink.on_event(event)
        sink.close()
    (block,) = re.findall(r"```sql\n(.*?)```", PAGE, re.DOTALL)
    per_hour, dwell, busiest, _, newest = (query(path, part).rows for part in block.split(";\n") if part.strip())
    both = [event for events in runs for event in events]
    crossings = Counter((event.line, event.direction) for event in both if isinstance(event, LineCrossed))
    assert {(row[1], row[2]): row[3] for row in per_hour} == crossings
    assert {row[0] for row in per_hour} == {WALL[:13]}
    stays = [
        event.dwell_s
        for event in both
        if isinstance(event, ZoneLeft) and (event.zone, event.class_name) == ("door", "person")
    ]
    assert dwell == [(pytest.approx(sum(stays) / len(stays)), max(stays))]
    assert busiest == [("cam", 0.0, 3)]
    assert dict(newest) == Counter(event_type(event) for event in runs[1])
