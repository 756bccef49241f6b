"""From which score a detector's boxes are as often right as the default model's: what `default_confidence` goes by.

    SIGHTLINE_EVAL=DIR python -m benchmarks.default_confidence [--model NAME] [--weights FILE]

On the pictures of ``coco/``, in float32, with what runs use by default (rectangular input, the best class of a box):
the multiple of 0.05 from which on a part of the boxes that is nearest to three quarters is right, of the class and
with an IoU of 0.5, each object counting once. Of YOLOv3-tiny it is 75.0% from 0.25, the default of what was not
measured.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from pathlib import Path

import numpy as np

from benchmarks.detection import MOST_PER_IMAGE, CocoTruth
from pipeline.detection.factory import create_detector
from pipeline.errors import PipelineError
from pipeline.interfaces import Detector
from pipeline.models.custom import choose_model
from pipeline.models.registry import DEFAULT_MODEL

RIGHT = 0.75
STEPS = tuple(step / 100 for step in range(5, 100, 5))
LOWEST = STEPS[0]


def precision_and_recall(detector: Detector, data: Path) -> dict[float, tuple[float, float]]:
    """Which part of the boxes is right, and which part of the objects is found, by the smallest score.

    Args:
        detector: which reports scores from `LOWEST` on.
        data: the folder of the evaluation data.
    """
    truth = CocoTruth(data / "coco" / "images", data / "coco" / "instances.json", detector.class_names)
    found = {image_id: detector.detect([truth.read(image_id)])[0] for image_id in truth.image_ids}
    scores, right, objects = truth.matched(found)
    figures = {}
    for step in STEPS:
        reported = scores >= np.float32(step)
        hits = int(right[reported].sum())
        figures[step] = hits / max(1, int(reported.sum())), hits / objects
    return figures


def chosen(figures: dict[float, tuple[float, float]]) -> float:
    """The default by the rule."""
    return min(figures, key=lambda step: abs(figures[step][0] - RIGHT))


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default=DEFAULT_MODEL)
    parser.add_argument("--weights", help="in place of the model's own, or an ONNX network")
    options = parser.parse_args()
    try:
        with contextlib.closing(
            create_detector(
                choose_model(options.model, weights=options.weights),
                weights=options.weights,
                precision="float32",
                confidence=LOWEST,
                max_detections=MOST_PER_IMAGE,
            )
        ) as detector:
            figures = precision_and_recall(detector, Path(os.environ["SIGHTLINE_EVAL"]))
    except PipelineError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    for step, (precision, recall) in figures.items():
        print(f"from {step:.2f}: {precision:.1%} of the boxes are right, {recall:.1%} of the objects are found")
    print(f"by the rule: {chosen(figures):.2f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
