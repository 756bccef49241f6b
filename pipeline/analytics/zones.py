"""Named zones and lines in the picture: which tracks are in them, come in, leave, and cross.

Both look at one anchor point of a track's box (the middle of its lower edge by default: where the object stands), and
only at frames in which the track was detected. Where it coasts, because it is hidden or because nobody looked, its
predicted position decides nothing: it stays where it was last seen until it is seen elsewhere, so that an object that
is lost before a line and found again behind it crosses once, and one whose prediction overshoots the line does not.
When a change is believed is told in ``pipeline.analytics.confirmation``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.analytics.confirmation import Change, Look, Sides
from pipeline.analytics.named_shapes import allowed_classes, check_names, place_shapes
from pipeline.analytics.track_table import TrackTable
from pipeline.geometry.anchors import Anchor, anchor_index, check_anchor
from pipeline.geometry.points import (
    Placement,
    Point,
    Units,
    check_length,
    check_polygon,
)
from pipeline.geometry.shapes import Polygons
from pipeline.types import BoolArray, Float64Array, IndexArray


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

    >>> Zone("door", [(0.1, 0.2), (0.6, 0.2), (0.6, 0.9)], units="fraction", classes=["person"]).anchor
    'bottom_center'
    >>> Zone("door", [(10, 20), (60, 20)])
    Traceback (most recent call last):
    pipeline.errors.ConfigError: ...
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
        self._class_names = class_names
        self._placement = Placement()
        self._take(zones)
        self._sides = Sides(table, len(zones))
        self._since_s = table.column(np.float64, (len(zones),))
        self._polygons = Polygons([])
        self._hysteresis = np.zeros(len(zones))

    def _take(self, zones: Sequence[Zone]) -> None:
        where = [f"zone {zone.name!r}" for zone in zones]
        check_names("zone", [zone.name for zone in zones])
        self._allowed = allowed_classes([zone.classes for zone in zones], self._class_names, where)
        self._anchor = np.array([anchor_index(zone.anchor) for zone in zones], np.intp)
        self.zones = tuple(zones)

    def change(self, zones: Sequence[Zone], origins: Sequence[int]) -> None:
        """Go on with other zones, which are to be placed by ``fit`` then.

        Args:
            zones: from now on.
            origins: for each the number of the zone that it was, whose tracks stay in it until they are seen outside;
                -1 for a new one. What waits at those left out is to be settled before.
        """
        self._take(zones)
        self._sides.rearrange(origins)
        self._since_s.rearrange(origins)

    def fit(self, width: int, height: int) -> None:
        """Place the zones in frames of that size in pixels."""
        corners = place_shapes("zone", self.zones, lambda zone: zone.polygon, self._placement, width, height)
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
