"""Everything that is counted of a stream: its windows of every length and its totals, told of things once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.analytics.totals import LiveHistory, Totals
from pipeline.analytics.track_table import TrackTable
from pipeline.analytics.windows import WindowCounter, WindowCounts, count_by_class
from pipeline.events import WindowMinute, WindowSecond
from pipeline.types import BoolArray, IndexArray

WindowKind = type[WindowSecond] | type[WindowMinute]
_WINDOWS: tuple[tuple[float, WindowKind], ...] = ((1.0, WindowSecond), (60.0, WindowMinute))


class StreamCounters:
    """Adds up what ``StreamAnalytics`` finds.

    Args:
        class_names, zone_names, line_names: what is counted; classes, zones and lines are then given by position.
        table: rows of the live tracks.
        history: told of every change of the live counts.
        hold_s, frame_s: as for ``StreamAnalytics``.
    """

    def __init__(
        self,
        class_names: Sequence[str],
        zone_names: Sequence[str],
        line_names: Sequence[str],
        *,
        table: TrackTable,
        history: LiveHistory,
        hold_s: float,
        frame_s: float,
    ) -> None:
        self._names = (class_names, zone_names, line_names)
        sizes = {"groups": 1 + len(zone_names), "lines": len(line_names), "classes": len(class_names)}
        self._windows = tuple(
            WindowCounter(length_s, **sizes, table=table, hold_s=hold_s, frame_s=frame_s) for length_s, _ in _WINDOWS
        )
        # Windows that are over, but may yet be told of something that happened in them.
        self._kept: tuple[list[WindowCounts], ...] = tuple([] for _ in _WINDOWS)
        self.totals = Totals(class_names, zone_names, line_names, table, history)

    def advance(self, pts_s: float, waiting_since_s: float) -> list[tuple[WindowKind, dict[str, Any]]]:
        """Go on to the frame at that time; returns kind and fields of the events of windows that are over by then.

        A window in which something has happened since ``waiting_since_s`` that is yet to be told is kept back until
        that is over, and so are those after it.
        """
        for kept, window in zip(self._kept, self._windows, strict=True):
            kept += window.advance(pts_s)
        return self._told(waiting_since_s)

    def change(
        self, zone_names: Sequence[str], line_names: Sequence[str], zones: Sequence[int], lines: Sequence[int]
    ) -> None:
        """Go on with other zones and lines.

        Args:
            zone_names, line_names: from now on. What has the name of one before goes on with its counts.
            zones, lines: for each the number of the one that it was, -1 for a new one.
        """
        groups = [0, *(zone + 1 if zone >= 0 else -1 for zone in zones)]
        self._names = (self._names[0], zone_names, line_names)
        for kept, window in zip(self._kept, self._windows, strict=True):
            window.rearrange(groups, lines)
            kept[:] = [counts.rearranged(groups, lines) for counts in kept]
        self.totals.rearrange(zone_names, line_names, zones, lines)

    def hold(self, hold_s: float) -> None:
        """From the newest frame on, one frame stands for so long at most."""
        for window in self._windows:
            window.hold(hold_s)

    def interrupt(self) -> None:
        """A gap follows the newest frame."""
        for window in self._windows:
            window.interrupt()

    def finish(self, stays_s: float | None = None) -> list[tuple[WindowKind, dict[str, Any]]]:
        """Kind and fields of the events of the windows that are still open; ``stays_s`` as for ``WindowCounter``."""
        for kept, window in zip(self._kept, self._windows, strict=True):
            kept += window.finish(stays_s)
        return self._told(float("inf"))

    def observe(self, rows: IndexArray, class_id: NDArray[np.integer[Any]], inside: BoolArray) -> None:
        """Take in what the newest frame shows.

        Args:
            rows: the shown tracks' rows ``(N,)``.
            class_id: their classes ``(N,)``.
            inside: bool ``(N, zones)``, in which zones they are.
        """
        member = np.ones((len(rows), 1 + inside.shape[1]), np.bool_)
        member[:, 1:] = inside
        shown = count_by_class(member, class_id, len(self._names[0]))
        for window in self._windows:
            window.observe(shown, rows, member, class_id)
        self.totals.observe(shown, rows, member, class_id)

    def started(self, class_id: NDArray[np.integer[Any]]) -> None:
        """Tracks of these classes ``(N,)`` started."""
        for window in self._windows:
            np.add.at(window.entered[0], class_id, 1)

    def ended(self, class_id: NDArray[np.integer[Any]]) -> None:
        """Tracks of these classes ``(N,)`` ended."""
        for window in self._windows:
            np.add.at(window.left[0], class_id, 1)

    def zone_entered(self, zone: int, class_id: int, at_s: float) -> None:
        """A track came into a zone at that media time."""
        for counts in self._at(at_s):
            counts.entered[1 + zone, class_id] += 1

    def zone_left(self, zone: int, class_id: int, dwell_s: float, at_s: float) -> None:
        """A track left a zone after ``dwell_s`` seconds."""
        self.totals.left(zone, class_id, dwell_s)
        for counts in self._at(at_s):
            counts.left[1 + zone, class_id] += 1

    def crossed(self, line: int, class_id: int, direction: int, speed_mps: float | None, at_s: float) -> None:
        """A track crossed a line; ``direction`` is 0 for in and 1 for out."""
        self.totals.crossed(line, class_id, direction)
        for counts in self._at(at_s):
            counts.crossed[direction, line, class_id] += 1
            if speed_mps is not None:
                counts.speed_sum[line, class_id] += speed_mps
                counts.speed_count[line, class_id] += 1

    def _at(self, at_s: float) -> Iterator[WindowCounter | WindowCounts]:
        """The window of each length that holds that media time: the one that is open, or one that is kept."""
        for kept, window in zip(self._kept, self._windows, strict=True):
            yield next((counts for counts in kept if counts.start_s <= at_s < counts.end_s), window)

    def _told(self, waiting_since_s: float) -> list[tuple[WindowKind, dict[str, Any]]]:
        """Let go of the windows that ended by then, by their end, the shorter first."""
        ended = []
        for order, kept in enumerate(self._kept):
            ended += [(counts.end_s, order, counts) for counts in kept if counts.end_s <= waiting_since_s]
            kept[:] = [counts for counts in kept if counts.end_s > waiting_since_s]
        return [
            (_WINDOWS[order][1], {"pts_s": counts.observed_until_s, **counts.fields(*self._names)})
            for _, order, counts in sorted(ended, key=lambda entry: entry[:2])
        ]
