"""Networks with random weights as Ultralytics exports them: what it makes of their outputs comes out here, too.

`tests/oracles/ultralytics_exports.py` recorded the outputs and the boxes. The networks here are made anew around those
outputs, with what the exporter wrote into its files.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("onnx", reason="onnx is a test dependency: run make setup")

import onnx
from onnx import TensorProto, helper, numpy_helper

from pipeline.detection.onnx.detector import OnnxDetector
from pipeline.models.custom import onnx_model

RECORDED = np.load(Path(__file__).parents[3] / "oracles" / "ultralytics_exports.npz")
FAMILIES = {
    "yolov5n": "yolov8",  # Ultralytics' own YOLOv5 has the layout of YOLOv8
    "yolov8n": "yolov8",
    "yolo11n": "yolov8",
    "yolo12n": "yolov8",
    "yolov10n": "end-to-end",
    "yolo26n": "end-to-end",
    "rtdetr-l": "rt-detr-finished",
}


def write(path: Path, kind: str) -> Path:
    """A network that gives the recorded output for any picture."""
    output, told = RECORDED[f"{kind}.output"], json.loads(str(RECORDED[f"{kind}.told"]))
    shape = RECORDED[f"{kind}.placed"].shape[:2]
    nodes = [
        helper.make_node("ReduceMax", ["images"], ["largest"], keepdims=0),
        helper.make_node("Mul", ["largest", "nothing"], ["zero"]),
        helper.make_node("Add", ["recorded", "zero"], told["outputs"]),
    ]
    constants = [
        numpy_helper.from_array(output, "recorded"),
        numpy_helper.from_array(np.zeros((), np.float32), "nothing"),
    ]
    graph = helper.make_graph(
        nodes,
        kind,
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, *shape])],
        [helper.make_tensor_value_info(told["outputs"][0], TensorProto.FLOAT, output.shape)],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    helper.set_model_props(model, told["metadata"])
    onnx.save(model, str(path))
    return path


@pytest.mark.parametrize("kind", FAMILIES)
def test_boxes_are_those_of_its_own_post_processing(kind: str, tmp_path: Path) -> None:
    detector = OnnxDetector(
        onnx_model(kind, write(tmp_path / "a.onnx", kind)), confidence=0.3, iou=0.45, max_detections=300
    )
    assert detector._recognised.name == FAMILIES[kind]
    assert len(detector.class_names) == 80
    image, expected = RECORDED["image"], RECORDED[f"{kind}.found"]
    height, width = image.shape[:2]
    expected[:, :4] = np.clip(expected[:, :4], 0, [width, height, width, height])
    expected = expected[(expected[:, 2:4] > expected[:, :2]).all(axis=1)]
    assert len(expected) > 3
    (found,) = detector.detect([image])
    ours = np.column_stack([found.xyxy, found.score, found.class_id])
    # Scores that are next to 1 are so close that their order says nothing.
    ours, theirs = (rows[np.lexsort([rows[:, 4].round(4), rows[:, 5]])] for rows in (ours, expected))
    np.testing.assert_array_equal(ours[:, 5], theirs[:, 5])
    np.testing.assert_allclose(ours[:, 4], theirs[:, 4], atol=1e-4)
    np.testing.assert_allclose(ours[:, :4], theirs[:, :4], atol=0.5)


@pytest.mark.parametrize("kind", FAMILIES)
def test_the_picture_lies_where_it_puts_it(kind: str, tmp_path: Path) -> None:
    detector = OnnxDetector(onnx_model(kind, write(tmp_path / "a.onnx", kind)))
    image, expected = RECORDED["image"], RECORDED[f"{kind}.placed"]
    placed = np.empty_like(expected)
    detector._place(*image.shape[:2]).draw(image, placed)
    np.testing.assert_allclose(placed.astype(int), expected.astype(int), atol=1)
