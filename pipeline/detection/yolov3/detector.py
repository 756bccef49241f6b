"""YoloDetector: images in, boxes in the images' own pixels out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pipeline.detection.base import check_detection_options
from pipeline.detection.letterboxed import LetterboxDetector
from pipeline.detection.yolov3.anchor_masks import choose_masks
from pipeline.detection.yolov3.decoder import _Decoder
from pipeline.errors import ConfigError
from pipeline.images.letterbox import Letterbox
from pipeline.models.engines.base import check_engine
from pipeline.models.engines.factory import create_engine
from pipeline.models.engines.yolo import YoloEngine
from pipeline.models.networks.darknet import NETWORK_STRIDE, DarknetNetwork
from pipeline.models.registry import DEFAULT_CONFIDENCE, DEFAULT_MODEL, Model, find_model, find_weights
from pipeline.models.weights.formats import read_weights
from pipeline.types import Detections, Image


class YoloDetector(LetterboxDetector[YoloEngine]):
    """A network of the YOLOv3 family. Any number of threads may use an instance.

    Args:
        model: a name of the catalogue, or a `Model`.
        weights: a file in place of the published one: Darknet's ``.weights``, ImageAI 2's ``.h5`` or ImageAI 3's
            ``.pt``.
        input_size: longer side of the network's input in pixels, a multiple of 32; None for the model's own, which is
            416 for the catalogue's.
        masks: for each head of the network, the numbers of its anchors; None for those that the weights were trained
            with. See `pipeline.detection.yolov3.anchor_masks`.
        square: letterbox into ``input_size`` x ``input_size``, which is what the weights were trained on. The default,
            the smallest input that holds the scaled image, saves 38% of the work on 16:9 video and costs 0.002 AP50.
        engine: what runs the network: ``openvino``, ``tensorflow``, ``auto`` for the faster of both, or a `YoloEngine`
            made for it, which then has a precision and threads of its own and is closed with the detector. None for
            TensorFlow where there is a GPU, and OpenVINO elsewhere.
        precision: ``float32``, ``bfloat16``, or another that the engine has, see
            `pipeline.models.engines.base.PRECISIONS`; ``auto`` is the fastest here, by measurement.
        confidence: smallest score (objectness times class) to report.
        iou: boxes of one class that overlap a better one by more than this are dropped.
        multi_label: report a box once for every class that reaches the confidence, as Darknet does. By default it has
            the one class that scores best, so that a thing is not counted both as a car and as a truck. Every class
            is what papers report: with it, COCO's AP50 was 0.024 higher on one set of 257 images, on another 0.001
            lower in rectangular input and 0.003 higher in square.
        max_detections: per image; the best are kept.
        batch_size: most images that go through the network at once.
        threads: processor cores for the network; None for all that the process may use.

    Raises:
        ConfigError: an option or model name that can't be used.
        ModelError: weights that are missing, damaged, or belong to another network.
    """

    def __init__(
        self,
        model: str | Model = DEFAULT_MODEL,
        *,
        weights: str | Path | None = None,
        input_size: int | None = None,
        masks: Sequence[Sequence[int]] | None = None,
        square: bool = False,
        engine: str | YoloEngine | None = None,
        precision: str = "auto",
        confidence: float = DEFAULT_CONFIDENCE,
        iou: float = 0.45,
        multi_label: bool = False,
        max_detections: int = 300,
        batch_size: int = 8,
        threads: int | None = None,
    ) -> None:
        model = find_model(model) if isinstance(model, str) else model
        input_size = model.input_size if input_size is None else input_size
        _check_input_size(input_size)
        check_detection_options(confidence, iou, max_detections, batch_size)
        if engine is None or isinstance(engine, str):
            check_engine(engine, precision, threads)
        network = model.network()
        if not isinstance(network, DarknetNetwork):
            raise ConfigError(f"{model.name}: is no YOLO network; create_detector finds the right kind of detector.")
        if len(model.class_names) != network.class_count:
            raise ConfigError(f"{model.name}: {len(model.class_names)} class names for {network.class_count} classes.")
        path = find_weights(model, weights)
        parameters = read_weights(path, network)
        network = choose_masks(network, parameters, masks)
        if engine is None or isinstance(engine, str):
            engine = create_engine(
                engine, network, parameters, precision=precision, threads=threads, batch=batch_size, square=square
            )
        super().__init__(engine, model.class_names, batch_size, largest_input=(input_size, input_size))
        self._input_size = self.reduced_side = input_size
        self._square = square
        self._decoder = _Decoder(network, path, confidence, iou, max_detections, multi_label)

    @property
    def input_size(self) -> int:
        """Longer side of the network's input in pixels."""
        return self._input_size

    def _place(self, height: int, width: int) -> Letterbox:
        if self._square:
            return Letterbox.fit(height, width, self._input_size, self._input_size)
        return Letterbox.rectangular(height, width, self._input_size, NETWORK_STRIDE)

    def _place_reduced(self, height: int, width: int, size: tuple[int, int]) -> Letterbox:
        return Letterbox.padded(height, width, size, self._input_size if self._square else NETWORK_STRIDE)

    def _outputs(self, inputs: Image) -> Any:
        return self._engine.heads(inputs)

    def _decode(self, outputs: Any, places: Sequence[Letterbox]) -> list[Detections]:
        return self._decoder.decode(outputs, places)


def _check_input_size(input_size: int) -> None:
    if input_size < NETWORK_STRIDE or input_size % NETWORK_STRIDE:
        nearest = max(1, round(input_size / NETWORK_STRIDE)) * NETWORK_STRIDE
        raise ConfigError(f"input_size: got {input_size}, expected a multiple of {NETWORK_STRIDE}, such as {nearest}.")
