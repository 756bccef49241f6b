"""Embedder: pixels as the network wants them, vectors of length 1, and files that are no such network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest

from pipeline.appearance.embedder import Embedder
from pipeline.errors import ConfigError, ModelError
from tests.support.onnx_embedding import write_embedding
from tests.support.onnx_files import write_network
from tests.support.onnx_layouts import FAMILIES

MEAN, STD = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
BGR = (200, 60, 20)


def plain(color: tuple[int, int, int], size: tuple[int, int] = (70, 30)) -> np.ndarray[Any, Any]:
    return np.full((*size, 3), color, np.uint8)


def unit(vector: Any) -> Any:
    return np.asarray(vector) / np.linalg.norm(vector)


@pytest.mark.parametrize("shape", [(32, 16), None])
@pytest.mark.parametrize("flat", [True, False])
@pytest.mark.parametrize("batch", ["batch", 1])
def test_pixels_are_rgb_by_imagenets_mean_and_deviation(
    tmp_path: Path, shape: tuple[int, int] | None, flat: bool, batch: int | str
) -> None:
    embedder = Embedder(write_embedding(tmp_path / "net.onnx", shape=shape, flat=flat, batch=batch), threads=1)
    assert embedder.size == (shape or (256, 128))
    assert embedder.dimensions == 3
    found = embedder.embed([plain(BGR), plain((0, 0, 255), (400, 300)), plain(BGR, (10, 300))])
    assert found.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(found[0], unit((np.array(BGR[::-1]) / 255 - MEAN) / STD), atol=1e-4)
    np.testing.assert_allclose(found[1], unit((np.array([1, 0, 0]) - MEAN) / STD), atol=1e-4)
    np.testing.assert_allclose(found[2], found[0], atol=1e-5)
    assert embedder.embed([]).shape == (0, 3)
    embedder.close()


def test_what_the_file_says_of_its_input_holds(tmp_path: Path) -> None:
    said = {"imgsz": "[64, 48]", "mean": "[0.5, 0.5, 0.5]", "std": "(0.25, 0.5, 1.0)"}
    embedder = Embedder(write_embedding(tmp_path / "net.onnx", shape=None, metadata=said), threads=1)
    assert embedder.size == (64, 48)
    expected = unit((np.array(BGR[::-1]) / 255 - 0.5) / [0.25, 0.5, 1.0])
    np.testing.assert_allclose(embedder.embed([plain(BGR)])[0], expected, atol=1e-4)


def test_a_vector_of_nothing_stays_nothing(tmp_path: Path) -> None:
    said = {"mean": "[0, 0, 0]", "std": "[1, 1, 1]"}
    embedder = Embedder(write_embedding(tmp_path / "net.onnx", metadata=said), threads=1)
    np.testing.assert_array_equal(embedder.embed([plain((0, 0, 0))]), np.zeros((1, 3), np.float32))


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ({"twice": True}, "expected one output"),
        ({"metadata": {"names": "{0: 'cat', 1: 'dog'}"}}, "detector or a classifier"),
        ({"metadata": {"task": "detect"}}, "detector or a classifier"),
        ({"metadata": {"std": "[0, 1, 1]"}}, "its std"),
        ({"metadata": {"mean": "[123.7, 116.3, 103.5]"}}, "its mean"),
        ({"metadata": {"mean": "none"}}, "three numbers"),
    ],
)
def test_what_is_no_such_network_is_named_in_one_line(tmp_path: Path, written: dict[str, Any], told: str) -> None:
    path = write_embedding(tmp_path / "net.onnx", **written)
    with pytest.raises(ModelError, match=told) as caught:
        Embedder(path, threads=1)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_detector_is_none(tmp_path: Path) -> None:
    path = write_network(tmp_path / "net.onnx", FAMILIES["yolox"], [], classes=3, shape=(64, 64))
    with pytest.raises(ModelError, match="expected one output with one vector"):
        Embedder(path, threads=1)


def test_files_that_are_missing_or_damaged(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nothing\.onnx"):
        Embedder(tmp_path / "nothing.onnx")
    with pytest.raises(ConfigError, match="batch"):
        Embedder(write_embedding(tmp_path / "net.onnx"), batch=0)
    damaged = tmp_path / "damaged.onnx"
    damaged.write_bytes(b"no network")
    with pytest.raises(ModelError, match=r"damaged\.onnx"):
        Embedder(damaged)


def test_numbers_that_are_not_finite_are_told(tmp_path: Path) -> None:
    path = write_embedding(tmp_path / "net.onnx")
    model = onnx.load(str(path))
    model.graph.node.insert(0, onnx.helper.make_node("Log", ["images"], ["logs"]))
    model.graph.node[1].input[0] = "logs"
    onnx.save(model, str(path))
    with pytest.raises(ModelError, match="not a finite number"):
        Embedder(path, threads=1)


def test_osnet_computes_what_onnxruntime_does(eval_dir: Path) -> None:
    path = eval_dir / "models" / "osnet_x0_25_msmt17.onnx"
    if not path.is_file():
        pytest.skip(f"{path} is missing")
    embedder = Embedder(path, threads=1)
    assert (embedder.size, embedder.dimensions) == ((256, 128), 512)
    picture = np.random.default_rng(3).integers(0, 256, (256, 128, 3), dtype=np.uint8)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    given = ((picture[..., ::-1] / 255 - MEAN) / STD).transpose(2, 0, 1)[None].astype(np.float32)
    (expected,) = session.run(None, {session.get_inputs()[0].name: given})
    np.testing.assert_allclose(embedder.embed([picture])[0], unit(expected[0]), atol=1e-3)
