"""Which frames of one stream the detector looks at, decided some frames at a time."""

from __future__ import annotations

from collections import deque

from pipeline.sampling.sampler import Sampler
from pipeline.types import Frame, TrackedFrame

# A decision may come this many groups before what came of the frames is known, so that the detector has work meanwhile.
_GROUPS_UNDER_WAY = 1
_MOST_GATHERED = 16


class SampleGroups:
    """Asks a pace about frames, and tells it what came of them.

    Of a file, the looks are to be the same on any machine, however fast its parts are. So where they depend on earlier
    ones, frames gather in groups: while the pace decides on a group it knows what came of all groups but the last one,
    no less and no more. Any other pace decides frame by frame and is told at once.

    Args:
        pace: decides.
        live: whether the stream is; then nothing waits.
    """

    def __init__(self, pace: Sampler, *, live: bool) -> None:
        self._pace = pace
        self._looks_at_once = None if live else pace.group_size
        self._gathered: list[tuple[Frame, bool]] = []
        self._looks = 0
        self._groups: deque[int] = deque()  # sizes of those under way
        self._observed: deque[tuple[TrackedFrame, float]] = deque()

    @property
    def full(self) -> bool:
        """Whether frames under way must be observed before the next one is added."""
        return sum(self._groups) - len(self._observed) > sum(list(self._groups)[-_GROUPS_UNDER_WAY:])

    def add(self, frame: Frame) -> list[tuple[Frame, bool]]:
        """Take the next frame, when not ``full``; returns the frames to go on with now, each with whether the detector
        is to look at it. There are none while a group gathers."""
        if self._looks_at_once is None:
            return [(frame, self._pace.wants(frame))]
        if not self._gathered:
            self._tell()
        wanted = self._pace.wants(frame)
        self._gathered.append((frame, wanted))
        self._looks += wanted
        if self._looks < self._looks_at_once and len(self._gathered) < _MOST_GATHERED:
            return []
        return self.rest()

    def rest(self) -> list[tuple[Frame, bool]]:
        """The frames that have gathered, before there are enough of them."""
        gathered, self._gathered, self._looks = self._gathered, [], 0
        if gathered:
            self._groups.append(len(gathered))
        return gathered

    def observe(self, tracked: TrackedFrame, latency_s: float) -> None:
        """What came of a frame, ``latency_s`` seconds after its capture; once per frame, in order."""
        if self._looks_at_once is None:
            self._pace.observe(tracked, latency_s)
        else:
            # Until the pace is told; its picture would wait there too.
            outcome = TrackedFrame(tracked.frame.without_pictures(), tracked.detections, tracked.tracks, tracked.ended)
            self._observed.append((outcome, latency_s))

    def _tell(self) -> None:
        while len(self._groups) > _GROUPS_UNDER_WAY:
            for _ in range(self._groups.popleft()):
                self._pace.observe(*self._observed.popleft())
