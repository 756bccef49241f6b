"""The commands that concern models, as a user meets them."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from pipeline.classification.registry import cached_classifier_weights, classifier_names, find_classifier
from pipeline.models.networks.yolov3_family import yolov3_tiny
from pipeline.models.weights.formats import read_weights
from sightline.commands.main import main
from tests.support.darknet_files import miniature, random_parameters, write_configuration, write_weights

NETWORK = miniature()


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A configuration with a detector called my-model."""
    weights = write_weights(tmp_path / "my.weights", random_parameters(NETWORK))
    cfg = write_configuration(tmp_path / "my.cfg", NETWORK, height=96, width=96)
    (tmp_path / "my.names").write_text("red\ngreen\nblue\n")
    path = tmp_path / "my.yaml"
    own = f"{{cfg: {cfg}, weights: {weights}, names: {tmp_path}/my.names}}"
    path.write_text(f"model: {{name: my-model}}\nmodels:\n  my-model: {own}\n")
    return path


def error_line(capsys: pytest.CaptureFixture[str]) -> str:
    captured = capsys.readouterr()
    assert captured.out == ""
    (line,) = captured.err.splitlines()
    assert line.startswith("error: ")
    return line


def test_list_shows_own_models_and_classifiers(
    config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SIGHTLINE_CACHE", str(tmp_path))
    assert main(["models", "list", "--config", str(config)]) == 0
    lines = capsys.readouterr().out.splitlines()
    detectors = ["detectors:", "tiny-yolov3", "yolov3", "yolox-nano", "yolox-tiny", "yolox-s", "retinanet", "my-model"]
    assert [line.split()[0] for line in lines] == [*detectors, "classifiers:", *classifier_names()]
    assert lines[7].split()[1:] == ["own", str(config.parent / "my.weights")]
    assert {line.split()[1] for line in lines[9:]} == {"missing"}


def test_a_classifier_is_found_where_list_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SIGHTLINE_CACHE", str(tmp_path))
    path = cached_classifier_weights(find_classifier("mobilenetv2"))
    path.write_bytes(b"Keras states no MD5 of this file")
    cached_classifier_weights(find_classifier("resnet50")).write_bytes(b"but of this one")
    assert main(["models", "list"]) == 0
    places = dict(line.split()[:2] for line in capsys.readouterr().out.splitlines() if line.startswith("  "))
    assert places["mobilenetv2"] == "cache"
    assert places["resnet50"] == "missing"
    assert main(["models", "fetch", "mobilenetv2"]) == 0
    assert capsys.readouterr().out == f"{path}\n"
    assert main(["models", "fetch", "mobilnet"]) == 2
    assert "did you mean mobilenetv2" in error_line(capsys)


def test_convert_there_and_back(config: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    steps = ["my.weights", "a.h5", "b.pt", "c.pth", "d.weights"]
    own = ["--model", "my-model", "--config", str(config)]
    for source, target in pairwise(steps):
        assert main(["models", "convert", str(tmp_path / source), str(tmp_path / target), *own]) == 0
    assert capsys.readouterr().out.splitlines()[0] == f"{tmp_path}/a.h5: my-model, darknet -> keras"
    first, last = (np.fromfile(tmp_path / name, "<f4", offset=20) for name in (steps[0], steps[-1]))
    np.testing.assert_allclose(last, first, rtol=1e-5)
    assert not list(tmp_path.glob("*.partial*"))


def test_convert_finds_the_model_by_itself(
    tiny_weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "tiny.pt"
    assert main(["models", "convert", str(tiny_weights), str(output)]) == 0
    assert capsys.readouterr().out == f"{output}: tiny-yolov3, darknet -> pytorch\n"
    ours, theirs = (read_weights(path, yolov3_tiny())[-1].weights for path in (output, tiny_weights))
    np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize(
    ("source", "output", "options", "code", "says"),
    [
        ("my.weights", "a.onnx", [], 2, "must end in .weights, .h5, .pt, .pth"),
        ("none.weights", "a.pt", [], 2, "there is no such file"),
        ("my.weights", "my.weights/a.pt", [], 2, "part of its path is a file"),
        ("my.weights", "my.weights", [], 2, "it is the file to read; choose another name"),
        ("my.weights", "a.pt", ["--model", "retinanet"], 2, "the weights of retinanet come in one format only"),
        ("my.weights", "a.pt", [], 1, "fits neither tiny-yolov3 nor yolov3; name with --model"),
        ("my.weights", "a.pt", ["--model", "yolov3"], 1, "yolov3 with 80 classes needs exactly"),
        ("my.weights", "a.pt", ["--model", "yolo"], 2, "there is none called 'yolo'"),
        ("my.names", "a.pt", ["--model", "tiny-yolov3"], 1, "found 15 bytes"),
        ("broken.h5", "a.pt", [], 1, "the weights can't be read as HDF5"),
    ],
)
def test_convert_refuses_in_one_line(
    source: str,
    output: str,
    options: list[str],
    code: int,
    says: str,
    config: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "broken.h5").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(100))
    before = sorted(tmp_path.iterdir())
    assert main(["models", "convert", str(tmp_path / source), str(tmp_path / output), *options]) == code
    line = error_line(capsys).replace(f"{tmp_path}/", "")
    assert says in line
    assert len(line) < 250
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.slow
def test_the_doctor_times_the_model_of_a_configuration(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["doctor", "--config", str(config)])
    printed = capsys.readouterr().out
    assert f"weights: {config.parent / 'my.weights'}" in printed
    assert "detect " in printed
    (config.parent / "my.weights").unlink()
    assert main(["doctor", "--config", str(config)]) == 1
    assert "the weights of my-model are not there" in capsys.readouterr().out


def test_a_run_with_an_own_model(
    config: Path, demo_clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tracks = tmp_path / "tracks.txt"
    given = [str(demo_clip), "-c", str(config), "--duration", "0.3", "--tracks", str(tracks), "--classes", "red"]
    assert main(given) == 0
    assert "processed" in capsys.readouterr().out
    assert tracks.exists()
    assert main([str(demo_clip), "-c", str(config), "--classes", "person"]) == 2
    assert "red" in error_line(capsys)
    assert main([str(demo_clip), "-c", str(config), "--set", "model.anchors.mask=[[0, 1], [2, 9]]"]) == 2
    assert "the anchors are numbered 0 to 3" in error_line(capsys)
