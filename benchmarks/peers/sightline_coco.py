"""Sightline's detections in the images of a COCO annotation file, in the form that the peers write theirs."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import cv2
import numpy as np

from benchmarks.peers.clock import RunClock
from pipeline.detection.yolov3.detector import YoloDetector
from sightline.config.schema import Config


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("--images", "--annotations", "--results"):
        parser.add_argument(name, type=Path, required=True)
    options = parser.parse_args()
    model = Config().model
    detector = YoloDetector(
        model.name,
        **model.model_dump(include={"input_size", "square", "precision", "iou"}, exclude_none=True),
        confidence=0.001,
        max_detections=1000,
    )
    names = detector.class_names
    found = []
    images = json.loads(options.annotations.read_text())["images"]
    clock = RunClock()
    clock.start()
    for entry in images:
        picture = np.asarray(cv2.imread(str(options.images / entry["file_name"])), np.uint8)
        (objects,) = detector.detect([picture])
        for box, score, label in zip(
            objects.xyxy.tolist(), objects.score.tolist(), objects.class_id.tolist(), strict=True
        ):
            sides = [box[0], box[1], box[2] - box[0], box[3] - box[1]]
            found.append({"image_id": entry["id"], "name": names[label], "bbox": sides, "score": score})
    clock.stop()
    options.results.write_text(json.dumps(found))
    clock.report(len(images), boxes=len(found), precision=detector.precision)


if __name__ == "__main__":
    main()
