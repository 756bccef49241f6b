"""Results on their way from the pipeline's thread to the loop: a sink at one end, a queue, and ``get`` at the other."""

from __future__ import annotations

import threading
from collections import defaultdict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from pipeline.events import Event, OutputCounts
from pipeline.interfaces import Sink
from pipeline.types import SourceInfo, TrackedFrame

# How often a full queue looks whether the program that is to empty it has ended.
_LOOK_S = 0.5


@dataclass(slots=True, eq=False)
class Item:
    """A frame and the events that come with it."""

    tracked: TrackedFrame
    events: list[Event] = field(default_factory=list)


class Handover(Sink):
    """A queue of results. The pipeline waits for room in it, or, where a stream is live, the oldest result makes room:
    its events then come with the next of its stream.

    Args:
        capacity: results that may wait.
        live: whether a stream of the run is live.
        abandoned: called once when the program ends without having emptied the queue.

    Attributes:
        class_names: of the model, once a stream is open.
        infos: what is known of each stream that is open.
    """

    may_stall = False

    def __init__(self, capacity: int, *, live: Callable[[], bool], abandoned: Callable[[], object]) -> None:
        if capacity < 1:
            raise ValueError(f"queue: expected 1 or more, got {capacity}")
        self.class_names: Sequence[str] = ()
        self.infos: dict[str, SourceInfo] = {}
        self._capacity = capacity
        self._live = live
        self._abandoned = abandoned
        self._items: deque[Item] = deque()
        self._early: defaultdict[str, list[Event]] = defaultdict(list)  # that came before their stream's next frame
        self._changed = threading.Condition()
        self._over = self._cancelled = False
        self._given = self._lost = 0

    def open(self, stream: str, info: SourceInfo, class_names: Sequence[str]) -> None:
        """A stream starts."""
        self.class_names = class_names
        self.infos[stream] = info

    def takes(self, item: TrackedFrame | Event) -> bool:
        """Frames: what becomes of them is counted."""
        return isinstance(item, TrackedFrame)

    def counts(self) -> OutputCounts:
        """Results so far; lost are those that a loop over something live was too slow for."""
        with self._changed:
            return OutputCounts(given=self._given, written=self._given - self._lost, lost=self._lost, unseen=self._lost)

    def on_event(self, event: Event) -> None:
        """Keep what happens between frames for the next."""
        with self._changed:
            if not self._cancelled:
                self._early[event.stream].append(event)

    def on_result(self, tracked: TrackedFrame, events: Sequence[Event]) -> None:
        """Put a frame into the queue, and wait for room if need be."""
        with self._changed:
            while len(self._items) >= self._capacity and not self._cancelled:
                if self._live():
                    self._drop_oldest()
                else:
                    self._changed.wait(_LOOK_S)
                # A thread that is no daemon would keep the process of an ended program alive for ever.
                if not threading.main_thread().is_alive():
                    self._cancelled = True
                    self._abandoned()
            if self._cancelled:
                return
            self._given += 1
            self._items.append(Item(tracked, [*self._early.pop(tracked.frame.stream, ()), *events]))
            self._changed.notify_all()

    def get(self) -> Item | None:
        """The next result; waits for it. None at the end, and after ``cancel``."""
        with self._changed:
            while not self._items and not self._over and not self._cancelled:
                self._changed.wait()
            if self._cancelled or not self._items:
                return None
            item = self._items.popleft()
            self._changed.notify_all()
            return item

    def end(self) -> None:
        """No more will come: what waits can still be got."""
        with self._changed:
            self._over = True
            self._changed.notify_all()

    def cancel(self) -> None:
        """Nobody wants more: what waits is let go, and what comes is not kept."""
        with self._changed:
            self._cancelled = True
            self._items.clear()
            self._changed.notify_all()

    @property
    def left(self) -> tuple[Event, ...]:
        """The events that came after the last frame of their stream."""
        with self._changed:
            return tuple(event for events in self._early.values() for event in events)

    def _drop_oldest(self) -> None:
        oldest = self._items.popleft()
        self._lost += 1
        stream = oldest.tracked.frame.stream
        follower = next((item for item in self._items if item.tracked.frame.stream == stream), None)
        later = self._early[stream] if follower is None else follower.events
        later[:0] = oldest.events
