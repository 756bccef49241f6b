"""Networks that would take more memory than there is are refused before anything is computed."""

from __future__ import annotations

import resource
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("onnx", reason="onnx is a test dependency: run make setup")

import onnx
from onnx import TensorProto, helper, numpy_helper

from pipeline.detection.onnx.detector import OnnxDetector
from pipeline.errors import ModelError
from pipeline.models.custom import onnx_model
from pipeline.models.engines import onnx_graph
from pipeline.models.engines.onnx_graph import OnnxGraph
from pipeline.models.onnx.description import describe
from tests.support.onnx_files import write_miniature_yolox

FLOAT = TensorProto.FLOAT
HUGE = 1 << 17  # squared, three times over and four bytes each: 200 GB


def constant(name: str, values: Any) -> TensorProto:
    return numpy_helper.from_array(np.asarray(values), name)


def node(kind: str, inputs: Sequence[str], output: str, **attributes: Any) -> Any:
    return helper.make_node(kind, inputs, [output], **attributes)


def resize() -> tuple[list[Any], list[TensorProto]]:
    return [node("Resize", ["images", "", "by"], "big")], [constant("by", np.array([1, 1, 3000, 3000], np.float32))]


def tile() -> tuple[list[Any], list[TensorProto]]:
    return [node("Tile", ["images", "by"], "big")], [constant("by", [1, HUGE, 10, 100])]


def filled() -> tuple[list[Any], list[TensorProto]]:
    return [node("ConstantOfShape", ["sides"], "big")], [constant("sides", [1, 3, HUGE, HUGE])]


def pad() -> tuple[list[Any], list[TensorProto]]:
    return [node("Pad", ["images", "by"], "big")], [constant("by", [0, 0, HUGE, HUGE, 0, 0, 0, 0])]


def branch() -> tuple[list[Any], list[TensorProto]]:
    """Inside an ``If``, which the picture decides."""
    made = [node("ConstantOfShape", ["sides"], "inside"), node("ReduceMax", ["inside"], "first")]
    yes = helper.make_graph(
        made, "yes", [], [helper.make_tensor_value_info("first", FLOAT, None)], [constant("sides", [1, 3, HUGE, HUGE])]
    )
    no = helper.make_graph(
        [node("Identity", ["images"], "second")], "no", [], [helper.make_tensor_value_info("second", FLOAT, None)]
    )
    return [
        node("ReduceMax", ["images"], "brightest", keepdims=0),
        node("Cast", ["brightest"], "bright", to=TensorProto.BOOL),
        node("If", ["bright"], "big", then_branch=yes, else_branch=no),
    ], []


def repeated() -> tuple[list[Any], list[TensorProto]]:
    """Inside a ``Loop``."""
    value = helper.make_tensor_value_info
    body = helper.make_graph(
        [
            node("ConstantOfShape", ["sides"], "inside"),
            node("ReduceMax", ["inside"], "largest"),
            node("Add", ["carried", "largest"], "next"),
            node("Identity", ["going"], "on"),
        ],
        "body",
        [
            value("number", TensorProto.INT64, []),
            value("going", TensorProto.BOOL, []),
            value("carried", FLOAT, [1, 3, 96, 96]),
        ],
        [value("on", TensorProto.BOOL, []), value("next", FLOAT, [1, 3, 96, 96])],
        [constant("sides", [1, 1, HUGE, HUGE])],
    )
    return [node("Loop", ["times", "yes", "images"], "big", body=body)], [constant("times", 3), constant("yes", True)]


def write(path: Path, parts: tuple[list[Any], list[TensorProto]]) -> Path:
    """A YOLOv8 for 96 x 96 whose output depends on what is called ``big``."""
    nodes, constants = parts
    nodes = [*nodes, node("ReduceMax", ["big"], "most", keepdims=0), node("Mul", ["boxes", "most"], "output0")]
    graph = helper.make_graph(
        nodes,
        "growing",
        [helper.make_tensor_value_info("images", FLOAT, [1, 3, 96, 96])],
        [helper.make_tensor_value_info("output0", FLOAT, [1, 84, 189])],
        [*constants, constant("boxes", np.zeros((1, 84, 189), np.float32))],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), str(path))
    return path


@pytest.mark.parametrize("parts", [resize, tile, filled, pad, branch, repeated])
def test_a_small_file_with_huge_results_is_refused(
    parts: Callable[[], tuple[list[Any], list[TensorProto]]], tmp_path: Path
) -> None:
    path = write(tmp_path / "a.onnx", parts())
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(
        ModelError, match=r"a\.onnx: what it computes of a picture takes [\d,.]+ GB of memory, more than"
    ):
        OnnxDetector(onnx_model("a", path))
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    assert path.stat().st_size < 100_000
    assert grown < 1 << 30


def test_a_row_is_counted_as_far_as_it_lives_at_once(tmp_path: Path) -> None:
    """Each copy takes 100 MB, and no more than two are there at a time, however many follow."""
    steps = 12
    nodes = [node("Tile", ["images", "by"], "copy0")]
    nodes += [node("Relu", [f"copy{step}"], f"copy{step + 1}") for step in range(steps)]
    nodes.append(node("Identity", [f"copy{steps}"], "big"))
    picture = 3 * 96 * 96 * 4
    path = write(tmp_path / "a.onnx", (nodes, [constant("by", [1, 1, 30, 30])]))
    graph = OnnxGraph(describe(path))
    assert graph.outputs_at(96, 96) is not None
    assert 2 * 900 * picture <= graph.picture_bytes < 2.1 * 900 * picture


def test_pictures_at_a_time_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = onnx_model("a", write_miniature_yolox(tmp_path / "a.onnx", classes=80))
    graph = OnnxGraph(describe(tmp_path / "a.onnx"))
    assert graph.outputs_at(96, 96) is not None
    monkeypatch.setattr(onnx_graph, "MOST_BYTES", 3 * graph.picture_bytes)
    OnnxDetector(model, input_size=96, batch_size=3).close()
    with pytest.raises(ModelError, match=r"of 4 pictures at a time takes .* take fewer, or a smaller input"):
        OnnxDetector(model, input_size=96, batch_size=4)
