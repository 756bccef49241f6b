"""Frames on their way through the detector: in order, and several batches at a time where that is faster.

    put --worker threads: FrameDetector.look--> take

Cores that share one batch wait for one another after each layer, and for whatever else has work for one of them. Cores
with a batch each don't. So of files, whose frames are there before they are needed, as many batches as the detector
allows are under way at once, while the frames before them are tracked and counted. Frames of cameras don't wait for one
another: what was put is looked at, at once, before anything else is put.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from pipeline.detection.frames import FrameDetector
from pipeline.geometry.region import Rectangle
from pipeline.interfaces import Detector
from pipeline.runtime.timing import Timings
from pipeline.types import Detections, Frame


@dataclass(frozen=True, slots=True)
class Look:
    """A frame to take through; with whether the detector is to look at it, and at which part (None: all of it)."""

    frame: Frame
    wanted: bool = True
    part: Rectangle | None = None


@dataclass(frozen=True, slots=True)
class _Batch:
    looks: Sequence[Look]
    found: Future[list[Detections]] | None  # None: to be looked at by the thread that takes it


class DetectStage:
    """Takes frames through a detector. One thread uses it.

    Attributes:
        ahead: whether batches may be begun before those put earlier were taken; needed where frames may wait.

    Args:
        detector: called from as many threads at a time as its ``calls_at_once`` says.
        batch: most frames in one call.
        ahead: as the attribute.
        timings: ``detect`` is what a batch took, shared by its frames.
    """

    def __init__(self, detector: Detector, *, batch: int, ahead: bool, timings: Timings) -> None:
        self._looker = FrameDetector(detector)
        self._detector = detector
        self._batch = batch
        self.ahead = ahead
        self._timings = timings
        self._pool: ThreadPoolExecutor | None = None
        self._threads = 0
        self._waiting: deque[_Batch] = deque()

    def put(self, looks: Sequence[Look]) -> None:
        """Begin with these frames, which follow those put before."""
        for number, batch in enumerate(self._in_batches(looks)):
            # Where batches are waited for, the thread that waits looks at the first one itself.
            workers = self._workers() if self.ahead or number else None
            if workers is None or not any(look.wanted for look in batch):
                self._waiting.append(_Batch(batch, None))
            else:
                self._waiting.append(_Batch(batch, workers.submit(self._look, batch)))

    @property
    def waiting(self) -> int:
        """Batches that were put and not taken."""
        return len(self._waiting)

    @property
    def room(self) -> int:
        """Batches that may wait, so that the detector has work while those before them are taken on."""
        return self._calls + 1 if self.ahead else 0

    def take(self, leave: int = 0) -> Iterator[tuple[Frame, Detections | None]]:
        """The frames that were put first, each with what was found in it: None where the detector was not to look.

        Waits for each. What the detector raised is raised here, in the place of the batch that it was raised for.

        Args:
            leave: so many batches, those put last, go on waiting.
        """
        while len(self._waiting) > leave:
            batch = self._waiting.popleft()
            found = iter(self._look(batch.looks) if batch.found is None else batch.found.result())
            for look in batch.looks:
                yield look.frame, next(found) if look.wanted else None

    def close(self) -> None:
        """Forget what waits; returns when the detector is not in use any more."""
        self._waiting.clear()
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    @property
    def _calls(self) -> int:
        return self._detector.calls_at_once

    def _workers(self) -> ThreadPoolExecutor | None:
        """The threads beside the one that takes, which looks too where nothing goes ahead."""
        count = self._calls if self.ahead else self._calls - 1
        if count != self._threads:
            if self._pool is not None:  # whether to go ahead has changed; what was begun ends first, or they were more
                self._pool.shutdown()
            self._pool = ThreadPoolExecutor(count, "detect") if count else None
            self._threads = count
        return self._pool

    def _in_batches(self, looks: Sequence[Look]) -> Iterator[Sequence[Look]]:
        """Parts that hold at most a batch of wanted ones; so many that no thread is idle where all are waited for."""
        wanted = sum(look.wanted for look in looks)
        most = self._batch if self.ahead else min(self._batch, max(1, -(-wanted // self._calls)))
        part: list[Look] = []
        count = 0
        for look in looks:
            if look.wanted and count == most:
                yield part
                part, count = [], 0
            part.append(look)
            count += look.wanted
        if part:
            yield part

    def _look(self, looks: Sequence[Look]) -> list[Detections]:
        shown = [look for look in looks if look.wanted]
        if not shown:
            return []
        with self._timings.stage("detect", frames=len(shown)):
            return self._looker.look([look.frame for look in shown], [look.part for look in shown])
