"""``ImageClassification``: scripts on a network with random weights, whose answers Keras itself gives, too."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import PIL.Image
import pytest

from pipeline.classification.classifier import Classifier
from pipeline.errors import ConfigError, ModelError, SourceNotFoundError
from sightline.imageai import ImageClassification, ImagePrediction
from sightline.imageai import classification as module
from tests.pipeline.classification.test_classifier import keras_network
from tests.sightline.imageai import scripts
from tests.sightline.imageai.test_scripts import run
from tests.support.images import blocks


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model file as Keras saves it, and pictures."""
    folder = tmp_path_factory.mktemp("classification")
    keras_network("mobilenetv2", classes=1000).save(folder / "mobilenet_v2.h5")
    for number, name in enumerate(("first.png", "ride.jpg", "second.png")):
        PIL.Image.fromarray(blocks(240 + 40 * number, 320, number)[..., ::-1]).save(folder / name)
    return folder


@pytest.fixture
def folder(originals: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of that folder, which is also the current one."""
    for path in originals.iterdir():
        (tmp_path / path.name).symlink_to(path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def kept() -> dict[Path, Classifier]:
    return {}


@pytest.fixture(autouse=True)
def _networks_are_kept(kept: dict[Path, Classifier], monkeypatch: pytest.MonkeyPatch) -> None:
    """Loading the same file for every script would only take time."""

    def load(name: str, *, weights: Path) -> Classifier:
        target = weights.resolve()
        if target not in kept:
            kept[target] = Classifier(name, weights=target)
        return kept[target]

    monkeypatch.setattr(module, "Classifier", load)


def answers(kept: dict[Path, Classifier], path: Path, top: int) -> list[tuple[str, float]]:
    (classifier,) = kept.values()
    return [(each.name.replace(" ", "_"), 100 * each.probability) for each in classifier.classify(path, top=top)]


def assert_answers(names: Any, percentages: Any, expected: list[tuple[str, float]]) -> None:
    assert isinstance(names, list)
    assert isinstance(percentages, list)
    assert names == [name for name, _ in expected]
    assert percentages == pytest.approx([percentage for _, percentage in expected], abs=0.001)
    assert percentages == sorted(percentages, reverse=True)


def test_one_picture(folder: Path, kept: dict[Path, Classifier], capsys: pytest.CaptureFixture[str]) -> None:
    variables = run(scripts.CLASSIFICATION)
    assert_answers(variables["names"], variables["percentages"], answers(kept, folder / "ride.jpg", 5))
    assert len(variables["names"]) == 5
    assert len(capsys.readouterr().out.splitlines()) == 5


def test_several_pictures_as_in_older_scripts(folder: Path, kept: dict[Path, Classifier]) -> None:
    variables = run(scripts.SEVERAL_CLASSIFICATIONS)
    assert variables["pictures"] == ["first.png", "ride.jpg", "second.png"]
    for name, result in zip(variables["pictures"], variables["results"], strict=True):
        assert set(result) == {"predictions", "percentage_probabilities"}
        assert_answers(result["predictions"], result["percentage_probabilities"], answers(kept, folder / name, 3))
    names, percentages = variables["one"]
    assert_answers(names, percentages, answers(kept, folder / "first.png", 3))


def loaded(folder: Path, **options: Any) -> ImageClassification:
    judge = ImageClassification(**options)
    judge.setModelTypeAsMobileNetV2()
    judge.setModelPath(path=folder / "mobilenet_v2.h5")
    judge.loadModel()
    return judge


def test_arrays_are_rgb_and_files_may_be_open(folder: Path) -> None:
    """ImageAI turns arrays into pictures with Pillow, whose order is RGB."""
    judge, path = loaded(folder), folder / "first.png"
    names, percentages = judge.classifyImage(str(path))
    assert max(percentages) > 1
    bgr = np.asarray(cv2.imread(str(path)))
    rgb = np.ascontiguousarray(bgr[..., ::-1])
    with path.open("rb") as stream:
        given: list[Any] = [rgb, PIL.Image.open(path), stream, path.read_bytes()]
        for each in given:
            again, values = judge.classifyImage(each, input_type="array")
            assert again == names
            assert values == pytest.approx(percentages, abs=0.01)
    assert judge.classifyImage(bgr)[1] != pytest.approx(percentages, abs=0.01)


def test_names_are_spelled_as_the_script_expects(folder: Path) -> None:
    second, _ = loaded(folder).classifyImage(folder / "first.png", result_count=1000)
    third, _ = loaded(folder, generation=3).classifyImage(folder / "first.png", result_count=1000)
    assert len(second) == len(third) == 1000
    assert "sports_car" in second
    assert "sports car" in third
    assert [name.replace("_", " ") for name in second] == third


def test_every_type_reaches_the_classifier(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[tuple[str, object]] = []

    def load(name: str, *, weights: Path | None) -> None:
        made.append((name, weights))

    monkeypatch.setattr(module, "Classifier", load)
    assert ImagePrediction is ImageClassification
    for method in ("MobileNetV2", "ResNet50", "InceptionV3", "DenseNet121", "ResNet", "DenseNet"):
        judge = ImageClassification()
        getattr(judge, f"setModelTypeAs{method}")()
        judge.loadModel()
    assert made == [
        (name, None) for name in ("mobilenetv2", "resnet50", "inceptionv3", "densenet121", "resnet50", "densenet121")
    ]


def test_what_can_not_be_done_is_said(folder: Path) -> None:
    judge = ImageClassification()
    with pytest.raises(ConfigError, match=r"call setModelTypeAsMobileNetV2\(\), .* before loadModel"):
        judge.loadModel()
    with pytest.raises(ConfigError, match="there is no SqueezeNet; use setModelTypeAsMobileNetV2"):
        judge.setModelTypeAsSqueezeNet()
    with pytest.raises(ConfigError, match="setModelPath: there is no file 'missing"):
        judge.setModelPath("missing.h5")
    judge.setModelTypeAsMobileNetV2()
    with pytest.raises(ConfigError, match=r"call loadModel\(\) first"):
        judge.classifyImage("first.png")
    with pytest.raises(ConfigError, match="classification_speed: got 'warp'"):
        judge.loadModel(classification_speed="warp")
    (folder / "torch.pth").write_bytes(b"no weights of Keras")
    judge.setModelPath("torch.pth")
    with pytest.raises(ModelError, match=r"torch\.pth"):
        judge.loadModel()
    judge = loaded(folder)
    with pytest.raises(ConfigError, match="result_count: expected 1 to 1000, got 0"):
        judge.classifyImage("first.png", result_count=0)
    with pytest.raises(ConfigError, match="input_type: got 'url'"):
        judge.classifyImage("first.png", input_type="url")
    with pytest.raises(SourceNotFoundError, match=r"missing\.jpg"):
        judge.classifyImage("missing.jpg")


def test_a_list_gives_a_list(folder: Path) -> None:
    classifier = ImageClassification()
    classifier.setModelTypeAsMobileNetV2()
    classifier.setModelPath("mobilenet_v2.h5")
    classifier.loadModel()
    paths = ["first.png", Path("second.png")]
    results = classifier.classifyImage(paths, result_count=3)
    assert [names for names, _ in results] == [classifier.classifyImage(path, result_count=3)[0] for path in paths]
    assert classifier.predictImage([]) == []
    with pytest.raises(SourceNotFoundError, match=r"image_input\[1\]: .*missing\.png"):
        classifier.classifyImage(["first.png", "missing.png"])
