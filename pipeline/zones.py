"""Named zones and lines in the picture: which tracks are in them, come in, leave, and cross.

Both look at one anchor point of a track's box (the middle of its lower edge by default: where the object stands), and
only at frames in which the track was detected. Where it coasts, because it is hidden or because nobody looked, its
predicted position decides nothing: it stays where it was last seen until it is seen elsewhere, so that an object that
is lost before a line and found again behind it crosses once, and one whose prediction overshoots the line does not.
When a change is believed is told in ``pipeline.confirmation``.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.confirmation import Change, Look, Sides
from pipeline.errors import ConfigError
from pipeline.geometry.anchors import Anchor, anchor_index, check_anchor
from pipeline.geometry.points import (
    Placement,
    Point,
    Units,
    check_length,
    check_points,
    check_polygon,
    length_to_pixels,
)
from pipeline.geometry.shapes import Polygons, Segments
from pipeline.models.class_names import class_ids
from pipeline.track_table import TrackTable
from pipeline.types import BoolArray, Float64Array, IndexArray

log = logging.getLogger(__name__)

# A line's hysteresis where none is given, as a part of the frame's shorter side.
DEFAULT_HYSTERESIS = 0.01
# How far the proportions of two pictures may be apart that show the same.
_SAME_SHAPE = 0.02


@dataclass(frozen=True, slots=True)
class Zone:
    """A named polygon in which tracks are counted.

    Attributes:
        name: unique among the stream's zones.
        polygon: three corners or more, in order around it.
        units: of ``polygon`` and ``hysteresis``: ``"pixels"`` or ``"fraction"`` of the frame.
        anchor: the point of a track's box that counts.
        classes: names of the classes counted; None for all.
        hysteresis: how far past the edge an anchor must be to come in or leave; 0 lets the edge decide.

    Raises:
        ConfigError: corners that enclose no area or whose edges cross, or a value out of its range.
    """

    name: str
    polygon: Sequence[Point]
    units: Units = "pixels"
    anchor: Anchor = "bottom_center"
    classes: Sequence[str] | None = None
    hysteresis: float = 0.0

    def __post_init__(self) -> None:
        where = f"zone {self.name!r}"
        check_polygon(self.polygon, self.units, where)
        check_anchor(self.anchor, where)
        check_length(self.hysteresis, where)


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
        """The hysteresis in pixels of a frame of that size; ``placement`` knows the size of those that came first."""
        if self.hysteresis is None:
            return length_to_pixels(DEFAULT_HYSTERESIS, "fraction", width, height)
        return (placement or Placement()).length(self.hysteresis, self.units, width, height)


def check_names(kind: str, names: Sequence[str]) -> None:
    """Raise ``ConfigError`` for a name that is empty or there twice."""
    for position, name in enumerate(names):
        if not name:
            raise ConfigError(f"{kind} {position + 1}: it has no name")
        if name in names[:position]:
            raise ConfigError(f"{kind} {name!r}: two have this name; give each its own")


def _allowed(classes: Sequence[Sequence[str] | None], class_names: Sequence[str], where: Sequence[str]) -> BoolArray:
    """bool ``(classes, items)``: which class each item counts."""
    allowed = np.zeros((len(class_names), len(classes)), np.bool_)
    for position, names in enumerate(classes):
        wanted = slice(None) if names is None else list(class_ids(names, class_names, where=where[position]))
        allowed[wanted, position] = True
    return allowed


def _tell_if_scaled(
    kind: str, shapes: Sequence[Zone] | Sequence[Line], drawn: tuple[int, int] | None, size: tuple[int, int]
) -> None:
    """Warn where shapes in pixels were drawn in pictures of another size."""
    names = ", ".join(repr(shape.name) for shape in shapes if shape.units == "pixels")
    if drawn is None or not names:
        return
    same_shape = abs(drawn[0] * size[1] / (drawn[1] * size[0]) - 1) < _SAME_SHAPE
    log.warning(
        "%s %s: in pixels of a picture of %d x %d, which is %d x %d now; scaled with it%s",
        kind,
        names,
        *drawn,
        *size,
        "" if same_shape else ", but its shape is another one: check that they are in place",
    )


def _outside(points: Float64Array, width: int, height: int) -> bool:
    low, high = points.min(axis=0), points.max(axis=0)
    return bool((high < 0).any() or low[0] > width or low[1] > height)


class ZoneMonitor:
    """Follows which tracks are in which zones.

    Args:
        zones: the Z zones.
        class_names: the model's classes.
        table: rows of the live tracks; the monitor adds its columns.

    Raises:
        ConfigError: two zones of one name, or an unknown class.
    """

    def __init__(self, zones: Sequence[Zone], class_names: Sequence[str], table: TrackTable) -> None:
        check_names("zone", [zone.name for zone in zones])
        self.zones = tuple(zones)
        self._placement = Placement()
        self._allowed = _allowed([z.classes for z in zones], class_names, [f"zone {z.name!r}" for z in zones])
        self._anchor = np.array([anchor_index(zone.anchor) for zone in zones], np.intp)
        self._sides = Sides(table, len(zones))
        self._since_s = table.column(np.float64, (len(zones),))
        self._polygons = Polygons([])
        self._hysteresis = np.zeros(len(zones))

    def fit(self, width: int, height: int) -> None:
        """Place the zones in frames of that size in pixels."""
        _tell_if_scaled("zone", self.zones, self._placement.fit(width, height), (width, height))
        corners = [
            self._placement.points(np.asarray(zone.polygon, np.float64), zone.units, width, height)
            for zone in self.zones
        ]
        for zone, polygon in zip(self.zones, corners, strict=True):
            if _outside(polygon, width, height):
                log.warning("zone %r lies outside the picture of %d x %d pixels", zone.name, width, height)
        self._polygons = Polygons(corners)
        self._hysteresis = np.array([self._placement.length(z.hysteresis, z.units, width, height) for z in self.zones])

    def inside(self, rows: IndexArray) -> BoolArray:
        """bool ``(N, Z)``: in which zones the tracks in those rows are."""
        inside: BoolArray = self._sides.of(rows) > 0
        return inside

    def since_s(self, rows: IndexArray) -> Float64Array:
        """float64 ``(N, Z)``: media time at which a track came into a zone that it is in."""
        since: Float64Array = self._since_s.values[rows]
        return since

    def came(self, change: Change) -> None:
        """Remember when a track came in, as ``update`` and the settled changes tell it."""
        self._since_s.values[change.row, change.item] = change.look.pts_s

    def stayed_s(self, change: Change) -> float:
        """For how long in seconds a track was in the zone that it left with that change."""
        return change.look.pts_s - float(self._since_s.values[change.row, change.item])

    @property
    def waiting(self) -> Sides:
        """The sides of the zones' edges, +1 is inside: to settle what waits."""
        return self._sides

    def update(
        self, rows: IndexArray, anchors: Float64Array, class_id: NDArray[np.integer], look: Look
    ) -> list[Change]:
        """Look where tracks are now.

        Args:
            rows: the tracks' rows ``(N,)``, only of those detected in this frame.
            anchors: where they are, ``(N, 9, 2)`` as ``anchor_points`` gives it.
            class_id: their classes ``(N,)``.
            look: the frame.

        Returns:
            Who has come in (+1) or left (-1). A track that is seen for the first time comes in at once.
        """
        points = anchors[:, self._anchor]
        allowed = self._allowed[class_id]
        half = np.where(self._polygons.contains(points) & allowed, 1, -1).astype(np.int8)
        certain = np.ones(half.shape, np.bool_)
        if self._hysteresis.any():
            certain = (self._polygons.distance(points) >= self._hysteresis) | ~allowed
        first = (self._sides.of(rows) == 0) & (half > 0)
        changes = [Change(int(rows[track]), zone, 1, look) for track, zone in np.argwhere(first).tolist()]
        return changes + self._sides.look(rows, half, certain, look)


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
        check_names("line", [line.name for line in lines])
        count = len(lines)
        self.lines = tuple(lines)
        self._placement = Placement()
        self._allowed = _allowed([n.classes for n in lines], class_names, [f"line {n.name!r}" for n in lines])
        self._anchor = np.array([anchor_index(line.anchor) for line in lines], np.intp)
        self._segments = Segments(np.zeros((0, 2)), np.zeros((0, 2)))
        self._hysteresis = np.zeros(count)
        self._sides = Sides(table, count)  # +1 is the right-hand side
        self._point = table.column(np.float64, (count, 2))
        self._distance = table.column(np.float64, (count,))
        self._between_ends = table.column(np.bool_, (count,))

    def fit(self, width: int, height: int) -> None:
        """Place the lines in frames of that size in pixels; tracks seen before are on no side yet."""
        _tell_if_scaled("line", self.lines, self._placement.fit(width, height), (width, height))
        ends = [
            self._placement.points(np.array([line.start, line.end], np.float64), line.units, width, height)
            for line in self.lines
        ]
        for line, pair in zip(self.lines, ends, strict=True):
            if _outside(pair, width, height):
                log.warning("line %r lies outside the picture of %d x %d pixels", line.name, width, height)
        stacked = np.array(ends, np.float64).reshape(-1, 2, 2)
        self._segments = Segments(stacked[:, 0], stacked[:, 1])
        self._hysteresis = np.array([line.hysteresis_px(width, height, self._placement) for line in self.lines])
        self._sides.forget()

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
