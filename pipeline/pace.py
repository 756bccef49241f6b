"""Which frames the detector looks at; on the others the tracker predicts."""

from __future__ import annotations

from typing import Protocol

from pipeline.types import Frame, TrackedFrame


class Pace(Protocol):
    """Decides frame by frame, for one stream. Called from one thread, in order."""

    def wants(self, frame: Frame) -> bool:
        """Whether the detector is to look at this frame; called once per frame."""
        ...

    def observe(self, tracked: TrackedFrame, latency_s: float) -> None:
        """What came of a frame, ``latency_s`` seconds after its capture; called once per frame that was processed."""
        ...


class EveryNth:
    """Looks at the first frame and at every N-th after it."""

    def __init__(self, count: int) -> None:
        if count < 1:
            raise ValueError(f"detect_every: expected 1 or more, got {count}")
        self._count = count
        self._left = 0

    def wants(self, frame: Frame) -> bool:
        """True for every N-th call."""
        self._left = (self._left or self._count) - 1
        return self._left == self._count - 1

    def observe(self, tracked: TrackedFrame, latency_s: float) -> None:
        """Changes nothing."""
