"""A tiny re-identification network: its vector is the mean colour of the picture, as the network sees it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import onnx
from onnx import TensorProto, helper


def write_embedding(
    path: Path,
    *,
    shape: tuple[int, int] | None = (32, 16),
    batch: int | str = "batch",
    flat: bool = True,
    twice: bool = False,
    metadata: Mapping[str, str] | None = None,
) -> Path:
    """Write one.

    Args:
        path: where.
        shape: ``(height, width)`` of its input; None leaves it open.
        batch: pictures at a time; a text for any number.
        flat: whether the output is ``(N, 3)`` rather than ``(N, 3, 1, 1)``.
        twice: whether there is a second output.
        metadata: what its exporter writes.
    """
    sides = ["height", "width"] if shape is None else list(shape)
    outputs = [helper.make_tensor_value_info("vector", TensorProto.FLOAT, [batch, 3] if flat else [batch, 3, 1, 1])]
    nodes = [helper.make_node("ReduceMean", ["images"], ["vector"], axes=[2, 3], keepdims=int(not flat))]
    if twice:
        nodes.append(helper.make_node("Neg", ["vector"], ["other"]))
        outputs.append(helper.make_tensor_value_info("other", TensorProto.FLOAT, [batch, 3]))
    inputs = [helper.make_tensor_value_info("images", TensorProto.FLOAT, [batch, 3, *sides])]
    graph = helper.make_graph(nodes, "colour", inputs, outputs)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    helper.set_model_props(model, dict(metadata or {}))
    onnx.checker.check_model(model)
    onnx.save(model, str(path))
    return path
