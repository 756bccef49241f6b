"""The queries and columns that the page about the store names exist."""

from __future__ import annotations

import re
from pathlib import Path

from pipeline.types import SourceInfo
from sinks.store.queries import query
from sinks.store.sqlite_store import SqliteStore
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
