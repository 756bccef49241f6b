"""What ONNX files say of themselves, and what of it is refused."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("onnx", reason="onnx is a test dependency: run make setup")

import onnx
from onnx import TensorProto, helper, numpy_helper

from pipeline.errors import ConfigError, ModelError
from pipeline.models.onnx.description import describe
from pipeline.models.onnx.metadata import refuse_other_tasks, written_names, written_size
from pipeline.models.onnx.wire import WireError, fields
from tests.support.onnx_files import write_miniature_yolox, write_network
from tests.support.onnx_layouts import FAMILIES, Known


def model(nodes: list[Any], constants: list[Any] | None = None, **options: Any) -> Any:
    """A network that makes ``y`` of ``x``."""
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3, 8, 8])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 3, 8, 8])
    return helper.make_model(helper.make_graph(nodes, "g", [x], [y], constants or []), ir_version=8, **options)


def saved(path: Path, network: Any) -> Path:
    path.write_bytes(network.SerializeToString())
    return path


@pytest.mark.parametrize("family", ["yolov8", "rt-detr", "darknet"])
def test_it_is_what_the_reference_reads(family: str, tmp_path: Path) -> None:
    metadata = {"names": "{0: 'a', 1: 'b'}", "stride": "32"}
    known = [Known((4, 4, 60, 60), 0.9, 1)]
    path = write_network(
        tmp_path / "a.onnx", FAMILIES[family], known, classes=2, shape=(64, 96), metadata=metadata, batch=1
    )
    found, reference = describe(path), onnx.load(path)
    assert found.metadata == {entry.key: entry.value for entry in reference.metadata_props} == metadata
    assert found.operators == Counter(node.op_type for node in reference.graph.node)
    for ours, theirs in ((found.inputs, reference.graph.input), (found.outputs, reference.graph.output)):
        assert [value.name for value in ours] == [value.name for value in theirs]
        sides = [tuple(side.dim_value for side in value.type.tensor_type.shape.dim) for value in theirs]
        assert [value.shape for value in ours] == sides
    assert found.inputs[0].element == "float32"
    assert not found.external


def test_open_sides_and_weights_among_the_inputs(tmp_path: Path) -> None:
    path = write_miniature_yolox(tmp_path / "a.onnx")
    network = onnx.load(path)
    network.graph.input.append(helper.make_tensor_value_info("w8", TensorProto.FLOAT, [8, 3, 1, 1]))
    (value,) = describe(saved(path, network)).inputs
    assert value.shape == (None, 3, None, None)
    assert str(value) == "images float32 (?, 3, ?, ?)"


def test_operators_that_are_not_onnx_s_own_are_named(tmp_path: Path) -> None:
    node = helper.make_node("EfficientNMS_TRT", ["x"], ["y"], domain="TRT")
    with pytest.raises(ModelError, match=r"not ONNX's own: TRT\.EfficientNMS_TRT; export the network without"):
        describe(saved(tmp_path / "a.onnx", model([node])))


def nested(depth: int) -> Any:
    """An operation that has a graph, which has one, and so on."""
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["z"])], "inner", [], [])
    for _ in range(depth):
        graph = helper.make_graph([helper.make_node("If", ["x"], ["z"], then_branch=graph)], "inner", [], [])
    return model([helper.make_node("If", ["x"], ["y"], then_branch=graph)])


def test_graphs_in_graphs_are_limited(tmp_path: Path) -> None:
    assert describe(saved(tmp_path / "a.onnx", nested(3))).operators["If"] == 4
    with pytest.raises(ModelError, match="graphs in graphs"):
        describe(saved(tmp_path / "a.onnx", nested(12)))


@pytest.mark.parametrize(
    ("dims", "data", "says"),
    [
        ([4], b"\0" * 12, "12 bytes, not 16"),
        ([1 << 40, 1 << 40], b"\0" * 4, "more than"),
        ([-1], b"", "more than"),
        ([1] * 40, b"\0" * 4, "dimensions"),
    ],
)
def test_tensors_have_the_numbers_that_they_promise(dims: list[int], data: bytes, says: str, tmp_path: Path) -> None:
    tensor = TensorProto(dims=dims, data_type=TensorProto.FLOAT, raw_data=data, name="w")
    network = model([helper.make_node("Add", ["x", "w"], ["y"])], [tensor])
    with pytest.raises(ModelError, match=says):
        describe(saved(tmp_path / "a.onnx", network))


def with_external(location: str, **places: str) -> Any:
    tensor = TensorProto(dims=[1], data_type=TensorProto.FLOAT, name="w", data_location=TensorProto.EXTERNAL)
    for key, value in {"location": location, **places}.items():
        tensor.external_data.add(key=key, value=value)
    return model([helper.make_node("Add", ["x", "w"], ["y"])], [tensor])


def test_numbers_beside_the_file(tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "w.bin").write_bytes(b"\0" * 12)
    network = with_external("below/w.bin", offset="8", length="4")
    assert describe(saved(tmp_path / "a.onnx", network)).external == (tmp_path / "below" / "w.bin",)
    for wrong in ({"offset": "12"}, {"length": "8"}, {"offset": "-4"}, {"offset": "9" * 40}):
        with pytest.raises(ModelError, match="takes other bytes"):
            describe(saved(tmp_path / "a.onnx", with_external("below/w.bin", **wrong)))


@pytest.mark.parametrize(
    "location", ["../w.bin", "/etc/passwd", "a/../../w.bin", "..\\w.bin", "C:w.bin", "", "link", "."]
)
def test_numbers_anywhere_else_are_refused(location: str, tmp_path: Path) -> None:
    inside = tmp_path / "models"
    inside.mkdir()
    (tmp_path / "w.bin").write_bytes(b"\0" * 4)
    (inside / "link").symlink_to(tmp_path / "w.bin")
    with pytest.raises(ModelError, match="refused"):
        describe(saved(inside / "a.onnx", with_external(location)))


def test_numbers_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="put that file beside it"):
        describe(saved(tmp_path / "a.onnx", with_external("w.bin")))
    (tmp_path / "w.bin").symlink_to(tmp_path / "w.bin")
    with pytest.raises(ModelError, match="put that file beside it"):
        describe(saved(tmp_path / "a.onnx", with_external("w.bin")))


def test_what_is_no_onnx_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is no file"):
        describe(tmp_path / "none.onnx")
    path = tmp_path / "a.onnx"
    for content in (b"<html>not found</html>", b"\x08\x07", b"\x3a\x00", b"PK\x03\x04" + bytes(50)):
        path.write_bytes(content)
        with pytest.raises(ModelError, match="no ONNX file, or a damaged one"):
            describe(path)
    path.write_bytes(b"")
    with pytest.raises(ModelError, match="has 0 bytes"):
        describe(path)


def test_a_file_that_is_cut_short(tmp_path: Path) -> None:
    whole = write_miniature_yolox(tmp_path / "a.onnx").read_bytes()
    for length in range(1, len(whole) - 20, 37):
        with pytest.raises(ModelError, match="damaged"):
            describe(_written(tmp_path / "b.onnx", whole[:length]))


def _written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


@given(st.binary(max_size=200))
def test_any_bytes_are_fields_or_an_error(content: bytes) -> None:
    try:
        for number, value in fields(memoryview(content)):
            assert number > 0
            assert isinstance(value, int | memoryview)
    except WireError:
        pass


def test_fields_are_those_of_the_reference(tmp_path: Path) -> None:
    tensor = numpy_helper.from_array(np.arange(6, dtype=np.int64).reshape(2, 3), "w")
    by_number = dict(fields(memoryview(tensor.SerializeToString())))
    assert by_number[2] == TensorProto.INT64
    assert bytes(by_number[9]) == tensor.raw_data
    assert bytes(by_number[8]) == b"w"


@pytest.mark.parametrize("text", ["{0: 'a', 1: 'b'}", "['a', 'b']", '{0: "a", 1: "b"}'])
def test_class_names_in_a_file(text: str) -> None:
    assert written_names(Path("a"), {"names": text}) == ("a", "b")
    assert written_names(Path("a"), {}) is None


@pytest.mark.parametrize(
    "text", ["{0: 'a', 2: 'b'}", "[]", "a, b", "['a', 'a']", "[1, 2]", "(" * 5000, "['']", "__import__"]
)
def test_class_names_that_can_not_be(text: str) -> None:
    with pytest.raises(ModelError, match=r"give them as models\.NAME\.names"):
        written_names(Path("a.onnx"), {"names": text})


def test_size_and_task_in_a_file() -> None:
    assert written_size({"imgsz": "[480, 640]"}) == (480, 640)
    for text in ("640", "[1, 2]", "[640, 640, 3]", "[True, 640]", "x"):
        assert written_size({"imgsz": text}) is None
    refuse_other_tasks(Path("a"), {"task": "detect"})
    with pytest.raises(ModelError, match="task 'segment'"):
        refuse_other_tasks(Path("a"), {"task": "segment"})
