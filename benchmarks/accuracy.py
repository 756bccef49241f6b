"""What the compared programs find, on data with ground truth: AP50 in images, HOTA and MOTA of people in a video."""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path

from benchmarks.measure import run
from benchmarks.peers.programs import Program, Workplace
from benchmarks.tracking import score

_SEQUENCE, _CLIP = "PETS09-S2L1", "vtest.avi"


def average_precision_50(results: Path, annotations: Path) -> float:
    """COCO's AP at IoU 0.50 of ``image_id``, ``name``, ``bbox``, ``score`` objects in a JSON file."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    with contextlib.redirect_stdout(io.StringIO()):  # it talks
        truth = COCO(str(annotations))
        ids = {category["name"]: category["id"] for category in truth.loadCats(truth.getCatIds())}
        rows = [row | {"category_id": ids[row.pop("name")]} for row in json.loads(results.read_text())]
        evaluation = COCOeval(truth, truth.loadRes(rows) if rows else COCO(), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return float(evaluation.stats[1])


def accuracy(program: Program, data: Path, place: Workplace) -> dict[str, float]:
    """``ap50`` in [0, 1] on ``data/coco``; ``hota`` and ``mota`` in percent on ``data/videos/vtest.avi``, which is
    PETS09-S2L1; each where the program can tell and the data is there."""
    found: dict[str, float] = {}
    images, annotations = data / "coco" / "images", data / "coco" / "instances.json"
    results, tracks = place.folder / f"{program.name}.json", place.folder / f"{program.name}.txt"
    if annotations.is_file() and (command := program.on_images(images, annotations, results, place)):
        run(command)
        found["ap50"] = round(average_precision_50(results, annotations), 4)
    clip, truth = data / "videos" / _CLIP, data / "mot15" / _SEQUENCE
    if clip.is_file() and truth.is_dir() and (command := program.on_people(clip, tracks, place)):
        run(command)
        figures = score(tracks, truth)
        found |= {"hota": round(figures["HOTA"], 1), "mota": round(figures["MOTA"], 1)}
    return found
