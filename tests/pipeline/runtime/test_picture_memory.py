"""Pictures on their way take no more memory than they may, and nothing ever waits for room that can't come."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.interfaces import Sink
from pipeline.runtime.channel import Channel
from pipeline.runtime.picture_memory import BYTES_PER_MB, PictureMemory
from pipeline.runtime.pipeline import Pipeline
from pipeline.runtime.streams.stream import Stream
from pipeline.sampling.motion_gate import MotionGate
from pipeline.sampling.predictive import PredictiveSampler
from pipeline.sampling.sampler import EveryNth, Sampler
from pipeline.types import Frame, Image, TrackedFrame
from tests.support.fakes import BlobDetector, MemorySink, MemorySource, picture
from trackers.buffered import BufferedTracker

PACES: dict[str, Callable[[], int | Sampler]] = {
    "every frame": lambda: 1,
    "every third": lambda: 3,
    "auto": PredictiveSampler,
    "gate": lambda: MotionGate(EveryNth(1)),
}


def frame(size: int, index: int = 0) -> Frame:
    return Frame(np.zeros((1, size, 3), np.uint8), index, index / 10, 0.0, "s")


def test_a_frame_counts_for_what_it_holds() -> None:
    made: list[str] = []

    def whole() -> Image:
        made.append("whole")
        return np.zeros((4, 6, 3), np.uint8)

    lazy = Frame(whole, 0, 0.0, 0.0, "s", reduced=lambda: np.zeros((2, 3, 3), np.uint8), size=(4, 6), source_bytes=36)
    assert (lazy.picture_bytes, made) == (36, [])
    assert lazy.reduced is not None
    assert lazy.picture_bytes == 36 + 18  # the whole picture is still to be made from the source's
    assert lazy.placed(index=3).timed(1.0, 0.0, is_last=True).picture_bytes == 36 + 18
    assert lazy.image.shape == (4, 6, 3)
    assert lazy.picture_bytes == 72 + 18
    assert frame(10).picture_bytes == 30
    assert frame(10).without_pictures().picture_bytes == 0


def test_frames_count_until_nobody_holds_them() -> None:
    memory = PictureMemory(100 / BYTES_PER_MB)
    first, second = frame(20), frame(10)
    memory.watch(first)
    memory.watch(second)
    assert memory.held == 90
    assert memory.has_room()
    assert not memory.has_room(frame(4))
    del second
    assert memory.held == 60
    assert memory.has_room(frame(4))
    assert first.index == 0


def test_a_limit_is_more_than_nothing() -> None:
    with pytest.raises(ValueError, match="limit_mb"):
        PictureMemory(0)


def test_a_producer_goes_on_when_room_is_made_elsewhere() -> None:
    room = threading.Event()
    channel: Channel[int] = Channel(5, fits=lambda _: room.is_set())
    waits = threading.Thread(target=lambda: [channel.put(number) for number in range(2)])
    waits.start()
    assert channel.get(10) == 0  # an empty channel takes one for a reader who waits
    assert waits.is_alive()
    assert len(channel) == 0  # and none in advance
    room.set()
    channel.recheck()
    waits.join(10)
    assert not waits.is_alive()
    assert channel.get(10) == 1


def test_a_camera_has_one_frame_waiting_where_there_is_no_room() -> None:
    dropped: list[int] = []
    channel: Channel[int] = Channel(5, when_full="drop_oldest", on_drop=dropped.append, fits=lambda _: False)
    assert all(channel.put(number) for number in range(3))
    assert (dropped, channel.get(10)) == ([0, 1], 2)


class Watcher(Sink):
    """Takes its time, and notes how much is held; remembers no picture."""

    def __init__(self, delay_s: float, *, may_stall: bool = True) -> None:
        self.may_stall = may_stall
        self.seen: list[int] = []
        self.tracks: list[list[int]] = []
        self.held: list[int] = []
        self.memory: PictureMemory | None = None
        self._delay_s = delay_s

    def on_frame(self, tracked: TrackedFrame) -> None:
        if self._delay_s:
            time.sleep(self._delay_s)
        assert self.memory is not None
        self.held.append(self.memory.held)
        self.seen.append(tracked.frame.index)
        self.tracks.append(tracked.tracks.track_id.tolist())


class Busy(BlobDetector):
    """Several calls at once are welcome."""

    calls_at_once = 2


def clip(sides: Sequence[int]) -> list[Image]:
    """A box that moves, in pictures of so many pixels each side."""
    return [
        picture([(2 + index % 8, 4, 12 + index % 8, 14)], width=side, height=side) for index, side in enumerate(sides)
    ]


def run_once(
    images: Sequence[Image], limit_mb: float, pace: int | Sampler, watchers: Sequence[Watcher], **options: Any
) -> Pipeline:
    streams = Stream(source=MemorySource(images), tracker=BufferedTracker(), sinks=list(watchers), detect_every=pace)
    pipeline = Pipeline(streams, Busy(), queue_mb=limit_mb, **options)
    for watcher in watchers:
        watcher.memory = pipeline._loop._memory
    pipeline.run()
    return pipeline


sides = st.lists(st.integers(24, 90), min_size=1, max_size=40)
limits_mb = st.floats(1e-6, 0.4)


@settings(max_examples=40, deadline=None)
@given(
    sides=sides,
    limit_mb=limits_mb,
    batch=st.integers(1, 6),
    queue=st.integers(1, 16),
    sink_queue=st.integers(1, 16),
    delays_s=st.lists(st.sampled_from([0.0, 0.001, 0.004]), min_size=0, max_size=2),
)
def test_no_more_is_held_than_the_limit_and_a_frame_for_each_part(
    sides: list[int], limit_mb: float, batch: int, queue: int, sink_queue: int, delays_s: list[float]
) -> None:
    images = clip(sides)
    watchers = [Watcher(0.0, may_stall=False), *map(Watcher, delays_s)]
    run_once(images, limit_mb, 1, watchers, batch=batch, queue=queue, sink_queue=sink_queue)
    largest = max(image.nbytes for image in images)
    for watcher in watchers:
        assert watcher.seen == list(range(len(images)))
        assert max(watcher.held) <= limit_mb * BYTES_PER_MB + largest * len(watchers)


@pytest.mark.parametrize("pace", PACES.values(), ids=PACES.keys())
@settings(max_examples=15, deadline=None)
@given(sides=sides, limit_mb=limits_mb, delay_s=st.sampled_from([0.0, 0.002]))
def test_results_do_not_depend_on_the_limit(
    pace: Callable[[], int | Sampler], sides: list[int], limit_mb: float, delay_s: float
) -> None:
    images = clip(sides)
    narrow, wide = Watcher(delay_s), Watcher(0.0)
    run_once(images, limit_mb, pace(), [narrow])
    run_once(images, 1000, pace(), [wide])
    assert narrow.seen == wide.seen == list(range(len(images)))
    assert narrow.tracks == wide.tracks


def test_several_files_share_the_memory_and_all_end() -> None:
    images = clip([64] * 50)
    sinks = [MemorySink() for _ in range(3)]
    streams = [
        Stream(source=MemorySource(images, stream=str(number)), tracker=BufferedTracker(), sinks=[sink])
        for number, sink in enumerate(sinks)
    ]
    report = Pipeline(streams, Busy(), queue_mb=0.02).run()
    assert [account.processed for account in report.streams.values()] == [50, 50, 50]
