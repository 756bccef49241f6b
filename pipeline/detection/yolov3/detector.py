"""YoloDetector: images in, boxes in the images' own pixels out."""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.detection.base import ImageDetector, check_detection_options
from pipeline.detection.yolov3.anchor_masks import choose_masks
from pipeline.detection.yolov3.decoder import _Decoder
from pipeline.errors import ConfigError
from pipeline.images.letterbox import Letterbox
from pipeline.models.engines.base import check_engine
from pipeline.models.engines.factory import create_engine
from pipeline.models.engines.yolo import YoloEngine
from pipeline.models.networks.darknet import NETWORK_STRIDE, DarknetNetwork
from pipeline.models.registry import DEFAULT_MODEL, Model, find_model, find_weights
from pipeline.models.weights.formats import read_weights
from pipeline.types import Detections, Image


class YoloDetector(ImageDetector[YoloEngine, Letterbox]):
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
        precision: ``auto`` (bfloat16 where the processor computes in it), ``float32``, ``bfloat16``, or another that
            the engine has; see `pipeline.models.engines.base.PRECISIONS`.
        confidence: smallest score (objectness times class) to report.
        iou: boxes of one class that overlap a better one by more than this are dropped.
        multi_label: report a box once for every class that reaches the confidence, as Darknet does. By default it has
            the one class that scores best, so that a thing is not counted both as a car and as a truck. Every class
            is what papers report: COCO's AP50 is 0.024 higher with it.
        max_detections: per image; the best are kept.
        batch_size: most images that go through the network at once.
        threads: processor cores for the network; None for all that the process may use.

    Raises:
        ConfigError: an option or model name that can't be used.
        ModelError: weights that are missing, damaged, or belong to another network.
    """

    takes_reduced = True

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
        confidence: float = 0.25,
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
            engine = create_engine(engine, network, parameters, precision=precision, threads=threads, batch=batch_size)
        super().__init__(engine, model.class_names, batch_size)
        self._input_size = self.reduced_side = input_size
        self._square = square
        self._decoder = _Decoder(network, path, confidence, iou, max_detections, multi_label)
        self._buffer = _Buffer(batch_size * input_size * input_size * 3)

    @property
    def input_size(self) -> int:
        """Longer side of the network's input in pixels."""
        return self._input_size

    def detect_reduced(self, images: Sequence[Image], sizes: Sequence[tuple[int, int]]) -> list[Detections]:
        """Detections in pictures that have been scaled already, as a whole to ``input_size`` or as parts of such ones.

        Args:
            images: uint8 ``(height, width, 3)``, BGR; no side longer than ``input_size``.
            sizes: per image the ``(height, width)`` it had before it was scaled.

        Returns:
            One per image, as ``detect`` does; boxes are in pixels of the image before it was scaled.

        Raises:
            ValueError: an image of another shape or type, or larger than ``input_size``.
            ModelError: the weights make the network compute what is not a number.
        """
        letterboxes = []
        for index, (image, size) in enumerate(zip(images, sizes, strict=True)):
            if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
                raise ValueError(f"image {index}: expected uint8 (height, width, 3), got {image.dtype} {image.shape}")
            height, width = image.shape[:2]
            if max(height, width) > self._input_size:
                raise ValueError(f"image {index}: expected at most {self._input_size} px a side, got {width}x{height}")
            multiple = self._input_size if self._square else NETWORK_STRIDE
            letterboxes.append(Letterbox.padded(height, width, size, multiple))
        return self._detect_placed(images, letterboxes)

    def _place(self, height: int, width: int) -> Letterbox:
        if self._square:
            return Letterbox.fit(height, width, self._input_size, self._input_size)
        return Letterbox.rectangular(height, width, self._input_size, NETWORK_STRIDE)

    def _run(self, images: Sequence[Image], places: Sequence[Letterbox], shape: tuple[int, int]) -> list[Detections]:
        inputs = self._inputs(len(images), shape)
        for image, letterbox, slot in zip(images, places, inputs, strict=True):
            letterbox.draw(image, slot)
        return self._decoder.decode(self._engine.heads(inputs), places)

    def _run_empty(self, count: int, shape: tuple[int, int]) -> None:
        inputs = self._inputs(count, shape)
        inputs[...] = 0
        self._engine.heads(inputs)

    def _inputs(self, count: int, shape: tuple[int, int]) -> Image:
        whole = (count, *shape, 3)
        return self._buffer.bytes[: math.prod(whole)].reshape(whole)


class _Buffer(threading.local):
    """What holds the letterboxed images of a batch, whatever its shape; each thread has its own."""

    def __init__(self, size: int) -> None:
        self.bytes: NDArray[np.uint8] = np.empty(size, dtype=np.uint8)


def _check_input_size(input_size: int) -> None:
    if input_size < NETWORK_STRIDE or input_size % NETWORK_STRIDE:
        nearest = max(1, round(input_size / NETWORK_STRIDE)) * NETWORK_STRIDE
        raise ConfigError(f"input_size: got {input_size}, expected a multiple of {NETWORK_STRIDE}, such as {nearest}.")
