"""What one writes today with roboflow's libraries: ``supervision`` and ``trackers`` around an ONNX detector.

    python -m benchmarks.peers.supervision_script VIDEO --model yolox_nano.onnx --names N [--output X.mp4]

The detector is YOLOX-nano in onnxruntime, at its own 416x416; ByteTrack and the annotators are the libraries', at their
defaults.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnxruntime
import supervision as sv

from benchmarks.peers.clock import RunClock

# The library `trackers` has the name of the project's own package, which is not to be found in its place.
_ROOT = Path(__file__).resolve().parents[2]
sys.path[:] = [folder for folder in sys.path if Path(folder).resolve() != _ROOT]
ByteTrackTracker: Any = importlib.import_module("trackers").ByteTrackTracker

SIZE = 416
_STRIDES = (8, 16, 32)


class YoloxDetector:
    """YOLOX in onnxruntime: top-left letterbox of 114, BGR from 0 to 255."""

    def __init__(self, model: Path, confidence: float = 0.25, iou: float = 0.45) -> None:
        self._session = onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"])
        self._confidence, self._iou = confidence, iou
        cells, scales = [], []
        for stride in _STRIDES:
            rows, columns = np.mgrid[: SIZE // stride, : SIZE // stride]
            cells.append(np.stack([columns, rows], axis=-1).reshape(-1, 2))
            scales.append(np.full((SIZE // stride) ** 2, stride))
        self._cells, self._scales = np.concatenate(cells), np.concatenate(scales)[:, None]

    def detect(self, image: Any) -> sv.Detections:
        """The objects of a BGR picture, in its pixels."""
        scale = SIZE / max(image.shape[:2])
        small = cv2.resize(image, None, fx=scale, fy=scale)
        placed = np.full((SIZE, SIZE, 3), 114, np.uint8)
        placed[: small.shape[0], : small.shape[1]] = small
        batch = placed.transpose(2, 0, 1)[None].astype(np.float32)
        rows = self._session.run(None, {self._session.get_inputs()[0].name: batch})[0][0]
        scores = rows[:, 4:5] * rows[:, 5:]
        labels = scores.argmax(axis=1)
        best = scores[np.arange(len(scores)), labels]
        sure = best >= self._confidence
        centres = (rows[sure, :2] + self._cells[sure]) * self._scales[sure]
        halves = np.exp(rows[sure, 2:4]) * self._scales[sure] / 2
        found = sv.Detections(
            xyxy=np.concatenate([centres - halves, centres + halves], axis=1) / scale,
            confidence=best[sure],
            class_id=labels[sure],
        )
        return found.with_nms(self._iou)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("video", type=Path)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--names", type=Path, required=True)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    names = options.names.read_text().splitlines()
    detector, tracker = YoloxDetector(options.model), ByteTrackTracker()
    boxes, labels = sv.BoxAnnotator(), sv.LabelAnnotator()
    info = sv.VideoInfo.from_video_path(str(options.video))
    detector.detect(np.zeros((info.height, info.width, 3), np.uint8))
    clock = RunClock()
    clock.start()
    frames = found = 0
    with contextlib.ExitStack() as stack:
        sink = stack.enter_context(sv.VideoSink(str(options.output), info)) if options.output else None
        for image in sv.get_video_frames_generator(str(options.video)):
            tracked = tracker.update(detector.detect(image))
            frames += 1
            found += len(tracked)
            if sink is not None:
                texts = [
                    f"{names[label]} {one}" for label, one in zip(tracked.class_id, tracked.tracker_id, strict=True)
                ]
                sink.write_frame(labels.annotate(boxes.annotate(image, tracked), tracked, texts))
    clock.stop()
    clock.report(frames, boxes=found)


if __name__ == "__main__":
    main()
