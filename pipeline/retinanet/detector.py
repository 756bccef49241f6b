"""RetinaNetDetector: images in, boxes in the images' own pixels out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, cast, overload

import numpy as np

from pipeline.errors import ConfigError
from pipeline.models import Model, find_model, find_weights
from pipeline.pictures import PictureLike, read_picture, several_pictures
from pipeline.retinanet.architecture import NETWORK_STRIDE, RetinaNet
from pipeline.retinanet.decoder import Decoder
from pipeline.retinanet.preprocessing import Placement
from pipeline.retinanet.weights import read_retinanet_weights
from pipeline.types import Detections, Float32Array

if TYPE_CHECKING:
    from pipeline.retinanet.engine import RetinaNetEngine

_PRECISIONS = ("auto", "float32", "bfloat16")
_MOST_PIXELS = 1 << 21  # at once; a million take about 400 MB
_LONGER_PER_SHORTER = 1333 / 800  # torchvision's limits


class RetinaNetDetector:
    """RetinaNet with a ResNet-50 and a feature pyramid. One thread at a time may use an instance.

    Every default is torchvision's, so that a picture gives what ``retinanet_resnet50_fpn`` gives.

    Args:
        model: a name of the catalogue, or a `Model`.
        weights: a PyTorch file, ``.pth`` or ``.pt``, in place of the published one.
        input_size: shorter side that images are scaled to, in pixels; None for the model's own, which is 800 for the
            catalogue's. The work grows with its square.
        longest_side: longer side that they may have then; a longer image gets a shorter side of less. None for 1.666
            times the input size, which is 1333 for 800.
        engine: ``tensorflow``, or ``auto``, which is the same here: no other runs this network.
        precision: ``auto`` (bfloat16 where the processor computes in it), ``float32`` or ``bfloat16``.
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
        engine: str = "tensorflow",
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
        _check_numbers(input_size, longest_side, confidence, iou, max_detections, batch_size)
        network = model.network()
        if not isinstance(network, RetinaNet):
            raise ConfigError(f"{model.name}: is no RetinaNet; create_detector finds the right kind of detector.")
        if model.class_names != network.class_names():
            raise ConfigError(f"{model.name}: its class names are not those of its network, in the same order.")
        path = find_weights(model, weights)
        parameters = read_retinanet_weights(path, network)
        from pipeline.retinanet.engine import RetinaNetEngine

        self._engine = RetinaNetEngine(network, parameters, precision=precision, threads=threads)
        self._class_names = model.class_names
        self._shorter, self._longer = input_size, longest_side
        self._batch_size = batch_size
        self._decoder = Decoder(str(path), confidence, iou, max_detections)

    @property
    def class_names(self) -> Sequence[str]:
        """The model's classes; ``Detections.class_id`` indexes it."""
        return self._class_names

    @property
    def precision(self) -> str:
        """What the network computes in: ``float32`` or ``bfloat16``."""
        return self._engine.precision

    @property
    def threads(self) -> int:
        """Processor cores that the network uses."""
        return self._engine.threads

    @property
    def input_size(self) -> int:
        """Shorter side that images are scaled to, in pixels."""
        return self._shorter

    @property
    def engine(self) -> RetinaNetEngine:
        """What runs the network; its ``outputs`` gives the raw outputs."""
        return self._engine

    @overload
    def detect(self, images: PictureLike) -> Detections: ...  # type: ignore[overload-overlap]  # a str is a path

    @overload
    def detect(self, images: Sequence[PictureLike]) -> list[Detections]: ...

    def detect(self, images: PictureLike | Sequence[PictureLike]) -> Detections | list[Detections]:
        """Detections of each image, in the same order, best first; images may differ in size.

        Images that make the same input shape go through the network together; what is found in one never depends on
        the others.

        Args:
            images: a list of images, or one of them. Each is an array uint8 ``(height, width, 3)``, BGR, which is only
                read; or a path, a file's bytes, a Pillow image or another array: see ``pipeline.pictures``.

        Returns:
            One per image, or that of the one image; boxes are in pixels of the upright image and lie inside it.

        Raises:
            ValueError: an image of another shape or type.
            SourceError: a file that is not there or can't be decoded.
            ModelError: the weights make the network compute what is not a number.
        """
        several = several_pictures(images)
        if several is None:
            return self._detect([cast("PictureLike", images)])[0]
        return self._detect(several)

    def _detect(self, pictures: Sequence[PictureLike]) -> list[Detections]:
        images = [read_picture(picture, name=f"image {index}") for index, picture in enumerate(pictures)]
        placements = [self._place(*image.shape[:2]) for image in images]
        by_shape: dict[tuple[int, int], list[int]] = {}
        for index, placement in enumerate(placements):
            by_shape.setdefault((placement.height, placement.width), []).append(index)
        found: dict[int, Detections] = {}
        for shape, members in by_shape.items():
            step = self._step(shape)
            for start in range(0, len(members), step):
                batch = members[start : start + step]
                inputs: Float32Array = np.empty((len(batch), *shape, 3), dtype=np.float32)
                for slot, index in enumerate(batch):
                    placements[index].draw(images[index], inputs[slot])
                levels = self._engine.outputs(inputs)
                found.update(zip(batch, self._decoder.decode(levels, [placements[i] for i in batch]), strict=True))
        return [found[index] for index in range(len(images))]

    def warm_up(self, height: int, width: int, batch: int = 1) -> tuple[int, int]:
        """Run the network once, so that the first real images don't wait for what happens only then.

        Args:
            height, width: of the images to come, in pixels.
            batch: how many of them will come at a time.

        Returns:
            The network's input shape ``(height, width)`` for them.
        """
        placement = self._place(height, width)
        shape = (placement.height, placement.width)
        self._engine.outputs(np.zeros((min(batch, self._step(shape)), *shape, 3), dtype=np.float32))
        return shape

    def close(self) -> None:
        """Give back the network's memory and threads. May be called more than once."""
        self._engine.close()

    def _step(self, shape: tuple[int, int]) -> int:
        """How many inputs of that shape go through the network at once."""
        return max(1, min(self._batch_size, _MOST_PIXELS // math.prod(shape)))

    def _place(self, height: int, width: int) -> Placement:
        return Placement.fit(height, width, self._shorter, self._longer)


def _check_engine(engine: str, precision: str, threads: int | None) -> None:
    if engine not in ("tensorflow", "auto"):
        raise ConfigError(f"engine: got {engine!r}; RetinaNet runs on tensorflow alone.")
    if precision not in _PRECISIONS:
        raise ConfigError(f"precision: got {precision!r}; RetinaNet computes in {', '.join(_PRECISIONS)}.")
    if threads is not None and threads < 1:
        raise ConfigError(f"threads: got {threads}, expected at least 1.")


def _check_numbers(
    input_size: int, longest_side: int, confidence: float, iou: float, max_detections: int, batch_size: int
) -> None:
    if input_size < NETWORK_STRIDE:
        raise ConfigError(f"input_size: got {input_size}, expected at least {NETWORK_STRIDE}.")
    if longest_side < input_size:
        raise ConfigError(f"longest_side: got {longest_side}, expected at least the input size, {input_size}.")
    for name, value in (("confidence", confidence), ("iou", iou)):
        if not 0 <= value <= 1:
            raise ConfigError(f"{name}: got {value}, expected a number from 0 to 1.")
    for name, value in (("max_detections", max_detections), ("batch_size", batch_size)):
        if value < 1:
            raise ConfigError(f"{name}: got {value}, expected at least 1.")
