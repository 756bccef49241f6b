"""Darknet files written from a network's description: what the tests give to our reader and to OpenCV's alike."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from pipeline.models.networks.darknet import (
    Convolution,
    DarknetNetwork,
    Layer,
    MaxPool,
    Route,
    Shortcut,
    Upsample,
    Yolo,
)
from pipeline.models.registry import Model
from pipeline.models.weights.parameters import DARKNET_EPSILON, BatchNorm, ConvolutionParameters


def yolo_of(model: Model) -> DarknetNetwork:
    """The network of a model that is a YOLO."""
    network = model.network()
    assert isinstance(network, DarknetNetwork)
    return network


def miniature() -> DarknetNetwork:
    """A network of every kind of layer, with two heads and three classes, and small enough to be built in no time."""
    return DarknetNetwork(
        name="miniature",
        layers=(
            Convolution(8, 3),
            Convolution(8, 3, stride=2),
            Convolution(4, 1),
            Convolution(8, 3),
            Shortcut(-3),
            MaxPool(),
            Convolution(12, 3, stride=2),
            MaxPool(),
            Convolution(16, 3, stride=2),
            MaxPool(stride=1),
            Convolution(16, 1, batch_normalize=False, leaky=False),
            Yolo((2, 3)),
            Route((-3,)),
            Upsample(),
            Route((-1, 7)),
            Convolution(16, 1, batch_normalize=False, leaky=False),
            Yolo((0, 1)),
        ),
        anchors=((9, 14), (30, 22), (60, 70), (150, 110)),
        class_count=3,
    )


def narrow(network: DarknetNetwork, factor: int = 8) -> DarknetNetwork:
    """The same network with that many times fewer filters, but for the convolutions that predict."""
    layers = [
        replace(layer, filters=max(layer.filters // factor, 2))
        if isinstance(layer, Convolution) and layer.batch_normalize
        else layer
        for layer in network.layers
    ]
    return replace(network, name=f"narrow {network.name}", layers=tuple(layers))


def random_parameters(network: DarknetNetwork, seed: int = 0) -> list[ConvolutionParameters]:
    """Numbers of a sensible scale: every layer's output varies about as much as its input does."""
    generator = np.random.default_rng(seed)

    def uniform(low: float, high: float, count: int) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
        return (generator.random(count, dtype=np.float32) * np.float32(high - low) + np.float32(low)).astype(np.float32)

    parameters = []
    for planned in network.convolutions():
        layer = planned.layer
        assert isinstance(layer, Convolution)
        shape = (layer.filters, planned.in_channels, layer.size, layer.size)
        limit = (3.0 / (planned.in_channels * layer.size**2)) ** 0.5
        weights = uniform(-limit, limit, int(np.prod(shape))).reshape(shape)
        if layer.batch_normalize:
            variance = uniform(0.5, 1.5, layer.filters)
            norm = BatchNorm(
                shift=uniform(-0.2, 0.2, layer.filters),
                scale=uniform(0.5, 1.2, layer.filters),
                mean=uniform(-0.2, 0.2, layer.filters),
                deviation=np.sqrt(variance) + np.float32(DARKNET_EPSILON),
            )
            parameters.append(ConvolutionParameters(weights, batch_norm=norm))
        else:
            parameters.append(ConvolutionParameters(weights, bias=uniform(-0.5, 0.5, layer.filters)))
    return parameters


def write_weights(
    path: Path,
    parameters: Sequence[ConvolutionParameters],
    *,
    version: tuple[int, int, int] = (0, 2, 0),
    seen: int = 64,
) -> Path:
    """A ``.weights`` file."""
    with path.open("wb") as file:
        file.write(struct.pack("<3i", *version))
        file.write(struct.pack("<q" if version[0] * 10 + version[1] >= 2 else "<i", seen))
        for entry in parameters:
            if entry.batch_norm is not None:
                norm = entry.batch_norm
                variance = (norm.deviation - np.float32(DARKNET_EPSILON)) ** 2
                vectors = [norm.shift, norm.scale, norm.mean, variance]
            else:
                assert entry.bias is not None
                vectors = [entry.bias]
            for array in [*vectors, entry.weights]:
                file.write(np.ascontiguousarray(array, dtype="<f4").tobytes())
    return path


def write_configuration(path: Path, network: DarknetNetwork, *, height: int, width: int) -> Path:
    """A ``.cfg`` file of the same network for an input of that size."""
    sections = [f"[net]\nwidth={width}\nheight={height}\nchannels=3"]
    sections += [_section(network, layer) for layer in network.layers]
    path.write_text("\n\n".join(sections) + "\n", encoding="ascii")
    return path


def _section(network: DarknetNetwork, layer: Layer) -> str:
    def listed(values: Sequence[float]) -> str:
        return ",".join(f"{value:g}" for value in values)

    match layer:
        case Convolution():
            normalize = "batch_normalize=1\n" if layer.batch_normalize else ""
            return (
                f"[convolutional]\n{normalize}filters={layer.filters}\nsize={layer.size}\nstride={layer.stride}\npad=1\n"
                f"activation={'leaky' if layer.leaky else 'linear'}"
            )
        case MaxPool():
            return f"[maxpool]\nsize={layer.size}\nstride={layer.stride}"
        case Upsample():
            return f"[upsample]\nstride={layer.stride}"
        case Route():
            return f"[route]\nlayers={listed(layer.layers)}"
        case Shortcut():
            return f"[shortcut]\nfrom={layer.layer}\nactivation=linear"
        case Yolo():
            anchors = listed([side for anchor in network.anchors for side in anchor])
            return (
                f"[yolo]\nmask={listed(layer.mask)}\nanchors={anchors}\nclasses={network.class_count}\n"
                f"num={len(network.anchors)}"
            )
