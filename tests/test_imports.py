"""What importing costs: an event reader must not pay for the detector."""

from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    ("module", "absent"),
    [
        ("pipeline", ["cv2", "av", "numpy", "tensorflow", "openvino", "pydantic"]),
        ("sightline", ["cv2", "av", "numpy", "tensorflow", "openvino", "pydantic", "rich"]),
        ("sightline.library.analysis", ["tensorflow", "openvino", "pandas", "polars", "supervision"]),
        ("sinks", ["cv2", "av", "numpy", "tensorflow", "openvino", "pydantic"]),
        ("sinks.feed.client", ["cv2", "av", "numpy", "tensorflow", "pydantic"]),
        ("pipeline.detection.yolov3.detector", ["av", "PIL", "tensorflow"]),
        ("sightline.commands.run", ["fastapi", "uvicorn", "starlette", "prometheus_client", "sightline.server.app"]),
        ("run_pipeline", ["tensorflow", "openvino", "scipy", "av", "cv2", "pydantic"]),
        (
            "sightline.commands.run",
            [
                *("tensorflow", "openvino", "scipy", "zmq", "paho", "sqlite3", "fastapi", "uvicorn"),
                *("pipeline.detection.onnx", "pipeline.detection.retinanet", "sightline.batch", "sightline.doctor"),
                *("apprise", "ray", "sightline.cluster", "sinks.recording", "sinks.evidence", "sinks.integrations"),
            ],
        ),
    ],
)
def test_importing_does_not_load_what_is_not_needed(module: str, absent: list[str]) -> None:
    code = f"import sys, {module}; print(*(name for name in {absent!r} if name in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


@pytest.mark.parametrize("package", ["pipeline", "sightline", "sinks", "trackers", "sightline.imageai"])
def test_the_library_is_found_under_its_short_names(package: str) -> None:
    code = f"import {package} as package; print(*(type(getattr(package, name)) for name in package.__all__))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split()
