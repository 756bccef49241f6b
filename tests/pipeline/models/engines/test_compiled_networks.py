"""What is kept of a compiled network gives the same numbers, and counts as none where it can't be trusted."""

from __future__ import annotations

import hashlib
import time
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from pipeline.models.cache import CACHE_VARIABLE
from pipeline.models.engines import compiled_networks, core_watch, openvino_engine
from pipeline.models.engines.openvino_engine import OpenVinoEngine
from pipeline.models.networks.darknet import DarknetNetwork
from pipeline.models.registry import find_model
from pipeline.models.weights.formats import read_weights
from pipeline.models.weights.parameters import ConvolutionParameters
from pipeline.types import Float32Array, Image
from tests.support.darknet_files import yolo_of

Network = tuple[DarknetNetwork, list[ConvolutionParameters]]

IMAGES: Image = np.random.default_rng(7).integers(0, 255, (2, 96, 128, 3), np.uint8)


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where compiled networks are kept."""
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path))
    return tmp_path / "engines"


@pytest.fixture(scope="module")
def tiny(tiny_weights: Path) -> Network:
    """The network whose ranges are shipped, with the weights that they belong to."""
    network = yolo_of(find_model("tiny-yolov3"))
    return network, read_weights(tiny_weights, network)


def heads(tiny: Network) -> list[Float32Array]:
    with closing(OpenVinoEngine(*tiny, precision="int8", threads=1)) as engine:
        return engine.heads(IMAGES)


def only(kept: Path) -> Path:
    (file,) = kept.glob("*.compiled")
    return file


def test_the_second_start_builds_nothing_and_finds_the_same(
    kept: Path, tiny: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = heads(tiny)
    monkeypatch.setattr(openvino_engine, "int8_model", None)  # whoever builds it fails
    for one, other in zip(first, heads(tiny), strict=True):
        assert np.array_equal(one, other)


@pytest.mark.parametrize("damage", ["a byte", "cut off", "empty", "another library's"])
def test_a_damaged_file_is_made_anew(kept: Path, tiny: Network, damage: str, monkeypatch: pytest.MonkeyPatch) -> None:
    first = heads(tiny)
    file = only(kept)
    whole = file.read_bytes()
    if damage == "a byte":
        file.write_bytes(whole[:5000] + bytes([whole[5000] ^ 1]) + whole[5001:])
    elif damage == "another library's":  # sound, but not what this OpenVINO writes
        data = b"not a network at all" * 1000
        file.write_bytes(hashlib.sha256(data).digest() + data)
    else:
        file.write_bytes(whole[: len(whole) // 2 if damage == "cut off" else 0])
    for one, other in zip(first, heads(tiny), strict=True):
        assert np.array_equal(one, other)
    monkeypatch.setattr(openvino_engine, "int8_model", None)
    heads(tiny)  # the new file serves


def test_what_other_code_or_another_machine_compiled_is_not_used(
    kept: Path, tiny: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    heads(tiny)
    before = only(kept)
    for name in ("cpu_name", "_builders"):
        monkeypatch.setattr(compiled_networks, name, lambda: "another")
        heads(tiny)
        assert only(kept) != before, "the old one has gone"
        before = only(kept)


def test_a_network_that_was_read_follows_the_cores(kept: Path, tiny: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    first = heads(tiny)
    monkeypatch.setattr(core_watch, "LOOK_EVERY_S", 0.0)
    cores = [1]
    with closing(OpenVinoEngine(*tiny, precision="int8", cores=lambda: cores[0])) as engine:
        engine.heads(IMAGES)
        cores[0] = 2
        latest_s = time.monotonic() + 60
        while engine.threads != 2:
            assert time.monotonic() < latest_s
            engine.heads(IMAGES)
        for one, other in zip(first, engine.heads(IMAGES), strict=True):
            assert np.allclose(one, other, atol=1e-4)


def test_without_a_cache_folder_it_works_and_says_so(
    tiny: Network, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "file" / "folder"))
    assert len(heads(tiny)) == 2
    assert "compiled again next time" in caplog.text
