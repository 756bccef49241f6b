"""Short trouble of an output: a camera waits it out and counts what it loses, a file run ends with a clear error.

Every output that writes to a disk joins by a line in ``OUTPUTS``.
"""

from __future__ import annotations

import itertools
import shutil
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import SinkError
from pipeline.events import OutputCounts
from pipeline.interfaces import Sink
from pipeline.runtime.pipeline import Pipeline
from pipeline.runtime.streams.stream import Stream
from pipeline.types import Frame, SourceInfo
from sinks.files.jsonl import JsonlSink
from sinks.files.mot import MotSink
from sinks.integrations.webhook import WebhookSink
from sinks.store.parquet_store import ParquetStore
from sinks.store.queries import query
from sinks.store.sqlite_store import SqliteStore
from sinks.video.mp4 import Mp4Sink
from sinks.video.segments import SegmentedMp4Sink
from tests.support.fakes import BlobDetector, MemorySource
from tests.support.feed_parts import updated
from tests.support.small_disk import SmallDisk, small_disk
from tests.support.video_files import read_video, tracked, tracks
from tests.support.waiting import wait_until
from trackers.factory import create_tracker

LIVE = SourceInfo(64, 48, fps=Fraction(10), uri="rtsp://camera", live=True)
FILE = SourceInfo(64, 48, fps=Fraction(10), uri="memory")
NOISE = np.random.default_rng(0).integers(0, 256, (8, 48, 64, 3), dtype=np.uint8)


@dataclass(frozen=True)
class Output:
    """An output that writes to a disk.

    Attributes:
        name: in test ids.
        make: builds it; its argument is the folder to write to.
        video: whether it takes frames rather than events.
    """

    name: str
    make: Callable[[Path], Sink]
    video: bool = False


OUTPUTS = [
    Output("mp4", lambda folder: Mp4Sink(folder / "a.mp4", annotate=None), video=True),
    Output("segments", lambda folder: SegmentedMp4Sink(folder / "a.mp4", segment_s=2, annotate=None), video=True),
    Output("jsonl", lambda folder: JsonlSink(folder / "a.jsonl")),
    Output("mot", lambda folder: MotSink(folder / "a.txt"), video=True),
    Output("sqlite", lambda folder: SqliteStore(folder / "a.db", flush_s=0.02, pictures=False)),
    Output("parquet", lambda folder: ParquetStore(folder / "a", flush_s=0.02)),
    Output("webhook", lambda folder: WebhookSink("http://127.0.0.1:9/x", spool=folder / "a", batch_s=0.02, linger_s=0)),
]
every_output = pytest.mark.parametrize("output", OUTPUTS, ids=lambda output: output.name)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr("sinks.steady_file._RETRY_S", 0.05)
    monkeypatch.setattr("sinks.batching._RETRY_S", 0.05)
    monkeypatch.setattr(
        "sinks.video.segment_finisher._MOST_IN_MEMORY", 1000
    )  # media time goes far faster than real time
    monkeypatch.setattr("sinks.store.sqlite_store._LIVE_BUSY_S", 0.2)
    before = set(threading.enumerate())
    yield
    assert set(threading.enumerate()) <= before


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    with small_disk(tmp_path / "disk", 3000) as disk:
        yield disk


class Camera:
    """Feeds an output: ten frames and ten events a second of media time, as fast as it takes them."""

    def __init__(self, sink: Sink, info: SourceInfo = LIVE) -> None:
        self.sink = sink
        self._numbers = itertools.count()
        sink.check()
        sink.open("cam", info, ["person"])

    def run(self, seconds: float) -> None:
        for _ in range(round(10 * seconds)):
            number = next(self._numbers)
            shown = tracks([(5, 5, 30, 40)])
            frame = tracked(NOISE[number % 8], number, shown=shown, stream="cam", pts_s=number / 10)
            self.sink.on_frame(frame)
            self.sink.on_event(updated(number + 1))
            time.sleep(0.001)

    def counts(self) -> OutputCounts:
        return self.sink.counts() or OutputCounts()

    def until(self, happened: Callable[[OutputCounts], bool]) -> None:
        def so() -> bool:
            self.run(0.2)
            return happened(self.counts())

        wait_until(so, "what is to happen", self.counts)


def settled(counts: OutputCounts) -> bool:
    """Whether nothing waits."""
    return counts.given == counts.written + counts.lost


@every_output
def test_a_full_disk_is_waited_out(output: Output, disk: SmallDisk, caplog: pytest.LogCaptureFixture) -> None:
    camera = Camera(output.make(disk.path))
    camera.run(4)
    disk.fill()
    before = camera.counts()
    camera.until(lambda counts: counts.retried > 2)
    assert "trying again" in caplog.text
    disk.free()
    camera.until(lambda counts: counts.written > max(before.given, before.written) + 20 or output.name == "webhook")
    camera.run(3)
    camera.sink.close()
    counts = camera.counts()
    assert counts.given >= counts.written
    assert counts.lost == 0, "short enough to wait"
    if output.name != "webhook":  # whose server never takes anything
        assert settled(counts)


@every_output
def test_a_folder_that_is_gone_for_a_while(output: Output, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It is deleted, and made again after a while."""
    folder = tmp_path / "out"
    folder.mkdir()
    camera = Camera(output.make(folder))
    camera.run(3)
    folder.rename(tmp_path / "gone")  # all of it in one moment
    shutil.rmtree(tmp_path / "gone")
    camera.until(lambda counts: counts.retried > 2)
    assert "trying again" in caplog.text
    folder.mkdir()
    written = camera.counts().written
    camera.until(lambda counts: counts.written > written + 20 or output.name == "webhook")
    camera.run(3)
    camera.sink.close()
    assert list(folder.rglob("*")), "it goes on there"
    counts = camera.counts()
    assert counts.lost <= counts.given / 2
    videos = [path for path in folder.glob("*.mp4") if "partial" not in path.name]
    assert bool(videos) == (output.name in ("mp4", "segments"))
    for path in videos:
        assert read_video(path).images


@every_output
def test_a_disk_that_is_unplugged_for_a_while(output: Output, disk: SmallDisk) -> None:
    """Meanwhile nothing is written to the folder below, which is on another disk."""
    camera = Camera(output.make(disk.path))
    camera.run(3)
    disk.unplug()
    camera.until(lambda counts: counts.retried > 2)
    assert not list(disk.path.iterdir())
    disk.plug_another()
    written = camera.counts().written
    camera.until(lambda counts: counts.written > written + 20 or output.name == "webhook")
    camera.run(3)
    camera.sink.close()
    assert list(disk.path.rglob("*"))


@pytest.mark.parametrize("output", [one for one in OUTPUTS if one.name != "webhook"], ids=lambda output: output.name)
def test_a_disk_that_is_full_when_the_camera_starts(output: Output, disk: SmallDisk) -> None:
    disk.fill()
    camera = Camera(output.make(disk.path))
    camera.until(lambda counts: counts.retried > 1)
    disk.free()
    camera.until(lambda counts: counts.written > 20)
    camera.run(1)
    camera.sink.close()
    assert settled(camera.counts())
    assert camera.counts().lost == 0


@pytest.mark.parametrize("moment", ["at the start", "later"])
def test_a_store_that_is_locked_is_waited_for(tmp_path: Path, moment: str) -> None:
    path = tmp_path / "a.db"
    made = SqliteStore(path)
    made.open("cam", FILE, [])
    made.close()
    other = sqlite3.connect(path, isolation_level=None)
    if moment == "at the start":
        other.execute("BEGIN IMMEDIATE")
    camera = Camera(SqliteStore(path, flush_s=0.02, pictures=False))
    if moment == "later":
        camera.run(1)
        other.execute("BEGIN IMMEDIATE")
    camera.until(lambda counts: counts.retried > 0)
    other.execute("ROLLBACK")
    other.close()
    camera.run(1)
    camera.sink.close()
    counts = camera.counts()
    assert (counts.written, counts.lost) == (counts.given, 0)
    assert query(path, "SELECT count(*), min(seq), max(seq) FROM events").rows == [(counts.given, 1, counts.given)]


@every_output
def test_trouble_that_lasts_is_told_at_the_end(output: Output, disk: SmallDisk) -> None:
    camera = Camera(output.make(disk.path))
    camera.run(3)
    disk.fill()
    camera.until(lambda counts: counts.retried > 1)
    with pytest.raises(SinkError) as caught:
        camera.sink.close()  # would hang here
    assert len(str(caught.value).splitlines()) == 1
    counts = camera.counts()
    assert counts.lost > 0 or output.name == "segments"


@every_output
def test_a_file_run_ends_with_a_clear_error(output: Output, disk: SmallDisk) -> None:
    camera = Camera(output.make(disk.path), FILE)
    camera.run(4)
    disk.fill()
    with pytest.raises(SinkError) as caught:
        for _ in range(200):
            camera.run(1)
    assert str(disk.path) in str(caught.value)
    assert "full" in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1
    with suppress(SinkError):  # of the same
        camera.sink.close(caught.value)
    assert [path for path in disk.path.rglob("*") if path.stat().st_size], "what was processed is kept"


@pytest.mark.parametrize("output", [OUTPUTS[0], OUTPUTS[2]], ids=lambda output: output.name)
def test_what_there_is_no_room_for_is_lost_and_counted(
    output: Output, disk: SmallDisk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sinks.steady_file._MOST_WAITING", 20_000)
    camera = Camera(output.make(disk.path))
    camera.run(4)
    disk.fill()
    camera.until(lambda counts: counts.lost > 20)
    disk.free()
    written = camera.counts().written
    camera.until(lambda counts: counts.written > written + 20)
    camera.run(4)
    camera.sink.close()
    counts = camera.counts()
    assert settled(counts)
    if output.video:
        video = read_video(disk.path / "a.mp4")
        assert len(video.images) == counts.written
        assert video.duration_s == pytest.approx(counts.given / 10, abs=0.2), "the time goes on"
    else:
        lines = (disk.path / "a.jsonl").read_text().splitlines()
        assert len(lines) == counts.written


class LiveSource(MemorySource):
    """A camera that goes on until it is told to stop."""

    def __init__(self, stream: str, stop: threading.Event) -> None:
        super().__init__(list(NOISE), stream=stream)
        self.info = LIVE
        self._stop = stop

    def __iter__(self) -> Iterator[Frame]:
        for index in itertools.count():
            if self._stop.wait(0.01):
                return
            yield Frame(NOISE[index % 8], index, index / 10, time.monotonic(), self.stream)


def test_a_camera_s_broken_output_stops_no_camera_and_is_in_the_report(disk: SmallDisk, tmp_path: Path) -> None:
    stop = threading.Event()
    outputs = {name: JsonlSink(folder / f"{name}.jsonl") for name, folder in (("a", disk.path), ("b", tmp_path))}
    shared = SqliteStore(disk.path / "events.db", flush_s=0.02, pictures=False)
    streams = [
        Stream(source=LiveSource(name, stop), tracker=create_tracker(), sinks=[outputs[name]]) for name in ("a", "b")
    ]
    pipeline = Pipeline(streams, BlobDetector(), sinks=[shared])
    disk.fill()

    def watch() -> None:
        try:
            wait_until(lambda: all(map(retried, (outputs["a"], shared))), "attempts")
            disk.free()
            wait_until(lambda: all(map(goes_on, (outputs["a"], shared))), "what is written again")
        finally:
            stop.set()

    watching = threading.Thread(target=watch)
    watching.start()
    report = pipeline.run()
    watching.join()
    assert [stream.error for stream in report.streams.values()] == [None, None]
    told = [report.streams["a"].outputs["JsonlSink"], report.streams["b"].outputs["JsonlSink"]]
    told.append(report.outputs["SqliteStore"])
    assert [(counts.given - counts.written, counts.lost) for counts in told] == [(0, 0)] * 3
    assert [bool(counts.retried) for counts in told] == [True, False, True]
    assert len((disk.path / "a.jsonl").read_text().splitlines()) == told[0].given
    assert query(disk.path / "events.db", "SELECT count(*) FROM events").rows == [(told[2].given,)]
    assert told[2].given == told[0].given + told[1].given


def retried(sink: Sink) -> bool:
    return (sink.counts() or OutputCounts()).retried > 0


def goes_on(sink: Sink) -> bool:
    counts = sink.counts() or OutputCounts()
    return counts.written > 20
