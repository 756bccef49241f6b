"""What a moving camera costs the trackers, and how much of that is won back by following its motion.

    python -m benchmarks.tracking_camera DATA RECORDED [--tracker NAME]

Clips of a camera that stands still, below ``DATA/videos``, are panned, zoomed and shaken; what a detector saw of them
(``RECORDED``, see ``tracking_record``) and the ground truth move along. So whatever a tracker loses against the clips
as they are, it loses to the camera. All figures are means over clips, detectors and four variants of each
movement.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.tracking_data import Boxes, Unit, read_units
from benchmarks.tracking_record import CLIPS
from benchmarks.tracking_scores import judge
from benchmarks.tracking_validation import CONFIDENCE, follow
from pipeline.errors import PipelineError
from pipeline.geometry.similarity import Motion, moved_boxes
from pipeline.sampling.camera_motion import CameraMotion
from pipeline.sources.opening import open_source
from pipeline.types import Detections, Frame, Image
from trackers.factory import DEFAULT_TRACKER, create_tracker

MOVEMENTS = ("pan", "zoom", "shake")
# Each movement in so many variants, of other phases and numbers: one tracker's luck is not another's.
_VARIANTS = 4
# The longer side to which sources reduce pictures for the default detector.
_REDUCED = 416


def poses(movement: str, frames: int, fps: float, size: tuple[int, int], seed: int) -> list[Motion]:
    """What takes the still picture to each of the moved ones.

    ``pan``: to and fro by a quarter of the width, up and down by a tenth of the height, within 4 and 3 s; ``zoom``: by
    1.6 and back within 4 s; ``shake``: every frame by 2% of the width and half a degree, at random.
    """
    width, height = size
    random = np.random.default_rng(seed)
    time_s = np.arange(frames) / fps + random.uniform(0, 12)
    shift, turn, zoom = np.zeros((frames, 2)), np.zeros(frames), np.ones(frames)
    if movement == "pan":
        shift[:, 0] = width / 4 * np.sin(2 * np.pi * time_s / 4)
        shift[:, 1] = height / 10 * np.sin(2 * np.pi * time_s / 3)
    elif movement == "zoom":
        zoom = 1 + 0.3 * (1 - np.cos(2 * np.pi * time_s / 4))
    elif movement == "shake":
        shift, turn = random.normal(0, 0.02 * width, (frames, 2)), random.normal(0, np.radians(0.5), frames)
    centre = np.array([width, height]) / 2
    found = []
    for by, angle, scale in zip(shift, turn, zoom, strict=True):
        turned = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        found.append(np.column_stack([turned, centre - turned @ centre + by]))
    return found


def moved(unit: Unit, path: Sequence[Motion]) -> Unit:
    """The unit as the moved camera sees it."""
    detections = tuple(
        Detections(moved_boxes(found.xyxy.astype(np.float64), pose).astype(np.float32), found.score, found.class_id)
        for found, pose in zip(unit.detections, path, strict=True)
    )
    truth = tuple(
        Boxes(boxes.track_id, moved_boxes(boxes.xyxy, pose)) for boxes, pose in zip(unit.truth, path, strict=True)
    )
    return replace(unit, detections=detections, truth=truth)


def measured_motions(
    unit: Unit, pictures: Sequence[Image], size: tuple[int, int], path: Sequence[Motion]
) -> tuple[list[Motion | None], float]:
    """What the estimator says of the moved pictures, frame by frame, and the mean milliseconds it took."""
    camera, found, spent = CameraMotion(), [], 0.0
    for index, (picture, pose, seen) in enumerate(zip(pictures, path, unit.detections, strict=True)):
        height, width = picture.shape[:2]
        enlarged = size[0] / width
        here = pose.copy()
        here[:, 2] /= enlarged
        warped = cv2.warpAffine(picture, here, (width, height), borderMode=cv2.BORDER_REFLECT)
        # The whole picture is never asked for, as in a run.
        frame = Frame(
            _no_picture,
            index,
            index / unit.fps,
            0.0,
            unit.name,
            reduced=np.asarray(warped, np.uint8),
            size=(size[1], size[0]),
        )
        began = time.perf_counter()
        found.append(camera.update(frame, seen.xyxy))
        spent += time.perf_counter() - began
    return found, 1000 * spent / len(path)


def _no_picture() -> Image:
    raise RuntimeError("only the reduced picture is to be used")


def compare(data: Path, recorded: Path, tracker: str) -> None:
    """Print the table."""
    units = [unit for unit in read_units(data, recorded) if unit.detector != "sort" and unit.name in CLIPS]
    rows: dict[tuple[str, bool, str], list[NDArray[np.float64]]] = {}
    cost: dict[str, list[float]] = {}
    for unit in units:
        size, pictures = _pictures(data / "videos" / CLIPS[unit.name])
        for movement in ("still", *MOVEMENTS):
            for seed in range(1 if movement == "still" else _VARIANTS):
                path = poses(movement, len(unit.truth), unit.fps, size, seed)
                seen = moved(unit, path)
                motions, spent = measured_motions(seen, pictures, size, path)
                cost.setdefault(movement, []).append(spent)
                for hindsight, (name, told) in product((False, True), (("without", None), ("with", motions))):
                    made = create_tracker(tracker, confidence=CONFIDENCE)
                    shown = follow(made, seen, hindsight=hindsight, motions=told)
                    rows.setdefault((movement, hindsight, name), []).append(np.array(judge(shown, seen)[:3]))
    print(f"{tracker}, MOTA / IDF1 / HOTA; loss in the mean of the three against the camera that stands still")
    for hindsight in (False, True):
        print("\nhindsight" if hindsight else "\nat once")
        still = np.mean(rows["still", hindsight, "without"], axis=0)
        for movement in ("still", *MOVEMENTS):
            cells, losses = [], []
            for name in ("without", "with"):
                figures = np.mean(rows[movement, hindsight, name], axis=0)
                losses.append(float((still - figures).mean()))
                cells.append(f"{name} {' / '.join(f'{each:.1f}' for each in figures)}, loss {losses[-1]:.1f}")
            part = f"{100 * losses[1] / losses[0]:.0f}%" if losses[0] > 0 else "-"
            print(f"{movement:6} {cells[0]:40} {cells[1]:40} {part:>5} left, {np.mean(cost[movement]):.2f} ms a frame")


def _pictures(clip: Path) -> tuple[tuple[int, int], list[Image]]:
    """The clip's ``(width, height)``, and its frames as a source reduces them for a detector."""
    with open_source(str(clip), reduce_to=_REDUCED) as source:
        pictures = [frame.image if frame.reduced is None else frame.reduced for frame in source]
        return (source.info.width, source.info.height), pictures


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder that holds mot15, kitti and videos")
    parser.add_argument("recorded", type=Path, help="detections of the clips, DETECTOR/SEQ/det/det.txt")
    parser.add_argument("--tracker", default=DEFAULT_TRACKER)
    chosen = parser.parse_args(arguments)
    try:
        compare(chosen.data, chosen.recorded, chosen.tracker)
    except PipelineError as error:
        print(f"tracking_camera: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
