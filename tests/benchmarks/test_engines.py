"""The engine benchmark times what is installed, and says what is left out."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import engines
from pipeline.models.cache import CACHE_VARIABLE
from pipeline.models.engines.base import ENGINES


def test_every_engine_has_its_figures(
    tiny_weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path))
    target = tmp_path / "figures.json"
    options = ["--shapes", "64x96,32x32", "--batches", "1,2", "--rounds", "2", "--precisions", "float32,int8"]
    assert engines.main([*options, "--weights", str(tiny_weights), "--json", str(target)]) == 0
    timings = json.loads(target.read_text())["timings"]
    ways = {("openvino", "int8"), *((name, "float32") for name in ENGINES)}
    assert {(row["engine"], row["precision"]) for row in timings} == ways
    assert len(timings) == 4 * len(ways)
    assert all(row["ms"] > 0 for row in timings)
    told = capsys.readouterr()
    assert "| tensorflow | float32 | 64x96 | " in told.out
    assert "| openvino | int8 | 64x96 | " in told.out


def test_a_model_that_there_is_not_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert engines.main(["--model", "yolo9"]) == 2
    assert len(capsys.readouterr().err.strip().splitlines()) == 1
