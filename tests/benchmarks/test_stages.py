"""The stage benchmark covers every stage, and its playback stands in for the network alone."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks import stages
from pipeline.detection.yolov3.detector import YoloDetector


def test_every_stage_has_its_figures(
    short_clip: Path, tiny_weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "figures.json"
    assert stages.main(["--clip", str(short_clip), "--frames", "6", "--runs", "1", "--json", str(target)]) == 0
    report = json.loads(target.read_text())
    assert report["frames"] == 6
    assert report["objects_per_frame"] > 0
    assert len(report["stages"]) == 13
    assert all(cost["wall_ms"] >= cost["best_ms"] > 0 for cost in report["stages"].values())
    assert "whole run, MP4 and events" in capsys.readouterr().out


def test_playback_gives_what_the_network_gave(short_clip: Path, tiny_weights: Path) -> None:
    detector = YoloDetector(batch_size=4, precision="float32")
    recorded = stages.Recorded(short_clip, 10, detector, 4, 0.25)
    with recorded.playback():
        images = [frame.image for frame in recorded.frames]
        # Cut in other places than the recording was.
        found = [*detector.detect(images[:1]), *detector.detect(images[1:3]), *detector.detect(images[3:])]
    assert sum(map(len, found)) > 0
    for one, other in zip(found, recorded.detections, strict=True):
        np.testing.assert_array_equal(one.xyxy, other.xyxy)
        np.testing.assert_array_equal(one.class_id, other.class_id)


def test_a_missing_clip_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert stages.main(["--clip", "nowhere.mp4"]) == 2
    assert len(capsys.readouterr().err.strip().splitlines()) == 1
