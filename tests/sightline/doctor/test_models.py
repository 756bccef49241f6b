"""Which published models a machine carries how many cameras with."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pipeline.hardware import cpu_name
from pipeline.models.cache import CACHE_VARIABLE
from pipeline.models.costs import Cost, known_cost, remember_cost
from sightline.commands.main import main
from sightline.doctor.diagnosis import Load
from sightline.doctor.models import TimedModel, compare_models, recommended, told


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path))
    return tmp_path


def test_those_that_are_here_are_timed_and_remembered(tiny_weights: Path, capsys: pytest.CaptureFixture[str]) -> None:
    images = [np.zeros((48, 64, 3), np.uint8)]
    models = compare_models(images, 0.05, Load(encode=0.001), fps=1.0)
    by_name = {model.name: model for model in models}
    assert by_name["tiny-yolov3"].fps is not None
    assert by_name["tiny-yolov3"].cameras > 0
    assert by_name["yolox-nano"].fps is None
    assert {model.name for model in models} > {"tiny-yolov3", "yolox-s", "retinanet"}
    cost = known_cost("tiny-yolov3", cpu_name())
    assert cost is not None
    assert cost.picture_ms == pytest.approx(1000 / by_name["tiny-yolov3"].fps, rel=0.01)
    assert main(["models", "list"]) == 0
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("  tiny-yolov3 ")]
    assert f"{cost.picture_ms:.1f} ms" in line
    assert "AP 16.6" in line


def test_a_cost_of_another_machine_or_a_damaged_file_is_none(cache: Path) -> None:
    cost = Cost(processor="abacus", threads=1, precision="float32", input_shape=(32, 32), picture_ms=2.0)
    remember_cost("a/b", cost)
    assert known_cost("a/b", "abacus") == cost
    assert known_cost("a/b", "slide rule") is None
    (file,) = (cache / "costs").iterdir()
    file.write_text("{")
    assert known_cost("a/b", "abacus") is None


TINY, NANO = TimedModel("tiny-yolov3", 16.6, 70.0, 2), TimedModel("yolox-nano", 25.8, 130.0, 4)


def test_the_recommended_one_finds_most_of_those_that_keep_up() -> None:
    slow = TimedModel("yolov3", 31.0, 6.0, 0)
    assert "--model yolox-nano, which finds most of those that carry a camera." in recommended([TINY, NANO, slow])
    assert "--model tiny-yolov3, which is the fastest" in recommended([TimedModel("tiny-yolov3", 16.6, 9.0, 0), slow])
    missing = TimedModel("yolox-nano", 25.8, None, 0, "not here; models fetch yolox-nano")
    assert "models fetch yolox-nano" in recommended([TINY, missing])
    assert recommended([missing]) == ""
    lines = told([TINY, missing])
    assert "  tiny-yolov3  AP 16.6     70.0 frames per second  2 cameras" in lines
    assert "  yolox-nano   AP 25.8  not here; models fetch yolox-nano" in lines
