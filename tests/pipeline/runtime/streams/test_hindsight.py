"""Tracks that reach the sinks once it is known what came after them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pipeline.analytics.event_stamper import EventStamper
from pipeline.events import Event, StreamOffline
from pipeline.runtime.pipeline import Pipeline
from pipeline.runtime.streams.manner import Manner
from pipeline.runtime.streams.stream import Stream
from tests.pipeline.sources.test_reconnect import Camera, Connection, reconnecting
from tests.support.fakes import BlobDetector, MemorySink, MemorySource, moving_box, picture
from trackers.factory import TRACKERS, create_tracker


def shown(tracker: str, lag_s: float | None, **options: int) -> list[list[int]]:
    """Ids by frame of a clip at 10 frames a second in which a box comes with the sixth frame and goes with the 26th."""
    images = [picture([])] * 5 + moving_box(20) + [picture([])] * 5
    sink = MemorySink()
    source = MemorySource(images)
    Pipeline(
        Stream(source=source, tracker=create_tracker(tracker), sinks=[sink], lag_s=lag_s, **options),  # type: ignore[arg-type]
        BlobDetector(),
    ).run()
    assert [frame.frame.index for frame in sink.frames] == list(range(30))
    return [frame.tracks.track_id.tolist() for frame in sink.frames]


@pytest.mark.parametrize("tracker", TRACKERS)
def test_a_files_tracks_are_shown_from_their_first_detection(tracker: str) -> None:
    assert shown(tracker, None) == [[]] * 5 + [[1]] * 20 + [[]] * 5
    at_once = shown(tracker, 0.0)
    assert at_once[5] == [] and at_once[10:25] == [[1]] * 15


def test_what_lies_between_two_looks_is_one_mechanism_with_it() -> None:
    for lag_s in (0.0, None):
        assert shown("sort", lag_s, detect_every=3)[16:22] == [[1]] * 6


def test_a_live_stream_waits_only_where_that_is_asked_for() -> None:
    source = MemorySource(moving_box(3))
    waits = {}
    for live in (False, True):
        for lag_s in (None, 0.0, 0.3):
            stream = Stream(source=source, tracker=create_tracker(), lag_s=lag_s)
            manner = Manner.of(stream, replace(source.info, live=live), (), EventStamper())
            waits[live, lag_s] = manner.settler is not None
    assert waits == {
        (False, None): True,
        (False, 0.0): False,
        (False, 0.3): True,
        (True, None): False,
        (True, 0.0): False,
        (True, 0.3): True,
    }


def test_frames_that_wait_are_shown_before_a_camera_is_told_to_be_off() -> None:
    source = reconnecting(Camera(Connection([(index / 10, 0.0) for index in range(20)])))

    class Watching(MemorySink):
        shown_before = 0

        def on_event(self, event: Event) -> None:
            super().on_event(event)
            if isinstance(event, StreamOffline):
                self.shown_before = len(self.frames)
                source.request_stop()

    sink = Watching()
    Pipeline(Stream(source=source, tracker=create_tracker(), sinks=[sink], lag_s=1.0), BlobDetector()).run()
    assert sink.shown_before == len(sink.frames) >= 1
