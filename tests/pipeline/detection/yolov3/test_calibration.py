"""Calibration for int8: what is kept and trusted, what it measures, and the command on real weights and a real clip."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.detection.calibration import Calibration, agreement, serialized, spread
from pipeline.detection.yolov3.calibration import calibrate
from pipeline.detection.yolov3.detector import YoloDetector
from pipeline.errors import ConfigError, ModelError, SinkError
from pipeline.models.cache import CACHE_VARIABLE
from pipeline.models.engines.int8_files import load_int8, record_path, save_int8, weights_digest
from pipeline.models.networks.darknet import Convolution, DarknetNetwork, Yolo
from pipeline.models.registry import Model
from pipeline.models.weights.parameters import ConvolutionParameters
from pipeline.types import Detections, Image
from sightline.commands.main import main
from tests.support.darknet_files import miniature, random_parameters, write_weights
from tests.support.images import blocks

pytestmark = pytest.mark.skipif(
    find_spec("nncf") is None,
    reason="NNCF is not installed: pip install 'sightline[calibrate]'",
)

MINIATURE = Model("miniature", miniature, ("left", "middle", "right"))


@pytest.fixture(scope="module")
def parameters() -> list[ConvolutionParameters]:
    return random_parameters(miniature())


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(CACHE_VARIABLE, str(folder))
        yield folder


@pytest.fixture(scope="module")
def weights(cache: Path, parameters: list[ConvolutionParameters]) -> Path:
    return write_weights(cache / "miniature.weights", parameters)


@pytest.fixture(scope="module")
def done(weights: Path) -> Calibration:
    images = [blocks(120, 160, seed) for seed in range(30)]
    return calibrate(images, "blocks.mp4", model=MINIATURE, weights=weights, input_size=96, count=20)


def test_it_tells_what_was_measured(done: Calibration, cache: Path) -> None:
    record = done.record
    assert (record.network, record.clip, record.input_shape) == ("miniature", "blocks.mp4", (96, 96))
    assert (record.frames, record.held_out) == (20, 5)
    assert 0.5 < record.agreement <= 1
    assert min(done.images_per_s.values()) > 0
    assert {"float32", "int8"} <= set(done.images_per_s)
    assert done.found[0] > 0
    assert done.path.parent == cache / "int8"
    assert json.loads(done.path.read_bytes())["clip"] == "blocks.mp4"


def test_the_process_keeps_its_logging(done: Calibration, caplog: pytest.LogCaptureFixture) -> None:
    assert logging.getLoggerClass() is logging.Logger
    logging.getLogger("somebody.new").warning("heard")
    assert "heard" in caplog.text


def test_a_detector_finds_it_again(done: Calibration, weights: Path) -> None:
    images = [blocks(120, 160, seed) for seed in (100, 101)]
    small = YoloDetector(MINIATURE, weights=weights, input_size=96, engine="openvino", precision="int8")
    exact = YoloDetector(MINIATURE, weights=weights, input_size=96, engine="openvino", precision="float32")
    assert (small.precision, small.engine.name) == ("int8", "openvino")
    assert agreement(exact.detect(images), small.detect(images)) > 0.3


def test_other_weights_have_none(done: Calibration) -> None:
    with pytest.raises(ConfigError, match=r"those that are here belong to other weights.*the command calibrate"):
        load_int8(miniature(), weights_digest(miniature(), random_parameters(miniature(), seed=1)))


@pytest.mark.parametrize(
    ("ending", "change", "words"),
    [
        ("xml", lambda data: data[:-100], "its SHA-256 is not that of the file that was written"),
        ("bin", lambda data: bytes([data[0] ^ 1]) + data[1:], "its SHA-256 is not that of the file that was written"),
        ("bin", lambda data: b"", "its SHA-256"),
        ("bin", lambda data: data + bytes(2**22), "too large"),
        ("bin", None, "missing"),
        ("json", lambda data: b"{}", "the calibrated network can't be used: Object missing required field"),
        ("json", lambda data: data[:50], "the calibrated network can't be used"),
        ("json", lambda data: data + b" " * 70_000, "the calibrated network can't be used"),
        ("json", lambda data: data.replace(b'"miniature-', b'"../'), "the calibrated network can't be used"),
        ("json", lambda data: data.replace(b'"frames": 20', b'"frames": 1e400'), "can't be used"),
    ],
)  # fmt: skip
def test_damaged_files_are_told(
    done: Calibration, parameters: list[ConvolutionParameters], ending: str, change: object, words: str
) -> None:
    (path,) = done.path.parent.glob(f"*.{ending}")
    before = path.read_bytes()
    try:
        if change is None:
            path.unlink()
        else:
            path.write_bytes(change(before))  # type: ignore[operator]
        with pytest.raises(ModelError, match=words) as raised:
            load_int8(miniature(), weights_digest(miniature(), parameters))
    finally:
        path.write_bytes(before)
    assert "the command calibrate" in str(raised.value)
    assert "\n" not in str(raised.value)
    load_int8(miniature(), weights_digest(miniature(), parameters))


def test_a_record_that_was_copied_from_other_weights_is_not_used(done: Calibration) -> None:
    others = random_parameters(miniature(), seed=2)
    path = record_path("miniature", weights_digest(miniature(), others))
    path.write_bytes(done.path.read_bytes())
    with pytest.raises(ModelError, match="belongs to other weights"):
        load_int8(miniature(), weights_digest(miniature(), others))
    path.unlink()


def test_a_model_of_another_network_is_not_used(done: Calibration, parameters: list[ConvolutionParameters]) -> None:
    """With hashes that are right, as who can write the folder can make them."""
    from pipeline.models.engines.openvino_network import build_model

    layers = (Convolution(18, 1, stride=32, batch_normalize=False, leaky=False), Yolo((0, 1, 2)))
    other = DarknetNetwork("other", layers, ((1, 1), (2, 2), (3, 3)), 1)
    before = {path: path.read_bytes() for path in done.path.parent.iterdir()}
    save_int8(done.record, *serialized(build_model(other, random_parameters(other))))
    with pytest.raises(ModelError, match="its model has outputs of 18 channels, expected"):
        load_int8(miniature(), weights_digest(miniature(), parameters))
    restore(before)


def restore(files: dict[Path, bytes]) -> None:
    for path in next(iter(files)).parent.iterdir():
        path.unlink()
    for path, data in files.items():
        path.write_bytes(data)


def test_calibrating_again_replaces_it(done: Calibration, weights: Path) -> None:
    folder = done.path.parent
    before = {path: path.read_bytes() for path in folder.iterdir()}
    images = [blocks(96, 96, seed) for seed in range(40, 60)]
    again = calibrate(images, "other.mp4", model=MINIATURE, weights=weights, input_size=96, count=16)
    assert again.path == done.path
    assert json.loads(again.path.read_bytes())["clip"] == "other.mp4"
    assert len(list(folder.iterdir())) == 3, "the earlier network's files are gone"
    restore(before)


def test_a_folder_that_can_not_be_written(weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cache").write_text("a file, not a folder")
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    images = [blocks(96, 96, seed) for seed in range(20)]
    with pytest.raises(SinkError, match=r"cannot write .*SIGHTLINE_CACHE"):
        calibrate(images, "x", model=MINIATURE, weights=weights, input_size=96, count=10)


def test_a_video_that_is_too_short(weights: Path) -> None:
    with pytest.raises(ConfigError, match=r"a\.mp4: has 3 frames; calibrating needs at least 10"):
        calibrate([blocks(96, 96)] * 3, "a.mp4", model=MINIATURE, weights=weights, input_size=96)


@given(st.integers(0, 400), st.integers(1, 40))
def test_images_are_spread_over_the_whole(total: int, count: int) -> None:
    images: list[Image] = [np.full((1, 1, 3), number % 256, np.uint8) for number in range(total)]
    places = {id(image): number for number, image in enumerate(images)}
    kept = [places[id(image)] for image in spread(iter(images), count)]
    assert len(kept) == min(total, count)
    assert kept == sorted(set(kept))
    if count > 1 and kept:
        steps = np.diff([-1, *kept, total])
        assert steps.max() <= 2 * (total / len(kept) + 1)


def found(*boxes: tuple[float, float, float, float], class_id: int = 0) -> Detections:
    count = len(boxes)
    return Detections(
        np.array(boxes, np.float32).reshape(count, 4),
        np.full(count, 0.9, np.float32),
        np.full(count, class_id, np.int32),
    )


A, B, NEAR_A = (0, 0, 10, 10), (50, 50, 60, 60), (1, 0, 11, 10)


@pytest.mark.parametrize(
    ("expected", "other", "score"),
    [
        (found(A, B), found(A, B), 1.0),
        (found(A), found(NEAR_A), 1.0),
        (found(A, B), found(A), 2 / 3),
        (found(A), found(B), 0.0),
        (found(A), found(A, class_id=1), 0.0),
        (found(A), found(A, NEAR_A), 2 / 3),
        (found(), found(), 1.0),
        (found(), found(A), 0.0),
    ],
)
def test_agreement(expected: Detections, other: Detections, score: float) -> None:
    assert agreement([expected], [other]) == pytest.approx(score)
    assert agreement([other], [expected]) == pytest.approx(score)


@pytest.mark.slow
def test_the_command_and_a_run_with_what_it_made(
    demo_clip: Path,
    tiny_weights: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    weights = ["--weights", str(tiny_weights)]
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path))
    run = ["run", str(demo_clip), "--engine", "openvino", "--precision", "int8", "--duration", "1", "-q", *weights]
    small = ["--frames", "16", "--seconds", "3", "--input-size", "160"]
    assert main(["calibrate", str(demo_clip), *small, *weights]) == 0
    printed = capsys.readouterr()
    assert "agreement with float32 on 4 frames that it was not calibrated with: " in printed.out
    assert "int8 is " in printed.out
    assert str(tmp_path / "int8" / "yolov3-tiny-") in printed.out
    report = tmp_path / "report.json"
    assert main([*run, "--report", str(report)]) == 0
    told = json.loads(report.read_bytes())
    assert (told["engine"], told["precision"]) == ("openvino", "int8")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["missing.mp4"], "missing.mp4"),
        (["CLIP", "--model", "tiny"], "did you mean tiny-yolov3"),
        (["CLIP", "--input-size", "100"], "input_size: got 100, expected a whole number from 32"),
        (["CLIP", "--frames", "3"], "--frames"),
    ],
)
def test_mistakes_in_the_command(
    arguments: list[str], words: str, demo_clip: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["calibrate", *(str(demo_clip) if word == "CLIP" else word for word in arguments)]) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1
