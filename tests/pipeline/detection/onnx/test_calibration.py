"""Calibration of ONNX networks: one that stands int8 is kept and runs, one that does not is refused with its figure."""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("onnx", reason="onnx is a test dependency: run make setup")

import onnx
from onnx import helper, numpy_helper

from pipeline.detection.calibration import Calibration, agreement
from pipeline.detection.onnx import calibration
from pipeline.detection.onnx.calibration import LEAST_KEPT, calibrate_onnx
from pipeline.detection.onnx.detector import OnnxDetector
from pipeline.errors import ConfigError, ModelError
from pipeline.models.cache import CACHE_VARIABLE
from pipeline.models.custom import onnx_model
from pipeline.models.registry import Model
from pipeline.types import Image
from sightline.commands.main import main
from tests.support.clips import write_clip
from tests.support.images import blocks
from tests.support.onnx_files import write_miniature_yolox, write_network
from tests.support.onnx_layouts import FAMILIES

pytestmark = pytest.mark.skipif(
    find_spec("nncf") is None, reason="NNCF is not installed: pip install 'sightline[calibrate]'"
)

FRAMES = [blocks(96, 128, seed) for seed in range(30)]


def miniature(folder: Path) -> Model:
    (folder / "names").write_text("a\nb\nc\n")
    return onnx_model("miniature", write_miniature_yolox(folder / "miniature.onnx"), names=folder / "names")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    path = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(CACHE_VARIABLE, str(path))
        yield path


@pytest.fixture(scope="module")
def done(folder: Path) -> Calibration:
    return calibrate_onnx(FRAMES, "blocks.mp4", model=miniature(folder), input_size=128, count=18)


def test_it_tells_what_was_measured(done: Calibration, folder: Path) -> None:
    record = done.record
    assert (record.network, record.clip, record.input_shape) == ("miniature", "blocks.mp4", (96, 128))
    assert (record.frames, record.held_out) == (18, 6)
    assert LEAST_KEPT <= record.agreement <= 1
    assert {"float32", "int8"} <= set(done.images_per_s)
    assert min(done.found) > 0
    assert done.path.parent == folder / "int8"


def test_a_detector_runs_it(done: Calibration, folder: Path) -> None:
    new = [blocks(96, 128, seed) for seed in (100, 101, 102)]
    other = [blocks(128, 64, seed) for seed in (103, 104)]
    exact, small = (
        OnnxDetector(miniature(folder), input_size=128, precision=precision) for precision in ("float32", "int8")
    )
    assert small.precision == "int8"
    for images in (new, other):  # an input of another shape, too
        assert agreement(exact.detect(images), small.detect(images)) > 0.8
    raw, rounded = (detector.engine.outputs(np.stack(new))[0][0] for detector in (exact, small))
    assert 0 < np.abs(raw - rounded).max() < 0.5, "it computes in integers"


def test_auto_considers_it_where_it_agrees(done: Calibration, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def considered() -> bool:
        detector = OnnxDetector(miniature(folder), input_size=128, precision="auto")
        detector.detect(FRAMES[:1])
        return "int8" in detector.engine_reason

    record = json.loads(done.path.read_bytes())
    try:
        for agreed, unasked in ((0.96, True), (0.94, False)):
            done.path.write_text(json.dumps({**record, "agreement": agreed}))
            assert considered() == unasked
    finally:
        done.path.write_text(json.dumps(record))


def test_other_numbers_have_none(done: Calibration, folder: Path, tmp_path: Path) -> None:
    model = miniature(tmp_path)
    network = onnx.load(tmp_path / "miniature.onnx")
    first = network.graph.initializer[0]
    first.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(first) * np.float32(1.01), first.name))
    onnx.save(network, str(tmp_path / "miniature.onnx"))
    with pytest.raises(ConfigError, match="no network for int8 is calibrated for these weights of miniature"):
        OnnxDetector(model, input_size=128, precision="int8")


def test_a_damaged_one_is_told(done: Calibration, folder: Path) -> None:
    (numbers,) = done.path.parent.glob("miniature-*.bin")
    before = numbers.read_bytes()
    numbers.write_bytes(before[:-1])
    try:
        with pytest.raises(ModelError, match="the calibrated network can't be used: its SHA-256"):
            OnnxDetector(miniature(folder), input_size=128, precision="int8")
    finally:
        numbers.write_bytes(before)


def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    miniature(tmp_path)
    clip = write_clip(tmp_path / "clip.mp4", count=30, draw=lambda number: FRAMES[number], size=(128, 96))
    config = tmp_path / "my.yaml"
    config.write_text(
        f"model: {{name: mine, input_size: 128}}\n"
        f"models: {{mine: {{onnx: {tmp_path}/miniature.onnx, names: {tmp_path}/names}}}}\n"
    )
    assert main(["calibrate", str(clip), "--frames", "12", "--config", str(config)]) == 0
    told = capsys.readouterr()
    assert "every layer, symmetric: agrees with float32 to" in told.err
    assert "agreement with float32 on 4 frames that it was not calibrated with: " in told.out
    assert main(["run", str(clip), "--config", str(config), "--precision", "int8"]) == 0
    assert "openvino, int8" in capsys.readouterr().out


def spoilt(folder: Path) -> Model:
    """The same network, but on the way one channel is ten thousand times as large as the others, which one step of
    eight bits then swallows."""
    model = miniature(folder)
    path = folder / "miniature.onnx"
    network = onnx.load(path)
    growth = np.array([1e4, 1, 1], np.float32)
    for node in network.graph.node:
        node.input[:] = ["grown" if name == "images" else name for name in node.input]
    network.graph.node.insert(0, helper.make_node("Conv", ["images", "growth"], ["grown"], kernel_shape=[1, 1]))
    for constant in network.graph.initializer:
        if constant.name.startswith("w"):
            weights = numpy_helper.to_array(constant) / growth[:, None, None]
            constant.CopyFrom(numpy_helper.from_array(weights.astype(np.float32), constant.name))
    network.graph.initializer.append(numpy_helper.from_array(np.diag(growth)[:, :, None, None], "growth"))
    onnx.save(network, str(path))
    return model


def test_a_bad_result_is_refused_and_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    # The last way, which leaves out what costs most, would save it.
    monkeypatch.setattr(calibration._Work, "_controlled", lambda work, expected: work._quantized(None))
    said: list[str] = []
    with pytest.raises(
        ModelError, match=r"int8 is refused: on 6 frames .* agree with float32's to [\d.]+%.*less than 90%"
    ):
        calibrate_onnx(FRAMES, "a.mp4", model=spoilt(tmp_path), input_size=128, count=18, say=said.append)
    assert not list((tmp_path / "cache").rglob("*.json"))
    assert [line.partition(":")[0] for line in said[1:]] == [
        "every layer, symmetric",
        "every layer",
        "some layers left out",
    ]


def test_layers_that_cost_most_are_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    said: list[str] = []
    done = calibrate_onnx(FRAMES, "a.mp4", model=spoilt(tmp_path), input_size=128, count=18, say=said.append)
    assert "some layers left out: agrees" in said[-1]
    assert done.record.agreement >= LEAST_KEPT
    assert OnnxDetector(spoilt(tmp_path), input_size=128, precision="int8").precision == "int8"


def test_what_can_not_be_calibrated_is_told(tmp_path: Path) -> None:
    sized = write_network(tmp_path / "a.onnx", FAMILIES["rt-detr"], [], classes=80, shape=(64, 64))
    with pytest.raises(ModelError, match="takes the size of the picture as a second input; such networks can't be"):
        calibrate_onnx(FRAMES, "a.mp4", model=onnx_model("a", sized), count=18)
    few: list[Image] = FRAMES[:4]
    with pytest.raises(ConfigError, match=r"a\.mp4: has 4 frames; calibrating needs at least 10"):
        calibrate_onnx(few, "a.mp4", model=miniature(tmp_path), input_size=128, count=18)
