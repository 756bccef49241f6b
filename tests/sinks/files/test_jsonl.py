"""Events as JSON Lines."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import ConfigError, SinkError
from pipeline.event_codec import encode_json
from pipeline.events import AnyEvent, Event, FrameCounts, LineCrossed, OutputCounts, StreamEnded, TrackStarted
from pipeline.interfaces import Sink
from pipeline.types import SourceInfo
from sinks.files.jsonl import JsonlSink

INFO = SourceInfo(width=4, height=2)


def crossed(seq: int, *, line: str = "gate") -> LineCrossed:
    return LineCrossed(
        seq=seq,
        run="run",
        stream="camera",
        pts_s=seq / 25,
        wall="2026-01-01T00:00:00.000Z",
        line=line,
        track_id=1,
        class_name="person",
        direction="in",
    )


def started(seq: int) -> TrackStarted:
    return TrackStarted(
        seq=seq,
        run="run",
        stream="camera",
        pts_s=0.0,
        wall="2026-01-01T00:00:00.000Z",
        track_id=seq,
        class_name="person",
        score=0.5,
        xyxy=(0.0, 1.0, 2.0, 3.0),
    )


def ended(seq: int) -> StreamEnded:
    ledger = FrameCounts(decoded=3, processed=2, dropped={"stale": 1}, failed={})
    return StreamEnded(
        seq=seq, run="run", stream="camera", pts_s=1.0, wall="2026-01-01T00:00:00.000Z", reason="end", ledger=ledger
    )


def write(path: Path, events: list[Event], error: BaseException | None = None) -> None:
    sink = JsonlSink(path)
    sink.check()
    sink.open("camera", INFO, ["person"])
    for event in events:
        sink.on_event(event)
    sink.close(error)


@given(
    kinds=st.lists(st.sampled_from([started, ended]), max_size=20),
    line=st.text(st.characters(codec="utf-8"), max_size=20),
)
def test_reads_back_as_what_was_written(
    tmp_path_factory: pytest.TempPathFactory, kinds: list[object], line: str
) -> None:
    path = tmp_path_factory.mktemp("jsonl") / "x.jsonl"
    events: list[Event] = [crossed(0, line=line)]
    events += [started(seq) if kind is started else ended(seq) for seq, kind in enumerate(kinds, 1)]
    write(path, events)
    lines = path.read_bytes().split(b"\n")
    assert lines.pop() == b"", "the last line is complete too"
    assert [msgspec.json.decode(text, type=AnyEvent) for text in lines] == events
    assert json.loads(lines[0])["type"] == "line.crossed", "any JSON reader can read it"
    assert json.loads(lines[0])["line"] == line


def test_several_streams_share_a_file(tmp_path: Path) -> None:
    sink = JsonlSink(tmp_path / "x.jsonl")
    sink.open("one", INFO, [])
    sink.on_event(started(1))
    sink.open("two", INFO, [])
    sink.on_event(started(2))
    sink.close()
    assert len((tmp_path / "x.jsonl").read_text().splitlines()) == 2


def test_writes_only_the_types_asked_for(tmp_path: Path) -> None:
    sink = JsonlSink(tmp_path / "x.jsonl", types=["line.crossed", "stream.ended"])
    sink.open("camera", INFO, [])
    for event in (started(1), crossed(2), started(3), ended(4)):
        sink.on_event(event)
    sink.close()
    assert [json.loads(line)["seq"] for line in (tmp_path / "x.jsonl").read_text().splitlines()] == [2, 4]


def test_an_unknown_type_is_named_with_near_matches(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"'line\.crosed': did you mean line\.crossed"):
        JsonlSink(tmp_path / "x.jsonl", types=["line.crosed"])
    with pytest.raises(ConfigError, match=r"'qqq': there are stream\.started, "):
        JsonlSink(tmp_path / "x.jsonl", types=["qqq"])


@pytest.mark.parametrize("error", [None, KeyboardInterrupt()])
def test_an_end_or_an_interrupt_replaces_the_old_file(tmp_path: Path, error: BaseException | None) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text("old")
    write(path, [started(1)], error)
    assert path.read_bytes() == encode_json(started(1)) + b"\n"
    assert list(tmp_path.iterdir()) == [path]


def test_an_error_leaves_the_old_file_and_keeps_what_was_processed(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text("old")
    write(path, [started(1)], RuntimeError("the run failed"))
    assert path.read_text() == "old"
    assert (tmp_path / "x.partial.jsonl").read_bytes() == encode_json(started(1)) + b"\n"


@pytest.mark.parametrize("error", [None, KeyboardInterrupt(), RuntimeError("the run failed")])
def test_a_run_that_never_opened_writes_nothing(tmp_path: Path, error: BaseException | None) -> None:
    sink = JsonlSink(tmp_path / "x.jsonl")
    sink.check()
    sink.close(error)
    assert list(tmp_path.iterdir()) == []


def test_a_stream_without_events_leaves_an_empty_file(tmp_path: Path) -> None:
    write(tmp_path / "x.jsonl", [])
    assert (tmp_path / "x.jsonl").read_bytes() == b""


def test_check_makes_a_missing_folder(tmp_path: Path) -> None:
    JsonlSink(tmp_path / "new" / "x.jsonl").check()
    assert (tmp_path / "new").is_dir()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full, a device that Linux has")
def test_a_full_disk_is_a_sink_error() -> None:
    sink: Sink = JsonlSink("/dev/full")
    sink.check()
    assert sink.may_stall, "a device may keep the writer waiting"
    sink.open("camera", INFO, [])
    with pytest.raises(SinkError, match=r"^cannot write /dev/full: the disk is full") as caught:
        sink.on_event(started(1))
    sink.close(caught.value)
    assert sink.counts() == OutputCounts(given=1, lost=1)
