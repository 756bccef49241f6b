"""Whether the defaults choose well is told as a ratio to the best explicit choice."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from benchmarks import choice


def test_the_defaults_are_compared_with_the_best(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fps = {"int8": 100.0, "bfloat16": 80.0, "float32": 40.0}

    def run(clip: Path, options: Sequence[str]) -> dict[str, Any]:
        if "tensorflow" in options:
            raise subprocess.CalledProcessError(1, "run", stderr=b"error: it is broken")
        told = {"engine": "openvino", "engine_reason": "there is no GPU", "start_s": 2.0, "peak_rss_mb": 400.0}
        return {**told, "precision": "int8", "fps": fps.get(options[-1], 0) if options else 96.0}

    monkeypatch.setattr(choice, "run", run)
    monkeypatch.setattr(choice, "can_compute", lambda engine, precision: True)
    clip, target = tmp_path / "clip.mp4", tmp_path / "figures.json"
    assert choice.main(["--clip", str(clip), "--runs", "2", "--json", str(target)]) == 0
    told = capsys.readouterr()
    assert "| openvino bfloat16 | 80.0 | 2.00 | 400 |" in told.out
    assert "by openvino int8, the best: 0.96 (0.96 to 0.96)" in told.out
    assert "tensorflow float32 is left out: error: it is broken" in told.err
    runs = json.loads(target.read_text())["runs"]
    assert set(runs) == {"defaults", "openvino float32", "openvino bfloat16", "openvino int8"}
    assert all(len(reports) == 2 for reports in runs.values())


def test_float16_is_for_gpus() -> None:
    assert ("--engine", "tensorflow", "--precision", "float32") in choice.ways().values()
    assert not any("float16" in options for options in choice.ways().values())
