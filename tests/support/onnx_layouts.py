"""How each family of ONNX detectors reads pictures and writes boxes, written down once more, apart from the product."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
RGB = (200, 60, 10)
"""Of the pictures that the networks expect."""

IMAGENET_RGB = (np.array([123.675, 116.28, 103.53]), np.array([58.395, 57.12, 57.375]))
PLAIN, UNIT = (np.zeros(3), np.ones(3)), (np.zeros(3), np.full(3, 255.0))


@dataclass(frozen=True)
class Known:
    """A box that a network finds: left, top, right, bottom in pixels of its input."""

    xyxy: tuple[float, float, float, float]
    score: float
    class_id: int


Encoder = Callable[[Sequence[Known], int, tuple[int, int]], list[tuple[str, Array]]]


@dataclass(frozen=True)
class Reads:
    """How a family reads pictures and writes boxes."""

    encode: Encoder
    bgr: bool = False
    values: tuple[Array, Array] = UNIT  # in RGB
    placement: str = "centred"
    pad: int | None = 114
    sizes: bool = False  # has a second input
    description: str = ""  # that its exporter writes


def _cells(shape: tuple[int, int], strides: Sequence[int]) -> list[tuple[int, int, int]]:
    return [
        (column, row, stride)
        for stride in strides
        for row in range(-(-shape[0] // stride))
        for column in range(-(-shape[1] // stride))
    ]


def _logit(score: float) -> float:
    return float(np.log(max(score, 1e-6) / (1 - min(score, 1 - 1e-6))))


def _centre(known: Known) -> tuple[float, float, float, float]:
    left, top, right, bottom = known.xyxy
    return (left + right) / 2, (top + bottom) / 2, right - left, bottom - top


def _cell_of(known: Known, shape: tuple[int, int], strides: Sequence[int]) -> tuple[int, tuple[int, int, int]]:
    """Number of a cell whose place is the box's middle, of the coarsest grid."""
    x, y, _, _ = _centre(known)
    stride = strides[-1]
    wanted = (int(x // stride), int(y // stride), stride)
    return _cells(shape, strides).index(wanted), wanted


def yolox(boxes: Sequence[Known], classes: int, shape: tuple[int, int]) -> list[tuple[str, Array]]:
    output = np.zeros((len(_cells(shape, (8, 16, 32))), 5 + classes))
    for known in boxes:
        number, (column, row, stride) = _cell_of(known, shape, (8, 16, 32))
        x, y, width, height = _centre(known)
        output[number, :5] = (
            x / stride - column,
            y / stride - row,
            np.log(width / stride),
            np.log(height / stride),
            0.95,
        )
        output[number, 5 + known.class_id] = known.score / 0.95
    return [("output", output)]


def rows(boxes: Sequence[Known], classes: int, shape: tuple[int, int]) -> list[tuple[str, Array]]:
    output = np.zeros((3 * len(_cells(shape, (8, 16, 32))), 5 + classes))
    for number, known in enumerate(boxes):
        output[7 + number, :5] = *_centre(known), 0.95
        output[7 + number, 5 + known.class_id] = known.score / 0.95
    return [("output0", output)]


def yolox_decoded(boxes: Sequence[Known], classes: int, shape: tuple[int, int]) -> list[tuple[str, Array]]:
    return [("output", rows(boxes, classes, shape)[0][1][: len(_cells(shape, (8, 16, 32)))])]


def columns(boxes: Sequence[Known], classes: int, shape: tuple[int, int]) -> list[tuple[str, Array]]:
    output = np.zeros((4 + classes, len(_cells(shape, (8, 16, 32)))))
    for number, known in enumerate(boxes):
        output[:4, 5 + number] = _centre(known)
        output[4 + known.class_id, 5 + number] = known.score
    return [("output0", output)]


def corner_rows(boxes: Sequence[Known], classes: int, shape: tuple[int, int]) -> list[tuple[str, Array]]:
    output = np.zeros((300, 6))
    for number, known in enumerate(boxes):
        output[number] = *known.xyxy, known.score, known.class_id
    return [("output0", output)]


def numbered_rows(boxes: Sequence[Known], classes: int, shape: tuple[int, int]) -> list[tuple[str, Array]]:
    output = np.zeros((20, 7))
    for number, known in enumerate(boxes):
        output[number] = 0, *known.xyxy, known.class_id, known.score
    return [("output", output)]


def counted(boxes: Sequence[Known], classes: int, shape: tuple[int, int]) -> list[tuple[str, Array]]:
    xyxy, scores, labels = np.ones((100, 4)), np.ones(100), np.zeros(100)
    for number, known in enumerate(boxes):
        xyxy[number], scores[number], labels[number] = known.xyxy, known.score, known.class_id
    count = np.array([len(boxes)], dtype=np.int64)
    return [("num_dets", count), ("boxes", xyxy), ("scores", scores), ("classes", labels.astype(np.int64))]


def labels(boxes: Sequence[Known], classes: int, shape: tuple[int, int]) -> list[tuple[str, Array]]:
    number, xyxy, scores = np.zeros(300, np.int64), np.zeros((300, 4)), np.full(300, 0.001)
    for index, known in enumerate(boxes):
        number[index], xyxy[index], scores[index] = known.class_id, known.xyxy, known.score
    # In parts of the size that is given as the second input, with which the graph multiplies.
    return [("labels", number), ("boxes", xyxy / np.array([shape[1], shape[0]] * 2)), ("scores", scores)]


def _parts(known: Known, shape: tuple[int, int]) -> Array:
    parts: Array = np.array(_centre(known)) / np.array([shape[1], shape[0]] * 2)
    return parts


def logits(boxes: Sequence[Known], classes: int, shape: tuple[int, int]) -> list[tuple[str, Array]]:
    scores, parts = np.full((300, classes), -9.0), np.full((300, 4), 0.5)
    for index, known in enumerate(boxes):
        scores[index, known.class_id], parts[index] = _logit(known.score), _parts(known, shape)
    return [("logits", scores), ("pred_boxes", parts)]


COCO_NUMBERS = [*range(1, 12), *range(13, 26), 27, 28, *range(31, 45), *range(46, 66), 67, 70, *range(72, 83)]
COCO_NUMBERS += range(84, 91)


def rf_detr(boxes: Sequence[Known], classes: int, shape: tuple[int, int]) -> list[tuple[str, Array]]:
    scores, parts = np.full((300, 91), -9.0), np.full((300, 4), 0.5)
    scores[:, 12] = 5  # a number that means nothing
    for index, known in enumerate(boxes):
        scores[index, COCO_NUMBERS[known.class_id]], parts[index] = _logit(known.score), _parts(known, shape)
    return [("dets", parts), ("labels", scores)]


def query_rows(boxes: Sequence[Known], classes: int, shape: tuple[int, int]) -> list[tuple[str, Array]]:
    output = np.zeros((300, 4 + classes))
    for index, known in enumerate(boxes):
        output[index, :4], output[index, 4 + known.class_id] = _parts(known, shape), known.score
    return [("output0", output)]


def finished_parts(boxes: Sequence[Known], classes: int, shape: tuple[int, int]) -> list[tuple[str, Array]]:
    output = np.zeros((300, 6))
    for index, known in enumerate(boxes):
        output[index] = *_parts(known, shape), known.score, known.class_id
    return [("output0", output)]


def _distances(boxes: Sequence[Known], classes: int, shape: tuple[int, int], plus: bool) -> Array:
    strides = (8, 16, 32, 64) if plus else (8, 16, 32)
    output = np.zeros((len(_cells(shape, strides)), classes + 32))
    for known in boxes:
        places = _cells(shape, strides)
        for column, row, stride in places:
            point = np.array([column, row]) + (0.0 if plus else 0.5)
            sides = np.array(known.xyxy) / stride
            distances = [point[0] - sides[0], point[1] - sides[1], sides[2] - point[0], sides[3] - point[1]]
            if min(distances) >= 0 and max(distances) < 7:
                break
        else:
            raise AssertionError("no cell can have this box")
        number = places.index((column, row, stride))
        output[number, known.class_id] = known.score
        for side, distance in enumerate(distances):
            bins = np.full(8, -40.0)
            low = int(distance)
            bins[low], bins[low + 1] = np.log(1 - distance + low + 1e-12), np.log(distance - low + 1e-12)
            output[number, classes + 8 * side : classes + 8 * side + 8] = bins
    return output


def nanodet_plus(boxes: Sequence[Known], classes: int, shape: tuple[int, int]) -> list[tuple[str, Array]]:
    return [("output", _distances(boxes, classes, shape, plus=True))]


def nanodet(boxes: Sequence[Known], classes: int, shape: tuple[int, int]) -> list[tuple[str, Array]]:
    return [("output", _distances(boxes, classes, shape, plus=False))]


def nanodet_levels(boxes: Sequence[Known], classes: int, shape: tuple[int, int]) -> list[tuple[str, Array]]:
    joined = _distances(boxes, classes, shape, plus=False)
    ends = np.cumsum([len(_cells(shape, (stride,))) for stride in (8, 16, 32)])[:2]
    scores, sides = np.split(joined[:, :classes], ends), np.split(joined[:, classes:], ends)
    return [(f"{700 + number}", part) for number, part in enumerate([*scores, *sides])]


def yolo_nas(boxes: Sequence[Known], classes: int, shape: tuple[int, int]) -> list[tuple[str, Array]]:
    count = len(_cells(shape, (8, 16, 32)))
    xyxy, scores = np.zeros((count, 4)), np.zeros((count, classes))
    for number, known in enumerate(boxes):
        xyxy[3 + number], scores[3 + number, known.class_id] = known.xyxy, known.score
    return [("graph2_pred_boxes", xyxy), ("graph2_pred_scores", scores)]


YOLOV3_ANCHORS = [[(116, 90), (156, 198), (373, 326)], [(30, 61), (62, 45), (59, 119)], [(10, 13), (16, 30), (33, 23)]]


def darknet(boxes: Sequence[Known], classes: int, shape: tuple[int, int]) -> list[tuple[str, Array]]:
    maps = [np.full((3, 5 + classes, shape[0] // stride, shape[1] // stride), -9.0) for stride in (32, 16, 8)]
    for known in boxes:
        x, y, width, height = _centre(known)
        column, row = int(x // 32), int(y // 32)
        anchor_width, anchor_height = YOLOV3_ANCHORS[0][1]
        cell = maps[0][1, :, row, column]
        cell[:2] = _logit(x / 32 - column), _logit(y / 32 - row)
        cell[2:5] = np.log(width / anchor_width), np.log(height / anchor_height), 9.0
        cell[5 + known.class_id] = _logit(known.score)
    return [(f"head{number}", head.reshape(-1, *head.shape[2:])) for number, head in enumerate(maps)]


def yolov4_boxes(boxes: Sequence[Known], classes: int, shape: tuple[int, int]) -> list[tuple[str, Array]]:
    xyxy, scores = np.zeros((500, 1, 4)), np.zeros((500, classes))
    for number, known in enumerate(boxes):
        xyxy[number, 0] = np.array(known.xyxy) / np.array([shape[1], shape[0]] * 2)
        scores[number, known.class_id] = known.score
    return [("boxes", xyxy), ("confs", scores)]


FAMILIES: Mapping[str, Reads] = {
    "yolox": Reads(yolox, bgr=True, values=PLAIN, placement="top-left"),
    "yolox-decoded": Reads(yolox_decoded, bgr=True, values=PLAIN, placement="top-left"),
    "yolov5": Reads(rows),
    "yolov8": Reads(columns),
    "end-to-end": Reads(corner_rows),
    "yolov7-nms": Reads(numbered_rows),
    "counted": Reads(counted),
    "rt-detr": Reads(labels, placement="stretched", pad=None, sizes=True),
    "rt-detr-logits": Reads(logits, placement="stretched", pad=None),
    "rt-detr-rows": Reads(query_rows, placement="stretched", pad=None, description="Ultralytics RT-DETR-l model"),
    "rt-detr-finished": Reads(finished_parts, placement="stretched", pad=None, description="Ultralytics rtdetr-l"),
    "rf-detr": Reads(rf_detr, values=IMAGENET_RGB, placement="stretched", pad=None),
    "nanodet-plus": Reads(nanodet_plus, bgr=True, values=IMAGENET_RGB, placement="stretched", pad=None),
    "nanodet": Reads(nanodet, bgr=True, values=IMAGENET_RGB, pad=0),
    "nanodet-levels": Reads(nanodet_levels, bgr=True, values=IMAGENET_RGB, pad=0),
    "yolo-nas": Reads(yolo_nas),
    "darknet": Reads(darknet, pad=127),
    "yolov4-boxes": Reads(yolov4_boxes, placement="stretched", pad=None),
}
