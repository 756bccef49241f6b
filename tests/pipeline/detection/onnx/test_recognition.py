"""What is recognised of a network, and what is told where nothing or too much fits."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("onnx", reason="onnx is a test dependency: run make setup")

from pipeline.detection.onnx.detector import OnnxDetector
from pipeline.errors import ConfigError, ModelError
from pipeline.models.custom import choose_model, onnx_model
from pipeline.models.networks.onnx_network import OnnxOptions
from tests.support.onnx_files import write_miniature_yolox, write_network
from tests.support.onnx_layouts import FAMILIES, Known

SHAPE = (64, 96)


def network(path: Path, family: str, classes: int = 80, **options: Any) -> Path:
    known = [Known((20, 20, 60, 60), 0.9, 0)]
    return write_network(path / "my.onnx", FAMILIES[family], known, classes=classes, shape=SHAPE, **options)


def opened(path: Path, **options: Any) -> OnnxDetector:
    names = options.pop("names", None)
    return OnnxDetector(onnx_model("my", path, OnnxOptions(**options), names=names))


@pytest.fixture
def three_names(tmp_path: Path) -> Path:
    (tmp_path / "three.names").write_text("a\nb\nc\n")
    return tmp_path / "three.names"


@pytest.mark.parametrize("family", FAMILIES)
def test_what_is_recognised_is_told_in_one_line(family: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "pipeline.detection"):
        opened(network(tmp_path, family)).close()
    (said,) = [record.getMessage() for record in caplog.records]
    assert f"(family {family})" in said
    assert "80 classes" in said
    assert "96x64" in said


@pytest.mark.parametrize("family", [name for name in FAMILIES if name != "rf-detr"])
@pytest.mark.parametrize("classes", [1, 3, 32])
def test_any_number_of_classes(family: str, classes: int, tmp_path: Path) -> None:
    names = tmp_path / "names"
    names.write_text("\n".join(f"class {number}" for number in range(classes)))
    detector = opened(network(tmp_path, family, classes), names=names)
    assert len(detector.class_names) == classes


def test_names_and_size_that_the_exporter_wrote(tmp_path: Path) -> None:
    path = network(tmp_path, "yolov8", 2, metadata={"names": "{0: 'cat', 1: 'dog'}", "task": "detect"})
    assert opened(path).class_names == ("cat", "dog")
    model = choose_model("tiny-yolov3", weights=path)
    assert (model.name, model.class_names, model.input_size) == ("my", ("cat", "dog"), 96)
    open_sides = write_miniature_yolox(tmp_path / "open.onnx", classes=80)
    assert opened(open_sides).input_size == 640


def test_names_that_do_not_fit(tmp_path: Path, three_names: Path) -> None:
    with pytest.raises(ModelError, match=r"80 class names \(COCO's, .*\) for 2 classes as YOLOv8.*models\.NAME\.names"):
        opened(network(tmp_path, "yolov8", 2))
    with pytest.raises(ModelError, match="3 class names for 2 classes as YOLOv8"):
        opened(network(tmp_path, "yolov8", 2), names=three_names)
    path = network(tmp_path, "yolov8", 2, metadata={"names": "['a', 'b', 'c']"})
    with pytest.raises(ModelError, match="3 class names for 2 classes"):
        opened(path)


def test_what_the_exporter_says_tells_networks_of_the_same_shapes(tmp_path: Path) -> None:
    names = {"names": "['a', 'b', 'c']"}
    for description, family in (
        ("", "end-to-end"),
        ("Ultralytics YOLO26n model trained on my.yaml", "end-to-end"),
        ("Ultralytics rtdetr-l model trained on my.yaml", "rt-detr-finished"),
        ("Ultralytics RT-DETR-l model", "rt-detr-finished"),
    ):
        written = {**names, "description": description}
        detector = opened(network(tmp_path, "end-to-end", 2, metadata=written), family=None, names=None)
        assert detector._recognised.name == family


def test_what_may_be_two_families_needs_a_word(tmp_path: Path) -> None:
    path = network(tmp_path, "yolox", 35)  # 35 classes of YOLOX, or 8 of NanoDet
    names = tmp_path / "names"
    for count, family in ((35, "yolox"), (8, "nanodet")):
        names.write_text("\n".join(map(str, range(count))))
        assert opened(path, names=names)._recognised.name == family
    with pytest.raises(ModelError, match=r"80 class names .* for 35 classes as YOLOX or 8 classes as NanoDet"):
        opened(path)


def test_what_fits_no_family(tmp_path: Path) -> None:
    path = network(tmp_path, "yolov8")
    with pytest.raises(
        ModelError, match=r"is no NanoDet-Plus: its outputs for 96x64 are output0 float32 \(1, 84, 126\)"
    ):
        opened(path, family="nanodet-plus")
    with pytest.raises(ConfigError, match="family: got 'yolo', expected one of yolox, "):
        opened(path, family="yolo")
    with pytest.raises(ModelError, match="task 'pose'"):
        opened(network(tmp_path, "yolov8", 52, metadata={"task": "pose", "names": "['person']"}))


def test_a_network_that_finds_no_boxes(eval_dir: Path) -> None:
    with pytest.raises(
        ModelError, match=r"is no detector of a known family: its outputs for 128x256 are .* \(1, 512\)"
    ):
        opened(eval_dir / "models" / "osnet_x0_25_msmt17.onnx")


def test_two_heads_of_darknet_need_their_anchors(tmp_path: Path) -> None:
    import onnx

    path = network(tmp_path, "darknet")
    model = onnx.load(path)
    del model.graph.output[2]
    onnx.save(model, str(path))
    with pytest.raises(ModelError, match=r"network with 2 heads are not known; give them as models\.NAME\.anchors"):
        opened(path)
    anchors = (((81.0, 82.0), (135.0, 169.0), (344.0, 319.0)), ((23.0, 27.0), (37.0, 58.0), (81.0, 82.0)))
    assert opened(path, anchors=anchors).input_size == 96


def test_an_onnx_file_is_a_model_by_itself(tmp_path: Path) -> None:
    path = network(tmp_path, "yolov8")
    with pytest.raises(ConfigError, match="holds a network of its own, which is not that of yolov3"):
        choose_model("yolov3", weights=path)
    assert choose_model("yolox-nano", weights=path).name == "yolox-nano"


def test_sizes_that_it_can_not_take(tmp_path: Path) -> None:
    path = network(tmp_path, "yolov8")
    with pytest.raises(ModelError, match="takes inputs of 96x64 alone; leave input_size out"):
        OnnxDetector(onnx_model("my", path), input_size=128)
    flexible = write_miniature_yolox(tmp_path / "open.onnx", classes=80)
    assert OnnxDetector(onnx_model("my", flexible), input_size=128).input_shape(50, 100) == (64, 128)
    with pytest.raises(ConfigError, match="input_size: got 100, expected a multiple of 32"):
        OnnxDetector(onnx_model("my", flexible), input_size=100)
