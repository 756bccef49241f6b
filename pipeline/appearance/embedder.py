"""Embedder: pictures of objects in, vectors out that are alike where the pictures show the same one.

Re-identification networks come as ONNX files: one picture in, one vector out, which is compared by its direction
alone. What such a file says of its input holds; where it says nothing, pictures are 256 x 128, as they are for people
nearly everywhere (Zhou et al., "Omni-Scale Feature Learning for Person Re-Identification", ICCV 2019,
arXiv:1905.00953), in RGB, with ImageNet's mean and deviation.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import cv2
import numpy as np

from pipeline.errors import ConfigError, ModelError
from pipeline.models.network_output import not_finite
from pipeline.models.networks.onnx_network import VALUE_RANGES, Channels, Preparation
from pipeline.models.onnx.description import OnnxDescription, describe
from pipeline.models.onnx.metadata import written_size
from pipeline.types import Float32Array, Image

if TYPE_CHECKING:  # importing it imports OpenVINO
    from pipeline.models.engines.onnx_graph import OnnxGraph

_SIDES = (256, 128)
_LEAST_NUMBERS, _MOST_NUMBERS = 2, 8192
_LONGEST_TEXT = 200


class PictureEmbedder(Protocol):
    """What `Embedder` does, as far as links need it."""

    def fitted(self, picture: Image) -> Image:
        """What the network sees of a picture: a copy."""
        ...

    def embed(self, pictures: Sequence[Image]) -> Float32Array:
        """One vector of length 1 for each picture."""
        ...


class Embedder:
    """A re-identification network from an ONNX file, run by OpenVINO in float32.

        embedder = Embedder("osnet_x0_25.onnx")
        one, other = embedder.embed([picture, another])
        print("alike by", one @ other)

    A picture is scaled to the network's input whatever its proportions, as such networks are trained.

    Args:
        path: the file, which is not trusted: it is read within the limits of `pipeline.models.onnx.description`.
        batch: most pictures that go through the network at once, if it takes several.
        threads: processor cores to use; None for all that the process may use.

    Attributes:
        path: the file.
        size: ``(height, width)`` of the network's input in pixels.
        dimensions: numbers in a vector.

    Raises:
        ConfigError: no such file, or a number out of its range.
        ModelError: a file that is damaged or refused, or no re-identification network.
    """

    def __init__(self, path: str | Path, *, batch: int = 4, threads: int | None = None) -> None:
        if batch < 1:
            raise ConfigError(f"batch: got {batch}, expected at least 1.")
        self.path = Path(path)
        described = describe(self.path)
        _refuse_named_classes(described)
        from pipeline.models.engines.onnx_engine import OnnxEngine
        from pipeline.models.engines.onnx_graph import OnnxGraph

        graph = OnnxGraph(described)
        written = written_size(described.metadata) or _SIDES
        self.size = graph.size[0] or written[0], graph.size[1] or written[1]
        self.dimensions = _dimensions(graph, described, self.size)
        several = graph.outputs_at(*self.size, count=2)
        batches = several is not None and several[0].shape is not None and several[0].shape[0] == 2
        self._batch = batch if batches else 1
        graph.check_memory(self._batch)
        self._engine = OnnxEngine(
            graph, _preparation(described), size=self.size, batches=batches, whole=False, threads=threads
        )
        # Compiled now for a whole batch, to which smaller ones are filled up: not in the middle of a stream.
        self.embed([np.zeros((*self.size, 3), np.uint8)] * self._batch)

    def fitted(self, picture: Image) -> Image:
        """What the network sees of a picture: a copy, uint8 ``(*size, 3)``."""
        height, width = self.size
        if picture.shape[:2] == self.size:
            return picture.copy()
        # Averaging where it shrinks, so that nothing is skipped.
        shrinks = picture.shape[0] > height and picture.shape[1] > width
        way = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
        return np.asarray(cv2.resize(picture, (width, height), interpolation=way), np.uint8)

    def embed(self, pictures: Sequence[Image]) -> Float32Array:
        """One vector of length 1 for each picture; of two, the product says how alike they are, at most 1.

        Args:
            pictures: uint8 ``(height, width, 3)``, BGR, of any size, cut to one object each. Only read.

        Returns:
            float32 ``(N, dimensions)``.

        Raises:
            ModelError: the network fails, or computes what is not a finite number.
        """
        vectors = np.zeros((len(pictures), self.dimensions), np.float32)
        for first in range(0, len(pictures), self._batch):
            chunk = pictures[first : first + self._batch]
            found = self._engine.outputs(np.stack([self.fitted(picture) for picture in chunk]))
            vectors[first : first + len(chunk)] = [np.ravel(outputs[0]) for outputs in found]
        if not np.isfinite(vectors).all():
            raise not_finite(self.path)
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        units: Float32Array = np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 0)
        return units

    def close(self) -> None:
        """Give back the memory and the threads. May be called more than once."""
        self._engine.close()


def _refuse_named_classes(described: OnnxDescription) -> None:
    """Refuse what tells classes apart, by what its exporter wrote: a classifier's output has the same shape."""
    told = [key for key in ("names", "task") if key in described.metadata]
    if told:
        raise ModelError(
            f"{described.path}: is no re-identification network: its {told[0]} "
            f"{described.metadata[told[0]]!r:.60} are those of a detector or a classifier."
        )


def _dimensions(graph: OnnxGraph, described: OnnxDescription, size: tuple[int, int]) -> int:
    """How many numbers the one output has for a picture."""
    outputs = graph.outputs_at(*size)
    if outputs is None:
        raise ModelError(f"{described.path}: can't take one picture of {size[1]}x{size[0]}; export it for that.")
    shape = outputs[0].shape or ()
    # Some end in a pooling that leaves two sides of 1 behind.
    flat = len(shape) >= 2 and shape[0] == 1 and all(side == 1 for side in shape[2:])
    count = shape[1] if len(outputs) == 1 and flat else None
    if count is None or not _LEAST_NUMBERS <= count <= _MOST_NUMBERS:
        raise ModelError(
            f"{described.path}: is no re-identification network: expected one output with one vector of "
            f"{_LEAST_NUMBERS} to {_MOST_NUMBERS} numbers for a picture, got {'; '.join(map(str, outputs))}."
        )
    return count


def _preparation(described: OnnxDescription) -> Preparation:
    """What is done to the pixels: by the file's ``mean`` and ``std``, or by ImageNet's."""
    mean, deviation = VALUE_RANGES["imagenet"]
    return Preparation("rgb", _channels(described, "mean", 0.0, mean), _channels(described, "std", 1e-6, deviation))


def _channels(described: OnnxDescription, key: str, least: float, otherwise: Channels) -> Channels:
    """Three numbers of a file's metadata, parts of the largest value of red, green and blue, as values up to 255."""
    text = described.metadata.get(key)
    if text is None:
        return otherwise
    found: Any = None
    if len(text) <= _LONGEST_TEXT:
        with suppress(ValueError, SyntaxError, MemoryError, RecursionError):
            found = ast.literal_eval(text)
    values = found if isinstance(found, list | tuple) else ()
    if len(values) != 3 or not all(isinstance(value, int | float) and least <= value <= 1 for value in values):
        raise ModelError(
            f"{described.path}: its {key} {text!r:.60} is not three numbers from {least:g} to 1, for red, green, blue."
        )
    red, green, blue = (255.0 * value for value in values)
    return red, green, blue
