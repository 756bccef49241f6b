"""What every sink must say and keep to about the files that it writes: ``Sink.files``.

A new sink joins by a line in ``WRITERS`` or ``OTHERS``.
"""

from __future__ import annotations

import importlib
import pkgutil
from dataclasses import replace
from inspect import isabstract
from pathlib import Path

import pytest

import sightline
import sinks
from pipeline.errors import ConfigError
from pipeline.files import InputFiles, refuse_conflicts
from pipeline.interfaces import Sink
from pipeline.runtime.pipeline import Pipeline
from pipeline.runtime.sink_thread import SinkThread
from pipeline.runtime.streams.stream import Stream
from sightline.cluster.shard_feed import LentSink
from sightline.imageai.analysis import AnalysisSink
from sightline.library.handover import Handover
from sightline.server.evidence import EvidenceBook
from sightline.server.feed import EventHub
from sightline.server.live.hub import LiveHub
from sightline.terminal.preview import PreviewSink
from sightline.terminal.progress import ProgressSink
from sinks.callbacks import CallbacksSink
from sinks.evidence.sink import EvidenceSink
from sinks.feed.zeromq_sink import ZeroMqSink
from sinks.files.jsonl import JsonlSink
from sinks.files.mot import MotSink
from sinks.integrations.mqtt import MqttSink
from sinks.integrations.webhook import WebhookSink
from sinks.recording.clip_sink import ClipSink
from sinks.recording.sink import RecordingSink
from sinks.store.parquet_store import ParquetStore
from sinks.store.sqlite_store import SqliteStore
from sinks.video.mp4 import Mp4Sink
from sinks.video.segments import SegmentedMp4Sink
from tests.sinks.test_contract import INFO, Case, feed, notifications
from tests.support.fakes import BlobDetector, MemorySource, moving_box
from trackers.sort import SortTracker

WRITERS = [
    Case("mp4", lambda folder: Mp4Sink(folder / "a.mp4"), "a.mp4"),
    Case("segments", lambda folder: SegmentedMp4Sink(folder / "a.mp4", segment_s=1)),
    Case("segments-of-a-folder", lambda folder: SegmentedMp4Sink(folder, segment_s=1)),
    Case("jsonl", lambda folder: JsonlSink(folder / "a.jsonl"), "a.jsonl"),
    Case("mot", lambda folder: MotSink(folder / "a.txt"), "a.txt"),
    Case("sqlite", lambda folder: SqliteStore(folder / "a.db"), "a.db"),
    Case("parquet", lambda folder: ParquetStore(folder / "a", flush_s=0.01)),
    Case("webhook", lambda folder: WebhookSink("http://127.0.0.1:1/", spool=folder / "a", batch_s=0.01, linger_s=0)),
    Case("notifications", lambda folder: notifications(folder / "a")),
]
# What these write, frames and events of a contract don't give rise to: tests/sinks/evidence and recording try it.
OF_THEIR_OWN = {ClipSink, EvidenceSink, RecordingSink}
OTHERS = {
    *(AnalysisSink, CallbacksSink, EventHub, Handover, LiveHub, MqttSink, PreviewSink, ProgressSink),
    *(EvidenceBook, LentSink, ZeroMqSink),
}
every_writer = pytest.mark.parametrize("case", WRITERS, ids=lambda case: case.name)


def test_every_sink_is_known_here(tmp_path: Path) -> None:
    for package in (sinks, sightline):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            importlib.import_module(module.name)
    known, found = {Sink}, set[type[Sink]]()
    while known:
        known = {kind for parent in known for kind in parent.__subclasses__()}
        found |= {
            kind for kind in known if kind.__module__.startswith(("sinks.", "sightline.")) and not isabstract(kind)
        }
    assert found == {type(case.make(tmp_path)) for case in WRITERS} | OF_THEIR_OWN | OTHERS


@every_writer
@pytest.mark.parametrize("error", [None, RuntimeError("elsewhere")], ids=repr)
def test_a_sink_names_every_file_that_it_writes(case: Case, error: BaseException | None, tmp_path: Path) -> None:
    sink = SinkThread(case.make(tmp_path))
    promised = sink.files("camera")
    feed(sink)
    seen = {path for path in tmp_path.rglob("*") if path.is_file()}
    sink.close(error)
    seen |= {path for path in tmp_path.rglob("*") if path.is_file()}
    assert seen
    for path in seen:
        assert any(output.covers(path) for output in promised), path


@every_writer
def test_an_output_as_an_input_is_refused_by_a_run_in_a_notebook(case: Case, tmp_path: Path) -> None:
    """Nothing but ``Pipeline`` knows both there."""
    sink = case.make(tmp_path)
    feed(sink, 3)
    sink.close()
    written = [path for path in tmp_path.rglob("*") if path.is_file() and path.stat().st_size]
    assert written
    for path in written:
        source = MemorySource(moving_box(3), stream="camera")
        source.info = replace(INFO, uri=str(path))
        stream = Stream(source=source, tracker=SortTracker(), sinks=[case.make(tmp_path)])
        before = path.read_bytes()
        with pytest.raises(ConfigError, match="it is what stream camera reads; choose another name"):
            Pipeline(stream, BlobDetector()).run()
        assert path.read_bytes() == before


@every_writer
def test_what_a_sink_writes_for_one_stream_is_not_what_it_writes_for_others(case: Case, tmp_path: Path) -> None:
    """Unless it serves all of them alike: then it says the same, and is not in conflict with itself."""
    sink = case.make(tmp_path)
    for name in ("camera", "other"):
        refuse_conflicts([InputFiles("x", (tmp_path / "elsewhere.mp4",))], sink.files(name))


@pytest.mark.parametrize("kind", [Mp4Sink, MotSink])
def test_a_sink_of_one_stream_writes_nothing_for_another(kind: type[Mp4Sink | MotSink], tmp_path: Path) -> None:
    sink = kind(tmp_path / "a.mp4", stream="door")
    assert sink.files("door")
    assert not sink.files("yard")
    assert not SegmentedMp4Sink(tmp_path, segment_s=1, stream="door").files("yard")
