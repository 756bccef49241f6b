"""The decode thread, with real threads, real channels and a source kept in memory."""

from __future__ import annotations

import threading
import traceback
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Self

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import SourceError
from pipeline.runtime.channel import Channel
from pipeline.runtime.decode_thread import DecodeThread
from pipeline.runtime.frame_ledger import FrameLedger
from pipeline.runtime.timing import Timings
from pipeline.types import Frame, SourceInfo
from tests.support.held_resources import all_threads_ended
from tests.support.waiting import PATIENCE_S

INFO = SourceInfo(width=4, height=2)


def make_frame(index: int) -> Frame:
    return Frame(np.zeros((2, 4, 3), np.uint8), index, index / 25, 0.0, "camera")


class ListedSource:
    """A source over a number of frames, that may report damage or raise at given positions."""

    def __init__(
        self, count: int, *, failed_before: Mapping[int, str] | None = None, error: tuple[int, Exception] | None = None
    ) -> None:
        self._count = count
        self._failed_before = failed_before or {}
        self._error = error
        self._failed: Counter[str] = Counter()
        self.closed_by: list[str] = []
        self.decoded = 0

    @property
    def stream(self) -> str:
        return "camera"

    @property
    def info(self) -> SourceInfo:
        return INFO

    @property
    def failed(self) -> Mapping[str, int]:
        return self._failed

    def __iter__(self) -> Iterator[Frame]:
        for position in range(self._count + 1):
            if position in self._failed_before:
                self._failed[self._failed_before[position]] += 1
            if self._error is not None and self._error[0] == position:
                raise self._error[1]
            if position < self._count:
                self.decoded += 1
                yield make_frame(position)

    def close(self) -> None:
        self.closed_by.append(threading.current_thread().name)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()


@pytest.fixture(autouse=True)
def no_thread_left() -> Iterator[None]:
    with all_threads_ended():
        yield


class TestProducer:
    def test_delivers_every_frame_in_order_and_balances(self) -> None:
        source, ledger, timings = ListedSource(100), FrameLedger(), Timings()
        channel: Channel[Frame] = Channel(3)
        with DecodeThread(source, channel, ledger, timings):
            indices = []
            for frame in channel:
                indices.append(frame.index)
                ledger.processed()
        assert indices == list(range(100))
        ledger.check()
        assert ledger.snapshot().decoded == ledger.snapshot().processed == 100
        assert timings["decode"].count == 100
        assert source.closed_by == ["decode camera"]

    def test_failed_frames_count_as_decoded_and_failed(self) -> None:
        ledger = FrameLedger()
        channel: Channel[Frame] = Channel(3)
        with DecodeThread(ListedSource(5, failed_before={2: "corrupt", 5: "truncated"}), channel, ledger, Timings()):
            for _ in channel:
                ledger.processed()
        account = ledger.snapshot()
        assert (account.decoded, account.processed, account.failed) == (7, 5, {"corrupt": 1, "truncated": 1})
        ledger.check()

    def test_damage_that_ends_the_source_is_still_counted(self) -> None:
        source = ListedSource(5, failed_before={3: "truncated"}, error=(3, SourceError("cut off")))
        ledger = FrameLedger()
        channel: Channel[Frame] = Channel(9)
        with pytest.raises(SourceError), DecodeThread(source, channel, ledger, Timings()):
            for _ in channel:
                ledger.processed()
        assert ledger.snapshot().failed == {"truncated": 1}
        ledger.check()

    def test_an_error_of_the_source_reaches_the_reader_after_the_frames_before_it(self) -> None:
        source, ledger = ListedSource(5, error=(3, SourceError("the disk was pulled out"))), FrameLedger()
        channel: Channel[Frame] = Channel(10)
        indices = []
        with (
            pytest.raises(SourceError, match="pulled out") as caught,
            DecodeThread(source, channel, ledger, Timings()),
        ):
            for frame in channel:
                indices.append(frame.index)
                ledger.processed()
        assert indices == [0, 1, 2]
        assert "in __iter__" in "".join(traceback.format_exception(caught.value)), "the source's own frame is shown"
        assert source.closed_by == ["decode camera"]
        ledger.check()

    @settings(max_examples=40, deadline=None)
    @given(count=st.integers(0, 30), capacity=st.integers(1, 5), read=st.integers(0, 30), drop=st.booleans())
    def test_the_ledger_balances_wherever_the_reader_leaves(
        self, count: int, capacity: int, read: int, drop: bool
    ) -> None:
        ledger = FrameLedger()
        channel: Channel[Frame] = Channel(
            capacity, when_full="drop_oldest" if drop else "wait", on_drop=lambda _: ledger.dropped("stale")
        )
        source = ListedSource(count)
        with DecodeThread(source, channel, ledger, Timings()):
            for _ in range(read):
                if not channel.get_batch(1):
                    break
                ledger.processed()
        ledger.check()
        assert ledger.snapshot().decoded == source.decoded
        assert source.closed_by == ["decode camera"]

    def test_stop_wakes_a_producer_that_waits_for_room_and_gives_the_reason(self) -> None:
        source, ledger = ListedSource(10), FrameLedger()
        channel: Channel[Frame] = Channel(2)
        producer = DecodeThread(source, channel, ledger, Timings())
        producer.start()
        assert channel.get(PATIENCE_S).index == 0
        ledger.processed()
        assert producer.stop("duration", PATIENCE_S)
        assert producer.stop("again", PATIENCE_S)
        account = ledger.snapshot()
        assert account.processed == 1
        assert set(account.dropped) <= {"duration"}
        ledger.check()

    def test_stopped_before_it_started_closes_the_source(self) -> None:
        source = ListedSource(1)
        producer = DecodeThread(source, Channel(1), FrameLedger(), Timings())
        assert producer.stop()
        producer.start()
        assert source.closed_by == [threading.current_thread().name]
        assert source.decoded == 0

    def test_starts_only_once(self) -> None:
        with (
            DecodeThread(ListedSource(1), Channel(1), FrameLedger(), Timings()) as producer,
            pytest.raises(RuntimeError, match="once"),
        ):
            producer.start()

    @settings(max_examples=30, deadline=None)
    @given(capacity=st.integers(1, 3))
    def test_start_and_stops_may_race(self, capacity: int) -> None:
        source, ledger = ListedSource(20), FrameLedger()
        channel: Channel[Frame] = Channel(capacity)
        producer = DecodeThread(source, channel, ledger, Timings())
        stoppers = [threading.Thread(target=producer.stop, args=(reason,)) for reason in ("interrupted", "duration")]
        for stopper in stoppers:
            stopper.start()
        producer.start()
        for _ in channel:
            ledger.processed()
        for stopper in stoppers:
            stopper.join(PATIENCE_S)
        assert producer.stop("end", PATIENCE_S)
        assert len(source.closed_by) == 1
        assert ledger.snapshot().decoded == source.decoded
        ledger.check()

    def test_an_error_after_the_reader_left_is_logged(self, caplog: pytest.LogCaptureFixture) -> None:
        class FailsToClose(ListedSource):
            def close(self) -> None:
                super().close()
                raise SourceError("the cable came off")

        ledger = FrameLedger()
        channel: Channel[Frame] = Channel(1)
        with DecodeThread(FailsToClose(50), channel, ledger, Timings()):
            channel.get(PATIENCE_S)
            ledger.processed()
        assert "the cable came off" in caplog.text
        ledger.check()
