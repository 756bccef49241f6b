"""What one writes oneself: OpenCV's DNN module on the same weights, SORT on filterpy, ``cv2.VideoWriter``.

    python -m benchmarks.peers.opencv_script video VIDEO --weights W --names N --output X.mp4 [--tracks X.txt]
    python -m benchmarks.peers.opencv_script coco --images DIR --annotations FILE --weights W --names N --results X.json

It is written with some care (no Python loop over the network's thousands of boxes) and no tricks: read, detect, track,
draw, write, one frame after another.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from benchmarks.peers.clock import RunClock
from benchmarks.peers.darknet_cfg import tiny_yolov3_cfg
from benchmarks.peers.opencv_sort import Sort

SIZE = 416


class OpenCvDetector:
    """YOLOv3-tiny in OpenCV's DNN module."""

    def __init__(self, weights: Path, mask: str, confidence: float, iou: float) -> None:
        with tempfile.TemporaryDirectory() as folder:
            description = Path(folder) / "yolov3-tiny.cfg"
            description.write_text(tiny_yolov3_cfg(mask))
            self._network = cv2.dnn.readNetFromDarknet(str(description), str(weights))
        self._outputs = self._network.getUnconnectedOutLayersNames()
        self._confidence = confidence
        self._iou = iou

    def detect(self, image: Any) -> tuple[Any, Any, Any]:
        """Boxes ``(N, 4)`` as left, top, right, bottom in pixels; class numbers; scores."""
        blob = cv2.dnn.blobFromImage(image, 1 / 255, (SIZE, SIZE), swapRB=True, crop=False)
        self._network.setInput(blob)
        rows = np.vstack(self._network.forward(self._outputs))
        labels = rows[:, 5:].argmax(axis=1)
        # OpenCV's layer has multiplied the objectness in.
        scores = rows[np.arange(len(rows)), 5 + labels]
        sure = scores >= self._confidence
        rows, labels, scores = rows[sure], labels[sure], scores[sure]
        height, width = image.shape[:2]
        size = rows[:, 2:4] * (width, height)
        corner = rows[:, :2] * (width, height) - size / 2
        boxes = np.concatenate([corner, size], axis=1)
        kept = cv2.dnn.NMSBoxesBatched(boxes.tolist(), scores.tolist(), labels.tolist(), self._confidence, self._iou)
        chosen = np.asarray(kept, dtype=np.intp).reshape(-1)
        boxes[:, 2:] += corner
        return boxes[chosen], labels[chosen], scores[chosen]


def process_video(options: argparse.Namespace, names: list[str]) -> None:
    """Detect, track, draw and write every frame."""
    detector = OpenCvDetector(options.weights, options.mask, options.confidence, options.iou)
    reader = cv2.VideoCapture(str(options.video))
    fps = reader.get(cv2.CAP_PROP_FPS)
    width, height = (int(reader.get(key)) for key in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT))
    writer = None
    if options.output is not None:
        writer = cv2.VideoWriter(str(options.output), cv2.VideoWriter.fourcc(*"mp4v"), fps, (width, height))
    wanted = [names.index(name) for name in options.classes.split(",")] if options.classes else None
    tracker = Sort()
    detector.detect(np.zeros((height, width, 3), np.uint8))
    lines: list[str] = []
    frames = 0
    clock = RunClock()
    clock.start()
    while True:
        there, image = reader.read()
        if not there:
            break
        frames += 1
        boxes, labels, _ = detector.detect(image)
        if wanted is not None:
            kept = np.isin(labels, wanted)
            boxes, labels = boxes[kept], labels[kept]
        for track in tracker.update(boxes, labels):
            left, top, right, bottom = (float(edge) for edge in track.box)
            box = f"{left:.2f},{top:.2f},{right - left:.2f},{bottom - top:.2f}"
            lines.append(f"{frames},{track.track_id},{box},1,-1,-1,-1\n")
            if writer is not None:
                corners = (int(left), int(top)), (int(right), int(bottom))
                cv2.rectangle(image, *corners, (0, 255, 0), 2)
                text = f"{names[track.label]} {track.track_id}"
                cv2.putText(image, text, (int(left), int(top) - 4), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (0, 255, 0), 1)
        if writer is not None:
            writer.write(image)
    if writer is not None:
        writer.release()
    if options.tracks is not None:
        options.tracks.write_text("".join(lines))
    clock.stop()
    clock.report(frames, boxes=len(lines))


def process_coco(options: argparse.Namespace, names: list[str]) -> None:
    """Detect in the images that an annotation file names."""
    detector = OpenCvDetector(options.weights, options.mask, options.confidence, options.iou)
    found = []
    images = json.loads(options.annotations.read_text())["images"]
    clock = RunClock()
    clock.start()
    for entry in images:
        picture = cv2.imread(str(options.images / entry["file_name"]))
        for box, label, score in zip(*detector.detect(picture), strict=True):
            sides = [float(edge) for edge in (box[0], box[1], box[2] - box[0], box[3] - box[1])]
            found.append({"image_id": entry["id"], "name": names[label], "bbox": sides, "score": float(score)})
    clock.stop()
    options.results.write_text(json.dumps(found))
    clock.report(len(images), boxes=len(found))


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    modes = parser.add_subparsers(dest="mode", required=True)
    video, coco = modes.add_parser("video"), modes.add_parser("coco")
    video.add_argument("video", type=Path)
    video.add_argument("--output", type=Path)
    video.add_argument("--tracks", type=Path)
    video.add_argument("--classes")
    for name in ("--images", "--annotations", "--results"):
        coco.add_argument(name, type=Path, required=True)
    for mode, confidence in ((video, 0.25), (coco, 0.001)):
        mode.add_argument("--weights", type=Path, required=True)
        mode.add_argument("--names", type=Path, required=True)
        mode.add_argument("--mask", default="0,1,2", help="anchors of the finer head (%(default)s)")
        mode.add_argument("--confidence", type=float, default=confidence)
        mode.add_argument("--iou", type=float, default=0.45)
    options = parser.parse_args()
    names = options.names.read_text().splitlines()
    (process_video if options.mode == "video" else process_coco)(options, names)
    return 0


if __name__ == "__main__":
    sys.exit(main())
