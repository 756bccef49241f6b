"""Which frames the detector looks at; on the others the tracker predicts."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from pipeline.types import Frame, TrackedFrame

logger = logging.getLogger(__name__)


class Sampler(Protocol):
    """Decides frame by frame, for one stream. Called from one thread, in order.

    Attributes:
        group_size: how many looks of a file make a group, see ``pipeline.sampling.groups``; None where no decision
            depends on what came of earlier frames, or where there is nothing to repeat, as in a camera.
    """

    group_size: int | None

    def wants(self, frame: Frame) -> bool:
        """Whether the detector is to look at this frame; called once per frame."""
        ...

    def observe(self, tracked: TrackedFrame, latency_s: float) -> None:
        """What came of a frame, ``latency_s`` seconds after its capture; called once per frame that was processed.

        Where a ``group_size`` is given, the frame has no pictures any more.
        """
        ...


@dataclass(frozen=True, slots=True)
class SamplerBySource:
    """A pace that is made once it is known what the source is.

    Attributes:
        make: gives the pace for a source that is live, or is not.
    """

    make: Callable[[bool], Sampler]


class EveryNth:
    """Looks at the first frame and at every N-th after it."""

    group_size: int | None = None

    def __init__(self, count: int) -> None:
        if count < 1:
            raise ValueError(f"detect_every: expected 1 or more, got {count}")
        self.count = count
        self._left = 0

    def wants(self, frame: Frame) -> bool:
        """True for every N-th call."""
        self._left = (self._left or self.count) - 1
        return self._left == self.count - 1

    def observe(self, tracked: TrackedFrame, latency_s: float) -> None:
        """Does nothing: what is seen does not change whose turn it is."""
