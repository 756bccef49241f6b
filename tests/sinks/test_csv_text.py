"""CSV that no spreadsheet runs, and that gives every text back."""

from __future__ import annotations

import csv
import io
from decimal import Decimal
from pathlib import Path

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from pipeline.analytics.event_stamper import EventStamper
from pipeline.events import ZoneLeft
from pipeline.types import SourceInfo
from sightline.commands.store import register
from sinks.csv_text import csv_text, read_text
from sinks.files.image_results import CsvResults, PictureObject, PictureRecord
from sinks.store.exports import export
from sinks.store.sqlite_store import SqliteStore

texts = st.text(
    st.one_of(st.sampled_from("=+-@\t\r\n' ,;\"\u3000＝＋－＠a1"), st.characters(codec="utf-8")), max_size=8
)


@given(st.lists(texts, min_size=1, max_size=5))
def test_no_cell_begins_as_a_formula_does_and_each_text_comes_back(row: list[str]) -> None:
    (cells,) = csv.reader(io.StringIO(csv_text([row]), newline=""), strict=True)
    assert not any(cell.lstrip().startswith(tuple("=+-@＝＋－＠")) or cell[:1] in set("\t\r\n") for cell in cells)
    assert [read_text(cell) for cell in cells] == row


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        *(
            (text, f"'{text}")
            for text in ("=HYPERLINK(1)", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", " =1", "'=1", "''-1")
        ),
        *((text, text) for text in ("door", "a=b", "'door'", "", "it's -1", "入口")),
    ],
)
def test_a_text_is_written_harmlessly(text: str, cell: str) -> None:
    assert next(csv.reader(io.StringIO(csv_text([[text]]) or "\n", newline="")), []) == ([cell] if cell else [""])


def test_numbers_stay_numbers() -> None:
    assert csv_text([[-1, -2.5, Decimal("-3.00"), None, 1e-7]]) == "-1,-2.5,-3.00,,1e-07\n"


def test_every_csv_that_is_written_is_harmless(tmp_path: Path) -> None:
    box = PictureObject(class_name="=HYPERLINK(1)", score=0.5, xyxy=(-1.5, 2, 3, 4))
    results = CsvResults(tmp_path / "x.csv", files=[], class_names=[], model="m")
    results.open()
    results.write(0, PictureRecord(file="@SUM(1).jpg", width=8, height=6, objects=(box,)))
    results.close()
    written = (tmp_path / "x.csv").read_text().splitlines()
    assert written[1:] == ["'@SUM(1).jpg,8,6,'=HYPERLINK(1),0.5,-1.50,2.00,3.00,4.00"]

    store = tmp_path / "x.db"
    sink = SqliteStore(store)
    sink.open("+door", SourceInfo(width=64, height=48), [])
    stamp = EventStamper()
    sink.on_event(stamp(ZoneLeft, stream="+door", pts_s=-1.0, zone="=1+1", track_id=1, class_name="-x", dwell_s=2.0))
    sink.close()
    export(store, tmp_path / "y.csv", format="csv")
    with (tmp_path / "y.csv").open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert [row[name] for name in ("stream", "zone", "class", "pts_s")] == ["'+door", "'=1+1", "'-x", "-1.0"]
    app = typer.Typer()
    register(app)
    asked = ["query", "SELECT stream, zone, pts_s FROM events", "--store", str(store), "--format", "csv"]
    assert CliRunner().invoke(app, asked).output == "stream,zone,pts_s\n'+door,'=1+1,-1.0\n"
