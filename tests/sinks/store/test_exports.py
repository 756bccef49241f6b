"""Export and the store's commands, read back with other programs' readers."""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from pipeline.errors import ConfigError, SinkError
from pipeline.events import Event
from pipeline.types import SourceInfo
from sightline.commands.store import register
from sinks.files.jsonl import JsonlSink
from sinks.store.exports import export
from sinks.store.schema import COLUMN_NAMES
from sinks.store.sqlite_store import SqliteStore
from tests.support.feed_runs import recorded_run

EVENTS = recorded_run(7, 700)
OTHER = recorded_run(8, 50, run="another")


@pytest.fixture
def store(tmp_path: Path) -> Path:
    path = tmp_path / "events.db"
    for run in (EVENTS, OTHER):
        sink = SqliteStore(path)
        sink.open("cam", SourceInfo(width=64, height=48), [])
        for event in run:
            sink.on_event(event)
        sink.close()
    return path


def lines(path: Path, events: list[Event]) -> bytes:
    sink = JsonlSink(path)
    sink.open("cam", SourceInfo(width=64, height=48), [])
    for event in events:
        sink.on_event(event)
    sink.close()
    return path.read_bytes()


def test_json_lines_are_what_the_jsonl_output_would_have_written(store: Path, tmp_path: Path) -> None:
    assert export(store, tmp_path / "x.jsonl", format="jsonl") == 750
    assert (tmp_path / "x.jsonl").read_bytes() == lines(tmp_path / "y.jsonl", [*EVENTS, *OTHER])


def test_csv_reads_back(store: Path, tmp_path: Path) -> None:
    assert export(store, tmp_path / "x.csv", format="csv", run="ano") == 50
    with (tmp_path / "x.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == COLUMN_NAMES
    for row, event in zip(rows, OTHER, strict=True):
        data = json.loads(row["data"])
        assert (row["run"], row["seq"], row["type"]) == ("another", str(event.seq), data["type"])
        assert row["class"] == data.get("class", "")
        assert [row[name] for name in ("x1", "y1", "x2", "y2")] == [str(value) for value in data.get("xyxy", [""] * 4)]


def test_filters(store: Path, tmp_path: Path) -> None:
    count = export(store, tmp_path / "x.jsonl", format="jsonl", stream="cam", types=["line.crossed", "zone.left"])
    rows = [json.loads(line) for line in (tmp_path / "x.jsonl").read_text().splitlines()]
    assert 0 < count == len(rows)
    assert {row["stream"] for row in rows} == {"cam"}
    assert {row["type"] for row in rows} == {"line.crossed", "zone.left"}
    with pytest.raises(ConfigError, match="unknown event type 'zone'"):
        export(store, tmp_path / "y.jsonl", format="jsonl", types=["zone"])
    with pytest.raises(ConfigError, match="there is none in the store"):
        export(store, tmp_path / "y.jsonl", format="jsonl", run="nobody")
    with pytest.raises(ConfigError, match=r"stream 'cma': is not in the store; did you mean cam\?"):
        export(store, tmp_path / "y.jsonl", format="jsonl", stream="cma")
    with pytest.raises(SinkError, match="it is a folder"):
        export(store, tmp_path, format="jsonl")
    assert not (tmp_path / "y.jsonl").exists()


def test_parquet_reads_back(store: Path, tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet", reason="needs pyarrow: pip install 'sightline[parquet]'")
    assert export(store, tmp_path / "x.parquet", format="parquet") == 750
    table = parquet.read_table(tmp_path / "x.parquet")
    assert tuple(table.column_names) == COLUMN_NAMES
    assert table.column("data").to_pylist() == lines(tmp_path / "y.jsonl", [*EVENTS, *OTHER]).decode().splitlines()
    assert table.column("seq").to_pylist() == [event.seq for event in [*EVENTS, *OTHER]]
    assert table.column("wall").to_pylist()[0].isoformat() == "2026-01-02T03:04:05.678000+00:00"
    assert table.column("class").to_pylist() == [getattr(event, "class_name", None) for event in [*EVENTS, *OTHER]]


def test_without_pyarrow_one_line_says_what_to_do(store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(SinkError, match=r"pip install 'sightline\[parquet\]'$"):
        export(store, tmp_path / "x.parquet", format="parquet")
    assert not list(tmp_path.glob("x*"))


def test_commands(store: Path, tmp_path: Path) -> None:
    app = typer.Typer()
    register(app)
    runner = CliRunner()
    sql = "SELECT run, count(*) AS events, NULL AS missing FROM events GROUP BY run ORDER BY 2"
    answer = runner.invoke(app, ["query", sql, "--store", str(store), "--format", "csv"])
    assert answer.output.splitlines()[:2] == ["run,events,missing", "another,50,"]
    answer = runner.invoke(app, ["query", sql, "--store", str(store), "--format", "json", "--limit", "1"])
    assert json.loads(answer.stdout.splitlines()[0]) == {"run": "another", "events": 50, "missing": None}
    assert "only the first 1 rows" in answer.output
    both = "SELECT 1 AS run, 2 AS run, 3 AS run_2, 4 AS run, 1e308 * 10 AS far, x'00ff' AS y"
    answer = runner.invoke(app, ["query", both, "--store", str(store), "--format", "json"])
    assert json.loads(answer.stdout) == {"run": 1, "run_3": 2, "run_2": 3, "run_4": 4, "far": None, "y": "<2 bytes>"}
    answer = runner.invoke(app, ["export", str(tmp_path / "b.csv"), "--store", str(store), "--types", ""])
    assert isinstance(answer.exception, ConfigError)
    assert not (tmp_path / "b.csv").exists()
    shown = "SELECT '[red]x[/]' AS x, x'00ff' AS y"
    answer = runner.invoke(app, ["query", shown, "--store", str(store), "--format", "table"])
    assert "[red]x[/]" in answer.output
    assert "<2 bytes>" in answer.output
    answer = runner.invoke(app, ["export", str(tmp_path / "a.csv"), "--store", str(store), "--types", "stream.started"])
    assert answer.exit_code == 0, answer.output
    assert (tmp_path / "a.csv").read_text().startswith("run,seq,stream")
    answer = runner.invoke(app, ["export", str(tmp_path / "a.xyz"), "--store", str(store)])
    assert isinstance(answer.exception, ConfigError)


def test_an_answer_in_a_pipe_is_whole(store: Path) -> None:
    app = typer.Typer()
    register(app)
    runner = CliRunner()
    comment = "-- one long text = one line\nSELECT '" + "long " * 100 + "' AS x, 1 AS y"
    answer = runner.invoke(app, ["query", comment, "--store", str(store)])
    assert answer.output.splitlines() == ["x,y", "long " * 100 + ",1"]
    answer = runner.invoke(app, ["query", comment, "--store", str(store), "--format", "table"])
    assert "long " * 99 in answer.output
