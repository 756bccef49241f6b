"""Detectors of one's own: from description, weights and names to detections."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import cv2
import numpy as np
import pytest

from pipeline.detection.yolov3.detector import YoloDetector
from pipeline.errors import ConfigError, ModelError
from pipeline.models.class_names import COCO_CLASS_NAMES
from pipeline.models.custom import ModelFiles, choose_model, custom_model
from pipeline.models.engines.factory import create_engine
from pipeline.models.networks.darknet import DarknetNetwork
from pipeline.models.networks.yolov3_family import imageai_3_tiny_yolov3, imageai_3_yolov3, yolov3, yolov3_tiny
from pipeline.models.registry import catalogue
from pipeline.models.weights.formats import format_to_write, read_weights, write_weights
from pipeline.types import Detections, Image
from sightline.config.loading import load_config
from tests.support.darknet_files import miniature, narrow, random_parameters, write_configuration, yolo_of
from tests.support.darknet_files import write_weights as write_darknet

FILES = Path(__file__).parent / "weights" / "torch_files"
NAMES = ("hat", "no hat", "vest")


@pytest.fixture
def files(tmp_path: Path) -> ModelFiles:
    """A small detector as people keep theirs."""
    network = miniature()
    (tmp_path / "my.names").write_text("\n".join(NAMES) + "\n\n")
    return ModelFiles(
        weights=write_darknet(tmp_path / "my.weights", random_parameters(network)),
        cfg=write_configuration(tmp_path / "my.cfg", network, height=96, width=96),
        names=tmp_path / "my.names",
    )


def picture() -> Image:
    generator = np.random.default_rng(2)
    coarse = generator.integers(0, 256, (12, 16, 3), dtype=np.uint8)
    return np.asarray(cv2.resize(coarse, (160, 120)), dtype=np.uint8)


def assert_same(ours: Detections, theirs: Detections, tolerance: float = 1e-3) -> None:
    assert len(ours) == len(theirs) > 0
    np.testing.assert_array_equal(ours.class_id, theirs.class_id)
    np.testing.assert_allclose(ours.score, theirs.score, atol=1e-5)
    np.testing.assert_allclose(ours.xyxy, theirs.xyxy, atol=tolerance)


def test_a_detector_from_its_files(files: ModelFiles) -> None:
    model = custom_model("helmets", files)
    assert (model.name, model.class_names, model.input_size) == ("helmets", NAMES, 96)
    detector = YoloDetector(model, confidence=0.3, precision="float32")
    assert detector.input_size == 96
    (found,) = detector.detect([picture()])
    assert len(found) > 0
    detector.close()


@pytest.mark.parametrize("suffix", [".h5", ".pt"])
def test_the_same_detections_from_every_kind_of_file(files: ModelFiles, suffix: str, tmp_path: Path) -> None:
    original = custom_model("helmets", files)
    path = tmp_path / f"my{suffix}"
    assert files.weights is not None
    write_weights(path, read_weights(files.weights, yolo_of(original)), yolo_of(original), format_to_write(path))
    first = YoloDetector(original, confidence=0.3, precision="float32").detect([picture()])[0]
    second = YoloDetector(original, weights=path, confidence=0.3, precision="float32").detect([picture()])[0]
    assert_same(second, first)


def test_the_official_weights_give_the_same_detections_as_h5_and_pt(tiny_weights: Path, tmp_path: Path) -> None:
    image = picture()
    expected = YoloDetector(weights=tiny_weights, precision="float32", confidence=0.001).detect([image])[0]
    network = yolov3_tiny()
    parameters = read_weights(tiny_weights, network)
    for suffix in (".h5", ".pt"):
        path = tmp_path / f"converted{suffix}"
        write_weights(path, parameters, network, format_to_write(path))
        # ImageAI's users have no description; a cfg in circulation would say the same masks.
        own = custom_model("converted", ModelFiles(path, network="tiny-yolov3"))
        assert_same(YoloDetector(own, precision="float32", confidence=0.001).detect([image])[0], expected, 1e-2)


def test_official_weights_keep_their_anchors_whatever_the_cfg_says(
    tiny_weights: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    circulating = yolov3_tiny(masks=((3, 4, 5), (0, 1, 2)))
    cfg = write_configuration(tmp_path / "yolov3-tiny.cfg", circulating, height=416, width=416)
    own = custom_model("downloaded", ModelFiles(tiny_weights, cfg))
    assert yolo_of(own).masks() == ((3, 4, 5), (0, 1, 2))
    image = picture()
    options = {"precision": "float32", "confidence": 0.001}
    with caplog.at_level(logging.WARNING):
        found = YoloDetector(own, **options).detect([image])[0]  # type: ignore[arg-type]
    assert "trained with the anchors [[3, 4, 5], [1, 2, 3]]" in caplog.text
    assert_same(found, YoloDetector(weights=tiny_weights, **options).detect([image])[0], 1e-2)  # type: ignore[arg-type]
    forced = YoloDetector(own, masks=[[3, 4, 5], [0, 1, 2]], **options).detect([image])[0]  # type: ignore[arg-type]
    assert not np.array_equal(forced.xyxy, found.xyxy)


def test_models_that_imageai_trained_need_no_cfg(tmp_path: Path) -> None:
    anchors = [[100, 90, 150, 190, 370, 320], [30, 60, 60, 45, 50, 110], [10, 13, 16, 30, 33, 23]]
    labels = tmp_path / "detection_config.json"
    labels.write_text(json.dumps({"labels": NAMES, "anchors": anchors}))  # ImageAI 2: coarsest first
    network = yolo_of(custom_model("my", ModelFiles(tmp_path / "x.h5", network="yolov3", names=labels)))
    assert network.heads()[0].anchors == ((100, 90), (150, 190), (370, 320))
    assert network.heads()[2].anchors == ((10, 13), (16, 30), (33, 23))
    labels.write_text(json.dumps({"labels": NAMES, "anchors": [5, 6, 10, 14, 23, 27, 37, 58, 81, 82, 135, 169]}))
    network = yolo_of(custom_model("my", ModelFiles(tmp_path / "x.pt", network="tiny-yolov3", names=labels)))
    assert network.heads()[1].anchors == ((5, 6), (10, 14), (23, 27))  # as ImageAI 3 trains
    assert network.class_count == 3


@pytest.mark.parametrize("engine", ["tensorflow", "openvino"])
@pytest.mark.parametrize(
    ("name", "network"), [("tiny", imageai_3_tiny_yolov3(2)), ("full", imageai_3_yolov3(2))], ids=["tiny", "full"]
)
def test_imageai_3_s_networks_compute_what_its_own_do(name: str, network: DarknetNetwork, engine: str) -> None:
    recorded = np.load(FILES / "imageai-3.npz")
    network = narrow(network)
    made = create_engine(engine, network, random_parameters(network), precision="float32")
    heads = made.heads(recorded["images"])
    assert [f"{name}{number}" for number in range(len(heads))] == [key for key in recorded if key.startswith(name)]
    for number, ours in enumerate(heads):
        theirs = recorded[f"{name}{number}"]
        assert theirs.std() > 0.05
        assert np.abs(ours.reshape(theirs.shape) - theirs).max() < 1e-4


def test_a_model_is_chosen_by_its_name(files: ModelFiles) -> None:
    assert choose_model("my", {"my": files}).class_names == NAMES
    assert choose_model("yolov3", {"my": files}).network() == yolov3()
    with pytest.raises(ConfigError, match="there is none called 'my-helmet'; did you mean my-helmets"):
        choose_model("my-helmet", {"my-helmets": files})
    with pytest.raises(ConfigError, match=r"models\.yolov3: the catalogue has a model of that name"):
        choose_model("my", {"my": files, "yolov3": files})


def test_the_catalogue_lists_them(files: ModelFiles, tmp_path: Path) -> None:
    own = [custom_model("my", files), custom_model("gone", ModelFiles(tmp_path / "gone.pt", network="yolov3"))]
    assert [(status.model.name, status.where) for status in catalogue(own)][-2:] == [("my", "own"), ("gone", "missing")]
    with pytest.raises(ConfigError, match=r"gone\.pt: the weights of gone are not there"):
        YoloDetector(own[1])


def test_weights_for_another_cfg(files: ModelFiles, tmp_path: Path) -> None:
    other = write_darknet(tmp_path / "other.weights", random_parameters(narrow(yolov3_tiny(3))))
    with pytest.raises(ModelError, match=r"other\.weights: found .*; my with 3 classes needs exactly"):
        YoloDetector(custom_model("my", ModelFiles(other, files.cfg, names=files.names)))


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("hat\nvest\n", "2 class names .* for a network with 3 classes"),
        ("", "holds 0 names"),
        ("hat\n\nvest\n", "name 2 is ''"),
        ("hat\nvest\nhat\n", "name 3 is 'hat', which is name 1 already"),
        ("hat\nve\x1bst\nx\n", "name 2 is"),
        ("x" * 201, "name 1 is"),
        ("\n".join(map(str, range(10_001))), "holds 10001 names"),
        ('{"labels": ["a"', "it is no JSON"),
        ("[" * 100_000, "it is no JSON"),
        ('{"names": ["a"]}', "expected a list of names"),
        ('["a", 7]', "expected a list of names"),
        ('{"labels": ["a", "b", "c"], "anchors": [1, 2, -3, 4]}', "widths and heights above 0"),
        ('{"labels": ["a", "b", "c"], "anchors": [1, 2, 3]}', "widths and heights above 0"),
        ('{"labels": ["a", "b", "c"], "anchors": {"a": 1}}', "widths and heights above 0"),
        ("x" * (1 << 20) + "x", "is larger than"),
    ],
)
def test_names_that_can_not_be(files: ModelFiles, content: str, says: str) -> None:
    assert files.names is not None
    files.names.write_text(content)
    with pytest.raises(ConfigError, match=says) as caught:
        custom_model("my", files)
    assert str(caught.value).startswith("models.my")
    assert "\n" not in str(caught.value)


def test_sections_that_can_not_be(files: ModelFiles, tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"models\.my: give cfg, .* or network, one of tiny-yolov3, yolov3, yolov3-spp"
    ):
        custom_model("my", ModelFiles(files.weights))
    with pytest.raises(ConfigError, match=r"models\.my: give cfg"):
        custom_model("my", ModelFiles(files.weights, files.cfg, network="yolov3"))
    with pytest.raises(ConfigError, match=r"my\.cfg: there is no such file"):
        custom_model("my", ModelFiles(files.weights, tmp_path / "none" / "my.cfg"))
    with pytest.raises(ConfigError, match=r"models\.my\.names: .*none: can't be read: "):
        custom_model("my", ModelFiles(files.weights, files.cfg, names=tmp_path / "none"))
    with pytest.raises(ConfigError, match=r"80 class names \(COCO's names"):
        custom_model("my", ModelFiles(files.weights, files.cfg))
    labels = tmp_path / "labels.json"
    labels.write_text(json.dumps({"labels": ["a"], "anchors": [1, 2, 3, 4]}))
    with pytest.raises(ConfigError, match="holds 2 anchors; yolov3 has 9"):
        custom_model("my", ModelFiles(files.weights, network="yolov3", names=labels))


def test_from_the_configuration(files: ModelFiles, tmp_path: Path) -> None:
    path = tmp_path / "my.yaml"
    path.write_text(
        f"model:\n  name: my\n  anchors: {{mask: [[2, 3], [1, 0]]}}\nmodels:\n  my:\n    cfg: {files.cfg}\n"
        f"    weights: {files.weights}\n    names: {files.names}\n"
    )
    config = load_config(path)
    assert config.custom_models() == {"my": files}
    assert config.model.anchors.mask == ((2, 3), (1, 0))
    assert load_config(path, ["model.anchors.mask=[[3, 2]]"]).model.anchors.mask == ((3, 2),)
    path.write_text("models:\n  my:\n    cfgs: a.cfg\n    network: yolov4\n")
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    message = str(caught.value)
    assert "models.my.cfgs: unknown key; did you mean cfg?" in message
    assert 'models.my.network: got "yolov4", expected one of tiny-yolov3, yolov3, yolov3-spp' in message


def test_cocos_names_stand_in_for_eighty_classes(tmp_path: Path) -> None:
    network: DarknetNetwork = narrow(yolov3_tiny())
    cfg = write_configuration(tmp_path / "a.cfg", network, height=100, width=50)
    model = custom_model("a", ModelFiles(tmp_path / "a.weights", cfg))
    assert model.class_names == COCO_CLASS_NAMES
    assert model.input_size == 416  # 100 is no multiple of 32
