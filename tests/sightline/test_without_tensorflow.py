"""Nobody who does not ask for it pays for TensorFlow: its import, its memory, its threads."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np
import pytest

from pipeline.hardware import has_gpu_device
from pipeline.models.cache import CACHE_VARIABLE

ROOT = Path(__file__).parents[2]

RUN = """
from sightline.commands.main import main
words = [clip, "--duration", "0.4", "-o", "out.mp4", "--jsonl", "out.jsonl", "--report", "out.json", "-q"]
assert main([*words, "--weights", weights]) == 0
"""
DETECT = """
from sightline.commands.main import main
assert main(["detect", "picture.png", "--json", "out.json", "-q", "--weights", weights]) == 0
"""
DOCTOR = """
from sightline.doctor.examination import examine
assert examine(options={"weights": weights}, seconds=0.1).detect_fps
"""
IMAGEAI = """
from sightline.imageai import ObjectDetection, VideoObjectDetection
script = ObjectDetection()
script.setModelTypeAsTinyYOLOv3()
script.setModelPath(weights)
script.useCPU()
script.loadModel()
script.detectObjectsFromImage("picture.png", "found.png")
VideoObjectDetection()
"""
CALIBRATE = """
from sightline.commands.main import main
assert main(["calibrate", clip, "--seconds", "1", "--frames", "10", "--weights", weights]) == 0
"""


@pytest.mark.skipif(has_gpu_device(), reason="there is a GPU, which TensorFlow is asked about")
@pytest.mark.parametrize(
    "code", [RUN, DETECT, DOCTOR, IMAGEAI, CALIBRATE], ids=["run", "detect", "doctor", "imageai", "calibrate"]
)
def test_tensorflow_is_not_loaded(code: str, demo_clip: Path, tiny_weights: Path, tmp_path: Path) -> None:
    if code is CALIBRATE and find_spec("nncf") is None:
        pytest.skip("NNCF is not installed: pip install 'sightline[calibrate]'")
    cv2.imwrite(str(tmp_path / "picture.png"), np.full((96, 128, 3), 127, np.uint8))
    before = f"clip, weights = {str(demo_clip)!r}, {str(tiny_weights)!r}\n"
    after = "\nimport sys\nprint('loaded:', *(name for name in ('tensorflow', 'keras') if name in sys.modules))\n"
    environment = {**os.environ, "PYTHONPATH": str(ROOT), CACHE_VARIABLE: str(tmp_path / "cache")}
    done = subprocess.run(
        [sys.executable, "-c", before + code + after],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "loaded:"
