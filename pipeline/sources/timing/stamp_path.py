"""Which of some consecutive timestamps are right: the explanation that calls the fewest of them wrong.

A shortest path through the timestamps, by dynamic programming: each is either believed or skipped as wrong, and a step
between two believed ones is ordinary, a pause, or a jump of the clock. What each costs, in timestamps called wrong:
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

# A frame's presentation timestamp, and the decoding timestamp that the decoder gave out with it, in ticks.
Stamps: TypeAlias = tuple[int | None, int | None]

_WRONG = 1.0
# A clock that steps back or leaps beyond the largest pause. One or a few timestamps that stray and come back are
# cheaper called wrong; where the frames behind stay on the new clock, the jump is.
_JUMP = 4.0
# Rising further than frames do: so little that it never makes a timestamp wrong, and yet a stray costs two.
_PAUSE = 0.25
# Of explanations that are equally good, the one with the more even steps.
_UNEVEN = 0.01
# Called wrong with no room for them in time: they were rather right, and the clock stepped back a little. Where frames
# come evenly, there is none if more than a frame is missing; elsewhere one may well be squeezed in, but not two.
_SQUEEZED = 3.5
_MISSING_FRAMES = 1.25
_ROOM = 0.45
_ORDINARY_STEP = 1.5
# Presentation timestamps are made up where so many of them, and this part of all, go back.
_FEWEST_BACK, _PART_BACK = 2, 0.2


@dataclass(frozen=True, slots=True)
class StampPath:
    """An explanation.

    Attributes:
        believed: positions of the timestamps that are right, rising.
        jumps: whether the clock jumped in front of the first of them.
    """

    believed: tuple[int, ...]
    jumps: bool


def explain(
    times_s: Sequence[float | None], last_s: float | None, frame_s: float, largest_gap_s: float, *, steady: bool = False
) -> StampPath:
    """The cheapest explanation of timestamps that follow a frame at ``last_s``.

    Args:
        times_s: seconds on the present clock; None where there is no timestamp. At most some dozens: the time taken
            grows with the square of their number.
        last_s: the time of the frame before; None when there is none, and any of them may be the first.
        frame_s: the usual distance between frames in seconds.
        largest_gap_s: the longest pause believed.
        steady: whether frames have come evenly so far.
    """
    stamps = [(position, time_s) for position, time_s in enumerate(times_s) if time_s is not None]
    # Of the best path that ends at each: its cost, the one before it, and whether the clock jumped in between.
    best: list[tuple[float, int, bool]] = []
    for here, (position, time_s) in enumerate(stamps):
        if last_s is None:
            options = [(_WRONG * here, -1, False)]
        else:
            cost, jumps = _step(time_s - last_s, position + 1, here, frame_s, largest_gap_s, steady)
            options = [(cost, -1, jumps)]
        for before, (earlier, earlier_s) in enumerate(stamps[:here]):
            step_s, skipped = time_s - earlier_s, here - before - 1
            cost, jumps = _step(step_s, position - earlier, skipped, frame_s, largest_gap_s, steady)
            options.append((best[before][0] + cost, before, jumps))
        best.append(min(options))
    ends = [(cost + _WRONG * (len(stamps) - 1 - here), here) for here, (cost, _, _) in enumerate(best)]
    if last_s is not None:
        # None of them is right.
        ends.append((_WRONG * len(stamps), -1))
    path: list[int] = []
    here = min(ends, default=(0.0, -1))[1]
    while here >= 0:
        path.append(here)
        here = best[here][1]
    if not path:
        return StampPath((), False)
    return StampPath(tuple(stamps[here][0] for here in reversed(path)), best[path[-1]][2])


def _step(
    step_s: float, frames: int, skipped: int, frame_s: float, largest_gap_s: float, steady: bool
) -> tuple[float, bool]:
    """What a step from one believed timestamp to the next costs, and whether the clock jumped."""
    cost = _WRONG * skipped
    if not 0 < step_s <= largest_gap_s:
        return cost + _JUMP, True
    ratio = step_s / (frames * frame_s)
    missing = frames * (1 - ratio) > _MISSING_FRAMES if steady else skipped >= 2 and ratio < _ROOM
    if skipped and missing:
        return cost + _SQUEEZED, False
    return cost + (_PAUSE if ratio > _ORDINARY_STEP else _UNEVEN * abs(ratio - 1)), False


def dts_are_better(frames: Sequence[Stamps]) -> bool:
    """Whether presentation timestamps go back again and again, and decoding timestamps are all there and rise."""
    pts = [pts for pts, _ in frames if pts is not None]
    dts = [dts for _, dts in frames if dts is not None]
    if len(dts) < len(frames) or _steps_back(dts):
        return False
    return _steps_back(pts) >= max(_FEWEST_BACK, _PART_BACK * len(frames))


def _steps_back(stamps: Sequence[int]) -> int:
    return sum(later <= earlier for earlier, later in itertools.pairwise(stamps))
