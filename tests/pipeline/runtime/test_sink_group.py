"""Several sinks as one: each is told of under a name of its own, and what none of them saw is told."""

from __future__ import annotations

import threading

from pipeline.analytics.event_stamper import EventStamper
from pipeline.events import Event, OutputCounts
from pipeline.interfaces import Sink
from pipeline.runtime.frame_ledger import FrameLedger
from pipeline.runtime.picture_memory import PictureMemory
from pipeline.runtime.sink_group import SinkGroup
from pipeline.runtime.streams.stream_events import StreamEvents
from pipeline.runtime.timing import Durations, Timings
from pipeline.types import SourceInfo
from tests.pipeline.runtime.test_sink_thread import INFO, make_event, make_tracked
from tests.support.fakes import MemorySink
from tests.support.waiting import PATIENCE_S


class Slow(Sink):
    """Waits for the gate in ``open``; keeps no count of its own."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.entered = threading.Event()
        self.events: list[int] = []

    def open(self, *_: object) -> None:
        self.entered.set()
        assert self.gate.wait(PATIENCE_S)

    def on_event(self, event: Event) -> None:
        self.events.append(event.seq)


class Counting(MemorySink):
    """Says how many events it was given."""

    def counts(self) -> OutputCounts:
        return OutputCounts(given=len(self.events), written=len(self.events))


def group(*sinks: Sink, live: bool = False, **others: SinkGroup) -> SinkGroup:
    return SinkGroup(sinks, live=live, capacity=2, memory=PictureMemory(1000), timings=Timings(), **others)


def test_two_sinks_of_one_class_are_told_of_apart() -> None:
    first, second = Counting(), Counting()
    both = group(first, second)
    both.on_event(make_event(1))
    second.on_event(make_event(2))
    assert both.counts() == {
        "Counting": OutputCounts(given=1, written=1),
        "Counting-2": OutputCounts(given=2, written=2),
    }


def test_what_two_sinks_of_one_class_missed_and_how_late_they_were_is_told_apart() -> None:
    timings = Timings()
    sinks = [Slow(), Slow()]
    for sink in sinks:
        sink.may_stall = True
    both = SinkGroup(sinks, live=True, capacity=1, memory=PictureMemory(1000), timings=timings)
    both.open("camera", INFO, [])
    for sink in sinks:
        assert sink.entered.wait(PATIENCE_S)
    for number in range(3):
        both.on_result(make_tracked(number), [])
    for sink in sinks:
        sink.gate.set()
    assert both.close(None) is None
    assert both.lost() == {"Slow": {"slow": 2}, "Slow-2": {"slow": 2}}
    assert {name: durations.count for name, durations in both.latency().items()} == {"Slow": 1, "Slow-2": 1}
    assert {"Slow", "Slow-2"} <= set(timings.report())


def test_a_sink_that_goes_on_keeps_its_name_and_a_new_one_takes_a_free_one() -> None:
    first, second, third = Counting(), Counting(), Counting()
    before = group(first, second)
    after = group(third, second, before=before)
    second.on_event(make_event(1))
    assert {name: counts.given for name, counts in after.counts().items()} == {"Counting": 0, "Counting-2": 1}
    assert list(before.counts(after=after)) == ["Counting"]


def test_no_name_stands_for_a_sink_of_a_stream_and_for_a_shared_one() -> None:
    shared = group(Counting())
    assert set(group(Counting(), beside=shared).counts()) == {"Counting-2"}


def test_events_that_a_sink_could_not_keep_up_with_are_told() -> None:
    sink = Slow()
    slow = group(sink, live=True)
    slow.open("camera", SourceInfo(width=4, height=2), [])
    assert sink.entered.wait(PATIENCE_S)
    for number in range(10_007):
        slow.on_event(make_event(number))
    assert slow.counts()["Slow"] == OutputCounts(given=7, lost=7, unseen=7), "while it goes on, too"
    sink.gate.set()
    assert slow.close(None) is None
    assert sink.events == list(range(7, 10_007))
    assert slow.missed_events() == {"Slow": {"slow": 7}}
    assert slow.counts() == {"Slow": OutputCounts(given=10_007, written=10_000, lost=7, unseen=7)}


def test_frames_are_not_lost_to_a_sink_that_has_no_use_for_them() -> None:
    sink = Slow()
    slow = group(sink, live=True)
    slow.open("camera", INFO, [])
    assert sink.entered.wait(PATIENCE_S)
    for number in range(9):
        slow.on_result(make_tracked(number), [])
    sink.gate.set()
    slow.close(None)
    assert slow.lost() == {"Slow": {"slow": 7}}
    assert slow.counts() == {"Slow": OutputCounts()}


def test_stats_tell_of_shared_sinks_and_of_those_of_the_stream() -> None:
    shared = group(Counting())
    own = group(Counting(), Slow(), live=True, beside=shared)
    shared.on_event(make_event(1))
    made = StreamEvents("camera", [], EventStamper())
    ledger, latency = FrameLedger(), Durations()
    assert made.stats(0.0, 0.0, ledger, latency, (own, shared)) is None
    stats = made.stats(60.0, 0.0, ledger, latency, (own, shared))
    own.close(None)
    assert stats is not None
    assert stats.outputs == {
        "Counting": OutputCounts(given=1, written=1),
        "Counting-2": OutputCounts(),
        "Slow": OutputCounts(),
    }
