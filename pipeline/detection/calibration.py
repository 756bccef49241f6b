"""What calibrations for int8 share: which frames of a video they take, what they measure, and NNCF.

B. Jacob et al., "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference", CVPR
2018, is the method.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import io
import logging
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.errors import ConfigError
from pipeline.geometry.boxes import iou_matrix
from pipeline.models.engines.int8_files import Int8Record
from pipeline.models.engines.openvino_core import openvino_core
from pipeline.types import Detections, Image

LEAST_FRAMES = 10
"""Fewer tell too little of what the network will meet."""

_SAME_OBJECT = 0.5  # IoU from which two boxes are the same find
_ROUNDS = 15  # of the comparison of speed


@dataclass(frozen=True, slots=True)
class Calibration:
    """What a calibration came to.

    Attributes:
        record: as it is kept with the network.
        path: where that is.
        other: the precision that int8 was compared with in speed.
        images_per_s: by precision, of the network alone, one image at a time.
        found: detections on the held-out frames, of float32 and of int8.
    """

    record: Int8Record
    path: Path
    other: str
    images_per_s: dict[str, float]
    found: tuple[int, int]


def spread(images: Iterable[Image], count: int) -> list[Image]:
    """At most ``count`` of the images, evenly spread over all, however many those turn out to be.

    Never holds more than twice as many.
    """
    kept: list[Image] = []
    every = 1
    for index, image in enumerate(images):
        if index % every:
            continue
        kept.append(image)
        if len(kept) == 2 * count:
            kept = kept[::2]
            every *= 2
    if len(kept) <= count:
        return kept
    return [kept[round(place)] for place in np.linspace(0, len(kept) - 1, count)]


def agreement(expected: Sequence[Detections], found: Sequence[Detections]) -> float:
    """How far two detectors agree: the F1 of one's finds taken as the truth for the other's, from 0 to 1.

    Two boxes are one find when their class is the same and they overlap with an IoU of 0.5; each counts once, the
    best-scored first. Where neither finds anything they agree.
    """
    both = total = 0
    for first, second in zip(expected, found, strict=True):
        total += len(first) + len(second)
        if not len(first) or not len(second):
            continue
        overlap = iou_matrix(first.xyxy, second.xyxy)
        overlap[first.class_id[:, None] != second.class_id[None]] = 0
        for row in range(len(first)):
            column = int(overlap[row].argmax())
            if overlap[row, column] >= _SAME_OBJECT:
                both += 1
                overlap[:, column] = 0
    return 2 * both / total if total else 1.0


def compare_speed(calls: Mapping[str, Callable[[], object]]) -> dict[str, float]:
    """Images per second of each, by its precision: one image at a time, in turn, the median.

    Args:
        calls: by precision, what has a network look at one image.
    """
    times: dict[str, list[float]] = {precision: [] for precision in calls}
    for _ in range(_ROUNDS):
        for precision, call in calls.items():
            call()  # brings back what the other has pushed out of the caches
            begun_s = time.perf_counter()
            call()
            times[precision].append(time.perf_counter() - begun_s)
    return {precision: round(1 / statistics.median(taken), 1) for precision, taken in times.items()}


def import_nncf() -> Any:
    """The module ``nncf``, which keeps quiet, leaves logging alone and reports nothing to its makers.

    Raises:
        ConfigError: it is not installed.
    """
    # NNCF reports its use to its makers over the network unless it takes this for a test machine.
    before, loggers = os.environ.get("NNCF_CI"), logging.getLoggerClass()
    os.environ["NNCF_CI"] = "1"
    try:
        import nncf
    except ImportError as error:
        raise ConfigError(
            "calibrate: nncf is not installed; install it with: pip install 'sightline[calibrate]'."
        ) from error
    finally:
        logging.setLoggerClass(loggers)  # it makes all later loggers of the process its own kind
        if before is None:
            del os.environ["NNCF_CI"]
        else:
            os.environ["NNCF_CI"] = before
    openvino_core()  # before NNCF makes its own
    logging.getLogger("nncf").setLevel(logging.ERROR)  # its own function for it sets everybody's
    return nncf


def quantize(nncf: Any, model: Any, images: Sequence[Image], **options: Any) -> Any:
    """A model in int8, by the ranges that its values have for some images, NNCF's post-training quantization.

    Args:
        nncf: the module.
        model: an ``openvino.Model`` whose input takes uint8 ``(1, height, width, 3)`` BGR.
        images: uint8 ``(height, width, 3)`` BGR, of the size of its input.
        options: of ``nncf.quantize``.
    """
    with contextlib.redirect_stdout(io.StringIO()):  # it draws progress bars
        return nncf.quantize(model, nncf.Dataset([image[None] for image in images]), subset_size=len(images), **options)


def serialized(model: Any) -> tuple[bytes, bytes]:
    """The two files of an ``openvino.Model``: its description and its numbers."""
    from pipeline.models.engines.quiet_openvino import ov

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.xml"
        ov.save_model(model, path, compress_to_fp16=False)
        return path.read_bytes(), path.with_suffix(".bin").read_bytes()


def library_versions() -> dict[str, str]:
    """Of the libraries that make a calibrated network."""
    return {name: importlib.metadata.version(name) for name in ("openvino", "nncf")}
