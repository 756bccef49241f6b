"""Which outputs a family has, by their shapes.

A matcher is given the outputs for one picture of a known size, and finds those that its family's layout wants. ``None``
as a side means that it depends on the picture, as the number of boxes after suppression does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pipeline.detection.onnx.layouts import distances, grid
from pipeline.detection.onnx.layouts.base import cell_count
from pipeline.models.onnx.description import Value

_BOX_STRIDES = ((8, 16, 32), (8, 16, 32, 64), (4, 8, 16, 32))
_MOST_FINISHED = 3000  # boxes that a network gives which suppresses, or has queries
_DISTANCES = 4 * distances.BINS


@dataclass(frozen=True, slots=True)
class Match:
    """Outputs that fit.

    Attributes:
        order: numbers of the outputs in the order that the layout wants them.
        class_counts: how many classes there may be; empty where the outputs don't tell.
    """

    order: tuple[int, ...]
    class_counts: tuple[int, ...] = ()


Matcher = Callable[[Sequence[Value], tuple[int, int]], Match | None]


def match_grid(outputs: Sequence[Value], shape: tuple[int, int]) -> Match | None:
    """``(1, cells, 5 + classes)``."""
    sides = _only(outputs, 3)
    if sides is None or sides[1] != cell_count(shape, grid.STRIDES):
        return None
    return _counted((0,), sides[2], 5)


def match_anchored_rows(outputs: Sequence[Value], shape: tuple[int, int]) -> Match | None:
    """``(1, 3 x cells, 5 + classes)``, maybe with the maps ``(1, 3, rows, columns, 5 + classes)`` it was made of."""
    tables = [number for number, value in enumerate(outputs) if len(value.shape or ()) == 3]
    maps = [value.shape for value in outputs if value.shape is not None and len(value.shape) == 5]
    if len(tables) != 1 or len(tables) + len(maps) != len(outputs):
        return None
    _, boxes, numbers = outputs[tables[0]].shape or (None, None, None)
    if boxes is None or any(sides[4] != numbers for sides in maps):
        return None
    if boxes not in [3 * cell_count(shape, strides) for strides in _BOX_STRIDES]:
        return None
    return _counted((tables[0],), numbers, 5)


def match_columns(outputs: Sequence[Value], shape: tuple[int, int]) -> Match | None:
    """``(1, 4 + classes, cells)``."""
    sides = _only(outputs, 3)
    if sides is None or sides[2] not in [cell_count(shape, strides) for strides in _BOX_STRIDES]:
        return None
    return _counted((0,), sides[1], 4)


def match_corner_rows(outputs: Sequence[Value], shape: tuple[int, int]) -> Match | None:
    """``(1, boxes, 6)`` with few boxes, or as many as there are."""
    sides = _only(outputs, 3)
    return Match((0,)) if sides is not None and sides[2] == 6 and _few(sides[1], shape) else None


def match_numbered_rows(outputs: Sequence[Value], shape: tuple[int, int]) -> Match | None:
    """``(boxes, 7)``."""
    sides = _only(outputs, 2)
    return Match((0,)) if sides is not None and sides[1] == 7 and _few(sides[0], shape) else None


def match_counted(outputs: Sequence[Value], shape: tuple[int, int]) -> Match | None:
    """``(1, 1)``, ``(1, boxes, 4)``, ``(1, boxes)``, ``(1, boxes)``: number, boxes, scores, classes, in that order."""
    ranks = [len(value.shape or ()) for value in outputs]
    if ranks not in ([2, 3, 2, 2], [1, 3, 2, 2]):
        return None
    boxes = outputs[1].shape or ()
    same = all((value.shape or ())[1] == boxes[1] for value in outputs[2:])
    return Match((0, 1, 2, 3)) if same and boxes[2] == 4 and (outputs[0].shape or (0,))[-1] == 1 else None


def match_labels(outputs: Sequence[Value], shape: tuple[int, int]) -> Match | None:
    """``(1, queries, 4)`` and two of ``(1, queries)``, of which the labels are called so or are integers."""
    boxes = [number for number, value in enumerate(outputs) if _ends(value, 3, 4)]
    rows = [number for number, value in enumerate(outputs) if len(value.shape or ()) == 2]
    if len(outputs) != 3 or len(boxes) != 1 or len(rows) != 2:
        return None
    labels = [number for number in rows if outputs[number].element.startswith("int")]
    labels = labels or [number for number in rows if "label" in outputs[number].name.lower()]
    if len(labels) != 1:
        return None
    return Match((labels[0], boxes[0], next(number for number in rows if number != labels[0])))


def match_logits(outputs: Sequence[Value], shape: tuple[int, int]) -> Match | None:
    """``(1, queries, classes)`` and ``(1, queries, 4)``."""
    found = _boxes_and_classes(outputs)
    if found is None or not _few(found[2], shape):
        return None
    boxes, classes, _, count = found
    return Match((classes, boxes), (count,))


def match_spare_logits(outputs: Sequence[Value], shape: tuple[int, int]) -> Match | None:
    """As `match_logits`, with a class to spare: the last one, or, of COCO's 91 numbers, the 11 that mean nothing."""
    found = match_logits(outputs, shape)
    if found is None:
        return None
    (count,) = found.class_counts
    return Match(found.order, (count - 1, count, *([80] if count == 91 else [])))


def match_query_rows(outputs: Sequence[Value], shape: tuple[int, int]) -> Match | None:
    """``(1, queries, 4 + classes)``."""
    sides = _only(outputs, 3)
    if sides is None or sides[1] is None or not _few(sides[1], shape):
        return None
    return _counted((0,), sides[2], 4)


def match_corners_and_scores(outputs: Sequence[Value], shape: tuple[int, int]) -> Match | None:
    """``(1, cells, 4)`` and ``(1, cells, classes)``."""
    found = _boxes_and_classes(outputs)
    if found is None or found[2] not in [cell_count(shape, strides) for strides in _BOX_STRIDES]:
        return None
    boxes, classes, _, count = found
    return Match((boxes, classes), (count,))


def match_distances_plus(outputs: Sequence[Value], shape: tuple[int, int]) -> Match | None:
    """``(1, cells of four grids, classes + 32)``."""
    sides = _only(outputs, 3)
    if sides is None or sides[1] != cell_count(shape, distances.PLUS_STRIDES):
        return None
    return _counted((0,), sides[2], _DISTANCES)


def match_distances(outputs: Sequence[Value], shape: tuple[int, int]) -> Match | None:
    """``(1, cells of three grids, classes + 32)``."""
    sides = _only(outputs, 3)
    if sides is None or sides[1] != cell_count(shape, distances.STRIDES):
        return None
    return _counted((0,), sides[2], _DISTANCES)


def match_distances_by_level(outputs: Sequence[Value], shape: tuple[int, int]) -> Match | None:
    """For each of three grids ``(1, cells, classes)`` and ``(1, cells, 32)``, in any order."""
    if len(outputs) != 6 or any(len(value.shape or ()) != 3 for value in outputs):
        return None
    order = []
    # Scores of networks with 32 classes look like distances: then they come first, as NanoDet's exporter has them.
    count = next((value.shape[2] for value in outputs if value.shape and value.shape[2] != _DISTANCES), _DISTANCES)
    for position, numbers in enumerate((count, _DISTANCES)):
        for stride in distances.STRIDES:
            wanted = (1, cell_count(shape, [stride]), numbers)
            fits = [number for number, value in enumerate(outputs) if value.shape == wanted]
            if not fits:
                return None
            order.append(fits[position if count == _DISTANCES and len(fits) > 1 else 0])
    return Match(tuple(order), (count,)) if count and len(set(order)) == 6 else None


def match_maps(outputs: Sequence[Value], shape: tuple[int, int]) -> Match | None:
    """``(1, 3 x (5 + classes), rows, columns)`` for two or three strides of 32, 16 and 8."""
    if len(outputs) not in (2, 3):
        return None
    order, channels = [], set()
    for stride in (32, 16, 8)[: len(outputs)]:
        rows = [
            number
            for number, value in enumerate(outputs)
            if value.shape is not None and value.shape[2:] == (shape[0] // stride, shape[1] // stride)
        ]
        if len(rows) != 1:
            return None
        order.append(rows[0])
        channels.add((outputs[rows[0]].shape or ())[1])
    numbers = channels.pop()
    if channels or numbers is None or numbers % 3:
        return None
    return _counted(tuple(order), numbers // 3, 5)


def match_boxes_and_confidences(outputs: Sequence[Value], shape: tuple[int, int]) -> Match | None:
    """``(1, boxes, 1, 4)`` and ``(1, boxes, classes)``."""
    boxes = [number for number, value in enumerate(outputs) if _ends(value, 4, 4)]
    if len(outputs) != 2 or len(boxes) != 1:
        return None
    sides, classes = outputs[boxes[0]].shape or (), outputs[1 - boxes[0]].shape or ()
    if len(classes) != 3 or sides[1] != classes[1] or sides[2] != 1 or classes[2] is None:
        return None
    return Match((boxes[0], 1 - boxes[0]), (classes[2],))


def _only(outputs: Sequence[Value], rank: int) -> tuple[int | None, ...] | None:
    """The shape of the only output, if it has so many sides."""
    if len(outputs) != 1 or outputs[0].shape is None or len(outputs[0].shape) != rank:
        return None
    return outputs[0].shape


def _counted(order: tuple[int, ...], numbers: int | None, before: int) -> Match | None:
    """A match with as many classes as there are numbers of a box after the first ``before``."""
    return Match(order, (numbers - before,)) if numbers is not None and numbers > before else None


def _few(boxes: int | None, shape: tuple[int, int]) -> bool:
    """Whether that is a number of finished boxes, and not of cells or anchors."""
    counts = [cell_count(shape, strides) for strides in _BOX_STRIDES]
    return boxes is None or (boxes <= _MOST_FINISHED and boxes not in [*counts, *(3 * count for count in counts)])


def _ends(value: Value, rank: int, last: int) -> bool:
    return value.shape is not None and len(value.shape) == rank and value.shape[-1] == last


def _boxes_and_classes(outputs: Sequence[Value]) -> tuple[int, int, int | None, int] | None:
    """Of two outputs the one of boxes and the other; how many boxes, and classes."""
    if len(outputs) != 2 or any(value.shape is None or len(value.shape) != 3 for value in outputs):
        return None
    boxes = [number for number, value in enumerate(outputs) if _ends(value, 3, 4)]
    if len(boxes) == 2:  # of four classes: what is called boxes is boxes
        boxes = [number for number in boxes if "box" in outputs[number].name.lower() or outputs[number].name == "dets"]
    if len(boxes) != 1:
        return None
    other = outputs[1 - boxes[0]].shape or ()
    count = (outputs[boxes[0]].shape or ())[1]
    return (boxes[0], 1 - boxes[0], count, other[2]) if other[2] and other[1] == count else None
