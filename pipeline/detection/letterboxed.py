"""What detectors share whose network sees a whole picture, letterboxed into its input."""

from __future__ import annotations

import math
import threading
from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.detection.base import EngineT, ImageDetector
from pipeline.images.letterbox import Letterbox
from pipeline.types import Detections, Image


class LetterboxDetector(ImageDetector[EngineT, Letterbox]):
    """The base of detectors that draw pictures into a network's input. Subclasses run the network and decode it.

    Args:
        engine: what runs the network; closed with the detector.
        class_names: the model's classes.
        batch_size: most images that go through the network at once.
        largest_input: ``(height, width)`` in pixels that no input exceeds.
    """

    takes_reduced = True

    def __init__(
        self, engine: EngineT, class_names: Sequence[str], batch_size: int, *, largest_input: tuple[int, int]
    ) -> None:
        super().__init__(engine, class_names, batch_size)
        self._buffer = _Buffer(batch_size * math.prod(largest_input) * 3)

    @property
    @abstractmethod
    def input_size(self) -> int:
        """Longer side of the network's input in pixels."""

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
            NotImplementedError: ``reduced_side`` is None.
        """
        if self.reduced_side is None:
            return super().detect_reduced(images, sizes)
        places = []
        for index, (image, size) in enumerate(zip(images, sizes, strict=True)):
            if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
                raise ValueError(f"image {index}: expected uint8 (height, width, 3), got {image.dtype} {image.shape}")
            height, width = image.shape[:2]
            if max(height, width) > self.input_size:
                raise ValueError(f"image {index}: expected at most {self.input_size} px a side, got {width}x{height}")
            places.append(self._place_reduced(height, width, size))
        return self._detect_placed(images, places)

    def placed(self, image: Image) -> Image:
        """The network's input for an image: a new array, which the same detector would leave as it is."""
        place = self._place(*image.shape[:2])
        drawn = np.empty((place.height, place.width, 3), dtype=np.uint8)
        place.draw(image, drawn)
        return drawn

    @abstractmethod
    def _place_reduced(self, height: int, width: int, size: tuple[int, int]) -> Letterbox:
        """Where a picture of that height and width goes that has been scaled from ``size`` already."""

    @abstractmethod
    def _outputs(self, inputs: Image) -> Any:
        """What the network gives for a batch uint8 ``(N, height, width, 3)``, BGR."""

    @abstractmethod
    def _decode(self, outputs: Any, places: Sequence[Letterbox]) -> list[Detections]:
        """What that says of the pictures at these places."""

    def _run(self, images: Sequence[Image], places: Sequence[Letterbox], shape: tuple[int, int]) -> list[Detections]:
        inputs = self._inputs(len(images), shape)
        for image, place, slot in zip(images, places, inputs, strict=True):
            place.draw(image, slot)
        return self._decode(self._outputs(inputs), places)

    def _run_empty(self, count: int, shape: tuple[int, int]) -> None:
        inputs = self._inputs(count, shape)
        inputs[...] = 0
        self._outputs(inputs)

    def _inputs(self, count: int, shape: tuple[int, int]) -> Image:
        whole = (count, *shape, 3)
        return self._buffer.bytes[: math.prod(whole)].reshape(whole)


class _Buffer(threading.local):
    """What holds the letterboxed images of a batch, whatever its shape; each thread has its own."""

    def __init__(self, size: int) -> None:
        self.bytes: NDArray[np.uint8] = np.empty(size, dtype=np.uint8)
