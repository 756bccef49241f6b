"""From the network's raw outputs to detections, in the steps of torchvision's ``RetinaNet``."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from pipeline.detection.retinanet.anchors import anchors, moved
from pipeline.detection.retinanet.placement import Placement
from pipeline.geometry.boxes import non_maximum_suppression
from pipeline.models.network_output import not_finite, sigmoid
from pipeline.models.networks.retinanet import LevelOutput
from pipeline.types import Detections, Float32Array, Int32Array

_CANDIDATES_PER_LEVEL = 1000
_SAFE_LOGIT = 12.0  # above it float32 scores crowd towards 1, so that a logit no longer tells which is larger
_LOGIT_MARGIN = 0.01


class _Candidates(NamedTuple):
    """Boxes of one picture before suppression: ``(N, 4)`` in pixels of the network's input, scores and classes."""

    xyxy: Float32Array
    score: Float32Array
    class_id: Int32Array


class Decoder:
    """Keeps, of each level, the 1000 best scores that reach the confidence; moves their anchors; cuts the boxes to the
    picture; drops what overlaps a better box of its class; and keeps the best.

    Unlike torchvision it also drops boxes of which the cut leaves no area.

    Args:
        where: begins the message about weights that compute what is not a number.
        confidence, iou, max_detections: as in `RetinaNetDetector`.
    """

    def __init__(self, where: str, confidence: float, iou: float, max_detections: int) -> None:
        self._where = where
        self._confidence = np.float32(confidence)
        self._iou = iou
        self._max_detections = max_detections
        # Most of the millions of logits need no sigmoid: a comparison is enough.
        self._lowest_logit = np.float32(min(_logit(confidence), _SAFE_LOGIT) - _LOGIT_MARGIN)

    def decode(self, levels: Sequence[LevelOutput], placements: Sequence[Placement]) -> list[Detections]:
        """Detections of each picture of a batch, best first, in pixels of the picture."""
        if not all(np.isfinite(level.logits.min()) and np.isfinite(level.logits.max()) for level in levels):
            raise not_finite(self._where)
        return [self._picture(levels, index, placement) for index, placement in enumerate(placements)]

    def _picture(self, levels: Sequence[LevelOutput], index: int, placement: Placement) -> Detections:
        shape = (placement.height, placement.width)
        parts = [
            self._candidates(number, level.logits[index], level.offsets[index], shape)
            for number, level in enumerate(levels)
        ]
        xyxy, score, class_id = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
        if not np.isfinite(xyxy).all():
            raise not_finite(self._where)
        xyxy = placement.clipped(xyxy)
        real = np.flatnonzero((xyxy[:, 2:] > xyxy[:, :2]).all(axis=1))
        kept = real[non_maximum_suppression(xyxy[real], score[real], class_id[real], self._iou)]
        kept = kept[: self._max_detections]
        return Detections(placement.to_image(xyxy[kept]), score[kept], class_id[kept])

    def _candidates(
        self, level: int, logits: Float32Array, offsets: Float32Array, input_shape: tuple[int, int]
    ) -> _Candidates:
        rows, columns, _, class_count = logits.shape
        flat = logits.reshape(-1)
        index = np.flatnonzero(flat >= self._lowest_logit)
        score = sigmoid(flat[index])
        enough = score >= self._confidence
        index, score = index[enough], score[enough]
        if len(index) > _CANDIDATES_PER_LEVEL:
            best = np.argpartition(-score, _CANDIDATES_PER_LEVEL)[:_CANDIDATES_PER_LEVEL]
            index, score = index[best], score[best]
        anchor, class_id = np.divmod(index, class_count)
        boxes = anchors(level, anchor, (rows, columns), input_shape)
        with np.errstate(over="ignore", invalid="ignore"):  # is told from the result
            xyxy = moved(boxes, offsets.reshape(-1, 4)[anchor])
        return _Candidates(xyxy, score, class_id.astype(np.int32))


def _logit(score: float) -> float:
    if score <= 0:
        return -math.inf
    return math.log(score) - math.log1p(-score) if score < 1 else math.inf
