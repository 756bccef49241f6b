"""The channel between real threads. Waits have limits, and pytest's own makes a failure of any other deadlock."""

from __future__ import annotations

import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.runtime.channel import Channel, ChannelClosed, Lane, WhenFull
from tests.support.waiting import PATIENCE_S

R = TypeVar("R")

capacities = st.integers(1, 6)
policies: st.SearchStrategy[WhenFull] = st.sampled_from(["wait", "drop_oldest"])
with_threads = settings(max_examples=60, deadline=None)


@contextmanager
def threads() -> Iterator[Callable[[Callable[[], R]], Future[R]]]:
    with ThreadPoolExecutor(8) as pool:
        yield pool.submit


def put_all(channel: Channel[int], items: range) -> int:
    """Put the items and close; returns how many were taken."""
    for number, item in enumerate(items):
        if not channel.put(item):
            return number
    channel.close()
    return len(items)


def read_all(channel: Channel[int], limits: list[int]) -> list[int]:
    """Read to the end, by single items where the limit is 0 and by batches elsewhere, over and over."""
    read: list[int] = []
    step = 0
    while True:
        limit = limits[step % len(limits)]
        step += 1
        try:
            batch = channel.get_batch(limit, 0.0005 * (step % 3), PATIENCE_S) if limit else [channel.get(PATIENCE_S)]
        except ChannelClosed:
            return read
        if not batch:
            return read
        assert len(batch) <= max(limit, 1)
        read += batch


class TestWaiting:
    @with_threads
    @given(count=st.integers(0, 200), capacity=capacities, limits=st.lists(st.integers(0, 8), min_size=1, max_size=4))
    def test_every_item_arrives_once_and_in_order(self, count: int, capacity: int, limits: list[int]) -> None:
        channel: Channel[int] = Channel(capacity)
        with threads() as start:
            putting = start(lambda: put_all(channel, range(count)))
            assert read_all(channel, limits) == list(range(count))
            assert putting.result(PATIENCE_S) == count

    @with_threads
    @given(counts=st.lists(st.integers(0, 60), min_size=1, max_size=4), capacity=capacities, readers=st.integers(1, 2))
    def test_several_producers_and_readers_lose_nothing(self, counts: list[int], capacity: int, readers: int) -> None:
        channel: Channel[tuple[int, int]] = Channel(capacity)

        def produce(producer: int, count: int) -> None:
            for number in range(count):
                assert channel.put((producer, number))

        with threads() as start:
            reading = [start(lambda: list(channel)) for _ in range(readers)]
            producing = [start(lambda p=p, c=c: produce(p, c)) for p, c in enumerate(counts)]  # type: ignore[misc]
            for future in producing:
                future.result(PATIENCE_S)
            channel.close()
            read = [future.result(PATIENCE_S) for future in reading]
        assert sorted(item for items in read for item in items) == [
            (producer, number) for producer, count in enumerate(counts) for number in range(count)
        ]
        for items in read:
            for producer in range(len(counts)):
                numbers = [number for of, number in items if of == producer]
                assert numbers == sorted(numbers), "each producer's items keep their order"

    def test_never_holds_more_than_its_capacity(self) -> None:
        channel: Channel[int] = Channel(3)
        with threads() as start:
            putting = start(lambda: put_all(channel, range(50)))
            for expected in range(50):
                assert len(channel) <= 3
                assert channel.get(PATIENCE_S) == expected
            assert putting.result(PATIENCE_S) == 50


class TestDroppingOldest:
    @given(capacity=capacities, puts=st.lists(st.booleans(), max_size=60))
    def test_agrees_with_a_bounded_deque(self, capacity: int, puts: list[bool]) -> None:
        dropped: list[int] = []
        channel: Channel[int] = Channel(capacity, when_full="drop_oldest", on_drop=dropped.append)
        model: deque[int] = deque(maxlen=capacity)
        expected_drops: list[int] = []
        for number, is_put in enumerate(puts):
            if is_put:
                if len(model) == capacity:
                    expected_drops.append(model[0])
                model.append(number)
                assert channel.put(number)
            elif model:
                assert channel.get(0) == model.popleft()
            assert len(channel) == len(model)
        assert dropped == expected_drops
        assert channel.get_batch(100, timeout_s=0) == list(model) if model else True

    @with_threads
    @given(count=st.integers(1, 200), capacity=capacities, limits=st.lists(st.integers(0, 8), min_size=1, max_size=4))
    def test_each_item_is_read_or_dropped_and_the_newest_are_kept(
        self, count: int, capacity: int, limits: list[int]
    ) -> None:
        dropped: list[int] = []
        channel: Channel[int] = Channel(capacity, when_full="drop_oldest", on_drop=dropped.append)
        with threads() as start:
            putting = start(lambda: put_all(channel, range(count)))
            read = read_all(channel, limits)
            assert putting.result(PATIENCE_S) == count
        assert sorted(read + dropped) == list(range(count))
        assert read == sorted(read)
        assert dropped == sorted(dropped)
        assert read[-1] == count - 1

    def test_put_never_waits(self) -> None:
        channel: Channel[int] = Channel(2, when_full="drop_oldest")
        assert put_all(channel, range(1000)) == 1000
        assert list(channel) == [998, 999]

    def test_the_channel_may_be_used_while_a_drop_is_counted(self) -> None:
        channel: Channel[int] = Channel(
            1, when_full="drop_oldest", on_drop=lambda _: lengths.append(len(channel.cancel()))
        )
        lengths: list[int] = []
        channel.put(1)
        channel.put(2)
        assert lengths == [1], "no lock is held meanwhile"


class TestEnds:
    def test_what_is_queued_is_read_before_the_end(self) -> None:
        channel: Channel[int] = Channel(5)
        channel.put(1)
        channel.put(2)
        channel.close()
        assert channel.get() == 1
        assert list(channel) == [2]
        assert channel.get_batch(3) == []
        with pytest.raises(ChannelClosed):
            channel.get()

    def test_the_producers_error_comes_after_what_is_queued_with_its_traceback(self) -> None:
        channel: Channel[int] = Channel(5)

        def breaks_here() -> None:
            raise ZeroDivisionError("from the producer")

        def produce() -> None:
            channel.put(1)
            try:
                breaks_here()
            except ZeroDivisionError as error:
                channel.close(error)

        with threads() as start:
            start(produce).result(PATIENCE_S)
        assert channel.get() == 1
        lengths = []
        for read in (channel.get, lambda: channel.get_batch(2), lambda: list(channel), channel.get):
            with pytest.raises(ZeroDivisionError, match="from the producer") as caught:
                read()
            frames = [frame.name for frame in traceback.extract_tb(caught.value.__traceback__)]
            assert frames[-2:] == ["produce", "breaks_here"]
            lengths.append(len(frames))
        assert lengths[0] == lengths[-1], "the traceback does not grow"

    def test_an_error_that_is_itself_the_end_of_a_channel_is_not_taken_for_the_end(self) -> None:
        channel: Channel[int] = Channel(1)
        channel.close(ChannelClosed("of another channel"))
        with pytest.raises(ChannelClosed, match="another"):
            list(channel)

    def test_the_first_error_counts(self) -> None:
        channel: Channel[int] = Channel(1)
        channel.close()
        channel.close(ValueError("first"))
        channel.close(ValueError("second"))
        with pytest.raises(ValueError, match="first"):
            channel.get()

    def test_put_after_close_is_a_mistake(self) -> None:
        channel: Channel[int] = Channel(1)
        channel.close()
        with pytest.raises(ChannelClosed):
            channel.put(1)

    def test_closing_wakes_another_producer_and_a_reader(self) -> None:
        full: Channel[int] = Channel(1)
        full.put(0)
        empty: Channel[int] = Channel(1)
        with threads() as start:
            putting, getting = start(lambda: full.put(1)), start(lambda: empty.get_batch(3, 10.0))
            time.sleep(0.02)  # so that they are likely to be waiting; correct either way
            full.close()
            empty.close()
            with pytest.raises(ChannelClosed):
                putting.result(PATIENCE_S)
            assert getting.result(PATIENCE_S) == []
        assert list(full) == [0]

    def test_cancelling_wakes_the_producer_and_a_reader(self) -> None:
        full: Channel[int] = Channel(1)
        full.put(0)
        empty: Channel[int] = Channel(1)
        with threads() as start:
            putting, getting = start(lambda: full.put(1)), start(empty.get)
            time.sleep(0.02)  # so that they are likely to be waiting; correct either way
            assert full.cancel() == [0]
            assert empty.cancel() == []
            assert putting.result(PATIENCE_S) is False
            with pytest.raises(ChannelClosed):
                getting.result(PATIENCE_S)
        assert full.put(2) is False
        assert full.cancel() == []

    @with_threads
    @given(count=st.integers(0, 100), capacity=capacities, when_full=policies, reads=st.integers(0, 100))
    def test_cancelling_at_any_moment_accounts_for_every_item(
        self, count: int, capacity: int, when_full: WhenFull, reads: int
    ) -> None:
        dropped: list[int] = []
        channel: Channel[int] = Channel(capacity, when_full=when_full, on_drop=dropped.append)
        with threads() as start:
            putting = start(lambda: put_all(channel, range(count)))
            read: list[int] = []
            for _ in range(reads):
                batch = channel.get_batch(1, timeout_s=PATIENCE_S)
                if not batch:
                    break
                read += batch
            discarded = channel.cancel()
            taken = putting.result(PATIENCE_S)
        assert sorted(read + dropped + discarded) == list(range(taken))
        assert channel.get_batch(1) == []

    @with_threads
    @given(capacity=capacities, when_full=policies, queued=st.integers(0, 6))
    def test_close_and_cancel_may_race(self, capacity: int, when_full: WhenFull, queued: int) -> None:
        channel: Channel[int] = Channel(capacity, when_full=when_full)
        for number in range(min(queued, capacity)):
            channel.put(number)
        barrier = threading.Barrier(3)

        def after_barrier(act: Callable[[], R]) -> R:
            barrier.wait(PATIENCE_S)
            return act()

        with threads() as start:
            reading = start(lambda: after_barrier(lambda: list(channel)))
            closing = start(lambda: after_barrier(channel.close))
            discarding = start(lambda: after_barrier(channel.cancel))
            closing.result(PATIENCE_S)
            read, discarded = reading.result(PATIENCE_S), discarding.result(PATIENCE_S)
        assert read + discarded == list(range(min(queued, capacity)))


class TestBatches:
    def test_takes_what_is_there_up_to_the_limit(self) -> None:
        channel: Channel[int] = Channel(10)
        for number in range(5):
            channel.put(number)
        assert channel.get_batch(3) == [0, 1, 2]
        assert channel.get_batch(3) == [3, 4]

    def test_waits_for_more_until_the_limit_is_reached(self) -> None:
        channel: Channel[int] = Channel(10)
        with threads() as start:
            reading = start(lambda: channel.get_batch(3, PATIENCE_S))
            for number in range(3):
                time.sleep(0.005)
                channel.put(number)
            assert reading.result(PATIENCE_S / 2) == [0, 1, 2]

    def test_waits_no_longer_than_it_may(self) -> None:
        channel: Channel[int] = Channel(10)
        channel.put(1)
        assert channel.get_batch(3, 0.01) == [1]

    def test_the_end_cuts_the_wait_short(self) -> None:
        channel: Channel[int] = Channel(10)
        channel.put(1)
        with threads() as start:
            reading = start(lambda: channel.get_batch(3, 2 * PATIENCE_S))
            channel.close(ValueError("broken"))
            assert reading.result(PATIENCE_S) == [1], "what came before the error is still read"
        with pytest.raises(ValueError, match="broken"):
            channel.get_batch(3)

    def test_a_producer_without_room_cuts_the_wait_short(self) -> None:
        channel: Channel[int] = Channel(2)
        with threads() as start:
            reading = start(lambda: channel.get_batch(8, 2 * PATIENCE_S))
            putting = start(lambda: put_all(channel, range(3)))
            assert reading.result(PATIENCE_S) == [0, 1]
            assert putting.result(PATIENCE_S) == 3

    def test_a_live_batch_gives_up_stale_items_while_it_waits(self) -> None:
        channel: Channel[int] = Channel(2, when_full="drop_oldest")
        with threads() as start:
            reading = start(lambda: channel.get_batch(3, 0.2))
            for number in range(100):
                channel.put(number)
            batch = reading.result(PATIENCE_S)
        assert batch == sorted(batch)
        assert len(batch) <= 2

    def test_nothing_within_the_time(self) -> None:
        channel: Channel[int] = Channel(1)
        with pytest.raises(TimeoutError, match=r"within 0\.01 s"):
            channel.get(0.01)
        with pytest.raises(TimeoutError):
            channel.get_batch(2, 0.0, 0.01)
        channel.put(1)
        assert channel.get(0) == 1, "a timeout breaks nothing"


class TestLanes:
    @given(operations=st.lists(st.sampled_from(["a", "b", "get"]), max_size=80))
    def test_agree_with_one_bounded_deque_each(self, operations: list[str]) -> None:
        lanes = {"a": Lane("a", 1, "drop_oldest"), "b": Lane("b", 3, "drop_oldest")}
        dropped: list[tuple[str, int]] = []
        channel: Channel[tuple[str, int]] = Channel(1, lane=lambda item: lanes[item[0]], on_drop=dropped.append)
        model: list[tuple[str, int]] = []
        expected_drops: list[tuple[str, int]] = []
        for number, operation in enumerate(operations):
            if operation == "get":
                if model:
                    assert channel.get(0) == model.pop(0)
                continue
            same = [item for item in model if item[0] == operation]
            if len(same) == lanes[operation].capacity:
                expected_drops.append(same[0])
                model.remove(same[0])
            model.append((operation, number))
            channel.put((operation, number))
            assert len(channel) == len(model)
        assert dropped == expected_drops
        assert channel.cancel() == model

    def test_a_fast_stream_does_not_starve_a_slow_one(self) -> None:
        channel: Channel[tuple[str, int]] = Channel(1, lane=lambda item: Lane(item[0], 1, "drop_oldest"))
        read = []
        for number in range(300):
            channel.put(("fast", number))
            if number % 10 == 0:
                channel.put(("slow", number))
            if number % 5 == 4:
                read.append(channel.get(0))
        assert [number for stream, number in read if stream == "slow"] == list(range(0, 300, 10))

    @with_threads
    @given(count=st.integers(0, 60), capacity=capacities)
    def test_one_lane_may_wait_while_another_drops(self, count: int, capacity: int) -> None:
        lanes = {"file": Lane("file", capacity, "wait"), "live": Lane("live", capacity, "drop_oldest")}
        dropped: list[tuple[str, int]] = []
        channel: Channel[tuple[str, int]] = Channel(1, lane=lambda item: lanes[item[0]], on_drop=dropped.append)

        def produce(stream: str) -> None:
            for number in range(count):
                assert channel.put((stream, number))

        with threads() as start:
            producing = [start(lambda stream=stream: produce(stream)) for stream in lanes]  # type: ignore[misc]
            reading = start(lambda: list(channel))
            for future in producing:
                future.result(PATIENCE_S)
            channel.close()
            read = reading.result(PATIENCE_S)
        assert [number for stream, number in read if stream == "file"] == list(range(count))
        live = [number for stream, number in read if stream == "live"]
        assert sorted(live + [number for _, number in dropped]) == list(range(count))
        assert {stream for stream, _ in dropped} <= {"live"}


@pytest.mark.parametrize("capacity", [0, -1])
def test_a_capacity_below_one_is_refused(capacity: int) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        Channel(capacity)


def test_an_unknown_policy_and_an_empty_batch_are_refused() -> None:
    with pytest.raises(ValueError, match="drop_newest"):
        Channel(1, when_full="drop_newest")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="limit"):
        Channel[int](1).get_batch(0)
