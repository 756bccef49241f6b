"""How well the detector finds things: COCO's metrics, by pycocotools, and the images per second they took.

    python benchmarks/detection.py --images DIR --annotations FILE [--square] [--engine openvino]

Twice over: with the best class of a box, as runs report it, and with every class, as COCO's papers do. Only the images
that the annotation file names are needed. A crowd and an object too hard to see count as COCO says.
The images are decoded before the clock starts.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

if __name__ == "__main__":  # run as a file, from wherever
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from pipeline.detection.factory import create_detector
from pipeline.errors import ConfigError, PipelineError, SourceNotFoundError
from pipeline.interfaces import Detector
from pipeline.models.custom import choose_model
from pipeline.types import Detections, Image

MOST_PER_IMAGE = 1000
"""COCO counts the best 100 per image and class, so what a user's own limit would cut must not be cut here."""


@dataclass(frozen=True, slots=True)
class Accuracy:
    """COCO's figures over all classes, in [0, 1], and how fast they were made.

    Attributes:
        ap: average precision, mean over IoU 0.50 to 0.95.
        ap50, ap75: at IoU 0.50 and 0.75.
        ap_small, ap_medium, ap_large: AP of objects under 32 x 32 pixels, under 96 x 96, and above; -1 where none is.
        images: how many.
        detections: how many were reported for them.
        images_per_s: detector only, from decoded image to detections.
    """

    ap: float
    ap50: float
    ap75: float
    ap_small: float
    ap_medium: float
    ap_large: float
    images: int
    detections: int
    images_per_s: float


class CocoTruth:
    """Images and what is in them, as an annotation file in COCO's format says.

    Args:
        images: folder of the files that it names.
        annotations: the file.
        class_names: of the detector that is judged.

    Raises:
        ConfigError: annotations that can't be read, or that don't know a class of the detector.
        SourceNotFoundError: a file that is not there.
    """

    def __init__(self, images: Path, annotations: Path, class_names: Sequence[str]) -> None:
        from pycocotools.coco import COCO

        if not annotations.is_file():
            raise SourceNotFoundError(f"{annotations}: there is no annotation file; check --annotations.")
        try:
            with contextlib.redirect_stdout(io.StringIO()):  # it talks
                self._truth = COCO(str(annotations))
        except (ValueError, AssertionError, KeyError, TypeError) as error:
            raise ConfigError(f"{annotations}: is not an annotation file in COCO's format ({error}).") from error
        categories = {entry["name"]: entry["id"] for entry in self._truth.loadCats(self._truth.getCatIds())}
        if unknown := [name for name in class_names if name not in categories]:
            raise ConfigError(f"{annotations}: has no category {unknown[0]!r}, which the detector reports.")
        self._category_ids = [categories[name] for name in class_names]
        self._images = images
        self.image_ids: list[int] = sorted(self._truth.getImgIds())

    def read(self, image_id: int) -> Image:
        """The image, uint8 ``(height, width, 3)`` BGR."""
        return _read(self._images / self._truth.loadImgs(image_id)[0]["file_name"])

    def average_precision(self, found: Mapping[int, Detections]) -> list[float]:
        """COCO's first six figures over the images in ``found``: AP, AP50, AP75, and AP of small, medium and large."""
        evaluation = self._evaluation(found)
        with contextlib.redirect_stdout(io.StringIO()):
            evaluation.evaluate()
            evaluation.accumulate()
            evaluation.summarize()
        return [round(float(figure), 5) for figure in evaluation.stats[:6]]

    def matched(self, found: Mapping[int, Detections]) -> tuple[NDArray[np.float32], NDArray[np.bool_], int]:
        """The score of every box, whether it is that of an object (of the class, IoU 0.5, each object once), and how
        many objects there are. Boxes in crowds count neither way."""
        evaluation = self._evaluation(found)
        evaluation.params.iouThrs = np.array([0.5])
        evaluation.params.areaRng, evaluation.params.areaRngLbl = [[0, 1e10]], ["all"]
        evaluation.params.maxDets = [MOST_PER_IMAGE]
        with contextlib.redirect_stdout(io.StringIO()):
            evaluation.evaluate()
        scores, right, objects = [], [], 0
        for part in filter(None, evaluation.evalImgs):  # one for each picture and class
            counted = ~np.asarray(part["dtIgnore"][0], dtype=bool)
            scores += list(np.asarray(part["dtScores"])[counted])
            right += list(np.asarray(part["dtMatches"][0])[counted] > 0)
            objects += int((np.asarray(part["gtIgnore"]) == 0).sum())
        return np.array(scores, np.float32), np.array(right, np.bool_), objects

    def _evaluation(self, found: Mapping[int, Detections]) -> Any:
        from pycocotools.coco import COCO
        from pycocotools.cocoeval import COCOeval

        rows = [row for image_id, detections in found.items() for row in self._results(image_id, detections)]
        with contextlib.redirect_stdout(io.StringIO()):
            evaluation = COCOeval(self._truth, self._truth.loadRes(rows) if rows else COCO(), "bbox")
        evaluation.params.imgIds = sorted(found)
        return evaluation

    def _results(self, image_id: int, detections: Detections) -> list[dict[str, Any]]:
        sides = detections.xyxy[:, 2:] - detections.xyxy[:, :2]
        boxes = np.concatenate([detections.xyxy[:, :2], sides], axis=1).tolist()
        return [
            {"image_id": image_id, "category_id": self._category_ids[class_id], "bbox": box, "score": score}
            for box, score, class_id in zip(boxes, detections.score.tolist(), detections.class_id.tolist(), strict=True)
        ]


def evaluate(detector: Detector, images: Path, annotations: Path, batch: int = 8) -> Accuracy:
    """COCO metrics of a detector on the images that an annotation file in COCO's format names.

    Raises:
        ConfigError, SourceNotFoundError: as of `CocoTruth`.
    """
    truth = CocoTruth(images, annotations, detector.class_names)
    found: dict[int, Detections] = {}
    seconds = 0.0
    warm: set[tuple[int, ...]] = set()
    for start in range(0, len(truth.image_ids), batch):
        chunk = truth.image_ids[start : start + batch]
        pictures = [truth.read(image_id) for image_id in chunk]
        for height, width in {picture.shape[:2] for picture in pictures} - warm:
            detector.warm_up(height, width)
            warm.add((height, width))
        began = time.perf_counter()
        detections = detector.detect(pictures)
        seconds += time.perf_counter() - began
        found.update(zip(chunk, detections, strict=True))
    ap, ap50, ap75, ap_small, ap_medium, ap_large = truth.average_precision(found)
    return Accuracy(
        ap=ap,
        ap50=ap50,
        ap75=ap75,
        ap_small=ap_small,
        ap_medium=ap_medium,
        ap_large=ap_large,
        images=len(found),
        detections=sum(map(len, found.values())),
        images_per_s=round(len(found) / seconds, 2),
    )


def _read(path: Path) -> Image:
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if image is None:
        raise SourceNotFoundError(f"{path}: there is no image that can be read; check --images.")
    return np.asarray(image, dtype=np.uint8)


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=Path, required=True, metavar="DIR")
    parser.add_argument("--annotations", type=Path, required=True, metavar="FILE", help="COCO format")
    parser.add_argument("--model", default="tiny-yolov3")
    parser.add_argument("--weights", type=Path, help="in place of the model's published file, or an ONNX network")
    parser.add_argument("--input-size", type=int, help="longer side of the network's input (the model's own)")
    parser.add_argument("--square", action="store_true", help="letterbox into a square input")
    parser.add_argument("--engine", help="openvino, tensorflow or auto (the machine's own)")
    parser.add_argument("--precision", default="auto", help="auto, float32, bfloat16 or another of the engine's")
    parser.add_argument("--confidence", type=float, default=0.001, help="smallest score reported (%(default)s)")
    parser.add_argument("--iou", type=float, default=0.45, help="overlap that suppresses (%(default)s)")
    parser.add_argument("--threads", type=int, help="processor cores to use (all)")
    parser.add_argument("--batch", type=int, default=8, help="images handed over at a time (%(default)s)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args()
    try:
        told, reports = _measure(options)
    except PipelineError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    if options.json:
        print(json.dumps({**told, **{name: asdict(accuracy) for name, accuracy in reports.items()}}))
        return 0
    shape = f"{told['input_size']} {'square' if options.square else 'rectangular'}"
    images = reports["best_class"].images
    print(f"{options.weights or options.model}, {shape}, {told['engine']}, {told['precision']}, {images} images")
    for name, accuracy in reports.items():
        print(f"\n{name.replace('_', ' ')} of a box:")
        print(f"AP50 {accuracy.ap50:.4f}   AP {accuracy.ap:.4f}   AP75 {accuracy.ap75:.4f}")
        print(f"small {accuracy.ap_small:.4f}   medium {accuracy.ap_medium:.4f}   large {accuracy.ap_large:.4f}")
        print(f"{accuracy.images_per_s:.1f} images/s on {told['threads']} threads, {accuracy.detections} detections")
    return 0


def _measure(options: argparse.Namespace) -> tuple[dict[str, Any], dict[str, Accuracy]]:
    """What ran, and how accurate it was with the best class of a box, as runs report it, and with every class."""
    told: dict[str, Any] = {}
    reports = {}
    for name, multi_label in (("best_class", None), ("every_class", True)):
        with contextlib.closing(
            create_detector(
                choose_model(options.model, weights=options.weights),
                weights=options.weights,
                input_size=options.input_size,
                square=options.square or None,
                engine=options.engine,
                precision=told.get("precision", options.precision),
                confidence=options.confidence,
                iou=options.iou,
                multi_label=multi_label,
                max_detections=MOST_PER_IMAGE,
                threads=options.threads,
            )
        ) as detector:
            reports[name] = evaluate(detector, options.images, options.annotations, options.batch)
            told = {
                "engine": detector.engine.name,
                "precision": detector.precision,
                "threads": detector.threads,
                "input_size": detector.input_size,
            }
    return told, reports


if __name__ == "__main__":
    sys.exit(main())
