"""Writes weights as Keras 2's ``save_weights`` does, for ImageAI 2's TinyYOLOv3 and YOLOv3.

Keras gives the layers of a file to those of a network one by one, in the order of its own list of layers: by their
distance from the outputs, farthest first, and among equals those of the output that comes first. So the file lists them
in that order, whatever their numbers say.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from pipeline.models.networks.darknet import Convolution, DarknetNetwork, PlannedLayer, Route, Yolo
from pipeline.models.weights.parameters import KERAS_EPSILON, ConvolutionParameters

_KERAS_VERSION = "2.4.0"


def write_keras_weights(path: Path, parameters: Sequence[ConvolutionParameters], network: DarknetNetwork) -> None:
    """Write an ``.h5`` file.

    A batch norm that came from a framework with another epsilon is written so that Keras computes the same with it:
    see `BatchNorm.with_variance`.

    Args:
        path: what is there is replaced.
        parameters: one entry per convolution of ``network``, in its order.

    Raises:
        OSError: it can't be written.
    """
    import h5py

    layers = dict(_layers(parameters, network))
    with h5py.File(path, "w", locking=False) as file:
        file.attrs["layer_names"] = [name.encode() for name in layers]
        file.attrs["backend"] = b"tensorflow"
        file.attrs["keras_version"] = _KERAS_VERSION.encode()
        for name, arrays in layers.items():
            group = file.create_group(name)
            group.attrs["weight_names"] = [f"{name}/{array}:0".encode() for array in arrays]
            for array, values in arrays.items():
                group.create_dataset(f"{name}/{array}:0", data=values)


def _layers(
    parameters: Sequence[ConvolutionParameters], network: DarknetNetwork
) -> Iterator[tuple[str, Mapping[str, NDArray[Any]]]]:
    """The layers by name with their arrays, in the file's order."""
    plan = network.plan()
    heads = [head.position for head in network.heads()]
    entries = dict(zip((planned.position for planned in network.convolutions()), parameters, strict=True))
    kernels: dict[int, str] = {}
    norms: dict[int, str] = {}
    for position, entry in entries.items():
        if len(heads) == 3 and position in heads:  # as ImageAI names them
            kernels[position] = f"last{heads.index(position) + 1}"
        else:
            kernels[position] = _numbered("conv2d", sum(name.startswith("conv2d") for name in kernels.values()))
        if entry.batch_norm is not None:
            norms[position] = _numbered("batch_normalization", len(norms))
    for part, position in keras_order(plan):
        if position not in entries:
            continue
        entry = entries[position]
        if part == "convolution":
            kernel = {"kernel": entry.weights.transpose(2, 3, 1, 0)}
            yield kernels[position], kernel if entry.bias is None else {**kernel, "bias": entry.bias}
        elif part == "norm" and entry.batch_norm is not None:
            norm = entry.batch_norm
            scale, variance = norm.with_variance(epsilon=KERAS_EPSILON)
            arrays = {"gamma": scale, "beta": norm.shift, "moving_mean": norm.mean, "moving_variance": variance}
            yield norms[position], arrays


def keras_order(plan: Sequence[PlannedLayer]) -> list[tuple[str, int]]:
    """Keras' layers as ``(part, position in the plan)``, in the order in which Keras lists them."""
    parts: list[tuple[str, int]] = []
    sources: list[tuple[int, ...]] = []
    last: dict[int, tuple[int, ...]] = {-1: ()}  # of each layer of the plan, the part that gives its output
    for planned in plan:
        given = tuple(index for position in planned.inputs for index in last[position])
        for part in _parts(planned):
            parts.append((part, planned.position))
            sources.append(given)
            given = (len(parts) - 1,)
        last[planned.position] = given
    distance = [0] * len(parts)
    for index in range(len(parts) - 1, -1, -1):
        for source in sources[index]:
            distance[source] = max(distance[source], distance[index] + 1)
    visited: dict[int, int] = {}
    waiting = [index for planned in plan if isinstance(planned.layer, Yolo) for index in last[planned.position]][::-1]
    while waiting:
        index = waiting.pop()
        if index not in visited:
            visited[index] = len(visited)
            waiting.extend(reversed(sources[index]))
    return [
        parts[index] for index in sorted(range(len(parts)), key=lambda i: (-distance[i], visited.get(i, len(parts))))
    ]


def _parts(planned: PlannedLayer) -> tuple[str, ...]:
    """What a layer of the plan is in Keras."""
    match planned.layer:
        case Convolution() as layer:
            before = ("padding",) if layer.stride > 1 else ()
            norm = ("norm",) if layer.batch_normalize else ()
            return (*before, "convolution", *norm, *(("activation",) if layer.leaky else ()))
        case Route() if len(planned.inputs) == 1:
            return ()
        case Yolo():
            return ()
    return ("other",)


def _numbered(name: str, number: int) -> str:
    return f"{name}_{number}" if number else name
