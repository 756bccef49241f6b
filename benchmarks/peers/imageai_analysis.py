"""What ImageAI's own loop hands to a script's functions, for detections that are prescribed frame by frame.

    python -m benchmarks.peers.imageai_analysis --output tests/sightline/imageai/analysis.json

Run it where ImageAI 3.0.3 is installed (``pip install --no-deps imageai==3.0.3``). Of what it imports only OpenCV and
Pillow need to be there: its networks, and PyTorch with them, have nothing to do here. The tests compare the facade's
strict mode with the file.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

FRAMES = 65
CASES: list[dict[str, Any]] = [
    {"frames_per_second": 10},
    {"frames_per_second": 20},
    {"frames_per_second": 7, "frame_detection_interval": 2},
    {"frames_per_second": 20, "frame_detection_interval": 3},
    {"frames_per_second": 1},
    {"frames_per_second": 12.5},
    {"frames_per_second": 29.97},
    {"frames_per_second": 10, "detection_timeout": 2},
    {"frames_per_second": 10, "detection_timeout": 1.5, "frame_detection_interval": 5},
    {"frames_per_second": 12.5, "detection_timeout": 1},
    {"frames_per_second": 29.97, "detection_timeout": 1},
    {"frames_per_second": 25, "detection_timeout": 100},
]


def prescribed(number: int) -> list[str]:
    """The names of the objects in frame ``number``, from 1."""
    return ["person"] * (number % 4) + ["car"] * (number * number % 3) + ["dog"] * (number % 13 == 0)


def shown(arrays: list[list[dict[str, Any]]], counts: list[dict[str, int]]) -> list[list[int]]:
    """Persons, cars and dogs of each frame, if the two lists agree."""
    for objects, count in zip(arrays, counts, strict=True):
        if Counter(item["name"] for item in objects) != count:
            raise ValueError(f"{objects} are not {count}")
    return [[count.get(name, 0) for name in ("person", "car", "dog")] for count in counts]


def record(detect: Callable[..., Any], case: dict[str, Any], folder: Path, clip: Path) -> dict[str, Any]:
    """Run one case by ``detectObjectsFromVideo``; returns all that its functions were given."""
    told: dict[str, list[Any]] = {"frames": [], "seconds": [], "minutes": [], "complete": []}
    path = detect(
        input_file_path=str(clip),
        output_file_path=str(folder / "out"),
        per_frame_function=lambda number, objects, counts: told["frames"].append([number, shown([objects], [counts])]),
        per_second_function=lambda number, *lists: told["seconds"].append([number, shown(*lists[:2]), lists[2]]),
        per_minute_function=lambda number, *lists: told["minutes"].append([number, shown(*lists[:2]), lists[2]]),
        video_complete_function=lambda *lists: told["complete"].append([shown(*lists[:2]), lists[2]]),
        **case,
    )
    return {"case": case, **told, "written": frames_of(path)}


def frames_of(path: str) -> list[float]:
    """How many frames a video has, and its nominal rate."""
    import cv2

    capture = cv2.VideoCapture(path)
    count = 0
    while capture.grab():
        count += 1
    rate = round(capture.get(cv2.CAP_PROP_FPS), 2)
    capture.release()
    return [count, rate]


def main() -> int:
    """The command line."""
    import numpy as np

    from benchmarks.peers.imageai_video import import_detection
    from tests.support.clips import read_number, write_clip

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, required=True)
    options = parser.parse_args()
    sys.modules.setdefault("torch", MagicMock())
    for name in ("torch.nn", "torch.nn.functional", "torch.utils", "torch.utils.data"):
        sys.modules.setdefault(name, MagicMock())
    module = import_detection()

    def found(self: object, input_image: Any, **_: object) -> Any:
        objects = [
            {"name": name, "percentage_probability": 90.0, "box_points": [0, 0, 9, 9]}
            for name in prescribed(read_number(np.asarray(input_image)) + 1)
        ]
        return input_image, objects

    module.ObjectDetection.detectObjectsFromImage = found
    with tempfile.TemporaryDirectory() as name:
        clip = write_clip(Path(name) / "clip.mp4", count=FRAMES, fps=25)
        detector = module.VideoObjectDetection()
        recorded = [record(detector.detectObjectsFromVideo, case, Path(name), clip) for case in CASES]
    options.output.write_text("[\n" + ",\n".join(json.dumps(case) for case in recorded) + "\n]\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
