"""Drawing of zones and lines with their live counts, for the annotated picture.

    live = LiveHistory()
    analytics = StreamAnalytics(name, class_names, stamper=stamper, zones=zones, lines=lines, live=live)
    annotator = Annotator(class_names, overlays=[CountOverlay(zones=zones, lines=lines, counts=live.at)])

A zone is tinted, more strongly while something is in it, and says what is in it now. A line has an arrow that points
where ``in`` is, and says how many crossed each way so far.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.analytics.lines import Line
from pipeline.analytics.totals import LiveCounts
from pipeline.analytics.zones import Zone
from pipeline.geometry.points import Placement
from pipeline.types import Frame, Image, TrackedFrame
from sinks.drawing.colors import Color
from sinks.drawing.lettering import lettering
from sinks.drawing.placement import LabelPlaces, PlacedLabel

# BGR. Apart from each other, and from black, white and grey, in all common kinds of colour blindness
# (Okabe and Ito, "Color universal design", 2008).
_PALETTE: tuple[Color, ...] = (
    (0, 159, 230),
    (233, 180, 86),
    (115, 158, 0),
    (66, 228, 240),
    (167, 121, 204),
    (178, 114, 0),
    (0, 94, 213),
)
_EMPTY_TINT, _OCCUPIED_TINT = 0.12, 0.3
# Coordinates further outside the picture than this would overflow OpenCV's.
_FAR = 16_000
_SHIFT = 3


class CountOverlay:
    """Draws zones and lines of one stream; called with the picture to draw on and the tracked frame.

    Args:
        zones, lines: what to draw.
        counts: the live counts as of a frame, such as ``LiveHistory.at``.
        shapes: asked for each picture which zones and lines to draw, where these change while the stream goes on.
        scale: size of lines and text, as for ``Annotator``.
    """

    def __init__(
        self,
        *,
        zones: Sequence[Zone] = (),
        lines: Sequence[Line] = (),
        counts: Callable[[Frame], LiveCounts],
        shapes: Callable[[], tuple[Sequence[Zone], Sequence[Line]]] | None = None,
        scale: float = 1.0,
    ) -> None:
        self._zones: Sequence[Zone] = tuple(zones)
        self._lines: Sequence[Line] = tuple(lines)
        self._shapes = shapes
        self._counts = counts
        self._scale = scale
        self._placement = Placement()
        # Outputs that draw in threads of their own share the overlay of their stream.
        self._fitting = threading.Lock()
        self._layout: _Layout | None = None

    def __call__(self, picture: Image, tracked: TrackedFrame) -> list[PlacedLabel]:
        return self._draw(self._counts(tracked.frame), picture)

    def rescale(self, scale: float) -> None:
        """Draw lines and text of that size from the next picture on; for any thread."""
        self._scale = scale

    def later(self, tracked: TrackedFrame) -> Callable[[Image, TrackedFrame], list[PlacedLabel]]:
        """The overlay with the counts as of this frame, whenever it is drawn."""
        counts = self._counts(tracked.frame)
        return lambda picture, _: self._draw(counts, picture)

    def _draw(self, counts: LiveCounts, picture: Image) -> list[PlacedLabel]:
        """Draw zones and lines; returns their labels, which go over all lines."""
        height, width = picture.shape[:2]
        layout = self._layout_for(width, height)
        for zone, area in zip(layout.zones, layout.areas, strict=True):
            area.draw(picture, occupied=bool(counts.zones.get(zone.name)))
        for arrow in layout.arrows:
            arrow.draw(picture)
        letters = lettering(max(8, round(11 * layout.unit)))
        places = LabelPlaces(width, height)
        labels: list[PlacedLabel] = []
        for zone, area in zip(layout.zones, layout.areas, strict=True):
            plate = _fitting(letters.plate(zone_text(zone.name, counts.zones.get(zone.name, {})), area.color), picture)
            labels.append(_placed(places, plate, area.corners(plate)))
        for line, arrow in zip(layout.lines, layout.arrows, strict=True):
            plate = _fitting(letters.plate(line_text(line.name, counts.lines.get(line.name, {})), arrow.color), picture)
            labels.append(_placed(places, plate, arrow.corners(plate)))
        return labels

    def _layout_for(self, width: int, height: int) -> _Layout:
        with self._fitting:
            zones, lines = (self._zones, self._lines) if self._shapes is None else self._shapes()
            known, scale = self._layout, self._scale
            fits = known is not None and (known.size, known.scale) == ((width, height), scale)
            if known is None or not fits or zones is not known.zones or lines is not known.lines:
                known = self._layout = self._fit(zones, lines, width, height, scale)
            return known

    def _fit(self, zones: Sequence[Zone], lines: Sequence[Line], width: int, height: int, scale: float) -> _Layout:
        self._placement.fit(width, height)
        unit = scale * max(1.0, min(width, height) / 480)
        thickness = max(1, round(2 * unit))
        areas = [
            _Area.of(
                _pixels(zone.polygon, zone.units, width, height, self._placement),
                _PALETTE[n % len(_PALETTE)],
                thickness,
                (width, height),
            )
            for n, zone in enumerate(zones)
        ]
        arrows = [
            _Arrow.of(
                _pixels([line.start, line.end], line.units, width, height, self._placement),
                _PALETTE[(n + len(zones)) % len(_PALETTE)],
                thickness,
                14 * unit,
            )
            for n, line in enumerate(lines)
        ]
        return _Layout((width, height), scale, unit, zones, lines, areas, arrows)


def zone_text(name: str, counts: Mapping[str, int]) -> str:
    """``hall: 2 person, 1 car``: what is in a zone now, per class name."""
    return f"{name}: {', '.join(f'{count} {kind}' for kind, count in counts.items()) or '0'}"


def line_text(name: str, counts: Mapping[str, tuple[int, int]]) -> str:
    """``gate: in 5, out 3``: crossings so far, of all classes together."""
    came, went = (sum(pair[way] for pair in counts.values()) for way in (0, 1))
    return f"{name}: in {came}, out {went}"


@dataclass(frozen=True, slots=True, eq=False)
class _Layout:
    """Zones and lines in pictures of one size; ``areas`` and ``arrows`` have the order of ``zones`` and ``lines``."""

    size: tuple[int, int]
    scale: float
    unit: float
    zones: Sequence[Zone]
    lines: Sequence[Line]
    areas: Sequence[_Area]
    arrows: Sequence[_Arrow]


@dataclass(frozen=True, slots=True, eq=False)
class _Area:
    """A zone in pixels of one picture size.

    Attributes:
        outline: int32 ``(V, 1, 2)``, in pixels times ``2 ** _SHIFT``.
        window: the part of the picture that the zone touches.
        mask: uint8 of the window's size, 255 inside.
        tint: uint8 of the window's size, BGR.
        top: the highest corner.
        sides: left and right end, in pixels.
    """

    color: Color
    thickness: int
    outline: NDArray[np.int32]
    window: tuple[slice, slice]
    mask: NDArray[np.uint8]
    tint: Image
    top: tuple[float, float]
    sides: tuple[float, float]

    @classmethod
    def of(cls, corners: NDArray[np.float64], color: Color, thickness: int, size: tuple[int, int]) -> _Area:
        limit = np.array(size)
        low = np.clip(np.floor(corners.min(axis=0)), 0, limit).astype(int)
        high = np.clip(np.ceil(corners.max(axis=0)) + 1, low, limit).astype(int)
        mask = np.zeros((high[1] - low[1], high[0] - low[0]), np.uint8)
        outline = _fixed_point(corners)
        if mask.size:
            cv2.fillPoly(mask, [_fixed_point(corners - low)], 255, cv2.LINE_8, _SHIFT)
        tint = np.full((*mask.shape, 3), color, np.uint8)
        window = (slice(low[1], high[1]), slice(low[0], high[0]))
        top_x, top_y = corners[np.lexsort((corners[:, 0], corners[:, 1]))[0]].tolist()
        left, right = corners[:, 0].min().item(), corners[:, 0].max().item()
        return cls(color, thickness, outline, window, mask, tint, (top_x, top_y), (left, right))

    def draw(self, picture: Image, *, occupied: bool) -> None:
        if self.mask.size:
            strength = _OCCUPIED_TINT if occupied else _EMPTY_TINT
            part = picture[self.window]
            mixed = cv2.addWeighted(part, 1 - strength, self.tint, strength, 0)
            cv2.copyTo(mixed, self.mask, part)
        cv2.polylines(picture, [self.outline], True, self.color, self.thickness, cv2.LINE_AA, _SHIFT)

    def corners(self, label: Image) -> list[tuple[float, float]]:
        """Places for the label, best first: below the highest corner, within the zone's sides where it fits, then lower
        and higher."""
        rows, columns = label.shape[:2]
        left = max(self.sides[0], min(self.top[0] - columns / 2, self.sides[1] - columns))
        return [(left, self.top[1] + step * rows) for step in (0, 1, 2, 3, -1, -2, -3, 4, 5)]


@dataclass(frozen=True, slots=True, eq=False)
class _Arrow:
    """A line in pixels of one picture size: the segment, and an arrow from its middle to the side that is ``in``.

    Attributes:
        segment, shaft, head: int32 ``(points, 1, 2)``, in pixels times ``2 ** _SHIFT``.
        middle: of the segment.
        inwards: unit vector to the side that is ``in``.
    """

    color: Color
    thickness: int
    segment: NDArray[np.int32]
    shaft: NDArray[np.int32]
    head: NDArray[np.int32]
    middle: NDArray[np.float64]
    inwards: NDArray[np.float64]

    @classmethod
    def of(cls, ends: NDArray[np.float64], color: Color, thickness: int, length: float) -> _Arrow:
        along = (ends[1] - ends[0]) / float(np.hypot(*(ends[1] - ends[0])))
        inwards = np.array([-along[1], along[0]])
        middle = ends.mean(axis=0)
        tip, neck = middle + inwards * length * 1.7, middle + inwards * length
        head = np.stack([tip, neck + along * length * 0.5, neck - along * length * 0.5])
        shaft = np.stack([middle, neck])
        return cls(color, thickness, _fixed_point(ends), _fixed_point(shaft), _fixed_point(head), middle, inwards)

    def draw(self, picture: Image) -> None:
        for path in (self.segment, self.shaft):
            cv2.polylines(picture, [path], False, self.color, self.thickness, cv2.LINE_AA, _SHIFT)
        cv2.fillPoly(picture, [self.head], self.color, cv2.LINE_AA, _SHIFT)

    def corners(self, label: Image) -> list[tuple[float, float]]:
        """Places for the label, best first: beside the middle, on the side that is out, then along the line and in."""
        size = np.array([label.shape[1], label.shape[0]])
        beside = np.abs(self.inwards) @ size / 2 + 2 * self.thickness
        along = np.array([self.inwards[1], -self.inwards[0]])
        step = np.abs(along) @ size
        centres = [
            self.middle + side * self.inwards * beside + shift * step * along
            for side in (-1, 1)
            for shift in (0, 1, -1, 2, -2)
        ]
        return [tuple((centre - size / 2).tolist()) for centre in centres]


def _pixels(
    points: Sequence[tuple[float, float]], units: str, width: int, height: int, placement: Placement
) -> NDArray[np.float64]:
    """Points as the positions of pixels to draw: what lies on the right or lower edge is drawn on the last pixel.

    Points that would then be one stay as they are: a line from the last pixel to the edge still has its direction.
    """
    placed = placement.points(np.asarray(points, np.float64), units, width, height)
    inside = np.where(placed == (width, height), placed - 1, placed)
    return inside if len(np.unique(inside, axis=0)) == len(np.unique(placed, axis=0)) else placed


def _fixed_point(points: NDArray[np.float64]) -> NDArray[np.int32]:
    return np.rint(np.clip(points, -_FAR, _FAR) * (1 << _SHIFT)).astype(np.int32).reshape(-1, 1, 2)


def _fitting(label: Image, picture: Image) -> Image:
    """The label, cut where it is larger than the picture."""
    return label[: picture.shape[0], : picture.shape[1]]


def _placed(places: LabelPlaces, label: Image, corners: Sequence[tuple[float, float]]) -> PlacedLabel:
    """The label at the first place that is free; where none is, at the first of all."""
    found = places.find(label, corners)
    return PlacedLabel(label, *places.inside(label, corners[0 if found is None else found]))
