"""Lines and who crosses them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.analytics.confirmation import Change, Look, Sides
from pipeline.analytics.named_shapes import allowed_classes, check_names, place_shapes
from pipeline.analytics.track_table import TrackTable
from pipeline.errors import ConfigError
from pipeline.geometry.anchors import Anchor, anchor_index, check_anchor
from pipeline.geometry.points import Placement, Point, Units, check_length, check_points, length_to_pixels
from pipeline.geometry.shapes import Segments
from pipeline.types import Float64Array, IndexArray

# A line's hysteresis where none is given, as a part of the frame's shorter side.
DEFAULT_HYSTERESIS = 0.01


@dataclass(frozen=True, slots=True)
class Line:
    """A named, directed line whose crossings are counted.

    To someone who walks from ``start`` to ``end``, a crossing from the left-hand to the right-hand side is ``in``,
    the other way is ``out``: for a line drawn from left to right across the picture, what moves down the picture goes
    in.

    Attributes:
        name: unique among the stream's lines.
        start, end: its ends; a path that passes beside them does not cross.
        units: of ``start``, ``end`` and ``hysteresis``: ``"pixels"`` or ``"fraction"`` of the frame.
        anchor: the point of a track's box that counts.
        classes: names of the classes counted; None for all.
        hysteresis: how far behind the line an anchor must come before the crossing counts. None is 1% of the frame's
            shorter side.

    Raises:
        ConfigError: a line without length, or a value out of its range.
    """

    name: str
    start: Point
    end: Point
    units: Units = "pixels"
    anchor: Anchor = "bottom_center"
    classes: Sequence[str] | None = None
    hysteresis: float | None = None

    def __post_init__(self) -> None:
        where = f"line {self.name!r}"
        ends = check_points([self.start, self.end], self.units, where)
        check_anchor(self.anchor, where)
        if (ends[0] == ends[1]).all():
            raise ConfigError(f"{where}: start and end are the same point")
        if self.units == "pixels" and ends.max() <= 1:
            raise ConfigError(f"{where}: the line is shorter than a pixel; say units: fraction if that was meant")
        if self.hysteresis is not None:
            check_length(self.hysteresis, where)

    def hysteresis_px(self, width: int, height: int, placement: Placement | None = None) -> float:
        """The hysteresis in pixels of a frame of that size; ``placement`` knows the size of those that came first.

        >>> Line("gate", (0, 0.5), (1, 0.5), units="fraction").hysteresis_px(1920, 1080)
        10.8
        """
        if self.hysteresis is None:
            return length_to_pixels(DEFAULT_HYSTERESIS, "fraction", width, height)
        return (placement or Placement()).length(self.hysteresis, self.units, width, height)


class LineMonitor:
    """Follows which tracks cross which lines.

    Per track and line it keeps the side on which the track last was for certain. A track changes side once two looks
    saw its anchor more than the hysteresis behind the line; that counts when its path, straight between the points
    where it was seen, last passed the line between the segment's ends before the first of them. So a track that
    trembles on the line, however often, counts at most once.

    Args:
        lines: the L lines.
        class_names: the model's classes.
        table: rows of the live tracks; the monitor adds its columns.

    Raises:
        ConfigError: two lines of one name, or an unknown class.
    """

    def __init__(self, lines: Sequence[Line], class_names: Sequence[str], table: TrackTable) -> None:
        count = len(lines)
        self._class_names = class_names
        self._placement = Placement()
        self._take(lines)
        self._segments = Segments(np.zeros((0, 2)), np.zeros((0, 2)))
        self._hysteresis = np.zeros(count)
        self._sides = Sides(table, count)  # +1 is the right-hand side
        self._point = table.column(np.float64, (count, 2))
        self._distance = table.column(np.float64, (count,))
        self._between_ends = table.column(np.bool_, (count,))

    def _take(self, lines: Sequence[Line]) -> None:
        where = [f"line {line.name!r}" for line in lines]
        check_names("line", [line.name for line in lines])
        self._allowed = allowed_classes([line.classes for line in lines], self._class_names, where)
        self._anchor = np.array([anchor_index(line.anchor) for line in lines], np.intp)
        self.lines = tuple(lines)

    def change(self, lines: Sequence[Line], origins: Sequence[int]) -> None:
        """Go on with other lines, which are to be placed by ``place`` then.

        Args:
            lines: from now on.
            origins: for each the number of the line that it was, if it lies where it was; -1 for any other, where no
                track is on any side yet. What waits at those left out is to be settled before.
        """
        self._take(lines)
        self._sides.rearrange(origins)
        for column in (self._point, self._distance, self._between_ends):
            column.rearrange(origins)

    def fit(self, width: int, height: int) -> None:
        """Place the lines in frames of that size in pixels; tracks seen before are on no side yet."""
        self.place(width, height)
        self._sides.forget()

    def place(self, width: int, height: int) -> None:
        """Place the lines in frames of that size in pixels."""
        ends = place_shapes("line", self.lines, lambda line: (line.start, line.end), self._placement, width, height)
        stacked = np.array(ends, np.float64).reshape(-1, 2, 2)
        self._segments = Segments(stacked[:, 0], stacked[:, 1])
        self._hysteresis = np.array([line.hysteresis_px(width, height, self._placement) for line in self.lines])

    @property
    def waiting(self) -> Sides:
        """The sides of the lines, to settle what waits."""
        return self._sides

    def update(
        self,
        rows: IndexArray,
        anchors: Float64Array,
        class_id: NDArray[np.integer],
        look: Look,
        speeds: Sequence[float | None] = (),
    ) -> list[Change]:
        """Look where tracks are now.

        Args:
            rows: the tracks' rows ``(N,)``, only of those detected in this frame.
            anchors: where they are, ``(N, 9, 2)`` as ``anchor_points`` gives it.
            class_id: their classes ``(N,)``.
            look: the frame.
            speeds: the tracks' speeds in metres per second, for the changes.

        Returns:
            Who has changed sides: +1 goes in. Only those count that crossed the line itself.
        """
        points = anchors[:, self._anchor]
        distance = self._segments.distance(points)
        half = np.where(distance > 0, 1, -1).astype(np.int8)
        old_distance = self._distance.values[rows]
        passed = ((old_distance > 0) != (distance > 0)) & (self._sides.of(rows) != 0)
        if passed.any():
            old, new = self._segments.position(self._point.values[rows]), self._segments.position(points)
            at = old + (new - old) * (old_distance / np.where(passed, old_distance - distance, 1.0))
            self._between_ends.values[rows] = np.where(passed, (at >= 0) & (at <= 1), self._between_ends.values[rows])
        self._point.values[rows], self._distance.values[rows] = points, distance
        counts = self._between_ends.values[rows] & self._allowed[class_id]
        certain = np.abs(distance) > self._hysteresis
        return self._sides.look(rows, half, certain, look, counts=counts, speeds=speeds)
