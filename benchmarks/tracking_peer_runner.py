"""Runs another library's tracker over recorded detections; started by an interpreter that has that library.

    PYTHON benchmarks/tracking_peer_runner.py TRACKER IN.npz OUT.npz

It needs numpy and the peer alone, nothing of this project. ``IN.npz`` holds the frames of many sequences one after the
other: ``boxes`` (detections, 4) xyxy, ``score``, ``frame`` (number of each detection's frame, from 0, over all
sequences), and by sequence ``frames`` and ``fps``. ``OUT.npz`` gets ``boxes``, ``track_id``, ``frame`` likewise.
``TRACKER`` is one of those below; with ``@0.25`` behind it, thresholds of the peer's that stand for a score are 0.25.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np

# Boxes and scores of one frame to boxes and ids.
Step = Callable[[np.ndarray, np.ndarray], "tuple[np.ndarray, np.ndarray]"]


def roboflow(kind: str, fps: float, threshold: float | None) -> Step:
    """``trackers`` by Roboflow."""
    supervision = import_module("supervision")
    make = getattr(import_module("trackers"), kind)
    takes = inspect.signature(make).parameters
    settings: dict[str, Any] = {"frame_rate": fps}
    if "enable_cmc" in takes:
        settings["enable_cmc"] = False  # there are no pictures
    if threshold is not None:
        names = ("track_activation_threshold", "high_conf_det_threshold")
        settings |= {name: threshold for name in names if name in takes}
    tracker = make(**settings)

    def step(boxes: np.ndarray, score: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        found = supervision.Detections(xyxy=boxes, confidence=score, class_id=np.zeros(len(boxes), int))
        tracks = tracker.update(found)
        shown = np.flatnonzero(np.asarray(tracks.tracker_id) >= 0) if len(tracks) else np.zeros(0, int)
        return tracks.xyxy[shown], np.asarray(tracks.tracker_id, int)[shown] if len(shown) else np.zeros(0, int)

    return step


def norfair(fps: float, threshold: float | None) -> Step:
    """``norfair`` by Tryolabs, on boxes and their overlap, as its documentation shows."""
    library = import_module("norfair")
    settings = {} if threshold is None else {"detection_threshold": threshold}
    tracker = library.Tracker(distance_function="iou", distance_threshold=0.7, **settings)

    def step(boxes: np.ndarray, score: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        found = [
            library.Detection(points=box.reshape(2, 2), scores=np.array([each, each]))
            for box, each in zip(boxes, score, strict=True)
        ]
        objects = tracker.update(detections=found)
        shown = np.array([each.estimate.reshape(4) for each in objects]).reshape(-1, 4)
        return shown, np.array([each.id for each in objects], int)

    return step


ROBOFLOW = {
    "roboflow-sort": "SORTTracker",
    "roboflow-bytetrack": "ByteTrackTracker",
    "roboflow-ocsort": "OCSORTTracker",
    "roboflow-cbiou": "CBIoUTracker",
    "roboflow-botsort": "BoTSORTTracker",
}


def make_step(name: str, fps: float) -> Step:
    """A new tracker for one sequence."""
    kind, _, threshold = name.partition("@")
    if kind in ROBOFLOW:
        return roboflow(ROBOFLOW[kind], fps, float(threshold) if threshold else None)
    if kind == "norfair":
        return norfair(fps, float(threshold) if threshold else None)
    raise SystemExit(f"no tracker {kind!r}: choose one of {', '.join([*ROBOFLOW, 'norfair'])}")


def main(name: str, given: str, out: str) -> None:
    """Track every sequence."""
    with np.load(given) as file:
        data = {key: file[key] for key in file.files}
    ends = np.searchsorted(data["frame"], np.arange(int(data["frames"].sum()) + 1))
    shown = []
    number = 0
    for frames, fps in zip(data["frames"].tolist(), data["fps"].tolist(), strict=True):
        step = make_step(name, fps)
        for _ in range(frames):
            rows = slice(ends[number], ends[number + 1])
            boxes, ids = step(data["boxes"][rows], data["score"][rows])
            shown.append((np.reshape(boxes, (-1, 4)), ids, np.full(len(ids), number)))
            number += 1
    boxes, ids, frame = (np.concatenate(part) for part in zip(*shown, strict=True))
    np.savez(out, boxes=boxes, track_id=ids, frame=frame)


if __name__ == "__main__":
    main(*sys.argv[1:])
