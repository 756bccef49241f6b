"""The scaling benchmark: each part gives its figures, the crowd is as large as asked, and the picture is drawn."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from benchmarks import scaling
from benchmarks.scaling import Crowd, Drawn, point


def test_a_crowd_is_as_large_as_asked_and_stays_in_the_picture() -> None:
    crowd = Crowd(12, 320, 240)
    for found in crowd.detect([np.zeros((240, 320, 3), np.uint8)] * 250):
        assert len(found) == 12
        assert found.xyxy.min() >= 0
        assert (found.xyxy <= [320, 240, 320, 240]).all()
    assert len(Crowd(0, 320, 240).detect([np.zeros((240, 320, 3), np.uint8)])[0]) == 0


def test_drawn_frames_have_their_times() -> None:
    frames = list(Drawn(6, 64, 48))
    assert [(frame.index, frame.pts_s) for frame in frames] == [(index, index / 25) for index in range(6)]
    assert frames[0].image is frames[4].image, "nothing is kept for each frame"


def test_objects_and_length_give_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(scaling._FRAMES, "objects", 20)
    (objects,) = point("objects", 5)
    monkeypatch.setitem(scaling.POINTS, "length", (10, 20))
    length = point("length", 30)
    assert [row["value"] for row in length] == [10, 20, 30]
    for row in (objects, *length):
        assert min(row["fps"], row["cpu_ms"], row["rss_mb"]) > 0


def test_streams_and_sizes_use_the_real_detector(tiny_weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scaling, "_FRAMES", {"streams": 8, "size": 8})
    (streams,), (size,) = point("streams", 2), point("size", 240)
    assert (streams["value"], size["value"]) == (2, 240)
    assert min(streams["cpu_ms"], size["cpu_ms"]) > 0.5, "the network ran"


def test_the_command_keeps_other_parts_and_draws_a_picture(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target, picture = tmp_path / "scaling.json", tmp_path / "scaling.png"
    kept = [{"value": 1, "fps": 50.0, "cpu_ms": 20.0, "rss_mb": 900.0}]
    target.write_text(json.dumps({"parts": {"streams": kept}}))
    options = ["--parts", "length", "--frames", "200", "--runs", "2", "--json", str(target), "--plot", str(picture)]
    assert scaling.main(options) == 0
    report = json.loads(target.read_text())
    assert report["parts"]["streams"] == kept
    assert [row["value"] for row in report["parts"]["length"]] == [200]
    assert report["machine"]["cores"] > 0
    assert "| 200 |" in capsys.readouterr().out
    image = cv2.imread(str(picture))
    assert image is not None
    assert image.std() > 5


def test_a_part_that_there_is_not_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert scaling.main(["--parts", "speed"]) == 2
    assert capsys.readouterr().err == "scaling: no part 'speed'; there are streams, objects, size, length\n"
