"""Running totals of a stream, and the live counts that are drawn on its pictures."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pipeline.analytics.lines import Line
from pipeline.analytics.track_table import TrackTable, rearranged
from pipeline.analytics.windows import count_by_class
from pipeline.analytics.zones import Zone
from pipeline.types import BoolArray, Frame, IndexArray, Int64Array

# How many changes of the live counts are remembered for those who draw a frame later than it was counted.
_REMEMBERED_CHANGES = 512


@dataclass(frozen=True, slots=True)
class LiveCounts:
    """Zone and line counts as of one frame.

    Attributes:
        zones: per zone, objects in it now per class name; classes of which there is none are left out.
        lines: per line, ``(in, out)`` since the start per class name; likewise.
    """

    zones: dict[str, dict[str, int]] = field(default_factory=dict)
    lines: dict[str, dict[str, tuple[int, int]]] = field(default_factory=dict)


class LiveHistory:
    """The live counts of a stream's newest frames, for those who draw a frame later than it was counted.

    One thread writes, any may read: ``StreamAnalytics`` keeps it up to date, sinks draw behind queues of their own. So
    many changes are remembered that a queue may be some hundred frames long; frames older than that get the oldest.

    Attributes:
        shapes: the zones and lines that are counted in as of the newest frame.
    """

    def __init__(self) -> None:
        self.shapes: tuple[Sequence[Zone], Sequence[Line]] = ((), ())
        self._changes: tuple[tuple[int, LiveCounts], ...] = ()

    def at(self, frame: Frame) -> LiveCounts:
        """The live counts as of a frame that was counted before."""
        changes = self._changes
        if not changes:
            return LiveCounts()
        return changes[max(0, bisect_right(changes, frame.index, key=lambda change: change[0]) - 1)][1]

    def remember(self, frame_index: int, counts: LiveCounts) -> None:
        """These counts hold from that frame on."""
        kept = self._changes[1 - _REMEMBERED_CHANGES :]
        if kept and kept[-1][0] >= frame_index:  # The stream started anew.
            kept = ()
        # A new tuple each time, so that other threads read it without a lock.
        self._changes = (*kept, (frame_index, counts))


class Totals:
    """Counts since the stream's start.

    Group 0 is every track shown, group ``1 + z`` those in zone z.

    Args:
        class_names: the C classes of the model.
        zone_names, line_names: of the Z zones and L lines.
        table: rows of the live tracks; the totals add their column.
        history: told of every change of the live counts.
    """

    def __init__(
        self,
        class_names: Sequence[str],
        zone_names: Sequence[str],
        line_names: Sequence[str],
        table: TrackTable,
        history: LiveHistory,
    ) -> None:
        self._classes = tuple(class_names)
        self._zones, self._lines = tuple(zone_names), tuple(line_names)
        shape = (1 + len(self._zones), len(self._classes))
        self._counted = table.column(np.bool_, (shape[0],))
        self._unique: Int64Array = np.zeros(shape, np.int64)
        self._max: Int64Array = np.zeros(shape, np.int64)
        self._shown: Int64Array = np.zeros(shape, np.int64)
        self._dwell_s = np.zeros(shape)
        self._crossed: Int64Array = np.zeros((2, len(self._lines), shape[1]), np.int64)
        self._changed = True
        self._history = history

    def observe(self, shown: Int64Array, rows: IndexArray, member: BoolArray, class_id: NDArray[np.integer]) -> None:
        """Take in one frame; the arguments are those of ``WindowCounter.observe``."""
        self._changed = self._changed or not np.array_equal(shown[1:], self._shown[1:])
        self._shown = shown
        np.maximum(self._max, shown, out=self._max)
        counted = self._counted.values[rows]
        fresh = member & ~counted
        if fresh.any():
            self._counted.values[rows] = counted | member
            self._unique += count_by_class(fresh, class_id, len(self._classes))

    def rearrange(
        self, zone_names: Sequence[str], line_names: Sequence[str], zones: Sequence[int], lines: Sequence[int]
    ) -> None:
        """Go on with other zones and lines; where those were is told as for ``track_table.rearranged``."""
        groups = [0, *(zone + 1 if zone >= 0 else -1 for zone in zones)]
        self._zones, self._lines = tuple(zone_names), tuple(line_names)
        self._counted.rearrange(groups)
        self._unique, self._max = rearranged(self._unique, groups), rearranged(self._max, groups)
        self._shown, self._dwell_s = rearranged(self._shown, groups), rearranged(self._dwell_s, groups)
        self._crossed = rearranged(self._crossed, lines, axis=1)
        self._changed = True

    def left(self, zone: int, class_id: int, dwell_s: float) -> None:
        """A track left a zone after that many seconds."""
        self._dwell_s[1 + zone, class_id] += dwell_s

    def crossed(self, line: int, class_id: int, direction: int) -> None:
        """A track crossed a line; ``direction`` is 0 for in and 1 for out."""
        self._crossed[direction, line, class_id] += 1
        self._changed = True

    def remember(self, frame_index: int) -> None:
        """Keep the live counts as those from this frame on, if they are not what they were."""
        if self._changed:
            self._history.remember(frame_index, self.live())
            self._changed = False

    def live(self) -> LiveCounts:
        """The live counts as of the newest frame."""
        zones: dict[str, dict[str, int]] = {name: {} for name in self._zones}
        for zone, class_id in np.argwhere(self._shown[1:]).tolist():
            zones[self._zones[zone]][self._classes[class_id]] = int(self._shown[1 + zone, class_id])
        lines: dict[str, dict[str, tuple[int, int]]] = {name: {} for name in self._lines}
        for line, class_id in np.argwhere(self._crossed.any(axis=0)).tolist():
            came, went = self._crossed[:, line, class_id].tolist()
            lines[self._lines[line]][self._classes[class_id]] = (came, went)
        return LiveCounts(zones, lines)

    def objects(self) -> dict[str, dict[str, int]]:
        """Per class name of which there was any: ``unique`` tracks, and ``max`` at once."""
        return {
            self._classes[class_id]: {"unique": int(self._unique[0, class_id]), "max": int(self._max[0, class_id])}
            for class_id in np.flatnonzero(self._unique[0]).tolist()
        }

    def zones(self) -> dict[str, dict[str, dict[str, float]]]:
        """Per zone and class name: ``unique`` tracks, ``max`` at once, and ``dwell_s``, summed over those that left."""
        totals: dict[str, dict[str, dict[str, float]]] = {name: {} for name in self._zones}
        for zone, class_id in np.argwhere(self._unique[1:]).tolist():
            totals[self._zones[zone]][self._classes[class_id]] = {
                "unique": int(self._unique[1 + zone, class_id]),
                "max": int(self._max[1 + zone, class_id]),
                "dwell_s": round(float(self._dwell_s[1 + zone, class_id]), 6),
            }
        return totals

    def lines(self) -> dict[str, dict[str, dict[str, int]]]:
        """Per line and class name: crossings ``in`` and ``out``."""
        return {
            line: {name: {"in": came, "out": went} for name, (came, went) in per_class.items()}
            for line, per_class in self.live().lines.items()
        }
