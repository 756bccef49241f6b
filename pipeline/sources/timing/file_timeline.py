"""Media time of a file's pictures or sound: a jump of its clock counts only when the frames behind it confirm it."""

from __future__ import annotations

import itertools
import logging
import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from statistics import median
from typing import Generic, TypeVar

from pipeline.sources.timing.stamp_path import StampPath, Stamps, dts_are_better, explain
from pipeline.sources.timing.timeline import FALLBACK_FRAME_S

logger = logging.getLogger(__name__)

Item = TypeVar("Item")

# Frames looked at, the one in question among them, where a timestamp is anything but an ordinary step ahead.
LOOK_AHEAD = 16
# A step of up to this many frames is an ordinary one.
ORDINARY_STEP = 1.5
# Steps that the usual one is measured over, and how many it takes to know.
_STEPS_KEPT, _STEPS_NEEDED = 16, 8
# A file whose start was lost is believed to have begun up to this long before the first frame that is left.
_LATEST_START_S = 10.0
# A pause in front of a file's very last frame, which no other confirms, is believed up to this length.
_LONGEST_UNCONFIRMED_S = 10.0
# What is logged, each once.
_WRONG = "put between its neighbours, which contradict it; so are others of that kind"
_JOINED = "the frames behind confirm that the file's clock was set; joined on, as others of that kind are"


@dataclass(frozen=True, slots=True)
class Timed(Generic[Item]):
    """A frame with its time.

    Attributes:
        item: the frame, as it was given.
        pts_s: media time in seconds.
        offset_s: media time minus the file's own clock, in seconds. It changes where that clock was set anew, and
            only there: a frame whose timestamp was wrong has its neighbours' offset.
        repaired: whether its own timestamp was missing or wrong.
        duration_s: until the next frame; None for the last one.
    """

    item: Item
    pts_s: float
    offset_s: float
    repaired: bool
    duration_s: float | None = None


class FileTimeline:
    """Turns the timestamps of a file's frames into seconds from its start, strictly increasing.

    Timestamps that rise are kept to the tick, pauses too. Where one is missing, repeated, steps back or leaps ahead,
    the next frames are asked:

    - They go on where the frame before it left off: this one timestamp is wrong. The frame is put evenly between its
      neighbours, which stay where they are.
    - They follow it: the file's clock was set (files joined end to end, a counter that wrapped). A pause of up to
      ``largest_gap_s`` is kept, everything else is joined on at the usual distance between frames, and so is all that
      follows.

    Which of the two it is, is decided by the explanation that calls the fewest timestamps wrong: see ``stamp_path``.

    Args:
        name: what to call the stream in the log; None logs nothing.
        time_base: seconds per tick.
        frame_s: nominal duration of a frame in seconds; None where the source does not say.
        start: the timestamp in ticks at which the stream starts, where the first frame may have been lost. It is
            believed when the first frame comes at most ten seconds later; otherwise the first frame is the start.
        largest_gap_s: the longest pause between two frames that is believed.
    """

    def __init__(
        self,
        name: str | None,
        time_base: Fraction,
        frame_s: float | None,
        *,
        start: int | None = None,
        largest_gap_s: float = math.inf,
    ) -> None:
        self._name = name
        self._tick_s = float(time_base)
        self._time_base = time_base
        self._nominal_s = frame_s or FALLBACK_FRAME_S
        self._start = start
        self._largest_gap_s = largest_gap_s
        self._origin: int | None = None
        # What is added to a timestamp's seconds from the origin, and to the file's own clock for the sound.
        self._shift_s = 0.0
        self._own_origin_s = 0.0
        self._last_s: float | None = None
        self._last: Stamps = (None, None)
        self._by_dts = False
        self._steps: deque[float] = deque(maxlen=_STEPS_KEPT)
        self._last_believed = False
        self._told: set[str] = set()
        self.repaired = 0

    def place(self, frames: Iterable[Item], stamps: Callable[[Item], Stamps]) -> Iterator[Timed[Item]]:
        """The frames in the order given, each with its time. Three are held back, and more only in case of doubt.

        Args:
            frames: in display order.
            stamps: gives a frame's presentation timestamp and the decoding timestamp that the decoder gave out with
                it, in ticks. The latter rises evenly even where a container has no presentation timestamps and FFmpeg
                made some up in decoding order (AVI); it is used instead once the former goes back again and again.
        """
        before: Timed[Item] | None = None
        for timed in self._placed(iter(frames), stamps):
            if before is not None:
                yield replace(before, duration_s=timed.pts_s - before.pts_s)
            before = timed
        if before is not None:
            yield before

    def _placed(self, source: Iterator[Item], stamps: Callable[[Item], Stamps]) -> Iterator[Timed[Item]]:
        ahead: deque[tuple[Item, Stamps]] = deque()
        while True:
            self._fill(ahead, source, stamps, 2)
            if not ahead:
                return
            window = [stamp for _, stamp in ahead]
            if self._last_s is None and self._begins_ordinarily(window):
                pts_s, believed = self._begin(window)
            elif not self._is_ordinary(window):
                ended = self._fill(ahead, source, stamps, LOOK_AHEAD)
                window = [stamp for _, stamp in ahead]
                self._use_dts_if_better(window)
                pts_s, believed = self._decide(window, ended)
            else:
                stated = self._stated(window[0])
                assert stated is not None
                pts_s, believed = stated, True
            self._advance(pts_s, believed, window[0])
            item, _ = ahead.popleft()
            yield Timed(item, pts_s, self._shift_s - self._own_origin_s, not believed)

    @staticmethod
    def _fill(
        ahead: deque[tuple[Item, Stamps]], source: Iterator[Item], stamps: Callable[[Item], Stamps], count: int
    ) -> bool:
        """Look ahead so far; returns whether the stream ends within."""
        ahead.extend((item, stamps(item)) for item in itertools.islice(source, max(0, count - len(ahead))))
        return len(ahead) < count

    @property
    def frame_s(self) -> float:
        """The usual distance between frames: the nominal one, unless the last ones tell another."""
        if len(self._steps) < _STEPS_NEEDED:
            return self._nominal_s
        measured_s = median(self._steps)
        return self._nominal_s if abs(measured_s - self._nominal_s) <= 0.02 * self._nominal_s else measured_s

    @property
    def _steady(self) -> bool:
        if len(self._steps) < _STEPS_NEEDED:
            return False
        return max(self._steps) <= ORDINARY_STEP * self.frame_s and 2 * min(self._steps) >= self.frame_s

    def _begins_ordinarily(self, window: list[Stamps]) -> bool:
        first, second = window[0][0], window[-1][0]
        if first is None or second is None or self._start not in (None, first):
            return False
        return 0 < (second - first) * self._tick_s <= ORDINARY_STEP * self.frame_s

    def _is_ordinary(self, window: list[Stamps]) -> bool:
        """Whether the first frame is an ordinary step ahead, and the second does not contradict it."""
        if self._last_s is None:
            return False
        moment = self._stated(window[0])
        if moment is None or not 0 < moment - self._last_s <= ORDINARY_STEP * self.frame_s:
            return False
        following = [self._stated(stamp) for stamp in window[1:2]]
        return all(later is not None and later > moment for later in following)

    def _stated(self, stamps: Stamps) -> float | None:
        stamp = stamps[self._by_dts]
        if stamp is None or self._origin is None:
            return None
        return float((stamp - self._origin) * self._time_base) + self._shift_s

    def _advance(self, pts_s: float, believed: bool, stamps: Stamps) -> None:
        if self._last_s is not None and believed and self._last_believed:
            self._steps.append(pts_s - self._last_s)
        self._last_s, self._last, self._last_believed = pts_s, stamps, believed

    def _decide(self, window: list[Stamps], ended: bool) -> tuple[float, bool]:
        """The first frame's time, and whether it is its own."""
        if self._last_s is None:
            return self._begin(window)
        if self._origin is None:
            self._take_up(window)
        times = [self._stated(stamp) for stamp in window]
        # Half a tick more than the largest gap: times are rounded.
        gap_s = self._largest_gap_s + self._tick_s / 2
        path = explain(times, self._last_s, self.frame_s, gap_s, steady=self._steady)
        if ended and len(window) == 1 and path.believed == (0,) and not self._may_end_with(times[0], window[0]):
            path = StampPath((), False)
        first = path.believed[0] if path.believed else None
        moment = None if first is None else times[first]
        if first == 0 and not path.jumps and moment is not None:
            return moment, True
        jumped = first == 0 and path.jumps
        self._warn_once(_JOINED if jumped else _WRONG, times[0])
        self.repaired += 1
        step_s = self.frame_s
        if moment is not None and not path.jumps and first is not None:
            step_s = min(step_s, (moment - self._last_s) / (first + 1))
        # A step too small for a float that large must still be a step.
        placed_s = max(self._last_s + step_s, math.nextafter(self._last_s, math.inf))
        if jumped and times[0] is not None:
            self._shift_s += placed_s - times[0]
            return placed_s, True
        return placed_s, False

    def _begin(self, window: list[Stamps]) -> tuple[float, bool]:
        """The first frame of all: its timestamp is the origin, unless those behind it say that it is wrong."""
        self._last_s = 0.0
        right = self._right(window)
        if right and right[0] == 0:
            first = window[0][self._by_dts]
            assert first is not None
            wrong = {stamps[0] for place, stamps in enumerate(window) if place not in right}
            self._set_origin(self._start if self._start_is_believed(first, wrong) else first, window)
            moment = self._stated(window[0])
            assert moment is not None
            return moment, True
        self._warn_once(_WRONG, None)
        self.repaired += 1
        if right:
            self._set_origin(window[right[0]][self._by_dts], window)
            self._shift_s = right[0] * self.frame_s
        return 0.0, False

    def _take_up(self, window: list[Stamps]) -> None:
        """Frames without a timestamp came first: the first one that is right follows them."""
        assert self._last_s is not None
        right = self._right(window)
        if right:
            self._set_origin(window[right[0]][self._by_dts], window)
            self._shift_s = self._last_s + (right[0] + 1) * self.frame_s

    def _right(self, window: list[Stamps]) -> tuple[int, ...]:
        """Where the timestamps are right, when none came before them."""
        present = [stamps[self._by_dts] for stamps in window]
        base = next((stamp for stamp in present if stamp is not None), 0)
        times = [None if stamp is None else float((stamp - base) * self._time_base) for stamp in present]
        return explain(times, None, self.frame_s, self._largest_gap_s + self._tick_s / 2).believed

    def _set_origin(self, tick: int | None, window: list[Stamps]) -> None:
        assert tick is not None
        self._origin = tick
        own = [pts for pts, _ in window if pts is not None]
        self._own_origin_s = float((min(own) if self._by_dts and own else tick) * self._time_base)

    def _start_is_believed(self, first: int, wrong: set[int | None]) -> bool:
        if self._start is None or self._by_dts or self._start in wrong:
            return False
        return 0 <= (first - self._start) * self._tick_s <= _LATEST_START_S

    def _use_dts_if_better(self, window: list[Stamps]) -> None:
        if self._by_dts or not dts_are_better(window if self._last_s is None else [self._last, *window]):
            return
        self._by_dts = True
        if self._last_s is not None and self._last[1] is not None and self._origin is not None:
            # It goes on from the last frame.
            offset_s = self._shift_s - self._own_origin_s
            before = self._stated(self._last)
            assert before is not None
            self._shift_s += self._last_s - before
            # The sound keeps the offset that it had.
            self._own_origin_s = self._shift_s - offset_s

    def _may_end_with(self, moment: float | None, stamps: Stamps) -> bool:
        """Whether a file's last frame may come at that time, with none behind it to confirm a pause."""
        assert self._last_s is not None
        assert moment is not None
        step_s = moment - self._last_s
        # Frames that are lost, and those that wait for others, leave their decoding timestamps a few frames behind.
        if step_s <= LOOK_AHEAD * self.frame_s or not self._steady:
            return True
        before, after = self._last[1], stamps[1]
        if before is not None and after is not None and (after - before) * self._tick_s < step_s / 2:
            return False
        return step_s <= _LONGEST_UNCONFIRMED_S

    def _warn_once(self, what: str, moment: float | None) -> None:
        if self._name is None or what in self._told:
            return
        self._told.add(what)
        stamp = "no timestamp" if moment is None else f"timestamp {moment:.3f} s"
        logger.warning("%s: frame after %.3f s has %s: %s", self._name, self._last_s or 0.0, stamp, what)
