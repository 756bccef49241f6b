"""A quota of one core is compared with one core, in a control group that is gone afterwards."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmarks import quota
from pipeline.errors import PipelineError


def test_a_group_has_its_quota_and_goes_away() -> None:
    try:
        with quota.group(1.5) as made:
            name = "cpu.max" if (made / "cpu.max").exists() else "cpu.cfs_quota_us"
            assert (made / name).read_text().split()[0] == "150000"
    except PipelineError as error:
        pytest.skip(str(error))
    assert not made.exists()


def test_the_ratio_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    rates = iter([9.0, 9.0, 48.0, 50.0, 47.0, 50.0])

    def run(clip: Path, enter: Callable[[], object]) -> dict[str, Any]:
        return {"fps": next(rates), "network_threads": 1, "engine": "openvino", "precision": "int8", "start_s": 1.0}

    monkeypatch.setattr(quota, "run", run)
    target = tmp_path / "figures.json"
    try:
        with quota.group(1):
            pass
    except PipelineError as error:
        pytest.skip(str(error))
    assert quota.main(["--clip", str(tmp_path / "clip.mp4"), "--runs", "2", "--json", str(target)]) == 0
    told = capsys.readouterr().out
    assert "| quota | 47.5 | 1 |" in told
    assert "quota by tied: 0.95 (0.94 to 0.96)" in told
    assert len(json.loads(target.read_text())["runs"]["tied"]) == 2
