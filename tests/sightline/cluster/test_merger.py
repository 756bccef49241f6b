"""Several feeds as one: nothing is left out or comes twice, and what a lost process leaves open is told to be over."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any, TypeVar

import msgspec
import pytest

from pipeline.events import (
    AlertStarted,
    Event,
    LineCrossed,
    Origin,
    StreamOffline,
    StreamStarted,
    TrackEnded,
    TrackStarted,
    ZoneEntered,
    ZoneLeft,
)
from pipeline.runtime.streams.stream_past import RunPasts, StreamPast
from sightline.cluster import merger as merger_module
from sightline.cluster.merger import Merger
from sightline.cluster.messages import Feed
from sightline.cluster.shard_feed import open_feed
from sinks.feed.state import FeedState
from sinks.feed.zeromq_sink import ZeroMqSink
from tests.support.fakes import MemorySink
from tests.support.feed_parts import WALL
from tests.support.feed_runs import recorded_run
from tests.support.waiting import PATIENCE_S, wait_until

RUNS = "one", "two"


def origin(event: Event) -> Origin:
    assert isinstance(event.origin, Origin)
    return event.origin


@pytest.fixture
def feeds() -> Iterator[dict[str, tuple[ZeroMqSink, Feed]]]:
    """The feeds of two shards."""
    with ExitStack() as stack:
        made = {}
        for run in RUNS:
            made[run] = open_feed("127.0.0.1")[:2]
            stack.callback(made[run][0].close)
        yield made


def named(run: str, event: Event) -> Event:
    """The event with a stream of its own process."""
    return msgspec.structs.replace(event, stream=f"{run}-{event.stream}")


def test_two_feeds_become_one(feeds: dict[str, tuple[ZeroMqSink, Feed]]) -> None:
    events = {run: [named(run, event) for event in recorded_run(number, 400, run)] for number, run in enumerate(RUNS)}
    sink = MemorySink()
    merger = Merger([sink], ["person"], capacity=4, positions={})
    try:
        for run, (feed, address) in feeds.items():
            for event in events[run][:200]:
                feed.on_event(event)
            merger.follow(run, f"node-{run}", address)
        for run, (feed, _) in feeds.items():
            for event in events[run][200:]:
                feed.on_event(event)
        wait_until(lambda: merger.seq == 800, "its events")
    finally:
        merger.close()
    assert [event.seq for event in sink.events] == list(range(1, 801))
    assert {event.run for event in sink.events} == {merger.run}
    for run in RUNS:
        mine = [event for event in sink.events if origin(event).run == run]
        assert [origin(event).seq for event in mine] == list(range(1, 401))
        assert {origin(event).node for event in mine} == {f"node-{run}"}
        whole, seen = FeedState(), FeedState()
        for event, merged in zip(events[run], mine, strict=True):
            whole.apply(event)
            seen.apply(merged)
        assert whole.streams() == seen.streams()


def test_it_goes_on_where_an_earlier_merger_stopped(feeds: dict[str, tuple[ZeroMqSink, Feed]]) -> None:
    feed, address = feeds["one"]
    sink = MemorySink()
    for event in recorded_run(1, 50, "one"):
        feed.on_event(event)
    merger = Merger([sink], ["person"], capacity=4, positions={"one": 30})
    merger.follow("one", "node", address)
    wait_until(lambda: merger.seq == 20, "its events")
    merger.close()
    assert [origin(event).seq for event in sink.events] == list(range(31, 51))
    assert merger.missed == 0


def test_what_it_is_told_does_not_wait_for_a_feed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(merger_module, "_TICK_S", 3600.0)
    merger = Merger([MemorySink()], ["person"], capacity=4, positions={})
    try:
        merger.leave("none").result(20)
    finally:
        merger.close()


Kind = TypeVar("Kind", bound=Event)


def event(kind: type[Kind], seq: int, **fields: Any) -> Kind:
    return kind(seq=seq, run="one", stream="door", pts_s=seq / 10, wall=WALL, **fields)


def test_what_a_lost_process_leaves_open_is_told_to_be_over(feeds: dict[str, tuple[ZeroMqSink, Feed]]) -> None:
    feed, address = feeds["one"]
    track: dict[str, Any] = {"track_id": 5, "class_name": "person", "score": 0.5, "xyxy": (1.0, 2.0, 3.0, 4.0)}
    alert: dict[str, Any] = {
        "rule": "r",
        "severity": "info",
        "text": "",
        "since_s": 0.3,
        "count": 1,
        "tracks": (5,),
        "classes": (),
    }
    given = [
        event(StreamStarted, 1, source="x", width=8, height=8, live=True),
        event(TrackStarted, 2, **track),
        event(ZoneEntered, 3, zone="yard", track_id=5, class_name="person"),
        event(AlertStarted, 4, alert_id=4, **alert),
        event(LineCrossed, 5, line="gate", track_id=5, class_name="person", direction="in"),
    ]
    sink = MemorySink()
    merger = Merger([sink], ["person"], capacity=4, positions={})
    try:
        for each in given:
            feed.on_event(each)
        merger.follow("one", "node", address)
        wait_until(lambda: merger.seq == 5, "its events")
        merger.leave("one", "it burnt").result(PATIENCE_S)
        told = RunPasts(run="one", seq=2, streams={})
        past = merger.past_after("door", StreamPast(highest_id=4), told, since_s=2.0)
    finally:
        merger.close()
    left, ended, over, offline = sink.events[5:]
    assert isinstance(left, ZoneLeft) and left.zone == "yard" and left.dwell_s == pytest.approx(0.2)
    assert isinstance(ended, TrackEnded) and (ended.track_id, ended.reason) == (5, "gap")
    assert over.alert_id == sink.events[3].alert_id == 4  # type: ignore[attr-defined]
    assert isinstance(offline, StreamOffline) and offline.reason == "it burnt"
    assert [each.seq for each in sink.events] == list(range(1, 10))
    assert origin(offline).seq is None
    # What was told up to event 2 is in the past; what came after is added, and ids that nobody heard of are left out.
    assert past.zones["yard"]["person"]["unique"] == 1 and past.lines["gate"]["person"] == {"in": 1, "out": 0}
    assert not past.objects, "the track started in event 2"
    assert past.highest_id >= 4 + 1000 and past.highest_id % 1000 == 0
    assert past.outages == 1


def test_the_sinks_are_opened_for_each_stream(feeds: dict[str, tuple[ZeroMqSink, Feed]]) -> None:
    feed, address = feeds["one"]
    sink = MemorySink()
    merger = Merger([sink], ["person"], capacity=4, positions={})
    feed.on_event(event(StreamStarted, 1, source="x", width=8, height=8, fps=25.0, live=True))
    merger.follow("one", "node", address)
    wait_until(lambda: merger.seq == 1, "its events")
    merger.close()
    assert sink.calls == ["open", "event", "close"]
    assert sink.closed_with == [None]
