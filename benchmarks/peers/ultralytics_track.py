"""Ultralytics as its documentation shows it for a processor: YOLO11n exported to OpenVINO, ``track(save=True)``.

    python -m benchmarks.peers.ultralytics_track VIDEO --folder DIR [--events]

The published weights are not fetched: the network is the one of ``yolo11n.yaml`` with random weights, which costs the
same and finds nothing worth tracking. What tracking and drawing cost on top is so left out, in its favour.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import cv2
import numpy as np

from benchmarks.peers.clock import RunClock

SIZE = 416


def _have_torchvision() -> None:
    """Let Ultralytics' own suppression stand in for torchvision's where that is of another build than PyTorch."""
    try:
        importlib.import_module("torchvision")
    except (ImportError, RuntimeError):
        stand_in: Any = ModuleType("torchvision")
        stand_in.ops = ModuleType("torchvision.ops")
        stand_in.ops.nms = importlib.import_module("ultralytics.utils.nms").TorchNMS.nms
        sys.modules.update({"torchvision": stand_in, "torchvision.ops": stand_in.ops})


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("video", type=Path)
    parser.add_argument("--folder", type=Path, required=True, help="for the exported network and the video")
    parser.add_argument("--events", action="store_true", help="track only: no video")
    options = parser.parse_args()
    os.environ |= {"YOLO_CONFIG_DIR": str(options.folder), "YOLO_AUTOINSTALL": "false", "YOLO_VERBOSE": "false"}
    from ultralytics import YOLO, settings

    _have_torchvision()
    settings.update({"sync": False})
    os.chdir(options.folder)  # where it writes what it exports
    exported = YOLO("yolo11n.yaml", task="detect").export(format="openvino", imgsz=SIZE, verbose=False)
    model = YOLO(exported, task="detect")
    reader = cv2.VideoCapture(str(options.video))
    shape = [int(reader.get(key)) for key in (cv2.CAP_PROP_FRAME_HEIGHT, cv2.CAP_PROP_FRAME_WIDTH)]
    reader.release()
    model.predict(np.zeros((*shape, 3), np.uint8), imgsz=SIZE, verbose=False)
    clock = RunClock()
    clock.start()
    frames = boxes = 0
    for result in model.track(
        str(options.video),
        imgsz=SIZE,
        stream=True,
        save=not options.events,
        project=str(options.folder),
        verbose=False,
    ):
        frames += 1
        boxes += len(result.boxes)
    clock.stop()
    clock.report(frames, boxes=boxes, weights="random")


if __name__ == "__main__":
    main()
