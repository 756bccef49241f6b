"""ONNX networks that find known boxes, in the layout of each family, if they are shown the right pixels.

Each looks at the largest and the smallest value of every channel. Where they are those of a picture in one colour,
beside the padding, in the order and the range that the family wants, it gives its boxes; otherwise none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from tests.support.onnx_layouts import RGB, Array, Known, Reads, numbered_rows, yolox_decoded


def placed(
    box: Sequence[float], image: tuple[int, int], shape: tuple[int, int], placement: str
) -> tuple[float, float, float, float]:
    """Where a box of an image of ``(height, width)`` lies in an input of ``shape``."""
    scale = min(shape[0] / image[0], shape[1] / image[1])
    height, width = shape if placement == "stretched" else (
        max(1, int(image[0] * scale + 1e-9)), max(1, int(image[1] * scale + 1e-9))
    )  # fmt: skip
    left, top = ((shape[1] - width) // 2, (shape[0] - height) // 2) if placement == "centred" else (0, 0)
    x, y = width / image[1], height / image[0]
    return box[0] * x + left, box[1] * y + top, box[2] * x + left, box[3] * y + top


def write_network(
    path: Path,
    reads: Reads,
    boxes: Sequence[Known],
    *,
    classes: int,
    shape: tuple[int, int],
    padded: bool = True,
    nhwc: bool = False,
    batch: int | str = "batch",
    metadata: Mapping[str, str] | None = None,
    element: int = TensorProto.FLOAT,
) -> Path:
    """Write a network that finds these boxes in a picture of the colour `RGB`.

    Args:
        path: where.
        reads: its family.
        boxes: in pixels of its input.
        classes: how many it knows.
        shape: ``(height, width)`` of its input.
        padded: whether the pictures to come leave room for padding.
        nhwc: whether channels are its input's last side.
        batch: pictures at a time; a text for any number.
        metadata: what its exporter writes.
        element: type of the input's numbers.
    """
    sides = [batch, *shape, 3] if nhwc else [batch, 3, *shape]
    inputs = [helper.make_tensor_value_info("images", element, sides)]
    nodes = _looks(reads, padded, nhwc)
    constants, outputs = [], []
    if reads.sizes:
        inputs.append(helper.make_tensor_value_info("orig_target_sizes", TensorProto.INT64, [batch, 2]))
    good, bad = reads.encode(boxes, classes, shape), reads.encode([], classes, shape)
    for (name, values), (_, empty) in zip(good, bad, strict=True):
        nodes += _chosen(name, values.ndim, integer=values.dtype == np.int64, scaled=reads.sizes and name == "boxes")
        if reads.encode is numbered_rows:  # its rows have no side of the batch
            nodes[-1].input[0] = f"{name}.whole"
            nodes.insert(-1, helper.make_node("Squeeze", [f"{name}.batch", "zero"], [f"{name}.whole"]))
        constants += [_constant(f"{name}.good", values[None]), _constant(f"{name}.bad", empty[None])]
        kind = TensorProto.INT64 if values.dtype == np.int64 else TensorProto.FLOAT
        batched = values.shape if reads.encode is numbered_rows else (batch, *values.shape)
        outputs.append(helper.make_tensor_value_info(name, kind, list(batched)))
    constants += _expected(reads, padded)
    graph = helper.make_graph(nodes, "known", inputs, outputs, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    written = {"description": reads.description} if reads.description else {}
    helper.set_model_props(model, {**written, **(metadata or {})})
    onnx.checker.check_model(model)
    onnx.save(model, str(path))
    return path


def _constant(name: str, values: Array) -> TensorProto:
    return numpy_helper.from_array(np.asarray(values, dtype=np.float32), name)


def _expected(reads: Reads, padded: bool) -> list[TensorProto]:
    """Largest and smallest value of each channel, in the network's order."""
    pixels = np.array([RGB] + ([[reads.pad] * 3] if padded and reads.pad is not None else []), dtype=np.float64)
    values = (pixels - reads.values[0]) / reads.values[1]
    values = values[:, ::-1] if reads.bgr else values
    tolerance = 1.5 / reads.values[1].min()
    whole = [("zero", np.array([0], dtype=np.int64))]
    return [
        _constant("largest", values.max(axis=0)),
        _constant("smallest", values.min(axis=0)),
        _constant("tolerance", np.array(tolerance)),
        _constant("one", np.array(1.0)),
        *(numpy_helper.from_array(array, name) for name, array in whole),
    ]


def _looks(reads: Reads, padded: bool, nhwc: bool) -> list[Any]:
    """Makes ``seen``, ``(batch, 1)``: 1 where the pixels are those that are expected, else 0."""
    axes = [1, 2] if nhwc else [2, 3]
    nodes = [helper.make_node("Cast", ["images"], ["numbers"], to=TensorProto.FLOAT)]
    for kind, name in (("ReduceMax", "largest"), ("ReduceMin", "smallest")):
        nodes += [
            helper.make_node(kind, ["numbers"], [f"{name}.found"], axes=axes, keepdims=0),
            helper.make_node("Sub", [f"{name}.found", name], [f"{name}.less"]),
            helper.make_node("Abs", [f"{name}.less"], [f"{name}.off"]),
            helper.make_node("Less", [f"{name}.off", "tolerance"], [f"{name}.near"]),
            helper.make_node("Cast", [f"{name}.near"], [f"{name}.right"], to=TensorProto.FLOAT),
        ]
    return [
        *nodes,
        helper.make_node("Mul", ["largest.right", "smallest.right"], ["right"]),
        helper.make_node("ReduceMin", ["right"], ["seen"], axes=[1], keepdims=1),
        helper.make_node("Sub", ["one", "seen"], ["unseen"]),
        *([helper.make_node("Exp", ["seen"], ["unused"])] if reads.encode is yolox_decoded else []),
    ]


def _chosen(name: str, rank: int, *, integer: bool, scaled: bool) -> list[Any]:
    """Makes an output of its two constants: seen * good + unseen * bad."""
    shape = helper.make_node(
        "Constant", [], [f"{name}.sides"], value=numpy_helper.from_array(np.array([-1] + [1] * rank, dtype=np.int64))
    )
    nodes = [shape]
    for which, constant in (("seen", "good"), ("unseen", "bad")):
        nodes += [
            helper.make_node("Reshape", [which, f"{name}.sides"], [f"{name}.{which}"]),
            helper.make_node("Mul", [f"{name}.{which}", f"{name}.{constant}"], [f"{name}.{constant}.part"]),
        ]
    nodes.append(helper.make_node("Add", [f"{name}.good.part", f"{name}.bad.part"], [f"{name}.batch"]))
    last = f"{name}.batch"
    if scaled:
        nodes += [
            helper.make_node("Cast", ["orig_target_sizes"], ["sizes"], to=TensorProto.FLOAT),
            helper.make_node("Concat", ["sizes", "sizes"], ["twice"], axis=1),
            helper.make_node("Constant", [], ["middle"], value=numpy_helper.from_array(np.array([1], dtype=np.int64))),
            helper.make_node("Unsqueeze", ["twice", "middle"], ["scale"]),
            helper.make_node("Mul", [last, "scale"], [f"{name}.scaled"]),
        ]
        last = f"{name}.scaled"
    kind = TensorProto.INT64 if integer else TensorProto.FLOAT
    return [*nodes, helper.make_node("Cast", [last], [name], to=kind)]


def write_growing_yolox(path: Path) -> Path:
    """A network like that of `write_miniature_yolox`, in whose graph stand sizes of what it computes on the way."""
    network = onnx.load(write_miniature_yolox(path, fixed=(64, 64)))
    sizes = {"enlarge": [1.0, 1.0, 2.0, 2.0], "shrink": [1.0, 1.0, 0.5, 0.5]}
    counts = {"copies": [1, 1, 2, 1], "room": [0, 0, 1, 1, 0, 0, 1, 1], "sides": [1, 1, 1, 1]}
    whole = [("begin", [0, 0]), ("end", [64, 64]), ("axes", [2, 3])]
    network.graph.initializer.extend(
        [
            *(_constant(name, np.array(values)) for name, values in sizes.items()),
            *(numpy_helper.from_array(np.array(v, np.int64), name) for name, v in (*counts.items(), *whole)),
        ]
    )
    for node in network.graph.node:
        node.input[:] = ["seen" if name == "images" else name for name in node.input]
    nodes = [
        helper.make_node("Resize", ["images", "", "enlarge"], ["large"], mode="nearest"),
        helper.make_node("Resize", ["large", "", "shrink"], ["small"], mode="nearest"),
        helper.make_node("Tile", ["small", "copies"], ["copied"]),
        helper.make_node("Pad", ["copied", "room"], ["padded"]),
        helper.make_node("ConstantOfShape", ["sides"], ["nothing"]),
        helper.make_node("Add", ["padded", "nothing"], ["same"]),
        helper.make_node("Slice", ["same", "begin", "end", "axes"], ["seen"]),
        *network.graph.node,
    ]
    del network.graph.node[:]
    network.graph.node.extend(nodes)
    onnx.checker.check_model(network)
    onnx.save(network, str(path))
    return path


def write_miniature_yolox(path: Path, *, fixed: tuple[int, int] | None = None, classes: int = 3) -> Path:
    """A network of YOLOX's layout with random weights that looks at the whole picture.

    Args:
        path: where to write it.
        fixed: ``(height, width)`` of the only input it takes, one picture at a time; None for any number of any size.
        classes: how many it knows.
    """
    generator = np.random.default_rng(3)
    numbers = 5 + classes
    nodes, constants = [], []
    for stride in (8, 16, 32):
        pooled, mixed, flat = f"pooled{stride}", f"mixed{stride}", f"flat{stride}"
        weights = generator.normal(0, 0.02, (numbers, 3, 1, 1))
        offsets = np.concatenate([generator.normal(0, 1, 4), np.full(1 + classes, -1.0)])
        constants += [_constant(f"w{stride}", weights), _constant(f"b{stride}", offsets)]
        sides = np.array([0, numbers, -1], dtype=np.int64)
        if fixed is not None:
            sides = np.array([1, numbers, fixed[0] // stride * (fixed[1] // stride)], dtype=np.int64)
        constants.append(numpy_helper.from_array(sides, f"sides{stride}"))
        nodes += [
            helper.make_node("AveragePool", ["images"], [pooled], kernel_shape=[stride] * 2, strides=[stride] * 2),
            helper.make_node("Conv", [pooled, f"w{stride}", f"b{stride}"], [mixed], kernel_shape=[1, 1]),
            helper.make_node("Reshape", [mixed, f"sides{stride}"], [flat]),
        ]
    constants.append(numpy_helper.from_array(np.array([4, numbers - 4], dtype=np.int64), "parts"))
    nodes += [
        helper.make_node("Concat", ["flat8", "flat16", "flat32"], ["all"], axis=2),
        helper.make_node("Split", ["all", "parts"], ["raw", "logits"], axis=1),
        helper.make_node("Tanh", ["raw"], ["boxes"]),
        helper.make_node("Sigmoid", ["logits"], ["scores"]),
        helper.make_node("Concat", ["boxes", "scores"], ["rows"], axis=1),
        helper.make_node("Transpose", ["rows"], ["output"], perm=[0, 2, 1]),
    ]
    shape: list[int | str] = ["batch", 3, "height", "width"] if fixed is None else [1, 3, *fixed]
    graph = helper.make_graph(
        nodes,
        "miniature",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, [shape[0], "cells", numbers])],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.checker.check_model(model)
    onnx.save(model, str(path))
    return path
