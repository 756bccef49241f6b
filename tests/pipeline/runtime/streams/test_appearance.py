"""A stream whose tracks are linked by how they look: two people cross behind a pillar that is wide."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.analytics.event_stamper import EventStamper
from pipeline.appearance.embedder import Embedder
from pipeline.appearance.links import LinkCounts, TrackLinks
from pipeline.events import TrackEnded, TrackLinked, TrackStarted
from pipeline.runtime.pipeline import Pipeline
from pipeline.runtime.report import Report
from pipeline.runtime.streams.stream import Stream
from pipeline.runtime.streams.stream_account import StreamAccount
from pipeline.runtime.streams.stream_events import StreamEvents
from pipeline.runtime.streams.tracking import StreamTracking
from pipeline.runtime.timing import Timings
from pipeline.types import Image
from tests.support.fakes import BlobDetector, MemorySink, MemorySource
from tests.support.onnx_embedding import write_embedding
from tests.support.tracked_frames import Shown, tracked_frame
from trackers.factory import create_tracker

FRAMES = 84
PINK, GREEN = (200, 20, 250), (200, 250, 20)


def crossing() -> list[Image]:
    """Somebody in pink walks right, somebody in green left; both are behind the pillar for more than two seconds."""
    pictures = []
    for number in range(FRAMES):
        picture = np.zeros((160, 400, 3), np.uint8)
        for colour, left in ((PINK, 20 + 4 * number), (GREEN, 360 - 4 * number)):
            picture[50:110, max(0, left) : left + 20] = colour
        picture[:, 150:250] = 60
        pictures.append(picture)
    return pictures


@pytest.fixture(scope="module")
def embedder(tmp_path_factory: pytest.TempPathFactory) -> Embedder:
    said = {"mean": "[0.5, 0.5, 0.5]", "std": "[0.5, 0.5, 0.5]"}
    return Embedder(write_embedding(tmp_path_factory.mktemp("net") / "colour.onnx", metadata=said), threads=1)


def run(tracker: str, lag_s: float | None, links: TrackLinks | None) -> tuple[MemorySink, Report]:
    sink = MemorySink()
    stream = Stream(
        source=MemorySource(crossing()), tracker=create_tracker(tracker), sinks=[sink], lag_s=lag_s, links=links
    )
    return sink, Pipeline(stream, BlobDetector()).run()


def colours(sink: MemorySink) -> dict[int, tuple[int, ...]]:
    """What each track looks like, in the middle of its box."""
    seen = {}
    for frame in sink.frames:
        for track_id, (left, top, right, bottom) in zip(
            frame.tracks.track_id.tolist(), frame.tracks.xyxy.round().astype(int).tolist(), strict=True
        ):
            pixel = frame.frame.image[(top + bottom) // 2, min(399, (left + right) // 2)]
            if pixel[0] == 200:
                seen[track_id] = tuple(pixel.tolist())
    return seen


@pytest.mark.parametrize("lag_s", [0.0, None])
@pytest.mark.parametrize("tracker", ["buffered", "sort"])
def test_who_comes_out_is_linked_to_who_went_in(tracker: str, lag_s: float | None, embedder: Embedder) -> None:
    sink, report = run(tracker, lag_s, TrackLinks(embedder, ("blob",), classes=("blob",)))
    links = [event for event in sink.events if isinstance(event, TrackLinked)]
    seen = colours(sink)
    assert len(links) == 2
    for link in links:
        assert seen[link.track_id] == seen[link.linked_to]
        assert link.track_id > link.linked_to
        assert link.similarity > 0.95
        before = sink.events[: sink.events.index(link)]
        assert any(isinstance(event, TrackStarted) and event.track_id == link.track_id for event in before)
        assert any(isinstance(event, TrackEnded) and event.track_id == link.linked_to for event in before)
    counts = report.streams["memory"].appearance
    assert counts == LinkCounts(questions=2, answered=2, linked=2, pictures=counts.pictures if counts else 0)
    assert "appearance" in report.stages
    assert b'"linked": 2' in report.to_json()


def test_no_id_changes_and_nothing_is_reported_without_it(embedder: Embedder) -> None:
    plain, report = run("buffered", None, None)
    linked, _ = run("buffered", None, TrackLinks(embedder, ("blob",), classes=("blob",)))
    told = [[frame.tracks.track_id.tolist() for frame in sink.frames] for sink in (plain, linked)]
    assert told[0] == told[1]
    assert report.streams["memory"].appearance is None
    assert "appearance" not in report.stages


@pytest.mark.parametrize("away", [False, True])
def test_nobody_goes_on_over_an_outage_and_counts_do(away: bool, embedder: Embedder) -> None:
    """Twice somebody is lost and another begins there; all look the same."""
    account = StreamAccount()
    stream = Stream(
        source=MemorySource([]),
        tracker=create_tracker("buffered"),
        links=TrackLinks(embedder, ("blob",), classes=("blob",)),
    )
    tracking = StreamTracking(stream, account, StreamEvents("door", ("blob",), EventStamper()), Timings())
    linked = []
    for number in range(150):
        track_id, place = divmod(number, 30)
        if away and number == 60:
            tracking.end()
        shown = {track_id: Shown((100, 100, 130, 180), age_s=place / 10)} if track_id and place < 20 else {}
        ended = [track_id] if track_id and place == 25 else []
        for event in tracking.link(tracked_frame(number, number / 10, shown, ended=ended)):
            assert isinstance(event, TrackLinked)
            linked.append((event.track_id, event.linked_to))
    assert linked == [(3, 2), (4, 3)] if away else [(2, 1), (3, 2), (4, 3)]
    counts = account.report(media_s=15.0, live=False, shown_from=0.0).appearance
    assert counts is not None
    assert counts.linked == len(linked)
