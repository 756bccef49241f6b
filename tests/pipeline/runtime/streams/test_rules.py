"""Rules in a run: alerts among the other events, while no frame comes, through changes, and at the end."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace

import pytest

from pipeline.analytics.options import AnalyticsOptions
from pipeline.analytics.zones import Zone
from pipeline.errors import SourceError
from pipeline.event_codec import event_type
from pipeline.events import AlertEnded, AlertStarted, Event, StreamEnded, StreamOffline
from pipeline.interfaces import Source
from pipeline.rules.rule import Rule
from pipeline.runtime.pipeline import Pipeline
from pipeline.runtime.streams.stream import Stream
from pipeline.types import TrackedFrame
from tests.pipeline.sources.test_reconnect import Camera, Connection, reconnecting
from tests.support.fakes import BlobDetector, MemorySink, MemorySource, moving_box
from tests.support.waiting import PATIENCE_S
from trackers.factory import create_tracker

YARD = Zone("yard", [(0, 0), (1, 0), (1, 1), (0, 1)], units="fraction")
FRAMES = 40


def rule(name: str, when: object, **settings: object) -> Rule:
    return Rule(name=name, when=when, **settings)  # type: ignore[arg-type]


def alerts(sink: MemorySink) -> list[tuple[str, str, float]]:
    return [
        (event.rule, event.reason if isinstance(event, AlertEnded) else "started", round(event.pts_s, 3))
        for event in sink.events
        if isinstance(event, AlertStarted | AlertEnded)
    ]


def stream(sink: MemorySink, *rules: Rule, lag_s: float | None = 0.0) -> Stream:
    return Stream(
        source=MemorySource(moving_box(FRAMES)),
        tracker=create_tracker("bytetrack"),
        sinks=[sink],
        analytics=AnalyticsOptions(zones=[YARD]),
        rules=rules,
        lag_s=lag_s,
    )


@pytest.mark.parametrize("lag_s", [0.0, None], ids=["at once", "with hindsight"])
def test_alerts_are_events_among_the_others(lag_s: float | None) -> None:
    sink = MemorySink()
    described = stream(
        sink, rule("yard", "in_zone", zone="yard", for_s=1), rule("none", "absent", for_s=9), lag_s=lag_s
    )
    Pipeline(described, BlobDetector()).run()
    assert alerts(sink) == [("yard", "started", 1.0), ("yard", "end", 4.0)]
    assert isinstance(sink.events[-1], StreamEnded)
    assert isinstance(sink.events[-2], AlertEnded)
    assert [event.seq for event in sink.events] == list(range(1, len(sink.events) + 1))


class Acting(MemorySink):
    """Does something at certain frames, or events."""

    def __init__(self, at: dict[int, Callable[[], object]], on: Callable[[Event], object] = lambda event: None) -> None:
        super().__init__()
        self._at, self._on = at, on

    def on_frame(self, tracked: TrackedFrame) -> None:
        super().on_frame(tracked)
        self._at.pop(len(self.frames), lambda: None)()

    def on_event(self, event: Event) -> None:
        super().on_event(event)
        self._on(event)


def test_rules_change_while_a_stream_runs() -> None:
    yard = rule("yard", "in_zone", zone="yard", for_s=0.5)
    sink = Acting({20: lambda: pipeline.adjust(replace(before, rules=[yard, rule("any", "crowd", at_least=1)]))})
    before = stream(sink, yard, rule("some", "crowd", at_least=1))
    pipeline = Pipeline(before, BlobDetector(), batch=1, queue=1)
    pipeline.run()
    told = alerts(sink)
    assert [each[:2] for each in told] == [
        ("some", "started"),
        ("yard", "started"),
        ("some", "reload"),
        ("any", "started"),
        ("yard", "end"),
        ("any", "end"),
    ]


def test_a_stream_that_is_made_anew_begins_anew() -> None:
    sink = Acting({20: lambda: pipeline.replace(replace(before, tracker=create_tracker("sort")))})
    before = stream(sink, rule("yard", "in_zone", zone="yard"))
    pipeline = Pipeline(before, BlobDetector(), batch=1, queue=1)
    pipeline.run()
    assert [each[1] for each in alerts(sink)] == ["started", "reload", "started", "end"]


class Patient(Camera):
    """Is back only when it was told that it is away."""

    def __init__(self, *connections: Connection | Exception) -> None:
        super().__init__(*connections)
        self.told = threading.Event()

    def __call__(self) -> Source:
        if self.attempts == 1:
            assert self.told.wait(PATIENCE_S), "no alert while it is away"
        return super().__call__()


def test_a_camera_that_is_away_is_told_of_while_it_is() -> None:
    first = [(number / 25, 100 + number / 25) for number in range(3)]
    later = [(10 + number / 25, 110 + number / 25) for number in range(3)]
    camera = Patient(Connection(first, error=SourceError("gone")), Connection(later, error=SourceError("gone")))
    source = reconnecting(camera)

    def on(event: Event) -> None:
        if isinstance(event, AlertStarted):
            camera.told.set()
        elif isinstance(event, StreamOffline) and camera.told.is_set():
            source.request_stop()

    sink = Acting({}, on)
    away = rule("away", "offline", for_s=0.6, clear_s=1, text="{stream} away")
    Pipeline(Stream(source=source, tracker=create_tracker("sort"), sinks=[sink], rules=[away]), BlobDetector()).run()
    kinds = [event_type(event) for event in sink.events]
    assert kinds.index("stream.offline") < kinds.index("alert.started") < kinds.index("stream.online")
    (start,) = (event for event in sink.events if isinstance(event, AlertStarted))
    (end,) = (event for event in sink.events if isinstance(event, AlertEnded))
    # It is gone again soon enough for that to be the same.
    assert (start.text, end.reason, end.alert_id) == ("door away", "end", start.seq)
    assert start.pts_s >= start.since_s + 0.6
    assert end.pts_s > 10
