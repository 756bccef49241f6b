"""From the outputs of a YOLOv3 network to boxes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.geometry.boxes import clip, non_maximum_suppression
from pipeline.images.letterbox import Letterbox
from pipeline.models.network_output import not_finite, sigmoid
from pipeline.models.networks.darknet import DarknetNetwork, Head
from pipeline.types import Detections, Float32Array, Int32Array

_LARGEST_GROWTH = 10.0  # a box of e^10 anchors covers any image many times
_MOST_CANDIDATES = 10_000  # per image, before suppression; at a threshold of 0.001 a busy picture has about 2,000


class _Candidates(NamedTuple):
    """Boxes of a whole batch before suppression: whose they are, float64 ``(N, 4)`` in pixels of the network's input,
    scores and classes."""

    image: NDArray[np.intp]
    xyxy: NDArray[np.float64]
    score: Float32Array
    class_id: Int32Array


class _Decoder:
    """Turns raw head outputs into detections: box = ((sigmoid(t_xy) + cell) * stride, anchor * exp(t_wh)) as centre and
    size, score = sigmoid(objectness) * sigmoid(class)."""

    def __init__(
        self, network: DarknetNetwork, path: Path, confidence: float, iou: float, max_detections: int, multi_label: bool
    ) -> None:
        self._heads = network.heads()
        self._path = path
        self._confidence = np.float32(confidence)
        self._iou = iou
        self._multi_label = multi_label
        self._max_detections = max_detections

    def decode(self, heads: Sequence[Float32Array], letterboxes: Sequence[Letterbox]) -> list[Detections]:
        """Detections of each image of a batch; shapes as `YoloEngine.heads` returns them."""
        parts = [self._candidates(head, output) for head, output in zip(self._heads, heads, strict=True)]
        image, xyxy, score, class_id = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
        if not np.isfinite(xyxy).all():
            raise not_finite(self._path)
        detections = []
        for index, letterbox in enumerate(letterboxes):
            rows = np.flatnonzero(image == index)
            detections.append(self._select(xyxy[rows], score[rows], class_id[rows], letterbox))
        return detections

    def _candidates(self, head: Head, output: Float32Array) -> _Candidates:
        # No class can score more than the objectness, so most of the cells need no more than one look.
        objectness = sigmoid(output[..., 4])
        if not np.isfinite(output[..., 4]).all():
            raise not_finite(self._path)
        image, row, column, anchor = np.nonzero(objectness >= self._confidence)
        cells = output[image, row, column, anchor]
        scores = objectness[image, row, column, anchor, None] * sigmoid(cells[:, 5:])
        if self._multi_label:
            cell, class_id = np.nonzero(scores >= self._confidence)
        else:
            best = scores.argmax(axis=1)
            cell = np.flatnonzero(scores[np.arange(len(best)), best] >= self._confidence)
            class_id = best[cell]
        place = np.stack([column, row], axis=1)[cell]
        centre = (sigmoid(cells[cell, :2]).astype(np.float64) + place) * head.stride
        growth = np.minimum(cells[cell, 2:4], _LARGEST_GROWTH).astype(np.float64)
        half = np.exp(growth) * np.array(head.anchors)[anchor[cell]] / 2
        xyxy = np.concatenate([centre - half, centre + half], axis=1)
        return _Candidates(image[cell], xyxy, scores[cell, class_id], class_id.astype(np.int32))

    def _select(
        self, xyxy: NDArray[np.float64], score: Float32Array, class_id: Int32Array, letterbox: Letterbox
    ) -> Detections:
        if len(score) > _MOST_CANDIDATES:
            best = np.argsort(-score, kind="stable")[:_MOST_CANDIDATES]
            xyxy, score, class_id = xyxy[best], score[best], class_id[best]
        found = letterbox.to_image(xyxy)
        kept = non_maximum_suppression(found, score, class_id, self._iou)
        clipped = clip(found[kept], letterbox.image_height, letterbox.image_width)
        inside = np.asarray(clipped, dtype=np.float32)
        # What lies wholly in the border around the image is nothing.
        real = np.flatnonzero((inside[:, 2:] > inside[:, :2]).all(axis=1))[: self._max_detections]
        kept = kept[real]
        return Detections(inside[real], score[kept], class_id[kept])
