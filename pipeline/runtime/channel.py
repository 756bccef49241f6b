"""The bounded queue between two threads.

    producer --put--> Channel --get / get_batch / for--> reader

A file waits: ``put`` blocks while the channel is full, nothing is lost. A live stream stays fresh: the oldest item
makes room for the newest, and each item lost goes to ``on_drop``. How full the channel is, is the only reason to drop.

The producer ends it with ``close(error)``: what is queued drains, then the reader sees the end, or the error with its
traceback. The reader ends it with ``cancel()``: what is queued is handed back to be counted, and the producer's ``put``
returns False. All waiting is on condition variables. Any number of producers is safe; each one's items keep their
order. No method is meant to be called in a signal handler: let that raise, or set a flag for a reader with a timeout.
"""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable, Iterator
from types import TracebackType
from typing import Generic, Literal, NamedTuple, NoReturn, TypeVar, cast

T = TypeVar("T")
WhenFull = Literal["wait", "drop_oldest"]


class ChannelClosed(Exception):  # noqa: N818 - it tells of an end, which is no error
    """Raised by ``get`` after the last item, and by ``put`` once the channel has been closed."""


class Lane(NamedTuple):
    """A part of a channel with room of its own.

    Items leave a channel in the order they were put, whatever their lanes; only being full is a matter of the lane. So
    a fast camera can't push out a slow one's frames, nor frames the events.

    Attributes:
        key: which lane.
        capacity: items it holds at most.
        when_full: ``"wait"`` makes ``put`` wait for room, ``"drop_oldest"`` drops the lane's oldest item.
    """

    key: Hashable
    capacity: int
    when_full: WhenFull


class Channel(Generic[T]):
    """A bounded queue between threads that ends in an orderly way.

    Args:
        capacity: items it holds at most, at least 1. A batch is never larger than what fits.
        when_full: ``"wait"`` makes ``put`` wait for room, ``"drop_oldest"`` drops the oldest item.
        on_drop: called in the producer's thread with each item dropped, without a lock held.
        lane: chooses an item's lane, where items differ in how many there may be; it takes the place of ``capacity``
            and ``when_full``. It must give equal lanes for equal keys.
        fits: says whether there is room for an item elsewhere than in the channel, such as in memory. Where there is
            none, a lane is full, except that under ``"wait"`` an empty channel takes the item once its reader waits for
            one, and under ``"drop_oldest"`` an empty lane takes it. Called with the channel's lock held. When its
            answer may have changed, ``recheck`` is to be called; without that, it is asked again whenever the reader
            comes.
    """

    def __init__(
        self,
        capacity: int,
        *,
        when_full: WhenFull = "wait",
        on_drop: Callable[[T], None] | None = None,
        lane: Callable[[T], Lane] | None = None,
        fits: Callable[[T], bool] | None = None,
    ) -> None:
        if capacity < 1:
            raise ValueError(f"capacity: expected at least 1, got {capacity}")
        if when_full not in ("wait", "drop_oldest"):
            raise ValueError(f'when_full: expected "wait" or "drop_oldest", got {when_full!r}')
        self._lane = Lane(None, capacity, when_full)
        self._choose_lane = lane
        self._fits = fits
        self._on_drop = on_drop
        # The queue in the order of arrival, and for each lane the numbers of its items in that order.
        self._items: OrderedDict[int, tuple[Hashable, T]] = OrderedDict()
        self._lanes: dict[Hashable, deque[int]] = {}
        self._cancelled_lanes: set[Hashable] = set()
        self._number = 0
        self._closed = False
        self._cancelled = False
        self._error: BaseException | None = None
        self._traceback: TracebackType | None = None
        self._waiting_producers = self._waiting_readers = 0
        self._lock = threading.Lock()
        self._arrived = threading.Condition(self._lock)  # an item, a producer that waits, or the end
        self._room = threading.Condition(self._lock)  # room for an item, or the end

    def put(self, item: T) -> bool:
        """Append an item, waiting for room or making it, as the policy says.

        Returns:
            True if the channel took the item; False after ``cancel``: it was not taken, and the producer should stop.

        Raises:
            ChannelClosed: the channel has been closed, by this or by another producer; the item was not taken.
        """
        lane = self._lane if self._choose_lane is None else self._choose_lane(item)
        dropped: T | None = None
        dropping = False
        with self._lock:
            queued = self._lanes.get(lane.key)
            if queued is None:
                queued = self._lanes[lane.key] = deque()
            full = self._is_full(lane, item)
            if full and lane.when_full == "wait":
                queued = self._wait_for_room(lane, item)
                full = False
            if self._cancelled or lane.key in self._cancelled_lanes:
                return False
            if self._closed:
                raise ChannelClosed("put: this channel has been closed")
            if full:
                dropped = self._items.pop(queued.popleft())[1]
                dropping = True
            self._number += 1
            self._items[self._number] = (lane.key, item)
            queued.append(self._number)
            self._arrived.notify()
        if dropping and self._on_drop is not None:
            self._on_drop(cast(T, dropped))
        return True

    def get(self, timeout_s: float | None = None) -> T:
        """The oldest item, waiting for one if need be.

        Raises:
            ChannelClosed: there will be no more.
            TimeoutError: none came within ``timeout_s`` seconds.
            BaseException: the error that the channel was closed with, once what was queued before it has been read.
        """
        with self._lock:
            self._wait_for_item(timeout_s)
            if not self._items:
                self._raise_end()
            item = self._take_oldest()
            if self._waiting_producers:
                self._room.notify_all()
            return item

    def get_batch(self, limit: int, max_wait_s: float = 0.0, timeout_s: float | None = None) -> list[T]:
        """The oldest items, at most ``limit``; an empty list at the end.

        Waits for a first item, then up to ``max_wait_s`` seconds for more, but no longer once a producer is waiting for
        room. Items stay in the channel meanwhile, so that a live stream still replaces the stale ones.

        Raises:
            TimeoutError: no first item came within ``timeout_s`` seconds.
            BaseException: the error that the channel was closed with, once what was queued before it has been read.
        """
        if limit < 1:
            raise ValueError(f"limit: expected at least 1, got {limit}")
        with self._lock:
            self._wait_for_item(timeout_s)
            if max_wait_s > 0 and self._items:
                self._arrived.wait_for(
                    lambda: len(self._items) >= limit or self._closed or self._waiting_producers > 0, max_wait_s
                )
            if not self._items:
                if self._error is not None:
                    self._raise_end()
                return []
            batch = [self._take_oldest() for _ in range(min(limit, len(self._items)))]
            if self._waiting_producers:
                self._room.notify_all()
            return batch

    def close(self, error: BaseException | None = None) -> None:
        """The producer's end: the reader still gets what is queued, then the end, or ``error`` as it was raised.

        Closing again changes nothing, except that an error is taken where there was none.
        """
        with self._lock:
            self._closed = True
            if error is not None and self._error is None:
                self._error = error
                self._traceback = error.__traceback__
            self._wake_all()

    def cancel(self) -> list[T]:
        """The reader's end: from now on ``put`` returns False and ``get`` finds the end, or the error of ``close``.

        Returns:
            What was queued, oldest first, to be counted; ``on_drop`` is not called for it. Empty when called again.
        """
        with self._lock:
            self._cancelled = self._closed = True
            discarded = [item for _, item in self._items.values()]
            self._items.clear()
            self._lanes.clear()
            self._wake_all()
            return discarded

    def cancel_lane(self, key: Hashable) -> list[T]:
        """End one lane for good: from now on ``put`` returns False for its items. The other lanes go on.

        Returns:
            What was queued in it, oldest first, to be counted; ``on_drop`` is not called for it.
        """
        with self._lock:
            self._cancelled_lanes.add(key)
            discarded = [self._items.pop(number)[1] for number in self._lanes.pop(key, ())]
            self._wake_all()
            return discarded

    def recheck(self) -> None:
        """Have producers that wait for room look again whether their items fit."""
        # Read without the lock: a producer that begins to wait in this moment has just looked.
        if self._waiting_producers:
            with self._lock:
                self._room.notify_all()

    def __len__(self) -> int:
        """Items queued now."""
        return len(self._items)

    def __iter__(self) -> Iterator[T]:
        """The items until the end; raises the error that the channel was closed with."""
        while batch := self.get_batch(1):
            yield batch.pop()  # and hold on to it no longer

    # All that follows is called with the lock held.

    def _wait_for_item(self, timeout_s: float | None) -> None:
        if self._items or self._closed:
            return
        if timeout_s != 0:  # who only looks is not idle
            self._waiting_readers += 1
            if self._waiting_producers:
                self._room.notify_all()
        try:
            if not self._arrived.wait_for(lambda: self._items or self._closed, timeout_s):
                raise TimeoutError(f"nothing came through this channel within {timeout_s:g} s")
        finally:
            self._waiting_readers -= timeout_s != 0

    def _is_full(self, lane: Lane, item: T) -> bool:
        queued = len(self._lanes.get(lane.key, ()))
        if queued >= lane.capacity:
            return True
        idle = not self._items and self._waiting_readers > 0
        taken_anyway = idle if lane.when_full == "wait" else not queued
        return self._fits is not None and not taken_anyway and not self._fits(item)

    def _wait_for_room(self, lane: Lane, item: T) -> deque[int]:
        """Wait until the lane has room or the channel has ended; returns the lane's queue as it is then."""
        self._waiting_producers += 1
        self._arrived.notify_all()
        try:
            self._room.wait_for(
                lambda: self._closed or lane.key in self._cancelled_lanes or not self._is_full(lane, item)
            )
        finally:
            self._waiting_producers -= 1
        return self._lanes.setdefault(lane.key, deque())

    def _take_oldest(self) -> T:
        _, (key, item) = self._items.popitem(last=False)
        queued = self._lanes[key]
        queued.popleft()
        if not queued:
            del self._lanes[key]  # streams come and go
        return item

    def _raise_end(self) -> NoReturn:
        if self._error is not None:
            # With the traceback as it was at `close`: raising adds to it, and the reader may come more than once.
            raise self._error.with_traceback(self._traceback)
        raise ChannelClosed("get: this channel has ended")

    def _wake_all(self) -> None:
        self._arrived.notify_all()
        self._room.notify_all()
