"""Evidence in a run: its events come in order, while a camera is away, through changes, and before the end."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace

from pipeline.analytics.options import AnalyticsOptions
from pipeline.analytics.zones import Zone
from pipeline.errors import SourceError
from pipeline.event_codec import event_type
from pipeline.events import (
    AlertEnded,
    AlertStarted,
    AlertUpdated,
    Event,
    EvidenceReady,
    StreamEnded,
    StreamOffline,
    TrackEnded,
)
from pipeline.evidence.desk import EvidenceDesk, Piece
from pipeline.evidence.wanted import EvidenceWanted
from pipeline.interfaces import Sink, Source
from pipeline.rules.rule import Rule
from pipeline.runtime.pipeline import Pipeline
from pipeline.runtime.streams.stream import Stream
from pipeline.types import TrackedFrame
from tests.pipeline.sources.test_reconnect import Camera, Connection, reconnecting
from tests.support.fakes import BlobDetector, MemorySink, MemorySource, moving_box
from tests.support.waiting import PATIENCE_S
from trackers.factory import create_tracker

ALL = Zone("all", [(0, 0), (1, 0), (1, 1), (0, 1)], units="fraction")


class Maker(Sink):
    """Lays down a file that there is not for every event that names evidence, when it may."""

    def __init__(self, desk: EvidenceDesk, may: Callable[[], object] = lambda: None) -> None:
        self._desk = desk
        self._may = may

    def on_event(self, event: Event) -> None:
        evidence = getattr(event, "evidence", None)
        if evidence is None or isinstance(event, EvidenceReady | AlertUpdated | AlertEnded):
            return
        self._may()
        common = {"path": f"{event.seq}.jpg", "media_type": "image/jpeg", "size_bytes": 1}
        times = {"from_pts_s": event.pts_s, "to_pts_s": event.pts_s, "annotated": False, "masked": False}
        self._desk.put(Piece(evidence=evidence, kind="picture", **common, **times))  # type: ignore[arg-type]
        self._desk.settle(evidence)


def stream(wanted: EvidenceWanted, sink: MemorySink, may: Callable[[], object] = lambda: None) -> Stream:
    desk = EvidenceDesk(wanted)
    return Stream(
        source=MemorySource(moving_box(40)),
        tracker=create_tracker("bytetrack"),
        sinks=[sink, Maker(desk, may)],
        analytics=AnalyticsOptions(zones=[ALL]),
        rules=[Rule(name="somebody", when="in_zone", zone="all", for_s=1)],
        evidence=desk,
        lag_s=0.0,
    )


def ready(sink: MemorySink) -> list[EvidenceReady]:
    return [event for event in sink.events if isinstance(event, EvidenceReady)]


def named(sink: MemorySink) -> set[str]:
    """What events name, of which every one is to be told of."""
    return {event.evidence for event in sink.events if getattr(event, "evidence", None)}  # type: ignore[attr-defined]


def test_everything_that_is_named_is_told_of_before_the_end() -> None:
    sink = MemorySink()
    Pipeline(stream(EvidenceWanted(alerts=True, zones=True, tracks=True), sink), BlobDetector()).run()
    assert {event.about for event in ready(sink)} == {"zone.entered", "zone.left", "alert.started", "track.ended"}
    assert {event.evidence for event in ready(sink)} == named(sink)
    assert [event.seq for event in sink.events] == list(range(1, len(sink.events) + 1))
    assert isinstance(sink.events[-1], StreamEnded)


def test_frames_do_not_wait_for_evidence() -> None:
    """The first picture is made when all frames are through."""
    sink, through = MemorySink(), threading.Event()
    described = stream(EvidenceWanted(zones=True), sink, lambda: through.wait(PATIENCE_S))

    class Last(MemorySink):
        def on_frame(self, tracked: TrackedFrame) -> None:
            if tracked.frame.index == 39:
                through.set()

    Pipeline(replace(described, sinks=[*described.sinks, Last()]), BlobDetector(), sink_queue=64).run()
    assert through.is_set()
    assert {event.evidence for event in ready(sink)} == named(sink)
    entered = next(event for event in sink.events if event_type(event) == "zone.entered")
    first = ready(sink)[0]
    assert (first.about_seq, first.pts_s) != (entered.seq, entered.pts_s)
    assert first.pts_s >= 3.9


def test_evidence_is_told_of_when_a_stream_is_made_anew() -> None:
    class Acting(MemorySink):
        def on_frame(self, tracked: TrackedFrame) -> None:
            super().on_frame(tracked)
            if len(self.frames) == 20:
                pipeline.replace(replace(before, tracker=create_tracker("sort")))

    sink = Acting()
    before = stream(EvidenceWanted(alerts=False, tracks=True), sink)
    pipeline = Pipeline(before, BlobDetector(), batch=1, queue=1)
    pipeline.run()
    ended = [event for event in sink.events if isinstance(event, TrackEnded)]
    assert len(ended) == 2
    assert {event.evidence for event in ready(sink)} == {event.evidence for event in ended}


def test_what_shows_that_a_camera_is_away_is_told_of_while_it_is() -> None:
    told = threading.Event()

    class Patient(Camera):
        """Is back only when it was told that it is away, and by what."""

        def __call__(self) -> Source:
            if self.attempts == 1:
                assert told.wait(PATIENCE_S), "no evidence while it is away"
            return super().__call__()

    first = [(number / 25, 100 + number / 25) for number in range(3)]
    later = [(10 + number / 25, 110 + number / 25) for number in range(3)]
    camera = Patient(Connection(first, error=SourceError("gone")), Connection(later, error=SourceError("gone")))
    source = reconnecting(camera)

    class Acting(MemorySink):
        def on_event(self, event: Event) -> None:
            super().on_event(event)
            if isinstance(event, EvidenceReady):
                told.set()
            elif isinstance(event, StreamOffline) and told.is_set():
                source.request_stop()

    sink = Acting()
    described = stream(EvidenceWanted(), sink)
    rules = [Rule(name="away", when="offline", for_s=0.6, clear_s=1)]
    Pipeline(replace(described, source=source, sinks=[sink, *described.sinks[1:]], rules=rules), BlobDetector()).run()
    kinds = [event_type(event) for event in sink.events]
    assert kinds.index("alert.started") < kinds.index("evidence.ready") < kinds.index("stream.online")
    (started,) = (event for event in sink.events if isinstance(event, AlertStarted))
    assert [event.alert_id for event in ready(sink)] == [started.alert_id]
