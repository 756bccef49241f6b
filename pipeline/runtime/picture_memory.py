"""How much memory the pictures of a run take that are on their way, wherever in it they wait."""

from __future__ import annotations

import threading
import weakref
from collections import deque
from collections.abc import Callable

from pipeline.types import Frame

BYTES_PER_MB = 1_000_000


class PictureMemory:
    """Watches the frames of a run for as long as anything refers to them, and says whether there is room for more.

    Queues ask before they grow. Beyond the limit a queue takes a frame only when it is empty and whoever reads it has
    nothing to do, so nothing ever stands still, and each part of a run has one frame at a time. What must gather before
    it can go on, such as the frames between two looks, gathers. For any thread.

    Args:
        limit_mb: megabytes that pictures may take.
    """

    def __init__(self, limit_mb: float) -> None:
        if limit_mb <= 0:
            raise ValueError(f"limit_mb: expected more than 0, got {limit_mb}")
        self._limit = round(limit_mb * BYTES_PER_MB)
        self._lock = threading.Lock()
        # In the order in which they came, in which most of them also go.
        self._frames: deque[weakref.ref[Frame]] = deque()
        self._waiting: list[Callable[[], None]] = []

    def watch(self, frame: Frame) -> None:
        """Count a frame's pictures from now on, until nothing refers to it any more."""
        with self._lock:
            self._frames.append(weakref.ref(frame))

    @property
    def held(self) -> int:
        """Bytes that the pictures of the frames watched take now."""
        with self._lock:
            return self._count()

    def has_room(self, coming: Frame | None = None) -> bool:
        """Whether the frames watched are within the limit, together with one that is not watched yet, if given."""
        with self._lock:
            return self._count() + (0 if coming is None else coming.picture_bytes) <= self._limit

    def when_freed(self, recheck: Callable[[], None]) -> None:
        """Have ``recheck`` called at each ``freed``."""
        self._waiting.append(recheck)

    def freed(self) -> None:
        """Someone has let go of frames: who waits for room may look again."""
        for recheck in self._waiting:
            recheck()

    def _count(self) -> int:
        frames = self._frames
        while frames and frames[0]() is None:
            frames.popleft()
        return sum(frame.picture_bytes for reference in frames if (frame := reference()) is not None)
