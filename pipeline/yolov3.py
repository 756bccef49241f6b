"""YOLOv3 and YOLOv3-tiny described as data: layers, anchors and masks, and nothing of any framework.

A `Network` is a list of layers in the order of Darknet's configuration files; a layer refers to others by position,
counted from 0, or relative to itself when negative. `Network.plan` checks the description and resolves it: channels,
strides, which earlier outputs each layer reads, and the heads that predict boxes. Readers of weights and engines work
from the plan alone, so a description that comes from elsewhere needs no change in them.

J. Redmon and A. Farhadi, "YOLOv3: An Incremental Improvement", arXiv:1804.02767 (2018).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from pipeline.errors import ConfigError, ModelError

NETWORK_STRIDE = 32
"""Both networks halve their input five times: its sides must be multiples of this."""

INPUT_CHANNELS = 3


@dataclass(frozen=True, slots=True)
class Convolution:
    """Square, with ``size // 2`` zeros around: weights, then batch norm or bias, then leaky ReLU or not."""

    filters: int
    size: int
    stride: int = 1
    batch_normalize: bool = True
    leaky: bool = True


@dataclass(frozen=True, slots=True)
class MaxPool:
    """The largest of ``size`` x ``size`` values. Around are ``size - 1`` rows and columns of what never wins, half of
    them left and at the top, of an odd number the greater half right and at the bottom. With ``zeros`` they are zeros,
    which win over what is negative: no Darknet does so, but ports do."""

    size: int = 2
    stride: int = 2
    zeros: bool = False

    @property
    def padding(self) -> tuple[int, int]:
        """Rows (and columns) of padding before and after."""
        return (self.size - 1) // 2, self.size // 2

    @property
    def pads_as_usual(self) -> bool:
        """Whether this is what other programs call ``SAME`` padding, on inputs whose sides the stride divides."""
        return not self.zeros and (self.stride == 1 or self.size == self.stride == 2)


@dataclass(frozen=True, slots=True)
class Upsample:
    """Each value repeated ``stride`` times in both directions."""

    stride: int = 2


@dataclass(frozen=True, slots=True)
class Route:
    """The outputs of earlier layers, joined along the channels."""

    layers: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Shortcut:
    """The sum of the previous output and an earlier one of the same shape."""

    layer: int


@dataclass(frozen=True, slots=True)
class Yolo:
    """A head: the convolution before it predicts, per cell and for each anchor of ``mask``, a box and its classes."""

    mask: tuple[int, ...]


Layer = Convolution | MaxPool | Upsample | Route | Shortcut | Yolo


@dataclass(frozen=True, slots=True)
class PlannedLayer:
    """A layer whose references are resolved.

    Attributes:
        position: place in the network, from 0.
        layer: the description.
        inputs: positions of the layers whose outputs it reads; -1 is the network's input.
        in_channels, out_channels: channels summed over the inputs, and of its own output.
        stride: pixels of the network's input per cell of its output.
    """

    position: int
    layer: Layer
    inputs: tuple[int, ...]
    in_channels: int
    out_channels: int
    stride: int


@dataclass(frozen=True, slots=True)
class Head:
    """One output of the network.

    Attributes:
        position: the layer whose output it is.
        stride: pixels of the network's input per cell.
        anchors: ``(width, height)`` of each prior box, in pixels of the network's input.
    """

    position: int
    stride: int
    anchors: tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class Network:
    """A detector of the YOLOv3 family.

    Attributes:
        name: what it is called in messages.
        layers: in order.
        anchors: ``(width, height)`` of all prior boxes, in pixels of the network's input; the heads' masks index them.
        class_count: classes that each box is scored for.
    """

    name: str
    layers: tuple[Layer, ...]
    anchors: tuple[tuple[float, float], ...]
    class_count: int

    def plan(self) -> tuple[PlannedLayer, ...]:
        """The layers with their references resolved.

        Raises:
            ModelError: a layer that refers to nothing, or shapes that don't fit each other.
        """
        planned: list[PlannedLayer] = []
        for position, layer in enumerate(self.layers):
            planned.append(_plan_layer(self, planned, position, layer))
        return tuple(planned)

    def convolutions(self) -> Iterator[PlannedLayer]:
        """The layers that have weights, in the order in which files hold them."""
        return (planned for planned in self.plan() if isinstance(planned.layer, Convolution))

    def heads(self) -> tuple[Head, ...]:
        """The network's outputs, in the order of its layers: coarse cells (large objects) first."""
        return tuple(
            Head(planned.inputs[0], planned.stride, tuple(self.anchors[index] for index in planned.layer.mask))
            for planned in self.plan()
            if isinstance(planned.layer, Yolo)
        )

    def masks(self) -> tuple[tuple[int, ...], ...]:
        """The anchors of each head, by their places in ``anchors``; in the order of the layers."""
        return tuple(layer.mask for layer in self.layers if isinstance(layer, Yolo))

    def with_masks(self, masks: Sequence[Sequence[int]]) -> Network:
        """The same network with other anchors at its heads.

        Args:
            masks: for each head, in the order of the layers, as many places in ``anchors`` as it has.

        Raises:
            ConfigError: another number of heads or of anchors than the network has, or a place that is none.
        """
        given = tuple(tuple(mask) for mask in masks)
        counts = [len(mask) for mask in self.masks()]
        if [len(mask) for mask in given] != counts:
            raise ConfigError(
                f"anchors.mask: got {[list(mask) for mask in given]}; {self.name} has {len(counts)} heads with "
                f"{' and '.join(map(str, counts))} anchors, such as {[list(mask) for mask in self.masks()]}."
            )
        for index in (index for mask in given for index in mask):
            if not 0 <= index < len(self.anchors):
                raise ConfigError(f"anchors.mask: got {index}; the anchors are numbered 0 to {len(self.anchors) - 1}.")
        left = iter(given)
        layers = [Yolo(next(left)) if isinstance(layer, Yolo) else layer for layer in self.layers]
        return replace(self, layers=tuple(layers))

    def parameter_count(self) -> int:
        """How many numbers a file of weights for this network holds."""
        return sum(convolution_parameter_count(planned) for planned in self.convolutions())


def convolution_parameter_count(planned: PlannedLayer) -> int:
    """Weights, biases and batch-norm statistics of one convolution."""
    layer = planned.layer
    assert isinstance(layer, Convolution)
    return layer.filters * (planned.in_channels * layer.size**2 + (4 if layer.batch_normalize else 1))


def _plan_layer(network: Network, earlier: list[PlannedLayer], position: int, layer: Layer) -> PlannedLayer:
    where = f"{network.name}: layer {position} ({type(layer).__name__})"

    def resolve(reference: int) -> int:
        target = position + reference if reference < 0 else reference
        if not 0 <= target < position:
            raise ModelError(f"{where}: refers to layer {target}; expected one from 0 to {position - 1}.")
        return target

    match layer:
        case Route(layers=references):
            inputs = tuple(resolve(reference) for reference in references)
        case Shortcut(layer=reference):
            inputs = (resolve(-1), resolve(reference))
        case _:
            inputs = (position - 1,)
    channels = [earlier[index].out_channels if index >= 0 else INPUT_CHANNELS for index in inputs]
    strides = {earlier[index].stride if index >= 0 else 1 for index in inputs}
    if len(strides) != 1:
        raise ModelError(f"{where}: joins outputs of different scale, 1/{' and 1/'.join(map(str, sorted(strides)))}.")
    in_channels, out_channels, stride = sum(channels), sum(channels), strides.pop()
    match layer:
        case Convolution():
            out_channels, stride = layer.filters, stride * layer.stride
        case MaxPool():
            stride *= layer.stride
        case Upsample():
            if stride % layer.stride:
                raise ModelError(f"{where}: enlarges {layer.stride} times what was only shrunk {stride} times.")
            stride //= layer.stride
        case Shortcut():
            if channels[0] != channels[1]:
                raise ModelError(f"{where}: adds {channels[0]} channels to {channels[1]}.")
            in_channels = out_channels = channels[0]
        case Yolo():
            expected = len(layer.mask) * (5 + network.class_count)
            if in_channels != expected:
                raise ModelError(
                    f"{where}: reads {in_channels} channels; {len(layer.mask)} anchors with {network.class_count} "
                    f"classes need {expected}."
                )
            if not all(0 <= index < len(network.anchors) for index in layer.mask):
                raise ModelError(f"{where}: mask {layer.mask} does not fit {len(network.anchors)} anchors.")
    return PlannedLayer(position, layer, inputs, in_channels, out_channels, stride)


def _predictor(anchors: int, class_count: int) -> Convolution:
    return Convolution(anchors * (5 + class_count), 1, batch_normalize=False, leaky=False)


def yolov3_tiny(
    class_count: int = 80, *, masks: tuple[tuple[int, ...], tuple[int, ...]] = ((3, 4, 5), (1, 2, 3))
) -> Network:
    """YOLOv3-tiny: 24 layers, heads at 1/32 and 1/16.

    Args:
        class_count: classes each box is scored for.
        masks: anchors of the two heads. The official weights were trained with 1,2,3 on the finer one, although the
            configuration file in circulation says 0,1,2; decoding with the latter makes every small box half as large
            as it should be and costs 40% of the AP50.
    """
    coarse, fine = masks
    backbone: list[Layer] = []
    for filters in (16, 32, 64, 128, 256):
        backbone += [Convolution(filters, 3), MaxPool()]
    return Network(
        name="yolov3-tiny",
        layers=(
            *backbone,
            Convolution(512, 3),
            MaxPool(stride=1),
            Convolution(1024, 3),
            Convolution(256, 1),
            Convolution(512, 3),
            _predictor(len(coarse), class_count),
            Yolo(coarse),
            Route((-4,)),
            Convolution(128, 1),
            Upsample(),
            Route((-1, 8)),
            Convolution(256, 3),
            _predictor(len(fine), class_count),
            Yolo(fine),
        ),
        anchors=((10, 14), (23, 27), (37, 58), (81, 82), (135, 169), (344, 319)),
        class_count=class_count,
    )


def imageai_3_tiny_yolov3(class_count: int = 80) -> Network:
    """YOLOv3-tiny as ImageAI 3 computes and trains it: with anchors 0,1,2 on the finer head, and zeros around the pool
    of stride 1."""
    network = yolov3_tiny(class_count, masks=((3, 4, 5), (0, 1, 2)))
    layers = [MaxPool(stride=1, zeros=True) if layer == MaxPool(stride=1) else layer for layer in network.layers]
    return replace(network, name="imageai-3-tiny-yolov3", layers=tuple(layers))


def imageai_3_yolov3(class_count: int = 80) -> Network:
    """YOLOv3 as ImageAI 3 computes and trains it: the third block behind the third halving reads the sum of the second
    block's output and that of its last convolution, where Darknet's reads the output alone."""
    network = yolov3(class_count)
    second = 18  # the sum that ends the second block

    def moved(layer: Layer) -> Layer:
        if isinstance(layer, Route):  # layers counted from the beginning have moved
            return Route(tuple(index + 1 if index > second else index for index in layer.layers))
        return layer

    third = (Shortcut(-2), *network.layers[second + 1 : second + 3], Shortcut(-4))
    layers = (*network.layers[: second + 1], *third, *map(moved, network.layers[second + 4 :]))
    return replace(network, name="imageai-3-yolov3", layers=layers)


def yolov3_spp(class_count: int = 80) -> Network:
    """YOLOv3-SPP: YOLOv3 with pools of 5, 9 and 13 cells beside each other in front of the first head; 114 layers.

    The pools as in K. He et al., "Spatial Pyramid Pooling in Deep Convolutional Networks for Visual Recognition",
    arXiv:1406.4729 (2014).
    """
    network = yolov3(class_count)
    first = 78  # what the layers up to the third convolution of the first head are before
    pools: list[Layer] = []
    for number, size in enumerate((5, 9, 13)):
        pools += [*((Route((-2 * number,)),) if number else ()), MaxPool(size, stride=1)]
    pools += [Route((-1, -3, -5, -6)), Convolution(512, 1)]
    return replace(network, name="yolov3-spp", layers=(*network.layers[:first], *pools, *network.layers[first:]))


def yolov3(class_count: int = 80) -> Network:
    """YOLOv3: Darknet-53 and three heads, at 1/32, 1/16 and 1/8; 107 layers."""
    masks = ((6, 7, 8), (3, 4, 5), (0, 1, 2))
    layers: list[Layer] = [Convolution(32, 3)]
    for filters, blocks in ((64, 1), (128, 2), (256, 8), (512, 8), (1024, 4)):
        layers.append(Convolution(filters, 3, stride=2))
        for _ in range(blocks):
            layers += [Convolution(filters // 2, 1), Convolution(filters, 3), Shortcut(-3)]
    for mask, filters, backbone in zip(masks, (512, 256, 128), (None, 61, 36), strict=True):
        if backbone is not None:
            layers += [Route((-4,)), Convolution(filters, 1), Upsample(), Route((-1, backbone))]
        for _ in range(3):
            layers += [Convolution(filters, 1), Convolution(filters * 2, 3)]
        layers += [_predictor(len(mask), class_count), Yolo(mask)]
    return Network(
        name="yolov3",
        layers=tuple(layers),
        anchors=(
            *((10, 13), (16, 30), (33, 23)),
            *((30, 61), (62, 45), (59, 119)),
            *((116, 90), (156, 198), (373, 326)),
        ),
        class_count=class_count,
    )
