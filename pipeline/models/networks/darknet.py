"""YOLOv3 and YOLOv3-tiny described as data: layers, anchors and masks, and nothing of any framework.

A `DarknetNetwork` is a list of layers in the order of Darknet's configuration files; a layer refers to others by
position, counted from 0, or relative to itself when negative. `DarknetNetwork.plan` checks the description and resolves
it: channels, strides, which earlier outputs each layer reads, and the heads that predict boxes. Readers of weights and
engines work from the plan alone, so a description that comes from elsewhere needs no change in them.

J. Redmon and A. Farhadi, "YOLOv3: An Incremental Improvement", arXiv:1804.02767 (2018).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from pipeline.errors import ConfigError, ModelError

NETWORK_STRIDE = 32
"""YOLO's networks halve their input five times: its sides must be multiples of this."""

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
class DarknetNetwork:
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

    def with_masks(self, masks: Sequence[Sequence[int]]) -> DarknetNetwork:
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


def _plan_layer(network: DarknetNetwork, earlier: list[PlannedLayer], position: int, layer: Layer) -> PlannedLayer:
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
