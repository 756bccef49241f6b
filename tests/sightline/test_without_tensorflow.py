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

needs_nncf = pytest.mark.skipif(
    find_spec("nncf") is None, reason="NNCF is not installed: pip install 'sightline[calibrate]'"
)
without_gpu = pytest.mark.skipif(has_gpu_device(), reason="there is a GPU, which TensorFlow is asked about")

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


EACH = {"run": RUN, "detect": DETECT, "doctor": DOCTOR, "imageai": IMAGEAI}


def loaded(code: str, folder: Path, clip: Path, weights: Path) -> list[str]:
    """What a fresh process that runs the code prints last."""
    cv2.imwrite(str(folder / "picture.png"), np.full((96, 128, 3), 127, np.uint8))
    before = f"""
import sys
clip, weights = {str(clip)!r}, {str(weights)!r}
def loaded():
    return [name for name in ("tensorflow", "keras") if name in sys.modules]
"""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), CACHE_VARIABLE: str(folder / "cache")}
    done = subprocess.run(
        [sys.executable, "-c", before + code], cwd=folder, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@without_gpu
def test_nothing_of_the_default_loads_tensorflow(demo_clip: Path, tiny_weights: Path, tmp_path: Path) -> None:
    code = "".join(f"{each}\nprint('after {name}:', *loaded())\n" for name, each in EACH.items())
    told = loaded(code, tmp_path, demo_clip, tiny_weights)
    assert [line for line in told if line.startswith("after ")] == [f"after {name}:" for name in EACH]


@without_gpu
@needs_nncf
def test_nor_does_what_calibrates(demo_clip: Path, tiny_weights: Path, tmp_path: Path) -> None:
    code = "from pipeline.detection.calibration import import_nncf\nimport_nncf()\nprint('after:', *loaded())"
    assert loaded(code, tmp_path, demo_clip, tiny_weights)[-1] == "after:"


@pytest.mark.slow
@without_gpu
@needs_nncf
def test_nor_does_calibrating(demo_clip: Path, tiny_weights: Path, tmp_path: Path) -> None:
    told = loaded(f"{CALIBRATE}\nprint('after:', *loaded())", tmp_path, demo_clip, tiny_weights)
    assert told[-1] == "after:"
