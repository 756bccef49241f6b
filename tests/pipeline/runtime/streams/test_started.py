"""What ``stream.started`` and ``stream.online`` say of a camera: its real size and rate as soon as they are known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

import pytest

from pipeline.errors import SourceError
from pipeline.events import Event, StreamOffline, StreamOnline, StreamStarted
from pipeline.runtime.pipeline import Pipeline
from pipeline.runtime.streams.stream import Stream
from pipeline.types import SourceInfo
from tests.pipeline.sources.test_reconnect import Camera, Connection, reconnecting
from tests.support.fakes import BlobDetector, MemorySink
from trackers.factory import create_tracker


@dataclass
class Rated(Connection):
    """A connection that says how many frames a second it gives."""

    fps: int = 25

    @property
    def info(self) -> SourceInfo:
        return replace(super().info, fps=Fraction(self.fps))


def told(*connections: Connection | Exception) -> list[Event]:
    """What a run says of its stream until the camera's script is over."""
    source = reconnecting(Camera(*connections))

    class Watching(MemorySink):
        def on_event(self, event: Event) -> None:
            super().on_event(event)
            gone = sum(isinstance(event, StreamOffline) for event in self.events)
            if gone == max(1, sum(isinstance(one, Connection) for one in connections)) + isinstance(
                connections[0], Exception
            ):
                source.request_stop()

    sink = Watching()
    Pipeline(Stream(source=source, tracker=create_tracker("sort"), sinks=[sink]), BlobDetector()).run()
    return sink.events


def kept(events: Sequence[Event]) -> list[tuple[str, int | None, int | None, float | None]]:
    return [
        (type(event).__name__, event.width, event.height, event.fps)
        for event in events
        if isinstance(event, StreamStarted | StreamOnline)
    ]


TIMES = [(k / 25, 100 + k / 25) for k in range(3)]


def test_a_camera_that_is_on_starts_with_its_size_and_rate() -> None:
    gone = SourceError("the camera went")
    events = told(Rated(TIMES, size=(64, 48), error=gone), Rated(TIMES, size=(32, 24), fps=10, error=gone))
    assert isinstance(events[0], StreamStarted)
    assert events[0].live
    assert kept(events) == [("StreamStarted", 64, 48, 25.0), ("StreamOnline", 32, 24, 10.0)]
    (back,) = (event for event in events if isinstance(event, StreamOnline))
    (went, _) = (event for event in events if isinstance(event, StreamOffline))
    last_s = went.pts_s - 1 / 25
    assert back.pts_s == pytest.approx(max(went.pts_s, last_s + back.offline_s), abs=1e-3), "media time went on"


def test_a_camera_that_is_off_tells_with_the_first_connection() -> None:
    events = told(SourceError("nobody there"), Rated(TIMES, size=(64, 48), error=SourceError("gone")))
    assert [type(event).__name__ for event in events[:2]] == ["StreamStarted", "StreamOffline"]
    assert kept(events) == [("StreamStarted", 0, 0, None), ("StreamOnline", 64, 48, 25.0)]
