"""What importing costs: an event reader must not pay for the detector."""

from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    ("module", "absent"),
    [
        ("pipeline", ["cv2", "av", "numpy", "tensorflow", "pydantic"]),
        ("sinks.feed.client", ["cv2", "av", "numpy", "tensorflow", "pydantic"]),
        ("pipeline.detection.yolov3.detector", ["av", "PIL", "tensorflow"]),
        ("run_pipeline", ["tensorflow"]),
    ],
)
def test_importing_does_not_load_what_is_not_needed(module: str, absent: list[str]) -> None:
    code = f"import sys, {module}; print(*(name for name in {absent!r} if name in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.split() == []


def test_the_library_is_found_under_its_short_names() -> None:
    code = "from pipeline import Pipeline, Stream, YoloDetector, open_source"
    subprocess.run([sys.executable, "-c", code], timeout=60, check=True)
