"""Geometry of boxes, as pure functions over arrays.

Boxes are ``xyxy``: left, top, right, bottom in pixels, x to the right and y down; right >= left, bottom >= top.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.types import Float32Array, Float64Array, Int32Array

FloatArray = NDArray[np.floating[Any]]


def iou_matrix(first: FloatArray, second: FloatArray) -> NDArray[np.float64]:
    """Intersection over union of every box of ``first`` with every box of ``second``.

    Args:
        first, second: ``(N, 4)`` and ``(M, 4)``.

    Returns:
        float64 ``(N, M)`` in [0, 1]; 0 where both boxes have no area.

    >>> iou_matrix(np.array([[0, 0, 10, 10]]), np.array([[0, 0, 10, 5], [20, 0, 30, 10]])).tolist()
    [[0.5, 0.0]]
    """
    first = first.astype(np.float64)[:, None, :]
    second = second.astype(np.float64)[None, :, :]
    sides = np.minimum(first[..., 2:], second[..., 2:]) - np.maximum(first[..., :2], second[..., :2])
    intersection: NDArray[np.float64] = np.clip(sides, 0, None).prod(axis=-1)
    union = area(first) + area(second) - intersection
    result: NDArray[np.float64] = np.divide(intersection, union, out=np.zeros_like(intersection), where=union > 0)
    return result


def area(xyxy: FloatArray) -> FloatArray:
    """Area of boxes ``(..., 4)``, in square pixels, ``(...)``."""
    result: FloatArray = (xyxy[..., 2] - xyxy[..., 0]) * (xyxy[..., 3] - xyxy[..., 1])
    return result


def non_maximum_suppression(
    xyxy: FloatArray, score: Float32Array, class_id: Int32Array, iou: float
) -> NDArray[np.intp]:
    """Greedy non-maximum suppression within each class, as Darknet and the COCO evaluations of YOLO do it.

    The best box of a class stays and suppresses those of the same class that overlap it by more than ``iou``; then the
    best of the rest, and so on. Boxes of different classes never suppress each other.

    Args:
        xyxy: ``(N, 4)``, finite, each with some area, and not clipped to the image, which makes boxes overlap more.
        score: float32 ``(N,)``.
        class_id: int32 ``(N,)``, from 0.
        iou: boxes that overlap by exactly this much both stay.

    Returns:
        Indices of the boxes that stay, best first; of equal scores the one that came first.
    """
    if len(xyxy) < 2:
        return np.arange(len(xyxy))
    order = np.argsort(-score, kind="stable")
    boxes = xyxy[order].astype(np.float64)
    # OpenCV keeps the classes apart by moving each beyond the largest coordinate of the one before, which only does
    # so where no coordinate is negative.
    boxes -= np.tile(boxes[:, :2].min(axis=0), 2)
    boxes[:, 2:] -= boxes[:, :2]
    # Ranks in place of scores: they leave OpenCV no ties to break, and none of them is the 0 that it never keeps.
    ranks = range(len(order), 0, -1)
    kept = cv2.dnn.NMSBoxesBatched(boxes.tolist(), ranks, class_id[order].tolist(), 0.0, iou)
    return order[np.asarray(kept, dtype=np.intp).reshape(-1)]


def covering(xyxy: Float64Array, iou: float = 0.5) -> Float64Array:
    """Fewer boxes that cover all of those given: each stands for one of them and those that overlap it so much.

    Args:
        xyxy: float64 ``(N, 4)``, in any unit; what comes first is stood for first.
        iou: least intersection over union of a box with that first one.

    >>> covering(np.array([[0.0, 0, 10, 10], [1, 0, 11, 10], [50, 0, 60, 10]])).tolist()
    [[0.0, 0.0, 11.0, 10.0], [50.0, 0.0, 60.0, 10.0]]
    """
    covers = []
    while len(xyxy):
        alike = iou_matrix(xyxy[:1], xyxy)[0] >= iou
        alike[0] = True  # also where it has no area
        covers.append(np.concatenate([xyxy[alike, :2].min(axis=0), xyxy[alike, 2:].max(axis=0)]))
        xyxy = xyxy[~alike]
    return np.array(covers, np.float64).reshape(-1, 4)


def clip(xyxy: FloatArray, height: int, width: int) -> FloatArray:
    """Boxes ``(N, 4)`` cut to an image of ``height`` x ``width`` pixels; one outside it is left without area."""
    return np.clip(xyxy, 0, np.array([width, height, width, height], dtype=xyxy.dtype))
