"""Counts over windows of media time, in bounded memory however long the run.

Windows are the half-open intervals ``[k * length, (k + 1) * length)`` of media time. A frame stands for the time from
its own to the next frame's, at most ``hold_s``: what lies beyond, in a gap, nobody observed. ``coverage`` is the
observed part of the window. A window is judged by its own frames: ``max`` is taken over them, ``unique`` are the
tracks in them, and ``mean`` weighs each with the time it stands for within the window, the first also with the
observed time between the window's start and it. So ``mean <= max <= unique``. A window that holds no frame of its own
but was observed (frames further apart than windows are long) takes the frame before it. Windows that nobody observed
are left out: the index tells that there were some.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.analytics.track_table import TrackTable, rearranged
from pipeline.events import ClassCounts, LineCounts
from pipeline.types import BoolArray, Float64Array, IndexArray, Int64Array

# A last frame that is on screen for so many times the usual distance between frames stays there.
_STAYS = 1.5


@dataclass(frozen=True, slots=True, eq=False)
class WindowCounts:
    """One window that is over.

    Attributes:
        index: number of the window.
        start_s, end_s: media time in seconds; the last window of a stream ends there too, however little was observed.
        observed_until_s: media time up to which it was observed.
        frames: frames whose time lies in it.
        coverage: the part observed, 0 to 1.
        mean: float64 ``(G, C)``, objects at once of each class in each group, averaged over the observed time.
        max, unique, entered, left: int64 ``(G, C)``.
        crossed: int64 ``(2, L, C)``, crossings in and out.
        speed_sum: float64 ``(L, C)``, of the speeds of those crossings whose speed was known, in m/s.
        speed_count: int64 ``(L, C)``, how many those are.
    """

    index: int
    start_s: float
    end_s: float
    observed_until_s: float
    frames: int
    coverage: float
    mean: Float64Array
    max: Int64Array
    unique: Int64Array
    entered: Int64Array
    left: Int64Array
    crossed: Int64Array
    speed_sum: Float64Array
    speed_count: Int64Array

    def fields(
        self, class_names: Sequence[str], zone_names: Sequence[str], line_names: Sequence[str]
    ) -> dict[str, Any]:
        """What a window event tells, beside the fields of every event; classes that nothing is told of are left out."""
        return {
            "index": self.index,
            "start_s": self.start_s,
            "end_s": self.end_s,
            "frames": self.frames,
            "coverage": self.coverage,
            "objects": self._group(0, class_names),
            "zones": {name: self._group(1 + zone, class_names) for zone, name in enumerate(zone_names)},
            "lines": {name: self._line(line, class_names) for line, name in enumerate(line_names)},
        }

    def rearranged(self, groups: Sequence[int], lines: Sequence[int]) -> WindowCounts:
        """The same for other groups and lines; where those were is told as for ``track_table.rearranged``."""
        return replace(
            self,
            mean=rearranged(self.mean, groups),
            max=rearranged(self.max, groups),
            unique=rearranged(self.unique, groups),
            entered=rearranged(self.entered, groups),
            left=rearranged(self.left, groups),
            crossed=rearranged(self.crossed, lines, axis=1),
            speed_sum=rearranged(self.speed_sum, lines),
            speed_count=rearranged(self.speed_count, lines),
        )

    def _group(self, group: int, class_names: Sequence[str]) -> dict[str, ClassCounts]:
        told = self.unique[group] + self.entered[group] + self.left[group]
        return {
            class_names[class_id]: ClassCounts(
                mean=float(self.mean[group, class_id]),
                max=int(self.max[group, class_id]),
                unique=int(self.unique[group, class_id]),
                entered=int(self.entered[group, class_id]),
                left=int(self.left[group, class_id]),
            )
            for class_id in np.flatnonzero(told).tolist()
        }

    def _line(self, line: int, class_names: Sequence[str]) -> dict[str, LineCounts]:
        counts: dict[str, LineCounts] = {}
        for class_id in np.flatnonzero(self.crossed[:, line].any(axis=0)).tolist():
            known = int(self.speed_count[line, class_id])
            counts[class_names[class_id]] = LineCounts(
                entered=int(self.crossed[0, line, class_id]),
                left=int(self.crossed[1, line, class_id]),
                mean_speed_mps=round(float(self.speed_sum[line, class_id]) / known, 3) if known else None,
            )
        return counts


class WindowCounter:
    """Adds frames up into windows of one length.

    ``advance`` to a frame's time, ``observe`` what it shows, and tell what happened in it; the next ``advance``
    returns the windows that are over by then.

    Args:
        length_s: length of the windows in seconds.
        groups: G, how many sets of tracks are counted (all of them, and those in each zone).
        lines: L, how many lines.
        classes: C, how many classes.
        table: rows of the live tracks; the counter adds its column.
        hold_s: longest time in seconds one frame stands for.
        frame_s: time the last frame stands for where no earlier one tells the distance between frames.
    """

    def __init__(
        self,
        length_s: float,
        *,
        groups: int,
        lines: int,
        classes: int,
        table: TrackTable,
        hold_s: float,
        frame_s: float,
    ) -> None:
        self.length_s = length_s
        self._hold_s = hold_s
        self._interval_s = min(frame_s, hold_s)
        self._shape = (groups, classes)
        self._line_shape = (lines, classes)
        self._window_seen = table.column(np.int64, (groups,), fill=-1)
        self._newest_s: float | None = None
        self._shown: Int64Array = np.zeros(self._shape, np.int64)
        self._head_s = 0.0
        self._broken = False
        self._start(0)

    def _start(self, index: int) -> None:
        self._index = index
        self._frames = 0
        self._observed_s = 0.0
        self._until_s = index * self.length_s
        self._weighted = np.zeros(self._shape)
        self._max: Int64Array = np.zeros(self._shape, np.int64)
        self._unique: Int64Array = np.zeros(self._shape, np.int64)
        self.entered: Int64Array = np.zeros(self._shape, np.int64)
        self.left: Int64Array = np.zeros(self._shape, np.int64)
        self.crossed: Int64Array = np.zeros((2, *self._line_shape), np.int64)
        self.speed_sum = np.zeros(self._line_shape)
        self.speed_count: Int64Array = np.zeros(self._line_shape, np.int64)

    def rearrange(self, groups: Sequence[int], lines: Sequence[int]) -> None:
        """Go on with other groups and lines; where those were is told as for ``track_table.rearranged``. What is new
        counts from here on, as if nothing had been there in the part of the window that is over."""
        self._shape, self._line_shape = (len(groups), self._shape[1]), (len(lines), self._shape[1])
        self._window_seen.rearrange(groups)
        self._shown, self._weighted = rearranged(self._shown, groups), rearranged(self._weighted, groups)
        self._max, self._unique = rearranged(self._max, groups), rearranged(self._unique, groups)
        self.entered, self.left = rearranged(self.entered, groups), rearranged(self.left, groups)
        self.crossed = rearranged(self.crossed, lines, axis=1)
        self.speed_sum, self.speed_count = rearranged(self.speed_sum, lines), rearranged(self.speed_count, lines)

    def hold(self, hold_s: float) -> None:
        """From the newest frame on, one frame stands for so long at most."""
        self._hold_s = hold_s

    def advance(self, pts_s: float) -> list[WindowCounts]:
        """Go on to a frame at that time; returns the windows that ended at or before it, in order."""
        index = math.floor(pts_s / self.length_s)
        if self._newest_s is None:
            self._newest_s = pts_s
            self._start(index)
            return []
        if self._broken:
            until = min(pts_s, self._last_moment())
        else:
            until = min(pts_s, self._newest_s + self._hold_s)
            self._interval_s = min(pts_s - self._newest_s, self._hold_s)
        self._broken = False
        closed = self._hold(until, index)
        self._newest_s = pts_s
        return closed

    def observe(
        self, shown: Int64Array, rows: IndexArray, member: BoolArray, class_id: NDArray[np.integer[Any]]
    ) -> None:
        """Take in what the frame at the time last advanced to shows.

        Args:
            shown: int64 ``(G, C)``, objects at once, as ``count_by_class`` gives them.
            rows: the shown tracks' rows ``(N,)``.
            member: bool ``(N, G)``, which of them are in which group.
            class_id: their classes ``(N,)``.
        """
        self._frames += 1
        self._add(shown, self._head_s)
        self._head_s = 0.0
        self._shown = shown
        np.maximum(self._max, shown, out=self._max)
        seen = self._window_seen.values[rows]
        fresh = member & (seen != self._index)
        if fresh.any():
            self._window_seen.values[rows] = np.where(member, self._index, seen)
            self._unique += count_by_class(fresh, class_id, self._shape[1])

    def interrupt(self) -> None:
        """Say that a gap follows the newest frame, which then stands for no longer than frames usually do."""
        self._broken = True

    def finish(self, stays_s: float | None = None) -> list[WindowCounts]:
        """The window that is still open, observed in part as a rule; none where there was no frame.

        Args:
            stays_s: for how long the newest frame stays on screen, where that is known. Windows go on with it if it is
                longer than frames usually do, as with slides, and like any frame up to ``hold_s``.
        """
        if self._newest_s is None:
            return []
        until_s = self._last_moment()
        if stays_s is not None and stays_s > _STAYS * self._interval_s and not self._broken:
            until_s = self._newest_s + min(stays_s, self._hold_s)
        closed = self._hold(until_s, None)
        self._newest_s = None
        return closed

    def _last_moment(self) -> float:
        """Until when a frame that none follows was on screen: the window that holds it is then the last."""
        assert self._newest_s is not None
        return min(self._newest_s + self._interval_s, (self._index + 1) * self.length_s)

    def _hold(self, until_s: float, next_index: int | None) -> list[WindowCounts]:
        """Let the newest frame stand until then, and close the windows before ``next_index``; all of them for None."""
        closed: list[WindowCounts] = []
        position = self._newest_s
        assert position is not None
        while True:
            end = (self._index + 1) * self.length_s
            stop = min(until_s, end)
            self._add(self._shown, stop - position)
            self._until_s = position = stop
            if self._index == next_index:
                return closed
            closed.append(self._close())
            if stop == until_s and next_index is None:
                return closed
            if stop == until_s and next_index is not None:
                self._start(next_index)
                return closed
            self._start(self._index + 1)
            if self._index == next_index:
                # Its own first frame, which comes now, stands for what was observed before it.
                self._head_s = until_s - position
                return closed
            self._max, self._unique = self._shown.copy(), self._shown.copy()

    def _add(self, shown: Int64Array, duration_s: float) -> None:
        if duration_s > 0:
            self._weighted += shown * duration_s
            self._observed_s += duration_s

    def _close(self) -> WindowCounts:
        start_s, end_s = self._index * self.length_s, (self._index + 1) * self.length_s
        return WindowCounts(
            index=self._index,
            start_s=start_s,
            end_s=end_s,
            observed_until_s=round(self._until_s, 6),
            frames=self._frames,
            coverage=round(min(1.0, self._observed_s / self.length_s), 6),
            mean=np.round(self._weighted / self._observed_s, 6),
            max=self._max,
            unique=self._unique,
            entered=self.entered,
            left=self.left,
            crossed=self.crossed,
            speed_sum=self.speed_sum,
            speed_count=self.speed_count,
        )


def count_by_class(member: BoolArray, class_id: NDArray[np.integer[Any]], classes: int) -> Int64Array:
    """How many tracks of each class are in each group.

    Args:
        member: bool ``(N, G)``.
        class_id: ``(N,)``.
        classes: C.

    Returns:
        int64 ``(G, C)``.
    """
    groups = member.shape[1]
    track, group = np.nonzero(member)
    counts: Int64Array = np.bincount(group * classes + class_id[track], minlength=groups * classes)
    return counts.reshape(groups, classes)
