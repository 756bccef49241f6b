"""What runs a network from an ONNX file: the protocol of its engines."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

from numpy.typing import NDArray

from pipeline.models.engines.base import Engine
from pipeline.types import Image


@runtime_checkable
class PictureEngine(Engine, Protocol):
    """Runs one network on placed pictures."""

    def outputs(self, images: Image) -> list[tuple[NDArray[Any], ...]]:
        """The raw outputs for each image, in the file's order and without the side of the batch.

        Args:
            images: uint8 ``(batch, height, width, 3)``, BGR, placed as the network wants them. Only read.

        Returns:
            Arrays that are the caller's to keep.

        Raises:
            ModelError: the network fails on this input.
        """
