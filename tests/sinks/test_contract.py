"""What every sink must keep to, whatever it writes: the promises of ``pipeline.interfaces.Sink``.

A new sink joins by a line in ``CASES``.
"""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from pipeline.errors import SinkError
from pipeline.events import (
    AlertEnded,
    AlertStarted,
    AlertUpdated,
    ClassCounts,
    Event,
    FrameCounts,
    Heartbeat,
    LineCounts,
    LineCrossed,
    OutputCounts,
    Stats,
    StreamEnded,
    StreamFrozen,
    StreamOffline,
    StreamOnline,
    StreamStarted,
    TrackEnded,
    TrackStarted,
    TrackUpdated,
    WindowMinute,
    WindowSecond,
    ZoneEntered,
    ZoneLeft,
)
from pipeline.evidence.desk import EvidenceDesk
from pipeline.evidence.wanted import EvidenceWanted
from pipeline.interfaces import Sink
from pipeline.runtime.sink_thread import SinkThread
from pipeline.types import SourceInfo, TrackedFrame
from sightline.server.live.hub import LiveHub
from sightline.terminal.progress import ProgressSink
from sinks.callbacks import CallbacksSink
from sinks.evidence.folder import EvidenceFolder
from sinks.evidence.sink import EvidenceSink
from sinks.feed.zeromq_sink import ZeroMqSink
from sinks.files.jsonl import JsonlSink
from sinks.files.mot import MotSink
from sinks.integrations.apprise_target import AppriseTarget
from sinks.integrations.mqtt import MqttSink
from sinks.integrations.notifications import NotificationSink, Wanted
from sinks.integrations.webhook import WebhookSink
from sinks.store.parquet_store import ParquetStore
from sinks.store.sqlite_store import SqliteStore
from sinks.video.mp4 import Mp4Sink
from sinks.video.segments import SegmentedMp4Sink
from tests.support.free_ports import free_port
from tests.support.video_files import tracked, tracks
from tests.support.waiting import PATIENCE_S

CLASS_NAMES = ("person", "car")
SEGMENT, SEGMENT_2 = "a-19700101T000000Z.mp4", "a-19700101T000000Z-2.mp4"
INFO = SourceInfo(64, 48, fps=Fraction(25), frame_count=5, duration_s=0.2, uri="memory")


@dataclass(frozen=True)
class Case:
    """One way to set up a sink.

    Attributes:
        name: in test ids.
        make: builds the sink; its argument is an empty folder.
        output: name in that folder of the file it completes, or None for sinks that write no file.
        again: name of the file that it completes where there is one of that name; by default it takes its place.
    """

    name: str
    make: Callable[[Path], Sink]
    output: str | None = None
    again: str | None = None

    def path(self, folder: Path) -> Path:
        assert self.output is not None
        return folder / self.output


def callbacks(folder: Path) -> Sink:
    return CallbacksSink(
        on_frame=lambda frame: frame.annotated(),
        on_second=lambda second: None,
        on_minute=lambda minute: None,
        on_event=lambda event: None,
        on_end=lambda end: None,
    )


def notifications(spool: Path) -> Sink:
    target = AppriseTarget("phone", f"json://127.0.0.1:{free_port()}/")
    wanted = Wanted(types=["alert.started", "alert.updated", "alert.ended"])
    return NotificationSink(target, spool=spool, wanted=wanted, every_s=0, wait_picture_s=0)


CASES = [
    Case("mp4", lambda folder: Mp4Sink(folder / "a.mp4"), "a.mp4"),
    Case("mp4-plain-10-fps", lambda folder: Mp4Sink(folder / "a.mp4", annotate=None, fps=10), "a.mp4"),
    Case(
        "segments",
        lambda folder: SegmentedMp4Sink(folder / "a.mp4", segment_s=9, now_s=lambda: 0.0),
        SEGMENT,
        SEGMENT_2,
    ),
    Case("jsonl", lambda folder: JsonlSink(folder / "a.jsonl"), "a.jsonl"),
    Case("mot", lambda folder: MotSink(folder / "a.txt"), "a.txt"),
    Case("callbacks", callbacks),
    Case("progress", lambda folder: ProgressSink(Console(file=io.StringIO()))),
    Case("live-pictures", lambda folder: LiveHub()),  # the newest alone counts
    Case("evidence", lambda folder: EvidenceSink(EvidenceDesk(EvidenceWanted()), EvidenceFolder(folder, "camera"))),
    Case("zeromq", lambda folder: ZeroMqSink("tcp://127.0.0.1:*", requests="tcp://127.0.0.1:*", linger_s=0.05)),
]
# Those that the tests of files and folders say nothing about, but that count like every other.
COUNTING = [
    *(case for case in CASES if case.name not in ("live-pictures", "evidence")),  # no event here names evidence
    Case("sqlite", lambda folder: SqliteStore(folder / "a.db")),
    Case("parquet", lambda folder: ParquetStore(folder / "events")),
    Case("jsonl-of-one-type", lambda folder: JsonlSink(folder / "a.jsonl", types=["line.crossed"])),
    Case("mqtt", lambda folder: MqttSink(f"mqtt://127.0.0.1:{free_port()}", types=["line.crossed"], linger_s=0.1)),
    Case(
        "webhook",
        lambda folder: WebhookSink(f"http://127.0.0.1:{free_port()}/", spool=folder / "spool", linger_s=0.1),
    ),
    Case("notifications", lambda folder: notifications(folder / "spool")),
]
FILES = [case for case in CASES if case.output is not None]
every_sink = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
every_counting_sink = pytest.mark.parametrize("case", COUNTING, ids=lambda case: case.name)
every_file = pytest.mark.parametrize("case", FILES, ids=lambda case: case.name)


@pytest.fixture(autouse=True)
def no_thread_left() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    assert set(threading.enumerate()) <= before


def frames(count: int = 5, *, height: int = 48) -> list[TrackedFrame]:
    """Every kind: nobody there, somebody, somebody coasting, somebody gone."""
    generator = np.random.default_rng(0)
    made = []
    for index in range(count):
        shown = [
            tracks([]),
            tracks([(5, 5, 30, 40)], class_ids=[1]),
            tracks([(6, 5, 31, 40), (-10, -10, 200, 200)], unseen_s=[0.04, 0], class_ids=[1, 7]),
        ][index % 3]
        image = generator.integers(0, 256, (height, 64, 3), dtype=np.uint8)
        made.append(tracked(image, index, shown=shown, ended=[1, 2] if index % 3 == 0 and index else []))
    return made


def events() -> list[Event]:
    """One of every kind."""
    common = partial(dict[str, object], run="00000000-0000-4000-8000-000000000000", stream="camera")
    ledger = FrameCounts(decoded=5, processed=5, dropped={}, failed={})
    track = {"track_id": 1, "class_name": "person", "score": 0.5, "xyxy": (1.0, 2.0, 3.0, 4.0)}
    crossing = {"track_id": 1, "class_name": "person"}
    alert = {"alert_id": 9, "rule": "yard", "severity": "critical", "text": "=1 person", "since_s": 0.1, "count": 1}
    alert |= {"tracks": (1,), "classes": ("person",), "zone": "door"}
    counts = {"person": ClassCounts(mean=0.5, max=1, unique=1)}
    window = {"index": 0, "start_s": 0.0, "frames": 5, "coverage": 0.2, "objects": counts, "zones": {"door": counts}}
    window["lines"] = {"gate": {"person": LineCounts(entered=1, left=0)}}
    kinds: list[tuple[type[Event], dict[str, object]]] = [
        (StreamStarted, {"source": "memory", "width": 64, "height": 48, "live": False}),
        (StreamOffline, {"reason": "timeout"}),
        (StreamOnline, {"offline_s": 1.0, "width": 64, "height": 48}),
        (StreamFrozen, {"frozen": True, "still_s": 120.0}),
        (TrackStarted, track),
        (TrackUpdated, {**track, "age_s": 0.5, "unseen_s": 0.0}),
        (ZoneEntered, {"zone": "door", **crossing}),
        (ZoneLeft, {"zone": "door", "dwell_s": 0.5, **crossing}),
        (LineCrossed, {"line": "gate", "direction": "in", **crossing}),
        (AlertStarted, alert),
        (AlertUpdated, alert),
        (AlertEnded, {**alert, "duration_s": 1.5, "reason": "cleared"}),
        (TrackEnded, {**track, "age_s": 0.5, "reason": "lost"}),
        (WindowSecond, {**window, "end_s": 1.0}),
        (WindowMinute, {**window, "end_s": 60.0}),
        (Stats, {"ledger": ledger, "fps": 25.0}),
        (Heartbeat, {}),
        (StreamEnded, {"reason": "end", "ledger": ledger}),
    ]
    wall = "2026-01-02T03:04:05.678Z"
    return [
        kind(seq=number + 1, pts_s=number / 25, wall=wall, **common(), **fields)  # type: ignore[arg-type]
        for number, (kind, fields) in enumerate(kinds)
    ]


def feed(sink: Sink, count: int = 5) -> None:
    """A stream from its opening to its last event."""
    sink.open("camera", INFO, CLASS_NAMES)
    first, *between, last = events()
    sink.on_event(first)
    for frame in frames(count):
        sink.on_frame(frame)
        for event in between:
            sink.on_event(event)
        between = []
    sink.on_event(last)


def listing(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@every_sink
def test_a_whole_life(case: Case, tmp_path: Path) -> None:
    sink = case.make(tmp_path)
    assert isinstance(sink.may_stall, bool)
    sink.check()
    feed(sink)
    sink.close()
    assert list(listing(tmp_path)) == ([case.output] if case.output else [])
    assert all(listing(tmp_path).values()), "not empty"


@every_sink
def test_check_may_be_repeated_and_writes_nothing(case: Case, tmp_path: Path) -> None:
    sink = case.make(tmp_path)
    sink.check()
    sink.check()
    assert not listing(tmp_path)
    sink.close()
    assert not listing(tmp_path), "nor does a run that never began"


@every_sink
@pytest.mark.parametrize("error", [None, KeyboardInterrupt(), RuntimeError("elsewhere")], ids=repr)
def test_close_without_frames(case: Case, tmp_path: Path, error: BaseException | None) -> None:
    for name, opened in [("never-opened", False), ("opened", True)]:
        folder = tmp_path / name
        folder.mkdir()
        sink = case.make(folder)
        if opened:
            sink.open("camera", INFO, CLASS_NAMES)
        sink.close(error)


@every_sink
def test_nothing_given_is_changed(case: Case, tmp_path: Path) -> None:
    """The images of ``frames`` can't be written to; the other arrays are compared."""
    given, untouched = frames(), frames()
    sink = case.make(tmp_path)
    sink.open("camera", INFO, CLASS_NAMES)
    for frame in given:
        sink.on_frame(frame)
    sink.close()
    for frame, original in zip(given, untouched, strict=True):
        np.testing.assert_array_equal(frame.frame.image, original.frame.image)
        np.testing.assert_array_equal(frame.ended, original.ended)
        for name in ("xyxy", "score", "class_id", "track_id", "age_s", "unseen_s"):
            np.testing.assert_array_equal(getattr(frame.tracks, name), getattr(original.tracks, name))


@every_sink
def test_pictures_may_change_their_size(case: Case, tmp_path: Path) -> None:
    sink = case.make(tmp_path)
    sink.open("camera", INFO, CLASS_NAMES)
    for frame in [*frames(3), *frames(6, height=80)[3:]]:
        sink.on_frame(frame)
    sink.close()


@every_sink
def test_instances_share_nothing(case: Case, tmp_path: Path) -> None:
    folders = [tmp_path / "one", tmp_path / "two"]
    for folder in folders:
        folder.mkdir()
    one, two = [case.make(folder) for folder in folders]
    feed(one, 2)
    feed(two)
    one.close()
    two.close()
    alone = tmp_path / "alone"
    alone.mkdir()
    single = case.make(alone)
    feed(single)
    single.close()
    assert listing(folders[1]) == listing(alone)


@every_sink
def test_a_sink_that_is_used_up_leaves_another_in_peace(case: Case, tmp_path: Path) -> None:
    """The second run over the same place replaces the output of the first, or leaves it as it is."""
    for count in (5, 3):
        sink = case.make(tmp_path)
        sink.check()
        feed(sink, count)
        sink.close()
    assert set(listing(tmp_path)) == {name for name in (case.output, case.again) if name}


def made(case: Case, folder: Path) -> Sink:
    sink = case.make(folder)
    try:
        sink.check()
    except SinkError as error:  # of a package that is not installed
        pytest.skip(str(error))
    return sink


def uses(sink: Sink, items: Iterable[TrackedFrame | Event]) -> int:
    return sum(sink.takes(item) for item in items)


def taken(sink: Sink) -> int:
    """How much of what ``feed`` gives the sink has a use for."""
    return uses(sink, [*frames(), *events()])


def waiting(folder: Path) -> int:
    """Events that a sink keeps for its next run."""
    return sum(len(json.loads(path.read_bytes())) for path in folder.glob("spool/*.json"))


@every_counting_sink
def test_everything_given_is_accounted_for(case: Case, tmp_path: Path) -> None:
    sink = made(case, tmp_path)
    assert sink.counts() == OutputCounts(), "before it is open"
    feed(sink)
    sink.close()
    counts = sink.counts()
    assert counts is not None
    assert counts.given == counts.written + counts.lost + waiting(tmp_path)
    assert counts.given == (2 if case.name == "mp4-plain-10-fps" else taken(sink)) > 0
    assert counts.unseen + counts.refused <= counts.lost
    assert counts.lost == (counts.given if case.name == "mqtt" else 0), "for there is no broker"


@every_counting_sink
def test_so_is_what_a_sink_in_a_thread_could_not_keep_up_with(
    case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sink, gate, entered = made(case, tmp_path), threading.Event(), threading.Event()
    opening = sink.open

    def open_late(*arguments: Any) -> None:
        entered.set()
        assert gate.wait(PATIENCE_S)
        opening(*arguments)

    monkeypatch.setattr(sink, "open", open_late)
    thread = SinkThread(sink, capacity=2, event_capacity=6, when_full="drop_oldest")
    thread.open("camera", INFO, CLASS_NAMES)
    assert entered.wait(PATIENCE_S)
    given: list[TrackedFrame | Event] = [*frames(), *events()]
    for item in given:
        if isinstance(item, TrackedFrame):
            thread.on_frame(item)
        else:
            thread.on_event(item)
    left: list[TrackedFrame | Event] = [*frames()[-2:], *events()[-6:]]
    gate.set()
    thread.close()
    counts = thread.counts()
    assert counts.given == counts.written + counts.lost + waiting(tmp_path)
    assert counts.unseen == uses(sink, given) - uses(sink, left)
    assert counts.given >= counts.unseen > 0


@every_file
@pytest.mark.parametrize("error", [None, KeyboardInterrupt()], ids=repr)
def test_an_old_output_stays_until_the_new_one_is_complete(
    case: Case, tmp_path: Path, error: BaseException | None
) -> None:
    path = case.path(tmp_path)
    path.write_bytes(b"yesterday's")
    sink = case.make(tmp_path)
    sink.check()
    feed(sink)
    assert path.read_bytes() == b"yesterday's"
    sink.close(error)
    assert (path.read_bytes() == b"yesterday's") == bool(case.again)
    assert set(listing(tmp_path)) == {name for name in (case.output, case.again) if name}


@every_file
def test_after_an_error_nothing_takes_the_final_name(case: Case, tmp_path: Path) -> None:
    path = case.path(tmp_path)
    path.write_bytes(b"yesterday's")
    sink = case.make(tmp_path)
    sink.check()
    feed(sink)
    sink.close(RuntimeError("elsewhere"))
    left = listing(tmp_path)
    assert left.pop(path.name) == b"yesterday's"
    ((name, content),) = left.items()
    assert "partial" in name
    assert content, "what was processed is kept"


@every_file
@pytest.mark.parametrize("place", ["not a folder", "a directory"])
def test_check_refuses_what_cannot_be_written(case: Case, tmp_path: Path, place: str) -> None:
    folder = tmp_path / "out"
    if place == "not a folder":
        folder.write_bytes(b"")
    elif place == "a directory":
        case.path(folder).mkdir(parents=True)
    before = listing(tmp_path)
    with pytest.raises(SinkError) as caught:
        case.make(folder).check()
    message = str(caught.value)
    assert str(case.path(folder)) in message
    assert len(message.splitlines()) == 1
    assert listing(tmp_path) == before


@every_file
def test_a_folder_that_vanishes_is_one_plain_line(case: Case, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    sink = case.make(folder)
    sink.check()
    folder.rmdir()
    with pytest.raises(SinkError) as caught:
        feed(sink)
    assert len(str(caught.value).splitlines()) == 1
    sink.close(caught.value)
    assert not listing(tmp_path)
