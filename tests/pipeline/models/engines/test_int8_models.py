"""Which network int8 runs, and whether it may run unasked."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.errors import ConfigError, ModelError
from pipeline.models.cache import CACHE_VARIABLE
from pipeline.models.engines.int8_files import Int8Record, save_int8, weights_digest
from pipeline.models.engines.int8_models import has_int8, int8_model
from pipeline.models.weights.parameters import ConvolutionParameters
from tests.support.darknet_files import miniature, random_parameters


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path))
    return tmp_path / "int8"


def keep(parameters: list[ConvolutionParameters], agreement: float) -> Path:
    """A record of a calibration that went so well; its model is none."""
    record = Int8Record(
        network="miniature",
        weights=weights_digest(miniature(), parameters),
        clip="a.mp4",
        input_shape=(96, 96),
        frames=20,
        held_out=5,
        agreement=agreement,
        speed_up=2.0,
        versions={},
    )
    return save_int8(record, b"<net/>", b"numbers")


def test_other_weights_have_none() -> None:
    keep(random_parameters(miniature(), seed=1), 0.99)
    parameters = random_parameters(miniature())
    assert not has_int8(miniature(), parameters)
    with pytest.raises(ConfigError, match=r"run_pipeline.py calibrate"):
        int8_model(miniature(), parameters)


@pytest.mark.parametrize(("agreement", "offered"), [(0.95, True), (0.949, False)])
def test_a_calibrated_one_runs_unasked_where_it_agrees_with_float32(agreement: float, offered: bool) -> None:
    parameters = random_parameters(miniature())
    keep(parameters, agreement)
    assert has_int8(miniature(), parameters) is offered


def test_a_damaged_one_does_not_run_unasked() -> None:
    pytest.importorskip("openvino")
    parameters = random_parameters(miniature())
    path = keep(parameters, 0.99)
    path.write_bytes(path.read_bytes()[:50])
    assert not has_int8(miniature(), parameters)
    with pytest.raises(ModelError, match="the calibrated network can't be used"):
        int8_model(miniature(), parameters)
