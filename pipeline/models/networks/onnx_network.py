"""Networks that come as ONNX files: what a user may say of one, and how pictures are prepared for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Color = Literal["rgb", "bgr"]
Layout = Literal["nchw", "nhwc"]
Channels = tuple[float, float, float]

VALUE_RANGES: dict[str, tuple[Channels, Channels]] = {
    "0-1": ((0.0, 0.0, 0.0), (255.0, 255.0, 255.0)),
    "0-255": ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
    "imagenet": ((123.675, 116.28, 103.53), (58.395, 57.12, 57.375)),
}
"""Mean and deviation by the name of a range of values, in RGB: a network sees ``(pixel - mean) / deviation``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OnnxOptions:
    """How a network reads a picture and writes its boxes, as far as its user says so. None is left to recognition.

    Attributes:
        family: which networks it is one of, such as ``yolox``; see `pipeline.detection.onnx.families`.
        color: order of the channels.
        range: of the values, a name of `VALUE_RANGES`.
        mean, deviation: of the values in the order of ``color``, in [0, 255], in place of a range.
        layout: where the channels are: ``nchw`` or ``nhwc``.
        placement: ``centred``, ``top-left`` or ``stretched``: see `pipeline.images.letterbox.Letterbox`.
        pad: value of every channel where there is no picture.
        logits: whether scores are still to go through a sigmoid.
        nms: whether overlapping boxes were suppressed inside the network.
        anchors: of Darknet's heads, coarsest first: each a row of widths and heights.
    """

    family: str | None = None
    color: Color | None = None
    range: str | None = None
    mean: Channels | None = None
    deviation: Channels | None = None
    layout: Layout | None = None
    placement: Literal["centred", "top-left", "stretched"] | None = None
    pad: int | None = None
    logits: bool | None = None
    nms: bool | None = None
    anchors: tuple[tuple[tuple[float, float], ...], ...] | None = None


@dataclass(frozen=True, slots=True)
class OnnxNetwork:
    """A network in an ONNX file.

    Attributes:
        name: what it is called in messages.
        options: what is known of it without the file.
        named: whether its class names were given, or are in the file; otherwise they are COCO's by assumption.
    """

    name: str
    options: OnnxOptions = OnnxOptions()
    named: bool = True


@dataclass(frozen=True, slots=True)
class Preparation:
    """What is done to a picture's pixels, uint8 BGR, before a network sees them.

    Attributes:
        color: order of the channels that the network wants.
        mean, deviation: in that order; it sees ``(pixel - mean) / deviation``.
    """

    color: Color
    mean: Channels
    deviation: Channels

    def __str__(self) -> str:
        given = (self.mean, self.deviation)
        for name, (mean, deviation) in VALUE_RANGES.items():
            if given == (mean, deviation) or (self.color == "bgr" and given == (mean[::-1], deviation[::-1])):
                return f"{self.color.upper()} {name}"
        return f"{self.color.upper()} minus {list(self.mean)} by {list(self.deviation)}"
