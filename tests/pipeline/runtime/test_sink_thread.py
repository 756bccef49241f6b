"""The thread of a sink, with real threads and a sink kept in memory."""

from __future__ import annotations

import threading
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import SinkError
from pipeline.events import Event, Heartbeat
from pipeline.interfaces import Sink
from pipeline.runtime.sink_thread import SinkThread
from pipeline.runtime.timing import Timings
from pipeline.types import Frame, SourceInfo, TrackedFrame, Tracks
from tests.support.held_resources import all_threads_ended
from tests.support.waiting import PATIENCE_S

INFO = SourceInfo(width=4, height=2)


def make_tracked(index: int, stream: str = "camera") -> TrackedFrame:
    frame = Frame(np.zeros((2, 4, 3), np.uint8), index, index / 25, 0.0, stream)
    return TrackedFrame(frame, None, Tracks.empty(), np.zeros(0, np.int64))


def make_event(seq: int, stream: str = "camera") -> Event:
    return Heartbeat(seq=seq, run="run", stream=stream, pts_s=0.0, wall="2026-01-01T00:00:00.000Z")


@pytest.fixture(autouse=True)
def no_thread_left() -> Iterator[None]:
    with all_threads_ended():
        yield


@dataclass
class Recorder(Sink):
    """Keeps every call; waits for the gate in each, and raises where told to."""

    gate: threading.Event | None = None
    raise_at: tuple[str, BaseException] | None = None
    calls: list[tuple[str, object]] = field(default_factory=list)
    threads: set[str] = field(default_factory=set)
    entered: threading.Event = field(default_factory=threading.Event)

    def _note(self, name: str, value: object) -> None:
        self.threads.add(threading.current_thread().name)
        self.entered.set()
        if self.gate is not None and name != "close":
            assert self.gate.wait(PATIENCE_S)
        self.calls.append((name, value))
        if self.raise_at is not None and self.raise_at[0] == name:
            raise self.raise_at[1]

    def check(self) -> None:
        if self.raise_at is not None and self.raise_at[0] == "check":
            raise self.raise_at[1]

    def open(self, stream: str, info: SourceInfo, class_names: Sequence[str]) -> None:
        self._note("open", stream)

    def on_frame(self, tracked: TrackedFrame) -> None:
        self._note("frame", tracked.frame.index)

    def on_event(self, event: Event) -> None:
        self._note("event", event.seq)

    def close(self, error: BaseException | None = None) -> None:
        self._note("close", error)


def of_kind(sink: Recorder, kind: str) -> list[object]:
    return [value for name, value in sink.calls if name == kind]


class TestSinkWorker:
    @settings(max_examples=30, deadline=None)
    @given(kinds=st.lists(st.booleans(), max_size=60), capacity=st.integers(1, 4), event_capacity=st.integers(1, 4))
    def test_waiting_passes_every_call_on_in_order(self, kinds: list[bool], capacity: int, event_capacity: int) -> None:
        sink = Recorder()
        worker = SinkThread(sink, capacity=capacity, event_capacity=event_capacity)
        worker.open("camera", INFO, ["person"])
        for number, is_frame in enumerate(kinds):
            if is_frame:
                worker.on_frame(make_tracked(number))
            else:
                worker.on_event(make_event(number))
        worker.close()
        expected = [("frame" if is_frame else "event", number) for number, is_frame in enumerate(kinds)]
        assert sink.calls == [("open", "camera"), *expected, ("close", None)]
        assert sink.threads == {"sink Recorder"}
        assert worker.dropped_frames == worker.dropped_events == {}

    @pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt()])
    def test_what_would_end_the_program_is_raised_as_the_sinks_error(self, error: BaseException) -> None:
        worker = SinkThread(Recorder(raise_at=("frame", error)), capacity=2)
        worker.open("camera", INFO, [])
        worker.on_frame(make_tracked(0))
        with pytest.raises(SinkError, match=f"Recorder raised {type(error).__name__}") as raised:
            worker.close()
        assert raised.value.__cause__ is error

    def test_a_stalled_live_sink_loses_its_oldest_frames_but_no_event(self) -> None:
        sink = Recorder(gate=threading.Event())
        lost: list[tuple[int, str]] = []

        def note(call: TrackedFrame | Event, reason: str) -> None:
            assert isinstance(call, TrackedFrame)
            lost.append((call.frame.index, reason))

        worker = SinkThread(sink, capacity=2, when_full="drop_oldest", on_drop=note)
        worker.open("camera", INFO, [])
        assert sink.entered.wait(PATIENCE_S)  # it now stalls in `open`
        for number in range(10):
            worker.on_frame(make_tracked(number))
            worker.on_event(make_event(number))
        assert sink.gate is not None
        sink.gate.set()
        worker.close()
        assert of_kind(sink, "frame") == [8, 9]
        assert of_kind(sink, "event") == list(range(10))
        assert lost == [(number, "slow") for number in range(8)]
        assert worker.dropped_frames == {"slow": 8}
        assert worker.dropped_events == {}

    def test_even_events_are_bounded_for_a_live_sink_and_streams_do_not_push_each_other_out(self) -> None:
        sink = Recorder(gate=threading.Event())
        worker = SinkThread(sink, capacity=1, event_capacity=3, when_full="drop_oldest")
        worker.open("fast", INFO, [])
        worker.open("slow", INFO, [])
        assert sink.entered.wait(PATIENCE_S)
        worker.on_event(make_event(1000, "slow"))
        worker.on_frame(make_tracked(1000, "slow"))
        for number in range(50):
            worker.on_event(make_event(number, "fast"))
            worker.on_frame(make_tracked(number, "fast"))
        assert sink.gate is not None
        sink.gate.set()
        worker.close()
        assert of_kind(sink, "event") == [1000, 47, 48, 49]
        assert of_kind(sink, "frame") == [1000, 49]
        assert of_kind(sink, "open") == ["fast", "slow"]
        assert worker.dropped_events == {"slow": 47}
        assert worker.dropped_frames == {"slow": 49}

    @pytest.mark.parametrize("method", ["open", "frame", "event"])
    @pytest.mark.parametrize("when_full", ["wait", "drop_oldest"])
    def test_a_sink_that_raises_is_closed_and_its_error_raised_at_a_later_call(
        self, method: str, when_full: str
    ) -> None:
        error = SinkError("the disk is full")
        sink = Recorder(raise_at=(method, error))
        worker = SinkThread(sink, capacity=1, when_full="wait" if when_full == "wait" else "drop_oldest")
        with pytest.raises(SinkError, match="disk is full") as caught:
            worker.open("camera", INFO, [])
            for number in range(100_000):
                worker.on_frame(make_tracked(number))
                worker.on_event(make_event(number))
        assert "_note" in "".join(traceback.format_exception(caught.value)), "the sink's own frame is shown"
        worker.close(caught.value)  # not raised twice
        assert sink.calls[-1] == ("close", error)
        assert len(of_kind(sink, "close")) == 1

    def test_an_error_nobody_saw_is_raised_at_close(self) -> None:
        sink = Recorder(raise_at=("event", ValueError("no such field")))
        worker = SinkThread(sink)
        worker.on_event(make_event(1))
        with pytest.raises(ValueError, match="no such field"):
            worker.close()
        worker.close()
        assert len(of_kind(sink, "close")) == 1

    def test_an_error_in_the_sinks_close_is_raised(self) -> None:
        worker = SinkThread(Recorder(raise_at=("close", SinkError("cannot rename"))))
        worker.open("camera", INFO, [])
        with pytest.raises(SinkError, match="cannot rename"):
            worker.close()

    @pytest.mark.parametrize("error", [KeyboardInterrupt(), RuntimeError("the run failed")])
    def test_closing_with_an_error_works_off_the_queue_and_tells_the_sink(self, error: BaseException) -> None:
        sink = Recorder(gate=threading.Event())
        worker = SinkThread(sink, capacity=10, timeout_s=PATIENCE_S)
        for number in range(5):
            worker.on_frame(make_tracked(number))
        assert sink.gate is not None
        sink.gate.set()
        worker.close(error)
        assert of_kind(sink, "frame") == list(range(5))
        assert sink.calls[-1] == ("close", error)

    def test_a_sink_out_of_time_loses_its_queue_but_is_still_closed(self) -> None:
        gate = threading.Event()
        sink = Recorder(gate=gate)

        def open_the_gate(call: TrackedFrame | Event, reason: str) -> None:
            assert reason == "timeout"
            gate.set()  # the sink goes on as soon as its queue has been given up

        worker = SinkThread(sink, capacity=10, timeout_s=0.5, on_drop=open_the_gate)
        for number in range(5):
            worker.on_frame(make_tracked(number))
        assert sink.entered.wait(PATIENCE_S)
        try:
            worker.close()
        finally:
            gate.set()
        assert of_kind(sink, "frame") == [0]
        assert sink.calls[-1] == ("close", None)
        assert worker.dropped_frames == {"timeout": 4}

    def test_a_sink_that_never_returns_is_an_error(self) -> None:
        gate = threading.Event()
        worker = SinkThread(Recorder(gate=gate), timeout_s=0.02, name="camera.mp4")
        worker.open("camera", INFO, [])
        with pytest.raises(SinkError, match=r"camera\.mp4 did not finish within 0\.04 s"):
            worker.close()
        gate.set()

    def test_close_without_open_closes_the_sink_once(self) -> None:
        sink = Recorder()
        worker = SinkThread(sink)
        worker.close()
        worker.close()
        assert sink.calls == [("close", None)]
        with pytest.raises(RuntimeError, match="after close"):
            worker.on_event(make_event(1))

    def test_check_runs_in_the_callers_thread(self) -> None:
        with pytest.raises(SinkError, match="no folder"):
            SinkThread(Recorder(raise_at=("check", SinkError("no folder")))).check()

    def test_times_frames_when_asked(self) -> None:
        timings = Timings()
        worker = SinkThread(Recorder(), timings=timings, name="encode")
        for number in range(3):
            worker.on_frame(make_tracked(number))
            worker.on_event(make_event(number))
        worker.close()
        assert timings.report()["encode"]["count"] == 3
