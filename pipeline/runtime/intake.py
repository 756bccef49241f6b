"""Where the frames of all streams come together for the one detector.

    Producer --Inlet--> Intake --get_batch--> Pipeline

Frames leave in the order they came. Each stream has room of its own, so a fast camera can neither push out nor starve a
slow one, and a stream's end or change of state comes after the frames before it.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from pipeline.runtime.channel import Channel, ChannelClosed, Lane, WhenFull
from pipeline.runtime.picture_memory import PictureMemory
from pipeline.types import Frame

# Ends and calls are few; they are never dropped.
_NOTICES = Lane("notices", 1024, "wait")


@dataclass(frozen=True, slots=True, eq=False)
class StreamEnd:
    """The last thing that comes from a stream; with the error that ended it, if any did."""

    inlet: Inlet
    error: BaseException | None


@dataclass(frozen=True, slots=True, eq=False)
class Call:
    """Something to be done between frames by the thread that runs the pipeline."""

    function: Callable[[], None]


Arrival = Frame | StreamEnd | Call


class Intake:
    """Bounded queues of many streams, read as one.

    Args:
        memory: watches the frames that come in, and says whether there is room for more.
    """

    def __init__(self, memory: PictureMemory) -> None:
        self._memory = memory
        self._channel: Channel[_Queued] = Channel(1, lane=lambda queued: queued.lane, on_drop=_dropped, fits=self._fits)
        memory.when_freed(self._channel.recheck)

    def add(self, *, capacity: int, when_full: WhenFull, on_drop: Callable[[Frame], None]) -> Inlet:
        """A way in for a stream.

        Args:
            capacity: frames that may wait.
            when_full: ``"wait"`` for files, ``"drop_oldest"`` for live streams.
            on_drop: called with each frame that made room for a newer one.
        """
        return Inlet(self._channel, Lane(object(), capacity, when_full), on_drop, self._memory)

    def call(self, function: Callable[[], None]) -> bool:
        """Have the reader call ``function`` between frames; False when it reads no more. For any thread."""
        try:
            return self._channel.put(_Queued(Call(function), _NOTICES))
        except ChannelClosed:
            return False

    def get_batch(self, limit: int, max_wait_s: float = 0.0, timeout_s: float | None = None) -> list[Arrival]:
        """What came first, at most ``limit``; empty once closed. Waits, and gives up, as ``Channel.get_batch`` does."""
        return [queued.item for queued in self._channel.get_batch(limit, max_wait_s, timeout_s)]

    def close(self) -> None:
        """The reader reads no more."""
        self._channel.cancel()

    def _fits(self, queued: _Queued) -> bool:
        return not isinstance(queued.item, Frame) or self._memory.has_room(queued.item)


class Inlet:
    """One stream's way in; what its ``Producer`` puts frames into."""

    def __init__(
        self, channel: Channel[_Queued], lane: Lane, on_drop: Callable[[Frame], None], memory: PictureMemory
    ) -> None:
        self._channel = channel
        self._lane = lane
        self._on_drop = on_drop
        self._memory = memory

    def settle(self, *, capacity: int, when_full: WhenFull) -> None:
        """What ``Intake.add`` was told, anew. For the thread that puts, before the first frame."""
        self._lane = Lane(self._lane.key, capacity, when_full)

    def put(self, item: Frame) -> bool:
        """As ``Channel.put``."""
        try:
            taken = self._channel.put(_Queued(item, self._lane, self._on_drop))
            self._memory.watch(item)
            return taken
        except ChannelClosed:  # the reader has closed all of the intake
            return False

    def close(self, error: BaseException | None = None) -> None:
        """Tell the reader that the stream is over, unless it reads no more."""
        with suppress(ChannelClosed):
            self._channel.put(_Queued(StreamEnd(self, error), _NOTICES))

    def cancel(self) -> list[Frame]:
        """Discard and return what is queued, and wake the producer; as ``Channel.cancel``."""
        discarded = (queued.item for queued in self._channel.cancel_lane(self._lane.key))
        return [item for item in discarded if isinstance(item, Frame)]


@dataclass(frozen=True, slots=True, eq=False)
class _Queued:
    item: Arrival
    lane: Lane
    on_drop: Callable[[Frame], None] | None = None


def _dropped(queued: _Queued) -> None:
    assert isinstance(queued.item, Frame)
    assert queued.on_drop is not None
    queued.on_drop(queued.item)
