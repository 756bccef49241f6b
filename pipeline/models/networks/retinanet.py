"""RetinaNet on a ResNet-50 with a feature pyramid as data: layers, anchors and classes, and nothing of any framework.

The layers have the names and shapes of torchvision's ``retinanet_resnet50_fpn``, whose published weights ImageAI uses
too. ResNet-50 is the variant that halves the picture in a block's 3x3 convolution, not in its first; P6 is made from
P5, not from C5.

T.-Y. Lin et al., "Focal Loss for Dense Object Detection", arXiv:1708.02002 (2017); the pyramid: arXiv:1612.03144; the
backbone: K. He et al., arXiv:1512.03385.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from pipeline.types import Float32Array

NETWORK_STRIDE = 32
"""The backbone halves its input five times; what it is given is padded to multiples of this."""

PIXEL_MEAN_RGB = (0.485, 0.456, 0.406)
PIXEL_DEVIATION_RGB = (0.229, 0.224, 0.225)
"""What the backbone expects to be taken off and divided by, for pixels in [0, 1]."""

PYRAMID_CHANNELS = 256
PYRAMID_LEVELS = ("p3", "p4", "p5", "p6", "p7")
TOWER_LAYERS = 4
ANCHOR_SIZES = tuple(tuple(int(base * 2 ** (step / 3)) for step in range(3)) for base in (32, 64, 128, 256, 512))
"""Square roots of the anchors' areas on each level, in pixels of the network's input; fractions are cut off."""

ANCHOR_RATIOS = (0.5, 1.0, 2.0)
"""Height over width."""

ANCHORS_PER_CELL = len(ANCHOR_RATIOS) * len(ANCHOR_SIZES[0])

# COCO numbers its 80 classes from 1 to 90 and leaves these out; 0 is the background.
_COCO_SLOTS = 91
_UNUSED_COCO_SLOTS = (0, 12, 26, 29, 30, 45, 66, 68, 69, 71, 83)

_STEM_CHANNELS = 64
_EXPANSION = 4  # a block's last convolution has this many times the channels of its others


@dataclass(frozen=True, slots=True)
class Layer:
    """A square convolution with ``size // 2`` zeros around.

    Attributes:
        name: its own, as in torchvision's state dict.
        in_channels, out_channels: of its weights.
        size: side of the window.
        stride: cells of the input per cell of the output.
        norm: name of the batch norm that follows; None where it has a bias instead.
    """

    name: str
    in_channels: int
    out_channels: int
    size: int
    stride: int = 1
    norm: str | None = None

    def tensor_shapes(self) -> dict[str, tuple[int, ...]]:
        """Names and shapes of its tensors in a state dict."""
        weights = (self.out_channels, self.in_channels, self.size, self.size)
        vectors = [f"{self.name}.bias"]
        if self.norm is not None:
            vectors = [f"{self.norm}.{part}" for part in ("weight", "bias", "running_mean", "running_var")]
        return {f"{self.name}.weight": weights, **dict.fromkeys(vectors, (self.out_channels,))}


@dataclass(frozen=True, slots=True)
class Block:
    """Three convolutions, the input added to what they make, or ``shortcut`` of it where the shape changes."""

    name: str
    layers: tuple[Layer, Layer, Layer]
    shortcut: Layer | None


@dataclass(frozen=True, slots=True)
class RetinaNet:
    """A detector of this architecture.

    Attributes:
        name: what it is called in messages.
        slots: for each class that the network scores, its name; None for one that means nothing. COCO's weights have a
            slot for the background, which is never trained, and one for each category number that COCO never used.
        blocks: how many each of the backbone's four stages has; these make a ResNet-50.
        batch_norm_epsilon: added to the variances. The published weights want 0: they were trained with a torchvision
            that forgot it, and torchvision itself sets it to 0 when it loads them. What is trained since wants 1e-5.
    """

    name: str
    slots: tuple[str | None, ...]
    blocks: tuple[int, int, int, int] = (3, 4, 6, 3)
    batch_norm_epsilon: float = 0.0

    @property
    def class_count(self) -> int:
        """Classes that mean something."""
        return len(self.used_slots())

    def class_names(self) -> tuple[str, ...]:
        """Names of the slots that mean something, in their order."""
        return tuple(name for name in self.slots if name is not None)

    def used_slots(self) -> tuple[int, ...]:
        """Places of `class_names` among the slots."""
        return tuple(index for index, name in enumerate(self.slots) if name is not None)

    def stem(self) -> Layer:
        """The first convolution, which a 3x3 max pool of stride 2 follows."""
        return Layer("backbone.body.conv1", 3, _STEM_CHANNELS, 7, 2, "backbone.body.bn1")

    def stages(self) -> tuple[tuple[Block, ...], ...]:
        """The backbone's blocks; the outputs of the last three stages are C3, C4 and C5."""
        stages = []
        channels = _STEM_CHANNELS
        for stage, count in enumerate(self.blocks):
            blocks = []
            for index in range(count):
                stride = 2 if stage > 0 and index == 0 else 1
                blocks.append(_block(f"backbone.body.layer{stage + 1}.{index}", channels, 64 << stage, stride))
                channels = (64 << stage) * _EXPANSION
            stages.append(tuple(blocks))
        return tuple(stages)

    def lateral(self, level: int) -> Layer:
        """From C3, C4 or C5 (``level`` 0, 1, 2) into the pyramid."""
        channels = (128 << level) * _EXPANSION
        return Layer(f"backbone.fpn.inner_blocks.{level}", channels, PYRAMID_CHANNELS, 1)

    def smoothing(self, level: int) -> Layer:
        """Makes P3, P4 or P5 (``level`` 0, 1, 2)."""
        return Layer(f"backbone.fpn.layer_blocks.{level}", PYRAMID_CHANNELS, PYRAMID_CHANNELS, 3)

    def extra(self, level: str) -> Layer:
        """Makes ``p6`` from P5, ``p7`` from P6."""
        return Layer(f"backbone.fpn.extra_blocks.{level}", PYRAMID_CHANNELS, PYRAMID_CHANNELS, 3, 2)

    def tower(self, kind: str) -> tuple[Layer, ...]:
        """The four convolutions of the ``classification`` or ``regression`` head; the levels share them."""
        # torchvision counts the activations in between as well.
        names = (f"head.{kind}_head.conv.{2 * index}" for index in range(TOWER_LAYERS))
        return tuple(Layer(name, PYRAMID_CHANNELS, PYRAMID_CHANNELS, 3) for name in names)

    def scores(self) -> Layer:
        """The last convolution of the classification head: anchor by anchor, a logit for every slot."""
        count = ANCHORS_PER_CELL * len(self.slots)
        return Layer("head.classification_head.cls_logits", PYRAMID_CHANNELS, count, 3)

    def offsets(self) -> Layer:
        """The last convolution of the regression head: anchor by anchor, dx, dy, dw and dh."""
        return Layer("head.regression_head.bbox_reg", PYRAMID_CHANNELS, ANCHORS_PER_CELL * 4, 3)

    def layers(self) -> Iterator[Layer]:
        """All convolutions, each once."""
        yield self.stem()
        for stage in self.stages():
            for block in stage:
                yield from block.layers
                if block.shortcut is not None:
                    yield block.shortcut
        for level in range(3):
            yield self.lateral(level)
            yield self.smoothing(level)
        for extra in PYRAMID_LEVELS[3:]:
            yield self.extra(extra)
        yield from (*self.tower("classification"), self.scores(), *self.tower("regression"), self.offsets())

    def tensor_shapes(self) -> dict[str, tuple[int, ...]]:
        """Names and shapes of the tensors that its state dict holds."""
        return {name: shape for layer in self.layers() for name, shape in layer.tensor_shapes().items()}


def coco_slots(class_names: Sequence[str]) -> tuple[str | None, ...]:
    """The slots of weights trained on COCO: names of its 80 classes, in their order, each at its category number."""
    names = iter(class_names)
    slots = tuple(None if slot in _UNUSED_COCO_SLOTS else next(names) for slot in range(_COCO_SLOTS))
    if (surplus := next(names, None)) is not None:
        raise ValueError(f"expected 80 class names, got more: {surplus!r}")
    return slots


def _block(name: str, in_channels: int, channels: int, stride: int) -> Block:
    out_channels = channels * _EXPANSION
    layers = (
        Layer(f"{name}.conv1", in_channels, channels, 1, 1, f"{name}.bn1"),
        Layer(f"{name}.conv2", channels, channels, 3, stride, f"{name}.bn2"),
        Layer(f"{name}.conv3", channels, out_channels, 1, 1, f"{name}.bn3"),
    )
    if stride == 1 and in_channels == out_channels:
        return Block(name, layers, None)
    return Block(
        name,
        layers,
        Layer(f"{name}.downsample.0", in_channels, out_channels, 1, stride, f"{name}.downsample.1"),
    )


class LevelOutput(NamedTuple):
    """What the network says of one level of the pyramid.

    Attributes:
        logits: float32 ``(batch, rows, columns, 9, classes)``: for each anchor, before the sigmoid, the classes that
            mean something.
        offsets: float32 ``(batch, rows, columns, 9, 4)``: dx, dy, dw, dh.
    """

    logits: Float32Array
    offsets: Float32Array


PIXEL_MEAN_BGR: Float32Array = np.array(PIXEL_MEAN_RGB[::-1], dtype=np.float32) * np.float32(255)
"""float32 ``(3,)``, for pixels in [0, 255]: what becomes 0 when the network takes the mean off, so what pads."""
