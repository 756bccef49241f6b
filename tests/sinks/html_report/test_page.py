"""The report: what it says agrees with the events, it loads nothing, and no name in it can break it."""

from __future__ import annotations

import base64
import re
import xml.etree.ElementTree as ElementTree
from html.parser import HTMLParser
from pathlib import Path

import cv2
import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import ConfigError, SourceError
from pipeline.events import ClassCounts, Event, LineCrossed, TrackStarted, WindowSecond
from pipeline.types import SourceInfo
from sinks.html_report.charts import duration_text, ticks, time_text, time_ticks
from sinks.html_report.data import read_run
from sinks.html_report.page import report_html
from sinks.store.queries import connect
from sinks.store.sqlite_store import SqliteStore
from tests.support.feed_parts import RUN, WALL
from tests.support.feed_runs import recorded_run
from tests.support.video_files import tracked

NASTY = "<script>\"&'</script>"
EVENTS = recorded_run(5, 800)


def store(path: Path, events: list[Event], *, picture: bool = True) -> Path:
    sink = SqliteStore(path)
    for stream in dict.fromkeys(event.stream for event in events):
        sink.open(stream, SourceInfo(width=64, height=48), [])
        if picture:
            sink.on_frame(tracked(np.full((48, 64, 3), 200, np.uint8), stream=stream))
    for event in events:
        sink.on_event(event)
    sink.close()
    return path


def seconds(seq: int, counts: list[float], *, name: str = "person") -> list[Event]:
    return [
        WindowSecond(
            seq=seq + index,
            run=RUN,
            stream="cam",
            pts_s=index + 1.0,
            wall=WALL,
            index=index,
            start_s=float(index),
            end_s=index + 1.0,
            frames=25,
            coverage=1.0,
            objects={name: ClassCounts(mean=count, max=round(count), unique=1)} if count else {},
        )
        for index, count in enumerate(counts)
    ]


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


def test_what_it_shows_agrees_with_the_events(tmp_path: Path) -> None:
    with connect(store(tmp_path / "events.db", EVENTS)) as connection:
        streams = {data.name: data for data in read_run(connection, RUN)}
    for name, data in streams.items():
        mine = [event for event in EVENTS if event.stream == name]
        started = {(event.class_name, event.track_id) for event in mine if isinstance(event, TrackStarted)}
        assert sum(data.objects.values()) == len(started)
        crossed = [event for event in mine if isinstance(event, LineCrossed)]
        assert sum(sum(counts.values()) for line in data.lines.values() for counts in line.values()) == len(crossed)
        positions = sum(hasattr(event, "xyxy") and event.__struct_config__.tag != "track.ended" for event in mine)
        assert data.heat is not None
        assert data.heat.sum() == positions
        assert data.length_s == max(event.pts_s for event in mine)


def test_counts_over_time_with_gaps_and_merged_when_there_are_many(tmp_path: Path) -> None:
    counts = [float(index % 5) for index in range(700)]
    events = seconds(1, counts)
    with connect(store(tmp_path / "a.db", [*events[:100], *events[200:]])) as connection:
        (data,) = read_run(connection, RUN)
    assert data.step_s == 2.0
    assert len(data.starts_s) == 300
    assert data.starts_s[49:51].tolist() == [98.0, 200.0]
    expected = np.reshape([*counts[:100], *counts[200:]], (-1, 2)).mean(axis=1)
    assert np.allclose(data.counts["person"], expected)


def test_the_page_is_one_file_that_loads_nothing_and_parses(tmp_path: Path) -> None:
    path = store(tmp_path / "events.db", EVENTS)
    report_html(path, tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text()
    page = _Page()
    page.feed(text)
    for tag, attributes in page.tags:
        assert tag not in {"script", "link", "iframe", "object", "embed"}
        for name in ("src", "href", "srcset", "action"):
            assert (attributes.get(name) or "data:").startswith("data:")
    assert "url(" not in text
    assert "@import" not in text
    svgs = re.findall(r"<svg.*?</svg>", text, re.DOTALL)
    assert len(svgs) >= 3
    for svg in svgs:
        ElementTree.fromstring(svg)
    pictures = re.findall(r"data:image/jpeg;base64,([^\"]+)", text)
    assert len(pictures) == 3, "one heat map per stream"
    image = cv2.imdecode(np.frombuffer(base64.b64decode(pictures[0]), np.uint8), cv2.IMREAD_COLOR)
    assert image is not None
    assert image.shape == (720, 960, 3)
    assert "żyrafa" in text


def test_names_cannot_break_the_page(tmp_path: Path) -> None:
    renamed: list[Event] = []
    for event in EVENTS:
        changes = {name: NASTY for name in ("class_name", "zone", "line", "source") if hasattr(event, name)}
        renamed.append(msgspec.structs.replace(event, stream=NASTY, **changes))
    report_html(store(tmp_path / "events.db", renamed), tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text()
    assert "<script" not in text
    for svg in re.findall(r"<svg.*?</svg>", text, re.DOTALL):
        ElementTree.fromstring(svg)


@pytest.mark.parametrize("count", [1, 3, 8, 9, 40])
def test_any_number_of_classes(tmp_path: Path, count: int) -> None:
    events = [event for index in range(count) for event in seconds(1 + index * 2, [1.0, 2.0], name=f"class-{index}")]
    report_html(store(tmp_path / "events.db", events, picture=False), tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text()
    assert text.count('class="curve') == min(count, 8)
    assert ("other classes" in text) == (count > 8)


def test_a_run_that_was_killed_at_once_still_has_a_report(tmp_path: Path) -> None:
    report_html(store(tmp_path / "events.db", EVENTS[:1], picture=False), tmp_path / "report.html")
    assert "no end was recorded" in (tmp_path / "report.html").read_text()


def test_a_picture_of_ones_own_and_mistakes(tmp_path: Path) -> None:
    path = store(tmp_path / "events.db", EVENTS, picture=False)
    cv2.imwrite(str(tmp_path / "mine.png"), np.zeros((10, 20, 3), np.uint8))
    report_html(path, tmp_path / "report.html", stream="cam", picture=tmp_path / "mine.png", run=RUN[:5])
    assert (tmp_path / "report.html").read_text().count("data:image") == 1
    with pytest.raises(SourceError, match=r"no\.png: no such file"):
        report_html(path, tmp_path / "report.html", picture=tmp_path / "no.png")
    with pytest.raises(ConfigError, match="no stream 'nobody'"):
        report_html(path, tmp_path / "report.html", stream="nobody")
    with pytest.raises(ConfigError, match="there is none in the store"):
        report_html(path, tmp_path / "report.html", run="nobody")


@given(highest=st.floats(1e-3, 1e6), most=st.integers(2, 10))
def test_ticks_are_round_and_reach_the_top(highest: float, most: int) -> None:
    marks = ticks(highest, most)
    assert marks[0] == 0
    assert marks[-1] >= highest * 0.999
    assert len(marks) <= most + 2


@given(length_s=st.floats(0.01, 3e6))
def test_time_ticks_are_few_and_within(length_s: float) -> None:
    marks = time_ticks(length_s)
    assert 1 <= len(marks) <= 10
    assert all(0 <= mark <= length_s for mark in marks)


def test_times_as_text() -> None:
    assert [time_text(value) for value in (0, 65, 7205)] == ["0:00", "1:05", "2:00:05"]
    assert [duration_text(value) for value in (1.234, 42.4, 185, 7800)] == ["1.2 s", "42 s", "3 min 5 s", "2 h 10 min"]
