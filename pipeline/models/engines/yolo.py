"""What runs a network of the YOLOv3 family: the protocol of its engines."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from pipeline.models.engines.base import Engine
from pipeline.types import Float32Array, Image


@runtime_checkable
class YoloEngine(Engine, Protocol):
    """Runs one network of the YOLOv3 family."""

    def heads(self, images: Image) -> list[Float32Array]:
        """The raw outputs, before any sigmoid or exponential.

        Args:
            images: uint8 ``(batch, height, width, 3)``, BGR, letterboxed; both sides multiples of 32. Only read.

        Returns:
            For each head, in the network's order, float32 ``(batch, rows, columns, anchors, 5 + classes)``: t_x, t_y,
            t_w, t_h, objectness, then the classes. They are the caller's to keep.
        """
