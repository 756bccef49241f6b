"""Where labels go: each where there is room, none over another, all of them inside the picture."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import cv2

from pipeline.types import Image
from sinks.drawing.colors import Color

Corner = tuple[int, int]


@dataclass(frozen=True, slots=True, eq=False)
class PlacedLabel:
    """A label and its place.

    Attributes:
        plate: uint8 ``(height, width, 3)``, BGR.
        left, top: of the plate in the picture.
        leader: where a line leads from the label, which lies away from what it names; None beside it.
        color: of that line.
    """

    plate: Image
    left: int
    top: int
    leader: Corner | None = None
    color: Color = (255, 255, 255)

    def draw(self, picture: Image) -> None:
        """Copy the plate into the picture."""
        rows, columns = self.plate.shape[:2]
        if self.leader is not None:
            from_y = self.top if self.top > self.leader[1] else self.top + rows - 1
            start = (min(max(self.leader[0], self.left), self.left + columns - 1), from_y)
            cv2.line(picture, start, self.leader, self.color, 1, cv2.LINE_AA)
        picture[self.top : self.top + rows, self.left : self.left + columns] = self.plate


class LabelPlaces:
    """The places that are taken in one picture.

    Args:
        width, height: of the picture in pixels.
    """

    def __init__(self, width: int, height: int) -> None:
        self._size = (width, height)
        self._taken: list[tuple[int, int, int, int]] = []

    def take(self, label: PlacedLabel) -> None:
        """Keep others away from a label that is placed already."""
        rows, columns = label.plate.shape[:2]
        self._taken.append((label.left, label.top, label.left + columns, label.top + rows))

    def find(self, plate: Image, corners: Sequence[tuple[float, float]]) -> int | None:
        """The first of the places at which the plate covers no other, all of it inside the picture; takes it.

        Args:
            plate: the label.
            corners: left and top of each place, moved into the picture where they lie outside.

        Returns:
            Its number; None where there is no room. ``inside`` gives the corner.
        """
        rows, columns = plate.shape[:2]
        for number, corner in enumerate(corners):
            left, top = self.inside(plate, corner)
            right, bottom = left + columns, top + rows
            for taken in self._taken:
                if taken[0] < right and taken[2] > left and taken[1] < bottom and taken[3] > top:
                    break
            else:
                self._taken.append((left, top, right, bottom))
                return number
        return None

    def inside(self, plate: Image, corner: tuple[float, float]) -> Corner:
        """The corner, moved so that all of the plate is inside the picture."""
        rows, columns = plate.shape[:2]
        width, height = self._size
        return max(0, min(round(corner[0]), width - columns)), max(0, min(round(corner[1]), height - rows))


def box_label(
    places: LabelPlaces, plates: Iterable[Image], box: Sequence[int], thickness: int, color: Color
) -> PlacedLabel | None:
    """The label of a box: the longest text that finds room beside the box, or else a little away from it with a line.

    Args:
        places: those taken so far.
        plates: the label in words of several lengths, the longest first.
        box: left, top, right, bottom in pixels.
        thickness: of the box's lines.
        color: of the line to a label that lies away.

    Returns:
        None where there is no room even for the shortest.
    """
    plate: Image | None = None
    for plate in plates:
        beside = list(_beside(plate, box, thickness))
        found = places.find(plate, beside)
        if found is not None:
            return PlacedLabel(plate, *places.inside(plate, beside[found]))
    if plate is None:
        return None
    away = list(_away(plate, box))
    found = places.find(plate, away)
    if found is None:
        return None
    corner = places.inside(plate, away[found])
    return PlacedLabel(plate, *corner, leader=_nearest(box, corner, plate), color=color)


def _beside(plate: Image, box: Sequence[int], thickness: int) -> Iterator[tuple[float, float]]:
    rows, columns = plate.shape[:2]
    left, top, right, bottom = box
    out = thickness // 2
    if top - out - rows >= 0:
        yield left - out, top - out - rows
        yield right + out - columns + 1, top - out - rows
    yield left - out, top
    yield left - out, bottom + out + 1
    yield right + out + 1, top
    yield left - out - columns, top
    yield left - out, bottom - rows


def _away(plate: Image, box: Sequence[int]) -> Iterator[tuple[float, float]]:
    rows, columns = plate.shape[:2]
    left, top, right, bottom = box
    for steps in (2, 3, 4):
        yield left, top - steps * rows
        yield right - columns, top - steps * rows
        yield left, bottom + (steps - 1) * rows
        yield right + (steps - 1) * rows, top
        yield left - columns - (steps - 1) * rows, top


def _nearest(box: Sequence[int], corner: Corner, plate: Image) -> Corner:
    """The point of the box that is nearest to the middle of a label."""
    left, top, right, bottom = box
    x, y = corner[0] + plate.shape[1] // 2, corner[1] + plate.shape[0] // 2
    return min(max(x, left), right), min(max(y, top), bottom)
