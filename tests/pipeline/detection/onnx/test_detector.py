"""Networks from ONNX files as detectors: real and drawn pictures, odd inputs, numbers that are none."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

pytest.importorskip("onnx", reason="onnx is a test dependency: run make setup")

import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from pipeline.detection.frames import FrameDetector
from pipeline.detection.onnx.detector import OnnxDetector
from pipeline.errors import ConfigError, ModelError
from pipeline.geometry.boxes import iou_matrix
from pipeline.geometry.region import Rectangle
from pipeline.images.letterbox import Letterbox
from pipeline.models.custom import onnx_model
from pipeline.models.networks.onnx_network import OnnxOptions
from pipeline.types import Detections, Frame, Image
from sightline.commands.main import main
from tests.support.images import blocks
from tests.support.onnx_files import write_miniature_yolox, write_network
from tests.support.onnx_layouts import FAMILIES, RGB, Known


@pytest.fixture
def yolox(eval_dir: Path) -> Path:
    return eval_dir / "models" / "yolox_nano.onnx"


@pytest.fixture
def dog(eval_dir: Path) -> Image:
    image = cv2.imread(str(eval_dir / "images" / "dog.jpg"))
    assert image is not None
    return np.asarray(image, np.uint8)


def miniature(path: Path, fixed: tuple[int, int] | None = None, **options: Any) -> OnnxDetector:
    names = path / "names"
    names.write_text("a\nb\nc\n")
    file = write_miniature_yolox(path / "miniature.onnx", fixed=fixed)
    return OnnxDetector(onnx_model("miniature", file, names=names), precision="float32", **options)


def told(detector: OnnxDetector, found: Detections) -> dict[str, list[float]]:
    return {
        detector.class_names[number]: [*box, score]
        for number, box, score in zip(found.class_id, found.xyxy.tolist(), found.score.tolist(), strict=True)
    }


def test_raw_outputs_are_those_of_onnxruntime(yolox: Path, dog: Image) -> None:
    detector = OnnxDetector("yolox-nano", weights=yolox, precision="float32", square=True)
    inputs = np.empty((2, 416, 416, 3), np.uint8)
    for slot, image in zip(inputs, (dog, dog[:, ::-1]), strict=True):
        Letterbox.fit(image.shape[0], image.shape[1], 416, 416, placement="top-left", value=114).draw(image, slot)
    session = onnxruntime.InferenceSession(str(yolox), providers=["CPUExecutionProvider"])
    for found, slot in zip(detector.engine.outputs(inputs), inputs, strict=True):
        (expected,) = session.run(None, {"images": slot[None].transpose(0, 3, 1, 2).astype(np.float32)})
        np.testing.assert_allclose(found[0], expected[0], atol=1e-3)


@pytest.mark.parametrize("shape", [(96, 160), (160, 96), (32, 320)])
def test_raw_outputs_of_rectangles(shape: tuple[int, int], tmp_path: Path) -> None:
    detector = miniature(tmp_path, input_size=320)
    images = np.stack([blocks(*shape, seed) for seed in range(3)])
    session = onnxruntime.InferenceSession(str(tmp_path / "miniature.onnx"), providers=["CPUExecutionProvider"])
    (expected,) = session.run(None, {"images": images.transpose(0, 3, 1, 2).astype(np.float32)})
    for found, wanted in zip(detector.engine.outputs(images), expected, strict=True):
        np.testing.assert_allclose(found[0], wanted, atol=1e-3)


def test_real_weights_find_what_is_there(yolox: Path, dog: Image) -> None:
    """Darknet's own sample picture: a dog, a bicycle and a car behind them."""
    places = {"dog": [131, 220, 310, 540], "bicycle": [120, 128, 570, 420], "car": [467, 75, 690, 170]}
    for square in (False, True):
        detector = OnnxDetector("yolox-nano", weights=yolox, square=square, confidence=0.5, precision="float32")
        found = told(detector, detector.detect(dog))
        assert set(found) == set(places)
        for name, place in places.items():
            assert iou_matrix(np.array([place]), np.array([found[name][:4]]))[0, 0] > 0.7
    assert detector.input_shape(*dog.shape[:2]) == (416, 416)
    assert OnnxDetector("yolox-nano", weights=yolox).input_shape(480, 854) == (256, 416)


def test_pictures_that_the_source_has_scaled(yolox: Path, dog: Image) -> None:
    detector = OnnxDetector("yolox-nano", weights=yolox, confidence=0.5, precision="float32")
    assert detector.reduced_side == 416
    height, width = dog.shape[:2]
    frame = Frame(dog, 0, 0.0, 0.0, "door")
    (whole,) = FrameDetector(detector).look([frame], [None])
    part = Rectangle(0, 0, width // 2, height)
    (half,) = FrameDetector(detector).look([frame], [part])
    names = told(detector, half)
    assert "dog" in names
    assert iou_matrix(np.array([told(detector, whole)["dog"][:4]]), np.array([names["dog"][:4]]))[0, 0] > 0.8


def test_a_batch_that_the_network_can_not_take_at_once(tmp_path: Path) -> None:
    images = [blocks(60, 100, seed) for seed in range(5)]
    for fixed in (None, (96, 160)):
        detector = miniature(tmp_path, fixed, batch_size=5, **({} if fixed else {"input_size": 160}))
        together = detector.detect(images)
        assert sum(map(len, together)) > 0
        for image, found in zip(images, together, strict=True):
            (alone,) = detector.detect([image])
            np.testing.assert_allclose(found.xyxy, alone.xyxy, atol=1e-2)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("uint8 input", {"element": TensorProto.UINT8}),
        ("float16 input", {"element": TensorProto.FLOAT16}),
        ("channels last", {"nhwc": True}),
        ("channels last, uint8", {"nhwc": True, "element": TensorProto.UINT8}),
        ("one at a time", {"batch": 1}),
    ],
)
def test_inputs_of_other_kinds(name: str, options: Mapping[str, Any], tmp_path: Path) -> None:
    reads = FAMILIES["yolov8"]
    if options.get("element") == TensorProto.UINT8:
        reads = type(reads)(reads.encode, values=(np.zeros(3), np.ones(3)))
    known = [Known((10, 20, 100, 90), 0.9, 3)]
    path = write_network(tmp_path / "a.onnx", reads, known, classes=80, shape=(96, 128), **options)
    image = np.full((96, 64, 3), RGB[::-1], np.uint8)
    detector = OnnxDetector(onnx_model("a", path))
    for found in detector.detect([image, image]):
        np.testing.assert_allclose(found.xyxy, [[0, 20, 64, 90]], atol=0.5)  # 32 pixels of padding, and cut
        assert found.class_id.tolist() == [3]


def test_sides_that_do_not_tell_the_channels(tmp_path: Path) -> None:
    path = write_network(tmp_path / "a.onnx", FAMILIES["yolov8"], [], classes=80, shape=(96, 96))
    network = onnx.load(path)
    del network.graph.input[0].type.tensor_type.shape.dim[1]
    side = network.graph.input[0].type.tensor_type.shape.dim.add()
    side.dim_param = "?"
    network.graph.input[0].type.tensor_type.shape.dim[1].dim_value = 3
    network.graph.input[0].type.tensor_type.shape.dim[3].dim_value = 3
    onnx.save(network, str(path))
    with pytest.raises(ModelError, match="say layout: nchw or nhwc"):
        OnnxDetector(onnx_model("a", path))


def test_what_is_not_a_number_is_told(tmp_path: Path) -> None:
    path = write_miniature_yolox(tmp_path / "a.onnx", classes=80)
    network = onnx.load(path)
    for constant in network.graph.initializer:
        if constant.name == "w16":
            constant.CopyFrom(numpy_helper.from_array(np.full((85, 3, 1, 1), np.nan, np.float32), "w16"))
    onnx.save(network, str(path))
    with pytest.raises(ModelError, match=r"a\.onnx: with these weights the network computes what is not a finite"):
        OnnxDetector(onnx_model("a", path)).detect([blocks(64, 64)])


def test_numbers_in_a_file_beside_it(tmp_path: Path) -> None:
    whole = write_miniature_yolox(tmp_path / "whole.onnx", classes=80)
    apart = tmp_path / "apart.onnx"
    onnx.save(onnx.load(whole), str(apart), save_as_external_data=True, location="apart.bin", size_threshold=0)
    assert (tmp_path / "apart.bin").stat().st_size > 0
    image = blocks(80, 120)
    first, second = (
        OnnxDetector(onnx_model("a", path), confidence=0.1, precision="float32").detect(image)
        for path in (whole, apart)
    )
    assert len(first) > 0
    np.testing.assert_array_equal(first.xyxy, second.xyxy)


def test_operators_that_nobody_can_compute(tmp_path: Path) -> None:
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 64, 64])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 84, 84])
    graph = helper.make_graph([helper.make_node("Frobnicate", ["x"], ["y"])], "g", [x], [y])
    path = tmp_path / "a.onnx"
    path.write_bytes(helper.make_model(graph).SerializeToString())
    with pytest.raises(ModelError, match=r"OpenVINO can't read it: .*Frobnicate"):
        OnnxDetector(onnx_model("a", path))


def test_every_class_of_a_box(tmp_path: Path) -> None:
    best, every = (miniature(tmp_path, input_size=96, confidence=0.05, multi_label=both) for both in (False, True))
    image = blocks(96, 96)
    assert len(every.detect(image)) > len(best.detect(image)) > 0


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"engine": "tensorflow"}, "engine: got 'tensorflow'; ONNX networks run on openvino alone"),
        ({"precision": "float16"}, "precision"),
        ({"confidence": 2.0}, "confidence"),
        ({"model": "yolov3"}, "yolov3: is no ONNX network"),
    ],
)
def test_options_that_can_not_be(options: dict[str, Any], says: str, tmp_path: Path) -> None:
    path = write_miniature_yolox(tmp_path / "a.onnx", classes=80)
    with pytest.raises(ConfigError, match=says):
        OnnxDetector(**{"model": onnx_model("a", path), **options})


@pytest.mark.parametrize("family", ["yolov8", "yolov5", "end-to-end", "counted", "yolo-nas", "yolov7-nms"])
def test_boxes_in_parts_of_the_input(family: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Some exporters write them so; the pixels are those of the same boxes in pixels."""
    known = [Known((32, 24, 96, 72), 0.9, 3), Known((40, 0, 60, 48), 0.8, 5)]
    sides = np.array([128, 96, 128, 96])
    parts = [Known(tuple(np.array(box.xyxy) / sides), box.score, box.class_id) for box in known]
    image = np.full((192, 256, 3), RGB[::-1], np.uint8)
    both = []
    for name, boxes in (("pixels", known), ("parts", parts)):
        path = write_network(
            tmp_path / f"{name}.onnx", FAMILIES[family], boxes, classes=80, shape=(96, 128), padded=False
        )
        with caplog.at_level("INFO"):
            both.append(OnnxDetector(onnx_model(name, path, OnnxOptions(family=family))).detect(image))
        assert ("in parts of the input" in caplog.text) == (name == "parts")
    np.testing.assert_allclose(both[1].xyxy, both[0].xyxy, atol=1e-3)
    np.testing.assert_allclose(both[0].xyxy, [[64, 48, 192, 144], [80, 0, 120, 96]], atol=0.5)


def test_by_hand_beats_recognition(tmp_path: Path) -> None:
    """Boxes that overlap stay where the user says that the network sees to that."""
    known = [Known((10, 20, 100, 90), 0.9, 3), Known((11, 20, 100, 90), 0.8, 3)]
    path = write_network(tmp_path / "a.onnx", FAMILIES["yolov8"], known, classes=80, shape=(96, 128))
    image = np.full((96, 64, 3), RGB[::-1], np.uint8)
    for inside, count in ((None, 1), (False, 1), (True, 2)):
        detector = OnnxDetector(onnx_model("a", path, OnnxOptions(nms=inside)))
        assert len(detector.detect(image)) == count


def test_a_fresh_file_with_only_its_name(
    tmp_path: Path, yolox: Path, eval_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    picture = str(eval_dir / "images" / "dog.jpg")
    assert main(["detect", picture, "--weights", str(yolox), "--confidence", "0.5"]) == 0
    assert capsys.readouterr().out.splitlines()[0].startswith(f"{picture}: dog 8")
    command = [sys.executable, "run_pipeline.py", "detect", picture, "--weights", str(yolox)]
    said = subprocess.run(command, cwd=Path(__file__).parents[4], capture_output=True, text=True, check=True).stderr
    assert "YOLOX (family yolox), 80 classes, input 416x416" in said
    path = write_network(tmp_path / "mine.onnx", FAMILIES["yolov8"], [], classes=2, shape=(96, 128))
    assert main(["detect", picture, "--weights", str(path)]) == 1
    said = capsys.readouterr().err
    assert "for 2 classes as YOLOv8" in said
    assert "give the right ones as models.NAME.names" in said
    assert said.count("\n") == 1


def test_numbers_that_can_not_be_read_are_no_input(tmp_path: Path) -> None:
    """OpenVINO would make a second input of them, and give it the size of the picture."""
    path = write_miniature_yolox(tmp_path / "a.onnx", classes=80)
    network = onnx.load(path)
    for constant in network.graph.initializer:
        if constant.name == "sides8":
            constant.ClearField("raw_data")
            constant.uint64_data.extend([0, 85, 2**64 - 1])
    onnx.save(network, str(path))
    with pytest.raises(ModelError, match="expected one input of four sides for the picture"):
        OnnxDetector(onnx_model("a", path))
