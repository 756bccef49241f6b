"""RetinaNetDetector: images in, boxes in the images' own pixels out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pipeline.detection.base import ImageDetector, check_detection_options
from pipeline.detection.retinanet.decoder import Decoder
from pipeline.detection.retinanet.placement import Placement
from pipeline.errors import ConfigError
from pipeline.models.engines.retinanet_factory import PyramidEngine, create_retinanet_engine
from pipeline.models.networks.retinanet import NETWORK_STRIDE, RetinaNet
from pipeline.models.registry import Model, find_model, find_weights
from pipeline.models.weights.pytorch_retinanet import read_retinanet_weights
from pipeline.types import Detections, Float32Array, Image

_PRECISIONS = ("auto", "float32", "bfloat16")
_MOST_PIXELS = 1 << 21  # at once; a million take about 400 MB
_LONGER_PER_SHORTER = 1333 / 800  # torchvision's limits


class RetinaNetDetector(ImageDetector[PyramidEngine, Placement]):
    """RetinaNet with a ResNet-50 and a feature pyramid. Any number of threads may use an instance; they take turns.

    Every default is torchvision's, so that a picture gives what ``retinanet_resnet50_fpn`` gives.

    Args:
        model: a name of the catalogue, or a `Model`.
        weights: a PyTorch file, ``.pth`` or ``.pt``, in place of the published one.
        input_size: shorter side that images are scaled to, in pixels; None for the model's own, which is 800 for the
            catalogue's. The work grows with its square.
        longest_side: longer side that they may have then; a longer image gets a shorter side of less. None for 1.666
            times the input size, which is 1333 for 800.
        engine: ``tensorflow``; ``auto`` and None are the same here: no other runs this network.
        precision: ``float32``, ``bfloat16``, or ``auto`` for the faster of both here, by measurement.
        confidence: smallest score to report.
        iou: boxes of one class that overlap a better one by more than this are dropped.
        max_detections: per image; the best are kept.
        batch_size: most images that go through the network at once; large ones go in smaller batches, which costs no
            time and saves memory.
        threads: processor cores for the network; None for all that the process may use.

    Raises:
        ConfigError: an option or model name that can't be used.
        ModelError: weights that are missing, damaged, or belong to another network.
    """

    def __init__(
        self,
        model: str | Model = "retinanet",
        *,
        weights: str | Path | None = None,
        input_size: int | None = None,
        longest_side: int | None = None,
        engine: str | None = None,
        precision: str = "auto",
        confidence: float = 0.05,
        iou: float = 0.5,
        max_detections: int = 300,
        batch_size: int = 8,
        threads: int | None = None,
    ) -> None:
        model = find_model(model) if isinstance(model, str) else model
        input_size = model.input_size if input_size is None else input_size
        longest_side = int(input_size * _LONGER_PER_SHORTER) if longest_side is None else longest_side
        _check_engine(engine, precision, threads)
        _check_sides(input_size, longest_side)
        check_detection_options(confidence, iou, max_detections, batch_size)
        network = model.network()
        if not isinstance(network, RetinaNet):
            raise ConfigError(f"{model.name}: is no RetinaNet; create_detector finds the right kind of detector.")
        if model.class_names != network.class_names():
            raise ConfigError(f"{model.name}: its class names are not those of its network, in the same order.")
        path = find_weights(model, weights)
        parameters = read_retinanet_weights(path, network)
        network_engine = create_retinanet_engine(network, parameters, precision=precision, threads=threads)
        super().__init__(network_engine, model.class_names, batch_size)
        self._shorter, self._longer = input_size, longest_side
        self._decoder = Decoder(str(path), confidence, iou, max_detections)

    @property
    def input_size(self) -> int:
        """Shorter side that images are scaled to, in pixels."""
        return self._shorter

    def _place(self, height: int, width: int) -> Placement:
        return Placement.fit(height, width, self._shorter, self._longer)

    def _run(self, images: Sequence[Image], places: Sequence[Placement], shape: tuple[int, int]) -> list[Detections]:
        inputs: Float32Array = np.empty((len(images), *shape, 3), dtype=np.float32)
        for image, placement, slot in zip(images, places, inputs, strict=True):
            placement.draw(image, slot)
        return self._decoder.decode(self._engine.outputs(inputs), places)

    def _run_empty(self, count: int, shape: tuple[int, int]) -> None:
        self._engine.outputs(np.zeros((count, *shape, 3), dtype=np.float32))

    def _most_at_once(self, shape: tuple[int, int]) -> int:
        return max(1, min(self._batch_size, _MOST_PIXELS // math.prod(shape)))


def _check_engine(engine: str | None, precision: str, threads: int | None) -> None:
    if engine not in ("tensorflow", "auto", None):
        raise ConfigError(f"engine: got {engine!r}; RetinaNet runs on tensorflow alone.")
    if precision not in _PRECISIONS:
        raise ConfigError(f"precision: got {precision!r}; RetinaNet computes in {', '.join(_PRECISIONS)}.")
    if threads is not None and threads < 1:
        raise ConfigError(f"threads: got {threads}, expected at least 1.")


def _check_sides(input_size: int, longest_side: int) -> None:
    if input_size < NETWORK_STRIDE:
        raise ConfigError(f"input_size: got {input_size}, expected at least {NETWORK_STRIDE}.")
    if longest_side < input_size:
        raise ConfigError(f"longest_side: got {longest_side}, expected at least the input size, {input_size}.")
