"""OnnxDetector: images in, boxes in the images' own pixels out."""

from __future__ import annotations

import functools
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.detection.base import check_detection_options
from pipeline.detection.letterboxed import LetterboxDetector
from pipeline.detection.onnx.layouts.base import Array, Wanted
from pipeline.detection.onnx.opening import MULTIPLE, open_network
from pipeline.errors import ConfigError
from pipeline.geometry.boxes import clip, non_maximum_suppression
from pipeline.images.letterbox import Letterbox
from pipeline.models.engines.pictures import PictureEngine
from pipeline.models.network_output import not_finite
from pipeline.models.networks.onnx_network import OnnxNetwork
from pipeline.models.registry import Model, find_model, find_weights
from pipeline.types import Detections, Image

logger = logging.getLogger(__name__)

_MOST_CANDIDATES = 10_000  # per image, before suppression

# No network finds only things that lie within the first pixel and a half: where all boxes do, they are in parts of the
# input, from 0 to 1, and not in its pixels, as some exporters write them.
_LARGEST_PART = 1.5


class OnnxDetector(LetterboxDetector[PictureEngine]):
    """A network from an ONNX file, run by OpenVINO. Any number of threads may use an instance.

    Args:
        model: a name of the catalogue, or a `Model`.
        weights: an ONNX file in place of the model's own.
        input_size: longer side of the network's input in pixels, a multiple of 32; None for what the file was exported
            for. A network that takes one size only can be given no other.
        square: letterbox into an input of the size that the file was exported for. The default, the smallest input that
            holds the scaled image, saves work where the network can take it.
        engine: ``openvino``, or ``auto`` or None, which are the same here: no other runs these networks. One that was
            made before, for this network and kind of input, leaves ``precision`` and ``threads`` to its maker.
        precision: ``auto``, ``float32``, ``bfloat16``, or ``int8`` once it was calibrated for that.
        confidence: smallest score to report; None for that of its family.
        iou: boxes of one class that overlap a better one by more than this are dropped, where the network does not see
            to that itself.
        multi_label: report a box once for every class that reaches the confidence, as papers do; by default it has the
            one class that scores best.
        max_detections: per image; the best are kept.
        batch_size: most images that go through the network at once.
        threads: processor cores for the network; None for all that the process may use.

    Raises:
        ConfigError: an option or model name that can't be used.
        ModelError: a file that is missing, damaged, refused, or of no family that is known.
    """

    def __init__(
        self,
        model: str | Model,
        *,
        weights: str | Path | None = None,
        input_size: int | None = None,
        square: bool = False,
        engine: str | PictureEngine | None = None,
        precision: str = "auto",
        confidence: float | None = None,
        iou: float = 0.45,
        multi_label: bool = False,
        max_detections: int = 300,
        batch_size: int = 8,
        threads: int | None = None,
    ) -> None:
        model = find_model(model) if isinstance(model, str) else model
        check_detection_options(confidence, iou, max_detections, batch_size)
        if isinstance(engine, str) and engine not in ("auto", "openvino"):
            raise ConfigError(f"engine: got {engine!r}; ONNX networks run on openvino alone.")
        if input_size is not None and (input_size < MULTIPLE or input_size % MULTIPLE):
            raise ConfigError(f"input_size: got {input_size}, expected a multiple of {MULTIPLE}.")
        network = model.network()
        if not isinstance(network, OnnxNetwork):
            raise ConfigError(f"{model.name}: is no ONNX network; create_detector finds the right kind of detector.")
        path = find_weights(model, weights)
        opened = open_network(path, network, len(model.class_names), input_size)
        # Who names the family knows what the network is; what was recognised somebody should read.
        _say_once(logging.INFO if network.options.family is None else logging.DEBUG, str(opened))
        rectangular = opened.rectangular and not square
        if engine is None or isinstance(engine, str):
            engine = opened.engine(precision, threads, batch_size, rectangular=rectangular)
        super().__init__(engine, model.class_names, batch_size, largest_input=opened.size)
        self._path, self._recognised = path, opened.recognised
        self._height, self._width = opened.size
        self._rectangular = rectangular
        self._iou, self._max_detections = iou, max_detections
        family = opened.recognised.family
        confidence = family.confidence if confidence is None else confidence
        self._wanted = Wanted(confidence, multi_label, family.logits, len(model.class_names))
        keeps_shape = self._height == self._width and family.placement != "stretched"
        self.reduced_side = self.input_size if keeps_shape else None

    @property
    def input_size(self) -> int:
        """Longer side of the network's input in pixels."""
        return max(self._height, self._width)

    @property
    def rectangular(self) -> bool:
        """Whether an input is the smallest that holds the picture, and not always of the same size."""
        return self._rectangular

    def decode(self, outputs: Sequence[Sequence[Array]], images: Sequence[Image]) -> list[Detections]:
        """The detections in images from what the network gave for each, as the engine's ``outputs`` has it."""
        return self._decode(outputs, [self._place(*image.shape[:2]) for image in images])

    def _place(self, height: int, width: int) -> Letterbox:
        family = self._recognised.family
        if self._rectangular:
            return Letterbox.rectangular(
                height, width, self.input_size, MULTIPLE, placement=family.placement, value=family.pad
            )
        return Letterbox.fit(height, width, self._height, self._width, placement=family.placement, value=family.pad)

    def _place_reduced(self, height: int, width: int, size: tuple[int, int]) -> Letterbox:
        family = self._recognised.family
        multiple = MULTIPLE if self._rectangular else self.input_size
        return Letterbox.padded(height, width, size, multiple, placement=family.placement, value=family.pad)

    def _outputs(self, inputs: Image) -> Any:
        return self._engine.outputs(inputs)

    def _decode(self, outputs: Any, places: Sequence[Letterbox]) -> list[Detections]:
        return [self._decoded(each, place) for each, place in zip(outputs, places, strict=True)]

    def _decoded(self, outputs: Sequence[Array], place: Letterbox) -> Detections:
        """Detections of one picture from its raw outputs."""
        family = self._recognised.family
        wanted = [outputs[number] for number in self._recognised.match.order]
        if not all(map(_finite, wanted)):
            raise not_finite(self._path)
        xyxy, score, class_id = family.layout(wanted, (place.height, place.width), self._wanted)
        if len(xyxy) and np.abs(xyxy).max() <= _LARGEST_PART:
            _say_once(logging.INFO, f"{self._path}: gives its boxes in parts of the input, which are made pixels")
            xyxy = xyxy * np.array([place.width, place.height, place.width, place.height])
        if len(score) > _MOST_CANDIDATES:
            best = np.argsort(-score, kind="stable")[:_MOST_CANDIDATES]
            xyxy, score, class_id = xyxy[best], score[best], class_id[best]
        found = place.to_image(xyxy)
        if family.nms:
            kept = np.argsort(-score, kind="stable")
        else:
            real = np.flatnonzero((found[:, 2:] > found[:, :2]).all(axis=1))
            kept = real[non_maximum_suppression(found[real], score[real], class_id[real], self._iou)]
        inside = np.asarray(clip(found[kept], place.image_height, place.image_width), dtype=np.float32)
        # What lies wholly in the border around the image is nothing.
        real = np.flatnonzero((inside[:, 2:] > inside[:, :2]).all(axis=1))[: self._max_detections]
        kept = kept[real]
        return Detections(inside[real], score[kept], class_id[kept])


@functools.cache
def _say_once(level: int, line: str) -> None:
    logger.log(level, "%s", line)


def _finite(array: Array) -> bool:
    """Whether there is neither an infinity nor a NaN in it: the sum shows both, nearly always without looking twice."""
    if not np.issubdtype(array.dtype, np.floating):
        return True
    with np.errstate(over="ignore", invalid="ignore"):
        return bool(np.isfinite(array.sum(dtype=np.float32))) or bool(np.isfinite(array).all())
