"""Which network int8 runs, and whether it may run unasked."""

from __future__ import annotations

import platform
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from pipeline.errors import ConfigError, ModelError
from pipeline.models.cache import CACHE_VARIABLE
from pipeline.models.engines import int8_models
from pipeline.models.engines.activation_ranges import shipped_ranges
from pipeline.models.engines.int8_files import Int8Record, save_int8, weights_digest
from pipeline.models.engines.int8_models import has_int8, int8_model
from pipeline.models.networks.darknet import DarknetNetwork
from pipeline.models.registry import find_model
from pipeline.models.weights.formats import read_weights
from pipeline.models.weights.parameters import ConvolutionParameters
from tests.support.darknet_files import miniature, random_parameters, yolo_of


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path))
    return tmp_path / "int8"


def keep(parameters: list[ConvolutionParameters], agreement: float, network: DarknetNetwork | None = None) -> Path:
    """A record of a calibration that went so well; its model is none."""
    network = network or miniature()
    record = Int8Record(
        network=network.name,
        weights=weights_digest(network, parameters),
        clip="a.mp4",
        input_shape=(96, 96),
        frames=20,
        held_out=5,
        agreement=agreement,
        speed_up=2.0,
        versions={},
    )
    return save_int8(record, b"<net/>", b"numbers")


@pytest.fixture(scope="module")
def tiny(tiny_weights: Path) -> tuple[DarknetNetwork, list[ConvolutionParameters]]:
    """The network whose ranges are shipped, with the weights that they belong to."""
    network = yolo_of(find_model("tiny-yolov3"))
    return network, read_weights(tiny_weights, network)


def test_published_weights_have_ranges(tiny: tuple[DarknetNetwork, list[ConvolutionParameters]]) -> None:
    assert has_int8(tiny[0], weights_digest(*tiny))
    assert len(int8_model(*tiny, weights_digest(*tiny)).outputs) == 2


def test_they_are_offered_only_where_they_were_measured(
    tiny: tuple[DarknetNetwork, list[ConvolutionParameters]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    assert not has_int8(tiny[0], weights_digest(*tiny))


def test_they_are_offered_only_where_they_were_accurate(
    tiny: tuple[DarknetNetwork, list[ConvolutionParameters]], monkeypatch: pytest.MonkeyPatch
) -> None:
    ranges = shipped_ranges(weights_digest(*tiny))
    assert ranges is not None
    bad = msgspec.structs.replace(ranges.accuracy[0], f1={"a.mp4": 0.949})
    worse = msgspec.structs.replace(ranges, accuracy=(*ranges.accuracy, bad))
    monkeypatch.setattr(int8_models, "shipped_ranges", lambda digest: worse)
    assert not has_int8(tiny[0], weights_digest(*tiny), square=bad.square)


def test_one_other_number_makes_them_other_weights(tiny: tuple[DarknetNetwork, list[ConvolutionParameters]]) -> None:
    network, parameters = tiny
    weights = parameters[-1].weights.copy()
    weights[0, 0] += 0.001
    assert not has_int8(network, weights_digest(network, [*parameters[:-1], replace(parameters[-1], weights=weights)]))


def test_what_was_calibrated_here_comes_before_what_is_shipped(
    tiny: tuple[DarknetNetwork, list[ConvolutionParameters]],
) -> None:
    network, parameters = tiny
    keep(parameters, 0.9, network)
    assert not has_int8(network, weights_digest(network, parameters))
    with pytest.raises(ModelError, match="the calibrated network can't be used"):
        int8_model(network, parameters, weights_digest(network, parameters))  # the model that was kept is none


def test_other_weights_have_none() -> None:
    keep(random_parameters(miniature(), seed=1), 0.99)
    parameters = random_parameters(miniature())
    assert not has_int8(miniature(), weights_digest(miniature(), parameters))
    with pytest.raises(ConfigError, match=r"the command calibrate"):
        int8_model(miniature(), parameters, weights_digest(miniature(), parameters))


@pytest.mark.parametrize(("agreement", "offered"), [(0.95, True), (0.949, False)])
def test_a_calibrated_one_runs_unasked_where_it_agrees_with_float32(agreement: float, offered: bool) -> None:
    parameters = random_parameters(miniature())
    keep(parameters, agreement)
    assert has_int8(miniature(), weights_digest(miniature(), parameters)) is offered


def test_a_damaged_one_does_not_run_unasked() -> None:
    pytest.importorskip("openvino")
    parameters = random_parameters(miniature())
    path = keep(parameters, 0.99)
    path.write_bytes(path.read_bytes()[:50])
    assert not has_int8(miniature(), weights_digest(miniature(), parameters))
    with pytest.raises(ModelError, match="the calibrated network can't be used"):
        int8_model(miniature(), parameters, weights_digest(miniature(), parameters))
